//! Telephone numbers as people write them, to numbers as the world dials them (E.164).
//!
//! What a number may look like is libphonenumber's word: how long it is and how it begins in its
//! country. Whether somebody has it is not asked, because a box in the field does not learn of new
//! ranges; Twilio has the last word. Emergency and service numbers are never dialled from here.

use std::fmt;
use std::str::FromStr;

use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, country};

use crate::domain::last_four;

/// Longer than any number with all its blanks and signs.
const TEXT_BYTES_MAX: usize = 64;

/// Digits of the longest number in the world.
const DIGITS_MAX: usize = 15;

/// Numbers of this many digits and fewer are short ones: help, directory enquiries, a service.
const SHORT_DIGITS_MAX: usize = 6;

/// Help, wherever somebody is who knows one of them.
const EMERGENCY: [&str; 22] = [
    "000", "08", "100", "101", "102", "103", "104", "108", "110", "111", "112", "113", "115",
    "117", "118", "119", "133", "144", "190", "911", "988", "999",
];

/// A telephone number, `+` and digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Number(String);

/// The country whose numbers are meant where none is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country(country::Id);

/// A text that is no number to ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNumber {
    /// Nothing but signs, or letters.
    #[error("that is no telephone number: write it like +1 512 555 0123")]
    None,
    /// A number that is not dialled here.
    #[error(
        "{digits} is an emergency or service number, and those cannot be rung from here: Twilio \
         would not reach them, and nobody would know where you are. Take a telephone"
    )]
    Short {
        /// What was written.
        digits: String,
    },
    /// Too many or too few digits, or ones that no number of the country begins with.
    #[error(
        "…{tail} cannot be a number of {country}: look at its digits, or write it with + and its country"
    )]
    NotOfCountry {
        /// Its last digits.
        tail: String,
        /// The country, or its code.
        country: String,
    },
    /// A code that no country has.
    #[error("no country has the code that this number begins with")]
    NoCountry,
}

/// A word that is no country.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no country: write its two letters as in ISO 3166, such as \"US\" or \"DE\"")]
pub struct BadCountry {
    word: String,
}

impl FromStr for Country {
    type Err = BadCountry;

    fn from_str(word: &str) -> Result<Self, BadCountry> {
        let bad = || BadCountry { word: word.to_owned() };
        word.trim().to_ascii_uppercase().parse().map(Self).map_err(|_| bad())
    }
}

impl Number {
    /// Reads what somebody wrote.
    pub fn parse(text: &str, country: Country) -> Result<Self, BadNumber> {
        let text = &written(text);
        let is_sign = |c: char| c.is_ascii_digit() || "+-.()/ \u{a0}".contains(c);
        if text.is_empty() || text.len() > TEXT_BYTES_MAX || !text.chars().all(is_sign) {
            return Err(BadNumber::None);
        }
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if digits.is_empty() {
            return Err(BadNumber::None);
        }
        if is_short(&digits) || is_help_abroad(text, &digits) {
            return Err(BadNumber::Short { digits });
        }
        let parsed = phonenumber::parse(Some(country.0), text).map_err(|error| match error {
            phonenumber::ParseError::InvalidCountryCode => BadNumber::NoCountry,
            _ => BadNumber::None,
        })?;
        let code = parsed.code().value();
        let national = parsed.national().to_string();
        if is_short(&national) {
            return Err(BadNumber::Short { digits: national });
        }
        let e164 = parsed.format().mode(Mode::E164).to_string();
        let bare = e164.strip_prefix('+').unwrap_or_default();
        let is_plain = bare.bytes().all(|b| b.is_ascii_digit()) && bare.len() <= DIGITS_MAX;
        if !is_plain || !is_of_country(code, &national) {
            let by_default = !text.starts_with('+');
            let country = if by_default { country.to_string() } else { format!("+{code}") };
            return Err(BadNumber::NotOfCountry { tail: last(&digits), country });
        }
        Ok(Self(e164))
    }

    /// Returns it as the world dials it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Writes a number of a list as Twilio shows it: `+15125550143`. How long it is in its country is not
/// asked: whose number it is may be known of one that nobody could ring.
pub(super) fn e164(text: &str, home: Country) -> Result<String, BadNumber> {
    let dialled = written(text);
    let number = phonenumber::parse(Some(home.0), &dialled).map_err(|_| BadNumber::None)?;
    if !phonenumber::is_viable(&dialled) || number.extension().is_some() {
        return Err(BadNumber::None);
    }
    Ok(number.format().mode(Mode::E164).to_string())
}

/// Leaves out what stands around a number for other readers.
fn written(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("tel:").unwrap_or(text);
    // "(0)" behind a country's code is for those who dial without it.
    let abroad = text.starts_with('+') || text.starts_with("00");
    if abroad { text.replacen("(0)", "", 1) } else { text.to_owned() }
}

/// Shows its last digits only.
impl fmt::Debug for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Number({})", last_four(&self.0))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.as_ref())
    }
}

fn is_short(digits: &str) -> bool {
    let is_service = digits.starts_with('1') && digits.len() <= SHORT_DIGITS_MAX;
    digits.len() <= 3 || is_service || EMERGENCY.contains(&digits)
}

