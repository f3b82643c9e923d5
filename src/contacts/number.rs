//! One way to write a telephone number.

use std::fmt;
use std::str::FromStr;

/// A number that cannot be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no telephone number")]
pub struct BadNumber(String);

/// A code that no country has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no country; write its two letters, like \"US\" or \"DE\"")]
pub struct BadCountry(String);

/// The country whose numbers may be written without its code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Country(phonenumber::country::Id);

impl FromStr for Country {
    type Err = BadCountry;

    fn from_str(text: &str) -> Result<Self, BadCountry> {
        let code = text.trim().to_uppercase();
        code.parse().map(Self).map_err(|_| BadCountry(text.to_owned()))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Country({})", self.0.as_ref())
    }
}

/// Writes a number as Twilio does: `+15125550143`. It may be written with the country's code, or
/// as it is dialled within `home`.
pub fn e164(text: &str, home: Country) -> Result<String, BadNumber> {
    let bad = || BadNumber(text.to_owned());
    let written = text.trim();
    let written = written.strip_prefix("tel:").unwrap_or(written);
    // "(0)" behind a country's code is for those who dial without it.
    let abroad = written.starts_with('+') || written.starts_with("00");
    let dialled = if abroad { written.replacen("(0)", "", 1) } else { written.to_owned() };
    let number = phonenumber::parse(Some(home.0), &dialled).map_err(|_| bad())?;
    if !phonenumber::is_viable(&dialled) || number.extension().is_some() {
        return Err(bad());
    }
    Ok(number.format().mode(phonenumber::Mode::E164).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        let (us, de): (Country, Country) = ("us".parse().unwrap(), "DE".parse().unwrap());
        for (written, home, number) in [
            ("(512) 555-0143", us, "+15125550143"),
            ("1-512-555-0143", us, "+15125550143"),
            ("+1 512 555 0143", de, "+15125550143"),
            ("tel:+15125550143", us, "+15125550143"),
            ("030 1234567", de, "+49301234567"),
            ("0049 30 1234567", de, "+49301234567"),
            ("+49 (0)30 1234567", us, "+49301234567"),
        ] {
            assert_eq!(e164(written, home).as_deref(), Ok(number), "{written}");
        }
        for written in ["", "Daniel", "12", "+", "512-555-0143 ext. 7"] {
            assert!(e164(written, us).is_err(), "{written}");
        }
        assert!("Texas".parse::<Country>().is_err());
    }
}
