//! Which sound cards are plugged in, as the kernel tells it in files.

use std::fs;
use std::path::{Path, PathBuf};

use super::name::{DeviceName, UsbName, Which, hex};

/// Where the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into(), dev: "/dev".into() }
    }
}

/// A sound card that can record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Its number now; after the next start it may be another one's.
    pub index: u32,
    /// The name that its driver gives it.
    pub id: String,
    /// What it is called, for a person to read.
    pub label: String,
    /// What the USB device tells of itself, if it is one.
    pub usb: Option<Usb>,
    /// The lowest of its devices that record.
    pub device: u32,
}

/// A USB device as it tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usb {
    /// Who made it.
    pub vendor: u16,
    /// What it is.
    pub product: u16,
    /// Which of them it is, if it says.
    pub serial: Option<String>,
    /// Where it is plugged in, if that can be told.
    pub port: Option<String>,
}

/// Why no card is the one that is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// There is no such card.
    #[error("{name} is not plugged in")]
    NotThere {
        /// What was asked for.
        name: String,
        /// What is there instead, by the names that can be written.
        instead: Vec<String>,
    },
    /// Several are alike.
    #[error("{name} could be any of {}", .alike.join(", "))]
    Several {
        /// What was asked for.
        name: String,
        /// The names that tell them apart.
        alike: Vec<String>,
    },
}

/// Lists the cards that can record, by their numbers.
pub fn cards(roots: &Roots) -> Vec<Card> {
    let Ok(entries) = fs::read_dir(roots.proc.join("asound")) else { return Vec::new() };
    let index = |entry: fs::DirEntry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix("card")?.parse::<u32>().ok()
    };
    let mut indexes: Vec<u32> = entries.flatten().filter_map(index).collect();
    indexes.sort_unstable();
    indexes.into_iter().filter_map(|index| card(roots, index)).collect()
}

fn card(roots: &Roots, index: u32) -> Option<Card> {
    let folder = roots.proc.join("asound").join(format!("card{index}"));
    let device = lowest_capture(&folder)?;
    let id = read(&folder.join("id"))?;
    let device_link = roots.sys.join("class/sound").join(format!("card{index}")).join("device");
    let interface = fs::canonicalize(device_link).ok();
    let usb_folder = interface.as_deref().and_then(Path::parent);
    let usb = usb(&folder, usb_folder, interface.as_deref());
    let product = usb_folder.filter(|_| usb.is_some()).and_then(|f| read(&f.join("product")));
    let label = product.or_else(|| long_name(roots, index)).unwrap_or_else(|| id.clone());
    Some(Card { index, id, label, usb, device })
}

fn usb(folder: &Path, device: Option<&Path>, interface: Option<&Path>) -> Option<Usb> {
    let ids = read(&folder.join("usbid"))?;
    let (vendor, product) = ids.split_once(':')?;
    // The interface is called after the port: `1-1.2:1.0`.
    let port = interface.and_then(Path::file_name).and_then(|name| name.to_str());
    let port = port.and_then(|name| name.split_once(':')).map(|(port, _)| port.to_owned());
    let serial = device.and_then(|device| read(&device.join("serial")));
    Some(Usb { vendor: hex(vendor)?, product: hex(product)?, serial, port })
}

/// `pcm0c` is device 0's way to record.
fn lowest_capture(folder: &Path) -> Option<u32> {
    let device = |entry: fs::DirEntry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix("pcm")?.strip_suffix('c')?.parse::<u32>().ok()
    };
    fs::read_dir(folder).ok()?.flatten().filter_map(device).min()
}

/// The card's name from `/proc/asound/cards`: ` 1 [Headset        ]: USB-Audio - Office Headset`.
fn long_name(roots: &Roots, index: u32) -> Option<String> {
    let list = fs::read_to_string(roots.proc.join("asound/cards")).ok()?;
    let begins = format!("{index} [");
    let line = list.lines().find(|line| line.trim_start().starts_with(&begins))?;
    let (_, name) = line.split_once("]: ")?;
    Some(name.split_once(" - ").map_or(name, |(_, name)| name).trim().to_owned())
}

fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

impl Card {
    /// Returns the name by which it can be found again, among those that are there now.
    pub fn name(&self, all: &[Self]) -> DeviceName {
        let Some(usb) = &self.usb else { return DeviceName::Card(self.id.clone()) };
        let alike = |other: &&Self| {
            let other_usb = other.usb.as_ref();
            other_usb.is_some_and(|o| (o.vendor, o.product) == (usb.vendor, usb.product))
        };
        let alike: Vec<&Self> = all.iter().filter(alike).collect();
        let same_serial =
            |other: &&&Self| other.usb.as_ref().is_some_and(|other| other.serial == usb.serial);
        let is_alone = alike.len() < 2;
        let by_serial = alike.iter().filter(same_serial).count() < 2;
        let which = match (&usb.serial, &usb.port) {
            (Some(serial), _) if by_serial => Which::Serial(serial.clone()),
            (_, Some(port)) if !is_alone => Which::Port(port.clone()),
            _ => Which::Any,
        };
        DeviceName::Usb(UsbName { vendor: usb.vendor, product: usb.product, which })
    }

    fn is(&self, name: &UsbName) -> bool {
        let Some(usb) = &self.usb else { return false };
        let which = match &name.which {
            Which::Any => true,
            Which::Serial(serial) => usb.serial.as_ref() == Some(serial),
            Which::Port(port) => usb.port.as_ref() == Some(port),
        };
        which && (usb.vendor, usb.product) == (name.vendor, name.product)
    }
}

/// Says whether the cards that the kernel knows are kept from us: a service sees only the devices
/// that it is given.
pub(super) fn are_hidden(roots: &Roots) -> bool {
    !cards(roots).is_empty() && !roots.dev.join("snd").exists()
}

/// Finds the one card that is meant; `None` for a PCM, which ALSA alone knows.
pub(super) fn find(name: &DeviceName, cards: &[Card]) -> Result<Option<Card>, Absent> {
    let found: Vec<&Card> = match name {
        DeviceName::Pcm(_) => return Ok(None),
        DeviceName::Card(id) => cards.iter().filter(|card| card.id == *id).collect(),
        DeviceName::Usb(usb) => cards.iter().filter(|card| card.is(usb)).collect(),
    };
    let names = |cards: &mut dyn Iterator<Item = &Card>, all: &[Card]| {
        cards.map(|card| card.name(all).to_string()).collect()
    };
    match found[..] {
        [only] => Ok(Some(only.clone())),
        [] => {
            let instead = names(&mut cards.iter(), cards);
            Err(Absent::NotThere { name: name.to_string(), instead })
        }
        _ => {
            let alike = names(&mut found.iter().copied(), cards);
            Err(Absent::Several { name: name.to_string(), alike })
        }
    }
}

#[cfg(test)]
#[path = "cards_tests.rs"]
mod tests;
