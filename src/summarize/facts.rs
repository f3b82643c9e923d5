//! The numbers in a text, written in digits or in words.

use std::collections::BTreeSet;

use super::tokens::{Token, tokens};
use super::tongue::Tongue;

/// Words or groups of digits that may make one number, at most: a serial number read out.
const PARTS_MAX: usize = 16;

/// A part of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// In digits, as they stand.
    Digits(String),
    /// In a word.
    Word(u64),
}

/// Parts of numbers that follow one another with nothing but marks between them.
struct Run {
    parts: Vec<Part>,
    /// Whether a part is joined to the one before it without a space: "7315-082".
    tight: Vec<bool>,
}

/// Returns every number that somebody may mean by what stands in a text: each group of digits, the
/// groups that follow one another as one, and what words of numbers come to.
pub(super) fn numbers_told(text: &str, tongue: &Tongue) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    for run in runs(text, tongue) {
        for start in 0..run.parts.len() {
            let longest = run.parts.len().min(start + PARTS_MAX);
            for end in start + 1..=longest {
                let parts = run.parts.get(start..end).unwrap_or_default();
                told.insert(joined(parts));
                told.extend(composed(parts).map(|value| value.to_string()));
            }
        }
    }
    told
}

/// Returns the numbers that a statement claims. "One" claims nothing: it is a pronoun more often.
pub(super) fn numbers_claimed(text: &str, tongue: &Tongue) -> Vec<String> {
    let mut claimed = Vec::new();
    for run in runs(text, tongue) {
        if let Some(value) = composed(&run.parts) {
            claimed.extend((value > 1).then(|| value.to_string()));
            continue;
        }
        let mut number: Vec<Part> = Vec::new();
        for (part, tight) in run.parts.iter().zip(&run.tight) {
            if !tight && !number.is_empty() {
                claimed.extend(claim(&std::mem::take(&mut number)));
            }
            number.push(part.clone());
        }
        claimed.extend(claim(&number));
    }
    claimed
}

fn claim(parts: &[Part]) -> Option<String> {
    match parts {
        [] | [Part::Word(0 | 1)] => None,
        parts => Some(joined(parts)),
    }
}

fn runs(text: &str, tongue: &Tongue) -> Vec<Run> {
    let found = tokens(text);
    let mut runs: Vec<Run> = Vec::new();
    let mut last: Option<&Token<'_>> = None;
    for (at, token) in found.iter().enumerate() {
        let joint = tongue.number_joint == Some(token.plain.as_str())
            && last.is_some()
            && found.get(at + 1).is_some_and(|next| part(next, tongue).is_some());
        if joint {
            last = Some(token);
            continue;
        }
        let Some(part) = part(token, tongue) else {
            last = None;
            continue;
        };
        let between = last.and_then(|last| text.get(last.end..token.start));
        let near = between.filter(|between| between.chars().all(is_mark));
        match (near, runs.last_mut()) {
            (Some(between), Some(run)) => {
                run.tight.push(!between.contains(char::is_whitespace));
                run.parts.push(part);
            }
            _ => runs.push(Run { parts: vec![part], tight: vec![false] }),
        }
        last = Some(token);
    }
    runs
}

fn is_mark(letter: char) -> bool {
    letter.is_whitespace() || "-–.,:/".contains(letter)
}

fn part(token: &Token<'_>, tongue: &Tongue) -> Option<Part> {
    if token.is_number() {
        // "1st" claims 1.
        let digits: String = token.plain.chars().take_while(char::is_ascii_digit).collect();
        return (!digits.is_empty()).then_some(Part::Digits(digits));
    }
    let word = tongue.numbers.iter().find(|(word, _)| *word == token.plain);
    word.map(|(_, value)| Part::Word(*value))
}

/// The parts as they are read out, one after the other.
fn joined(parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Digits(digits) => digits.clone(),
        Part::Word(value) => value.to_string(),
    };
    parts.iter().map(text).collect()
}

/// What words of numbers come to: "two hundred and five".
fn composed(parts: &[Part]) -> Option<u64> {
    let (mut total, mut current) = (0_u64, None::<u64>);
    for part in parts {
        let Part::Word(value) = part else { return None };
        let so_far = current.unwrap_or(0);
        current = match *value {
            100 => Some(current.unwrap_or(1).checked_mul(100)?),
            big if big >= 1000 => {
                total = total.checked_add(current.unwrap_or(1).checked_mul(big)?)?;
                None
            }
            // A five stands behind twenty or a hundred; behind another digit it is the next one.
            small if current.is_none() => Some(small),
            small if so_far % 100 == 0 && so_far > 0 => Some(so_far + small),
            small if small < 10 && small > 0 && so_far % 10 == 0 && so_far % 100 >= 20 => {
                Some(so_far + small)
            }
            _ => return None,
        };
    }
    total.checked_add(current.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bears_out(said: &str, claimed: &str) -> bool {
        let english = Tongue::of("en");
        let told = numbers_told(said, english);
        numbers_claimed(claimed, english).iter().all(|number| told.contains(number))
    }

    #[test]
    fn a_number_is_the_same_in_digits_and_in_words() {
        for (said, claimed) in [
            ("seven three one five, zero eight two", "The number is 7315-082."),
            ("The number is 7315-082.", "It is 7315082."),
            ("It reads forty two", "It reads 42 bar."),
            ("It reads 42", "It reads forty-two."),
            ("two hundred and five dollars", "205 dollars"),
            ("twelve hundred", "1,200"),
            ("one thousand three hundred", "1300"),
            ("at 10:30", "at 10:30"),
            ("85 90 that looks good", "between 85 and 90"),
            ("It is the first one.", "One fan is running."),
            ("I saw it.", "It was seen by them."),
        ] {
            assert!(bears_out(said, claimed), "{said} / {claimed}");
        }
    }

    #[test]
    fn another_number_is_another() {
        for (said, claimed) in [
            ("It reads 42", "It reads 24."),
            ("It reads forty two", "It reads 40 bar, 3 more."),
            ("The number is 7315-082.", "It is 7315-028."),
            ("3.5 bar", "5.3 bar"),
            ("no number at all", "He ordered two fans."),
            ("at 10:30", "at 11:30"),
            ("two hundred and five", "250"),
        ] {
            assert!(!bears_out(said, claimed), "{said} / {claimed}");
        }
    }
}
