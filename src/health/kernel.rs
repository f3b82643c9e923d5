//! What the kernel tells of the box: its supply, its heat, its card, its sound cards.

use std::fs;
use std::path::{Path, PathBuf};

use super::Check;

/// Folders looked into, at most: a Raspberry Pi has a handful of each kind.
const ENTRIES_MAX: usize = 64;

/// A box this hot slows itself down: a Raspberry Pi does at 80 °C.
const HOT_MILLIDEGREES: i64 = 80_000;

/// What the firmware of a Raspberry Pi says of this moment, as bits.
const VOLTAGE_LOW: u32 = 1;
const SLOWED: u32 = 1 << 1 | 1 << 2 | 1 << 3;
/// The same of the time since the box was started.
const SINCE_START: u32 = 16;

/// From here on an eMMC says that it has used 80 % of its life; 11 is all of it.
const LIFE_OLD: u32 = 9;
const LIFE_OVER: u32 = 11;

/// What an eMMC says of its spare blocks: 80 % of them used, and nearly all.
const SPARE_LOW: u32 = 2;
const SPARE_GONE: u32 = 3;

/// Bytes of the unit in which the kernel counts what was written.
const SECTOR_BYTES: u64 = 512;

/// The kernel's own account of the box, as `/sys`, `/proc` and `/run` below a root folder.
#[derive(Debug, Clone)]
pub struct Kernel {
    root: PathBuf,
}

impl Kernel {
    /// Returns that of the box this runs on.
    pub fn this() -> Self {
        Self::at(Path::new("/"))
    }

    /// Returns that of a box described below `root`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Looks at the supply: whether it was or is too weak, and whether the box slows itself down.
    pub fn power(&self) -> Check {
        let name = "power";
        let supply = "use the box's own power supply and a short, thick cable; a box that loses power loses up to a second of sound";
        let firmware = self.read("sys/devices/platform/soc/soc:firmware/get_throttled");
        if let Some(bits) = firmware.and_then(|text| hex(&text)) {
            let was = bits >> SINCE_START;
            return if bits & VOLTAGE_LOW != 0 {
                Check::fail(name, "the supply's voltage is too low at this moment", supply)
            } else if was & VOLTAGE_LOW != 0 {
                Check::warn(name, "the supply's voltage was too low since the box started", supply)
            } else if bits & SLOWED != 0 {
                let cooling = "give it air or a heat sink; transcripts take longer meanwhile";
                Check::warn(name, "the processor slows itself down because it is hot", cooling)
            } else if was & SLOWED != 0 {
                Check::ok(
                    name,
                    "enough voltage; the processor was slowed down by heat since the box started",
                )
            } else {
                Check::ok(name, "enough voltage ever since the box started")
            };
        }
        match self.voltage_alarm() {
            Some(true) => {
                Check::warn(name, "the supply's voltage was too low since the box started", supply)
            }
            Some(false) => Check::ok(name, "enough voltage ever since the box started"),
            None => Check::unknown(name, "nothing in this box measures its supply"),
        }
    }

    /// The alarm of the driver that watches a Raspberry Pi's supply.
    fn voltage_alarm(&self) -> Option<bool> {
        let sensors = self.entries("sys/class/hwmon").into_iter();
        let mut watched =
            sensors.filter(|sensor| value(&sensor.join("name")).as_deref() == Some("rpi_volt"));
        let text = value(&watched.next()?.join("in0_lcrit_alarm"))?;
        Some(text != "0")
    }

    /// Looks how worn the memory cards are.
    pub fn wear(&self) -> Check {
        let name = "wear";
        let cards: Vec<Card> =
            self.entries("sys/block").iter().filter_map(|folder| Card::look(folder)).collect();
        let written = |card: &Card| {
            format!("{}: {} since the box started", card.name, gigabytes(card.written_bytes))
        };
        let words =
            |tell: &dyn Fn(&Card) -> String| cards.iter().map(tell).collect::<Vec<_>>().join("; ");
        let replace = "back everything up (fieldtape backup DIR) and replace the card";
        let worst = cards.iter().filter_map(Card::worst).max();
        match worst {
            _ if cards.is_empty() => {
                Check::unknown(name, "there is no memory card; other disks are not looked at")
            }
            None => Check::unknown(
                name,
                format!("the card does not tell; written to {}", words(&written)),
            ),
            Some(Wear::Over) => Check::fail(name, words(&Card::tell), replace),
            Some(Wear::Old) => Check::warn(name, words(&Card::tell), replace),
            Some(Wear::Good) => {
                Check::ok(name, format!("{}; written to {}", words(&Card::tell), words(&written)))
            }
        }
    }

