//! What a microphone is called: by what stays the same when cards are plugged in another order.

use std::fmt;
use std::str::FromStr;

/// Which microphone is meant. Written
/// - `usb:046d:0a44`, `usb:046d:0a44:A1B2C3` or `usb:046d:0a44@1-1.2`: a USB device by vendor and
///   product, and where several are alike by its serial number or by the port it is plugged into;
/// - `card:Headset`: a sound card by the name that its driver gives it;
/// - anything else: a PCM as ALSA knows it, such as `default`.
///
/// A card's number is no name: it is another one after the next start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceName {
    /// A USB device.
    Usb(UsbName),
    /// A card, by the name its driver gives it.
    Card(String),
    /// A PCM of ALSA's configuration.
    Pcm(String),
}

/// A USB device by what it tells of itself, or by where it is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbName {
    /// Who made it.
    pub vendor: u16,
    /// What it is.
    pub product: u16,
    /// Which of them it is.
    pub which: Which,
}

/// Which of several USB devices that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Any: there is only one.
    Any,
    /// The one with this serial number.
    Serial(String),
    /// The one in this port.
    Port(String),
}

/// A text that names no microphone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// There is nothing in it.
    #[error("is empty; `fieldtape audio devices` lists what can be written")]
    Empty,
    /// It names a card by its number.
    #[error(
        "{text:?} is a card's number, and that is another one after the next start; `fieldtape audio devices` lists names that last"
    )]
    Number {
        /// What was written.
        text: String,
    },
    /// It begins like a USB device's name and is none.
    #[error(
        "{text:?} is no USB device; write it like usb:046d:0a44, usb:046d:0a44:SERIAL or usb:046d:0a44@1-1.2"
    )]
    Usb {
        /// What was written.
        text: String,
    },
    /// No name has such characters in it.
    #[error("{text:?} has characters in it that no device's name has")]
    Unprintable {
        /// What was written.
        text: String,
    },
}

impl FromStr for DeviceName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadName::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(BadName::Unprintable { text: text.to_owned() });
        }
        if let Some(rest) = text.strip_prefix("usb:") {
            let usb = usb(rest).ok_or_else(|| BadName::Usb { text: text.to_owned() })?;
            return Ok(Self::Usb(usb));
        }
        if let Some(id) = text.strip_prefix("card:") {
            return match id {
                "" => Err(BadName::Empty),
                id if is_number(id) => Err(BadName::Number { text: text.to_owned() }),
                id => Ok(Self::Card(id.to_owned())),
            };
        }
        if names_card_by_number(text) {
            return Err(BadName::Number { text: text.to_owned() });
        }
        Ok(Self::Pcm(text.to_owned()))
    }
}

fn usb(text: &str) -> Option<UsbName> {
    let (vendor, rest) = text.split_once(':')?;
    let end = rest.find([':', '@']).unwrap_or(rest.len());
    let (product, which) = rest.split_at(end);
    let which = match which.split_at_checked(1) {
        None => Which::Any,
        Some((_, "")) => return None,
        Some((":", serial)) => Which::Serial(serial.to_owned()),
        Some((_, port)) => Which::Port(port.to_owned()),
    };
    Some(UsbName { vendor: hex(vendor)?, product: hex(product)?, which })
}

/// Reads four hexadecimal digits.
pub(super) fn hex(text: &str) -> Option<u16> {
    let all = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    all.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

/// `hw:0`, `plughw:1,0`, `sysdefault:CARD=2`.
fn names_card_by_number(text: &str) -> bool {
    let Some((_, arguments)) = text.split_once(':') else { return false };
    let card = arguments.split(',').find_map(|argument| argument.trim().strip_prefix("CARD="));
    let card = card.or_else(|| arguments.split(',').next()).unwrap_or_default();
    is_number(card.trim())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for DeviceName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usb(UsbName { vendor, product, which }) => {
                write!(out, "usb:{vendor:04x}:{product:04x}")?;
                match which {
                    Which::Any => Ok(()),
                    Which::Serial(serial) => write!(out, ":{serial}"),
                    Which::Port(port) => write!(out, "@{port}"),
                }
            }
            Self::Card(id) => write!(out, "card:{id}"),
            Self::Pcm(name) => out.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_itself() {
        for text in [
            "usb:046d:0a44",
            "usb:046d:0a44:A1B2C3",
            "usb:046d:0a44:A1:B2@C3 D4",
            "usb:046d:0a44@1-1.2",
            "card:sndrpihifiberry",
            "default",
            "plughw:CARD=Headset,DEV=0",
            "pipewire",
            "hw:Headset",
        ] {
            let name: DeviceName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
            assert_eq!(format!("  {text} ").parse(), Ok(name));
        }
    }

    #[test]
    fn a_card_is_never_named_by_its_number() {
        for text in [
            "hw:0",
            "plughw:1,0",
            "hw: 2",
            "hw:CARD=0,DEV=0",
            "hw:DEV=0,CARD=1",
            "sysdefault:CARD=10",
            "card:3",
        ] {
            let refused = text.parse::<DeviceName>().unwrap_err();
            assert_eq!(refused, BadName::Number { text: text.to_owned() });
        }
    }

    #[test]
    fn what_is_no_name_is_refused_by_what_is_wrong_with_it() {
        for text in ["", "   ", "card:"] {
            assert_eq!(text.parse::<DeviceName>(), Err(BadName::Empty), "{text:?}");
        }
        for text in [
            "usb:",
            "usb:046d",
            "usb:046d:",
            "usb:46d:a44",
            "usb:046d:0a44:",
            "usb:046d:0a44@",
            "usb:xyzw:0a44",
            "usb:+46d:0a44",
        ] {
            let refused = text.parse::<DeviceName>().unwrap_err();
            assert_eq!(refused, BadName::Usb { text: text.to_owned() });
        }
        assert!(matches!("a\u{7}b".parse::<DeviceName>(), Err(BadName::Unprintable { .. })));
    }
}