/// Says whether a number written with its country is a call for help.
fn is_help_abroad(text: &str, digits: &str) -> bool {
    text.starts_with('+')
        && digits.len() <= SHORT_DIGITS_MAX
        && EMERGENCY.iter().any(|help| digits.ends_with(help))
}

/// Says whether a number is as long as those of its country and begins as they do.
fn is_of_country(code: u16, national: &str) -> bool {
    let length = u16::try_from(national.len()).unwrap_or(u16::MAX);
    let countries = DATABASE.by_code(&code).unwrap_or_default();
    countries.iter().any(|country| {
        let general = country.descriptors().general();
        let lengths = general.possible_length();
        // A pattern also finds what only begins like a number.
        let whole = general.national_number().find(national);
        whole.is_some_and(|found| found.range() == (0..national.len()))
            && (lengths.is_empty() || lengths.contains(&length))
    })
}

fn last(digits: &str) -> String {
    digits.get(digits.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, country: &str) -> Result<String, BadNumber> {
        Number::parse(text, country.parse().unwrap()).map(|number| number.as_str().to_owned())
    }

    #[test]
    fn what_people_write_becomes_what_the_world_dials() {
        for (text, country, e164) in [
            ("+1 (512) 555-0123", "US", "+15125550123"),
            ("512.555.0123", "us", "+15125550123"),
            ("1 512 555 0123", "US", "+15125550123"),
            ("011 49 30 123456", "US", "+4930123456"),
            ("030 123456", "DE", "+4930123456"),
            ("0049 30 123456", "DE", "+4930123456"),
            ("+44 20 7183 8750", "DE", "+442071838750"),
            ("06 698 12345", "IT", "+390669812345"),
            (" +15555550100 ", "DE", "+15555550100"),
            ("tel:+15125550143", "US", "+15125550143"),
            ("+49 (0)30 1234567", "US", "+49301234567"),
        ] {
            assert_eq!(read(text, country).as_deref(), Ok(e164), "{text}");
        }
    }

    #[test]
    fn in_a_list_a_number_is_the_same_however_it_is_written() {
        let (us, de): (Country, Country) = ("us".parse().unwrap(), "DE".parse().unwrap());
        for (written, home, number) in [
            ("(512) 555-0143", us, "+15125550143"),
            ("1-512-555-0143", us, "+15125550143"),
            ("+1 512 555 0143", de, "+15125550143"),
            ("tel:+15125550143", us, "+15125550143"),
            ("0049 30 1234567", de, "+49301234567"),
            ("+49 (0)30 1234567", us, "+49301234567"),
            ("+15550100", us, "+15550100"),
        ] {
            assert_eq!(e164(written, home).as_deref(), Ok(number), "{written}");
        }
        for written in ["", "Daniel", "12", "+", "512-555-0143 ext. 7"] {
            assert!(e164(written, us).is_err(), "{written}");
        }
    }

    #[test]
    fn what_is_no_number_is_told_and_why() {
        for text in [
            "",
            "  ",
            "anna",
            "client:anna",
            "+",
            "()",
            "5125550123; +19005550123",
            "512-555-0143 ext. 7",
            &"1".repeat(65),
        ] {
            assert_eq!(read(text, "US"), Err(BadNumber::None), "{text}");
        }
        for text in ["+1 512 555 01", "512 555 012345", "+1 112 555 0123", "+49 1"] {
            let read = read(text, "US");
            assert!(read.is_err(), "{text}: {read:?}");
        }
        assert!(matches!(read("512 555 012", "US"), Err(BadNumber::NotOfCountry { .. })));
        assert!(read("+999 123456789", "US").is_err());
        let told = read("+1 112 555 0123", "US").unwrap_err().to_string();
        assert!(told.contains("0123") && !told.contains("112"), "{told}");
    }

    #[test]
    fn help_is_not_called_from_here() {
        for (text, country) in [
            ("911", "US"),
            ("9-1-1", "US"),
            ("+1 911", "US"),
            ("112", "DE"),
            ("110", "DE"),
            ("999", "GB"),
            ("000", "AU"),
            ("+49 112", "US"),
            ("116117", "DE"),
            ("411", "US"),
        ] {
            let refused = read(text, country).unwrap_err();
            assert!(matches!(refused, BadNumber::Short { .. }), "{text}: {refused}");
            assert!(refused.to_string().contains("emergency"), "{refused}");
        }
    }

    #[test]
    fn a_country_has_two_letters() {
        assert_eq!("de".parse::<Country>().unwrap().to_string(), "DE");
        for word in ["", "Germany", "XX", "+49", "D"] {
            assert!(word.parse::<Country>().is_err(), "{word}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_plain_number_or_an_error(text in "[-+0-9() ./]{0,24}|.{0,24}") {
            if let Ok(number) = Number::parse(&text, "US".parse().unwrap()) {
                let digits = number.as_str().strip_prefix('+').unwrap();
                proptest::prop_assert!(digits.bytes().all(|b| b.is_ascii_digit()));
                proptest::prop_assert!((7..=15).contains(&digits.len()), "{}", digits.len());
            }
        }
    }
}
