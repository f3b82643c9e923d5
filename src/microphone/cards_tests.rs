use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A kernel's files, made up.
struct Kernel {
    folder: TempDir,
}

impl Kernel {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("proc/asound")).unwrap();
        Self { folder }
    }

    fn roots(&self) -> Roots {
        let root = |name| self.folder.path().join(name);
        Roots { proc: root("proc"), sys: root("sys"), dev: root("dev") }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn card(&self, index: u32, id: &str, pcms: &[&str]) {
        self.write(&format!("proc/asound/card{index}/id"), &format!("{id}\n"));
        for pcm in pcms {
            self.write(&format!("proc/asound/card{index}/{pcm}/info"), "");
        }
    }

    fn usb(&self, index: u32, ids: &str, port: &str, serial: Option<&str>) {
        self.card(index, &format!("Headset_{index}"), &["pcm0p", "pcm0c"]);
        self.write(&format!("proc/asound/card{index}/usbid"), &format!("{ids}\n"));
        let device = format!("sys/devices/usb1/{port}");
        self.write(&format!("{device}/product"), "Office Headset\n");
        if let Some(serial) = serial {
            self.write(&format!("{device}/serial"), &format!("{serial}\n"));
        }
        self.write(&format!("{device}/{port}:1.0/bInterfaceNumber"), "00\n");
        let class = self.folder.path().join(format!("sys/class/sound/card{index}"));
        fs::create_dir_all(&class).unwrap();
        let target = self.folder.path().join(format!("{device}/{port}:1.0"));
        symlink(target, class.join("device")).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let cards = cards(&self.roots());
        cards.iter().map(|card| card.name(&cards).to_string()).collect()
    }

    fn find(&self, name: &str) -> Result<Option<u32>, Absent> {
        let found = find(&name.parse().unwrap(), &cards(&self.roots()))?;
        Ok(found.map(|card| card.index))
    }
}

#[test]
fn without_cards_there_are_none() {
    let kernel = Kernel::new();
    assert_eq!(cards(&kernel.roots()), []);
    let nowhere = || "/nowhere".into();
    let nowhere = Roots { proc: nowhere(), sys: nowhere(), dev: nowhere() };
    assert_eq!(cards(&nowhere), []);
}

#[test]
fn cards_that_a_service_was_not_given_are_known_as_such() {
    let kernel = Kernel::new();
    assert!(!are_hidden(&kernel.roots()), "there are none");
    kernel.usb(1, "046d:0a44", "1-1.2", None);
    assert!(are_hidden(&kernel.roots()));
    kernel.write("dev/snd/controlC1", "");
    assert!(!are_hidden(&kernel.roots()));
}

#[test]
fn a_usb_device_is_found_by_what_it_is_wherever_it_is_plugged_in() {
    let kernel = Kernel::new();
    kernel.card(0, "vc4hdmi", &["pcm0p"]);
    kernel.usb(3, "046d:0a44", "1-1.2", Some("A1B2"));
    let found = cards(&kernel.roots());
    assert_eq!(found.len(), 1, "what cannot record is no microphone");
    assert_eq!(found[0].label, "Office Headset");
    assert_eq!(kernel.names(), ["usb:046d:0a44:A1B2"]);
    for name in ["usb:046d:0a44", "usb:046D:0A44:A1B2", "usb:046d:0a44@1-1.2", "card:Headset_3"] {
        assert_eq!(kernel.find(name), Ok(Some(3)), "{name}");
    }
    for name in ["usb:046d:0a45", "usb:046d:0a44:A1B3", "usb:046d:0a44@1-1.3", "card:vc4hdmi"] {
        let absent = kernel.find(name).unwrap_err();
        let Absent::NotThere { instead, .. } = &absent else { panic!("{absent}") };
        assert_eq!(*instead, ["usb:046d:0a44:A1B2"]);
    }
    assert_eq!(kernel.find("default"), Ok(None), "ALSA knows");
}

#[test]
fn two_that_are_alike_are_told_apart_by_serial_number_or_port() {
    let kernel = Kernel::new();
    kernel.usb(1, "046d:0a44", "1-1.2", Some("A1"));
    kernel.usb(2, "046d:0a44", "1-1.3", Some("B2"));
    kernel.usb(4, "0d8c:0014", "1-1.4", None);
    assert_eq!(kernel.names(), ["usb:046d:0a44:A1", "usb:046d:0a44:B2", "usb:0d8c:0014"]);
    let absent = kernel.find("usb:046d:0a44").unwrap_err();
    let alike = vec!["usb:046d:0a44:A1".to_owned(), "usb:046d:0a44:B2".to_owned()];
    assert_eq!(absent, Absent::Several { name: "usb:046d:0a44".to_owned(), alike });

    // Cheap ones have no serial number, or all the same.
    kernel.usb(5, "0d8c:0014", "1-1.5", None);
    kernel.usb(6, "1111:2222", "1-1.6", Some("0000"));
    kernel.usb(7, "1111:2222", "1-1.7", Some("0000"));
    assert_eq!(
        kernel.names()[2..],
        [
            "usb:0d8c:0014@1-1.4",
            "usb:0d8c:0014@1-1.5",
            "usb:1111:2222@1-1.6",
            "usb:1111:2222@1-1.7"
        ]
    );
    for (card, name) in [1, 2, 4, 5, 6, 7].into_iter().zip(kernel.names()) {
        assert_eq!(kernel.find(&name), Ok(Some(card)), "{name}");
    }
}

#[test]
fn a_card_that_is_no_usb_device_goes_by_its_drivers_name() {
    let kernel = Kernel::new();
    kernel.card(0, "sndrpihifiberry", &["pcm2c", "pcm1c", "pcm0p"]);
    kernel.write(
        "proc/asound/cards",
        " 0 [sndrpihifiberry]: RPi-simple - snd_rpi_hifiberry_dacplusadc\n                      x\n",
    );
    let found = cards(&kernel.roots());
    assert_eq!((found[0].device, found[0].label.as_str()), (1, "snd_rpi_hifiberry_dacplusadc"));
    assert_eq!(kernel.names(), ["card:sndrpihifiberry"]);
    assert_eq!(kernel.find("card:sndrpihifiberry"), Ok(Some(0)));
}