    /// Looks which sound cards there are that can hear.
    pub fn sound_cards(&self) -> Check {
        let name = "microphone";
        let Some(text) = self.read("proc/asound/cards") else {
            let plug = "plug a USB microphone in; a box without any has no sound system loaded";
            return Check::fail(name, "the kernel has no sound system here", plug);
        };
        // " 1 [Device         ]: USB-Audio - USB PnP Sound Device": the next line is its address.
        let cards: Vec<&str> =
            text.lines().filter_map(|line| Some(line.split_once("]: ")?.1.trim())).collect();
        if cards.is_empty() {
            return Check::fail(name, "there is no sound card", "plug a USB microphone in");
        }
        Check::ok(name, format!("sound cards: {}", cards.join(", ")))
    }

    /// Looks whether the journal takes lines, and whether it outlives a power cut.
    pub fn journal(&self) -> Check {
        let name = "journal";
        if !self.root.join("run/systemd/system").is_dir() {
            let what = "this box runs without systemd: what happens is told on standard error";
            return Check::unknown(name, what);
        }
        let socket = self.root.join("run/systemd/journal/socket");
        let knock = std::os::unix::net::UnixDatagram::unbound();
        if let Err(error) = knock.and_then(|knock| knock.connect(&socket)) {
            let fix = "systemctl restart systemd-journald systemd-journald.socket";
            return Check::warn(name, format!("journald cannot be reached: {error}"), fix);
        }
        let kept = self.root.join("var/log/journal").is_dir();
        Check::ok(
            name,
            if kept {
                "journald takes lines and keeps them on the disk"
            } else {
                "journald takes lines and keeps them in memory, until the box is restarted"
            },
        )
    }

    pub(super) fn read(&self, path: &str) -> Option<String> {
        value(&self.root.join(path))
    }

    fn entries(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
        let mut entries: Vec<PathBuf> =
            entries.take(ENTRIES_MAX).map(|entry| entry.path()).collect();
        entries.sort();
        entries
    }
}

/// How worn a card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wear {
    Good,
    Old,
    Over,
}

/// A memory card, or what is soldered in its place.
struct Card {
    name: String,
    written_bytes: u64,
    /// The worse of its two figures of life, in tenths begun; none if it tells none.
    life: Option<u32>,
    /// What it says of its spare blocks.
    spare: Option<u32>,
}

impl Card {
    fn look(folder: &Path) -> Option<Self> {
        let name = folder.file_name()?.to_str()?.to_owned();
        // "mmcblk0boot0" and "mmcblk0rpmb" are parts of one card.
        let number = name.strip_prefix("mmcblk")?;
        if !number.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let figures = |file: &str| -> Option<u32> {
            let text = value(&folder.join("device").join(file))?;
            text.split_whitespace().filter_map(hex).max().filter(|figure| *figure > 0)
        };
        let stat = value(&folder.join("stat")).unwrap_or_default();
        let sectors = stat.split_whitespace().nth(6).and_then(|text| text.parse::<u64>().ok());
        Some(Self {
            written_bytes: sectors.unwrap_or(0).saturating_mul(SECTOR_BYTES),
            life: figures("life_time"),
            spare: figures("pre_eol_info"),
            name,
        })
    }

    fn worst(&self) -> Option<Wear> {
        let by = |old: u32, over: u32| {
            move |figure: u32| match figure {
                _ if figure >= over => Wear::Over,
                _ if figure >= old => Wear::Old,
                _ => Wear::Good,
            }
        };
        let life = self.life.map(by(LIFE_OLD, LIFE_OVER));
        life.max(self.spare.map(by(SPARE_LOW, SPARE_GONE)))
    }

    fn tell(&self) -> String {
        let life = match self.life {
            Some(figure) if figure >= LIFE_OVER => "all of its life is used".to_owned(),
            Some(figure) => format!("at most {} % of its life are used", figure * 10),
            None => "it does not tell its age".to_owned(),
        };
        let spare = match self.spare {
            Some(figure) if figure >= SPARE_GONE => ", nearly all spare blocks are used",
            Some(SPARE_LOW) => ", 80 % of its spare blocks are used",
            _ => "",
        };
        format!("{}: {life}{spare}", self.name)
    }
}

/// Judges the box's highest temperature.
pub fn temperature(millidegrees: Option<i64>) -> Check {
    let name = "temperature";
    let Some(millidegrees) = millidegrees else {
        return Check::unknown(name, "nothing in this box measures it");
    };
    let degrees = millidegrees / 1000;
    if millidegrees < HOT_MILLIDEGREES {
        return Check::ok(name, format!("{degrees} °C"));
    }
    let fix = "give it air or a heat sink; transcripts wait while it is hot, recording goes on";
    Check::warn(name, format!("{degrees} °C: the processor slows itself down"), fix)
}

/// Reads one value. What cannot be read is not told.
fn value(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

#[expect(clippy::cast_precision_loss, reason = "told with one digit behind the point")]
fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
