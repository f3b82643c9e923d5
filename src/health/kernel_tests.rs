use super::super::CheckState;
use super::*;

/// A box in a folder, described as its kernel would.
struct Planted {
    folder: tempfile::TempDir,
}

impl Planted {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn say(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn kernel(&self) -> Kernel {
        Kernel::at(self.folder.path())
    }
}

fn seen(check: &Check) -> (CheckState, &str) {
    (check.state, check.detail.as_str())
}

#[test]
fn a_raspberry_pi_tells_of_its_supply_now_and_since_its_start() {
    let pi = Planted::new();
    assert_eq!(pi.kernel().power().state, CheckState::Unknown);
    let path = "sys/devices/platform/soc/soc:firmware/get_throttled";
    for (bits, state, word) in [
        ("0\n", CheckState::Ok, "ever since"),
        ("50005\n", CheckState::Fail, "at this moment"),
        ("0x10000\n", CheckState::Warn, "since the box started"),
        ("20002\n", CheckState::Warn, "slows itself down"),
        ("80008\n", CheckState::Warn, "slows itself down"),
        ("40000\n", CheckState::Ok, "was slowed down"),
    ] {
        pi.say(path, bits);
        let power = pi.kernel().power();
        assert_eq!(power.state, state, "{bits}");
        assert!(power.detail.contains(word), "{bits}: {}", power.detail);
    }
}

#[test]
fn a_kernel_without_that_file_has_an_alarm_of_the_supplys_voltage() {
    let pi = Planted::new();
    pi.say("sys/class/hwmon/hwmon0/name", "cpu_thermal\n");
    pi.say("sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1\n");
    assert_eq!(pi.kernel().power().state, CheckState::Unknown);
    pi.say("sys/class/hwmon/hwmon1/name", "rpi_volt\n");
    pi.say("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n");
    assert_eq!(pi.kernel().power().state, CheckState::Ok);
    pi.say("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
    assert_eq!(pi.kernel().power().state, CheckState::Warn);
}

#[test]
fn an_emmc_tells_how_worn_it_is_and_an_sd_card_what_was_written() {
    let pi = Planted::new();
    let wear = pi.kernel().wear();
    assert_eq!(seen(&wear).0, CheckState::Unknown);
    pi.say("sys/block/mmcblk0/stat", " 1423 12 88210 901 5120 33 24000000 7000 0 900 7901\n");
    pi.say("sys/block/mmcblk0boot0/stat", "1 0 8 0 0 0 0 0 0 0 0\n");
    pi.say("sys/block/sda/stat", "1 0 8 0 0 0 0 0 0 0 0\n");
    let wear = pi.kernel().wear();
    assert_eq!(
        seen(&wear),
        (
            CheckState::Unknown,
            "the card does not tell; written to mmcblk0: 12.3 GB since the box started"
        )
    );
    for (life, spare, state, word) in [
        ("0x02 0x01", "0x01", CheckState::Ok, "at most 20 %"),
        ("0x03 0x09", "0x01", CheckState::Warn, "at most 90 %"),
        ("0x01 0x01", "0x02", CheckState::Warn, "80 % of its spare blocks"),
        ("0x0b 0x0b", "0x01", CheckState::Fail, "all of its life"),
        ("0x00 0x00", "0x03", CheckState::Fail, "nearly all spare blocks"),
    ] {
        pi.say("sys/block/mmcblk0/device/life_time", &format!("{life}\n"));
        pi.say("sys/block/mmcblk0/device/pre_eol_info", &format!("{spare}\n"));
        let wear = pi.kernel().wear();
        assert_eq!(wear.state, state, "{life} {spare}");
        assert!(wear.detail.contains(word), "{}", wear.detail);
    }
}

#[test]
fn sound_cards_are_named_as_the_kernel_names_them() {
    let pi = Planted::new();
    assert_eq!(pi.kernel().sound_cards().state, CheckState::Fail);
    pi.say("proc/asound/cards", "--- no soundcards ---\n");
    assert_eq!(seen(&pi.kernel().sound_cards()), (CheckState::Fail, "there is no sound card"));
    pi.say(
        "proc/asound/cards",
        " 0 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0\n                      vc4-hdmi-0\n \
         1 [Device         ]: USB-Audio - USB PnP Sound Device\n                      C-Media USB PnP Sound Device at usb-xhci, full speed\n",
    );
    let cards = pi.kernel().sound_cards();
    assert_eq!(
        seen(&cards),
        (CheckState::Ok, "sound cards: vc4-hdmi - vc4-hdmi-0, USB-Audio - USB PnP Sound Device")
    );
}

#[test]
fn a_journal_that_nobody_reads_is_told_and_one_that_forgets_too() {
    let pi = Planted::new();
    pi.say("run/systemd/journal/other", "");
    assert_eq!(pi.kernel().journal().state, CheckState::Unknown, "no systemd");
    fs::create_dir(pi.folder.path().join("run/systemd/system")).unwrap();
    assert_eq!(pi.kernel().journal().state, CheckState::Warn);
    let socket = pi.folder.path().join("run/systemd/journal/socket");
    let journald = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    let journal = pi.kernel().journal();
    assert!(journal.state == CheckState::Ok && journal.detail.contains("in memory"));
    fs::create_dir_all(pi.folder.path().join("var/log/journal")).unwrap();
    assert!(pi.kernel().journal().detail.contains("on the disk"));
    drop(journald);
    assert_eq!(pi.kernel().journal().state, CheckState::Warn, "the file alone is nobody");
}

#[test]
fn heat_is_told_from_where_the_box_slows_itself_down() {
    assert_eq!(temperature(None).state, CheckState::Unknown);
    assert_eq!(seen(&temperature(Some(61_500))), (CheckState::Ok, "61 °C"));
    assert_eq!(temperature(Some(80_000)).state, CheckState::Warn);
}
