//! Texts without what nobody else may read: secrets, and telephone numbers but for their last four
//! digits.

use std::collections::HashSet;

use crate::domain::last_four;

/// What stands where a secret was.
const GONE: &str = "(secret)";

/// A secret shorter than this would be found in half of all words; none of Twilio's is.
const SECRET_CHARS_MIN: usize = 4;

/// Fewer digits than this are no telephone number.
const NUMBER_DIGITS_MIN: usize = 7;

/// What two ways to write one number have in common: its last digits, without the country.
const TAIL_DIGITS: usize = 7;

/// What is to be taken out of texts.
#[derive(Debug, Clone, Default)]
pub struct Scrub {
    secrets: Vec<String>,
    tails: HashSet<String>,
    names: Vec<String>,
}

impl Scrub {
    /// Takes the secrets, and the numbers and names of people, as far as they are known.
    pub fn new(secrets: Vec<String>, addresses: impl IntoIterator<Item = String>) -> Self {
        let mut scrub = Self { secrets, ..Self::default() };
        scrub.secrets.retain(|secret| secret.chars().count() >= SECRET_CHARS_MIN);
        // The longest first: one may be a part of another.
        scrub.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for address in addresses {
            let digits: String = address.chars().filter(char::is_ascii_digit).collect();
            if digits.len() >= NUMBER_DIGITS_MIN {
                scrub.tails.insert(tail(&digits));
            } else if address.contains(':') {
                // "client:daniel", "sip:…": other words, such as "anonymous", say nothing.
                scrub.names.push(address);
            }
        }
        scrub
    }

    /// Returns a text without them. Numbers that are not known are found by their `+`.
    pub fn clean(&self, text: &str) -> String {
        let mut text = self.without_numbers(text);
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), GONE);
            }
        }
        for name in &self.names {
            if text.contains(name.as_str()) {
                text = text.replace(name.as_str(), &last_four(name));
            }
        }
        text
    }

    fn without_numbers(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit() || c == '+' || c == '(') {
            let (before, from_here) = rest.split_at(start);
            out.push_str(before);
            let run = number_at(from_here, out.chars().last());
            let (run, after) = from_here.split_at(run);
            let digits: String = run.chars().filter(char::is_ascii_digit).collect();
            if self.is_number(run, &digits, &out) {
                out.push_str(&last_four(&digits));
                // A blank or a bracket behind it is not a part of it.
                let end = run.rfind(|c: char| c.is_ascii_digit()).map_or(0, |last| last + 1);
                out.push_str(run.get(end..).unwrap_or_default());
            } else {
                out.push_str(run);
            }
            rest = after;
        }
        out + rest
    }

    fn is_number(&self, run: &str, digits: &str, before: &str) -> bool {
        let international =
            run.starts_with('+') || before.ends_with("%2B") || before.ends_with("%2b");
        digits.len() >= NUMBER_DIGITS_MIN && (international || self.tails.contains(&tail(digits)))
    }
}

/// Returns the length of what could be one number at the start of a text: digits, with the signs
/// that people put between them. At least one character.
fn number_at(text: &str, before: Option<char>) -> usize {
    // In the middle of a word it is an identifier, and ends where that ends.
    if before.is_some_and(|c| c.is_ascii_alphanumeric()) {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        return end.max(1);
    }
    let in_number = |c: char| c.is_ascii_digit() || "+-.() ".contains(c);
    let end = text.find(|c| !in_number(c)).unwrap_or(text.len());
    end.max(1)
}

fn tail(digits: &str) -> String {
    digits.chars().skip(digits.chars().count().saturating_sub(TAIL_DIGITS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        let secrets = vec!["t0kenOfTwilio".to_owned(), "t0ken".to_owned(), "abc".to_owned()];
        let known = ["+15125550143", "client:daniel", "+4930901820", "", "100"];
        Scrub::new(secrets, known.map(str::to_owned)).clean(text)
    }

    #[test]
    fn secrets_and_numbers_are_taken_out_however_they_are_written() {
        for (text, expected) in [
            ("token=t0kenOfTwilio.", "token=(secret)."),
            ("t0ken, abc", "(secret), abc"),
            ("to +15005550006, twice", "to …0006, twice"),
            ("From=%2B15005550006&To=x", "From=%2B…0006&To=x"),
            ("call (512) 555-0143 now", "call …0143 now"),
            ("5125550143", "…0143"),
            ("030 901820 and 0049 30 901820", "…1820 and …1820"),
            ("by client:daniel", "by …niel"),
            ("\"+15125550143\"", "\"…0143\""),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn what_only_looks_like_a_number_stays() {
        for text in [
            "CA01512555014300000000000000000000",
            "1008364 bytes in 1790000000000 ms",
            "2026-09-21T10:00:00Z",
            "error 21626 (HTTP 400)",
            "+1, +22 and (3)",
            "a 100 °C box",
        ] {
            assert_eq!(clean(text), text);
        }
    }
}
