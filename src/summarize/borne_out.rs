//! Whether what a model says of a call stands in the lines it names.
//!
//! A statement is borne out if its numbers, names and times stand in those lines, if most of what
//! it says does, and if it does not turn a "not" around. That is no proof that it is right, but
//! what is made up fails.

use std::collections::BTreeSet;

use super::facts::{numbers_claimed, numbers_told};
use super::tokens::{Token, tokens};
use super::tongue::Tongue;

/// The share of a statement's words that must stand in its lines or right beside them.
const SHARE_LEAST: f64 = 0.5;

/// A word is the same in another form if so many letters at its beginning are.
const STEM_LETTERS: usize = 4;

/// How far behind a "not" the word is that it denies.
const DENIES: usize = 3;

/// What statements may call the two and their call, whatever was said.
const ROLES: [&str; 12] = [
    "agent",
    "technician",
    "caller",
    "office",
    "call",
    "both",
    "techniker",
    "agentin",
    "anruf",
    "agente",
    "técnico",
    "llamada",
];

/// The lines that a statement rests on.
pub(super) struct Grounds<'a> {
    /// The lines it names.
    pub(super) named: Vec<&'a str>,
    /// Those, and the ones right beside them: what was asked, and what was answered.
    pub(super) around: Vec<&'a str>,
}

/// Says whether a statement is borne out.
pub(super) fn is_borne_out(statement: &str, grounds: &Grounds<'_>, tongue: &Tongue) -> bool {
    let named = grounds.named.join(" \n ");
    let said = words(&named);
    let around = words(&grounds.around.join(" \n "));
    numbers_are_told(statement, &named, tongue)
        && names_are_told(statement, &said, tongue)
        && times_are_told(statement, &said, tongue)
        && most_is_told(statement, &around, tongue)
        && nothing_is_turned_around(statement, &named, tongue)
}

fn words(text: &str) -> BTreeSet<String> {
    tokens(text).into_iter().map(|token| token.plain).collect()
}

fn numbers_are_told(statement: &str, named: &str, tongue: &Tongue) -> bool {
    let told = numbers_told(named, tongue);
    numbers_claimed(statement, tongue).iter().all(|number| told.contains(number))
}

fn names_are_told(statement: &str, said: &BTreeSet<String>, tongue: &Tongue) -> bool {
    let claimed = tokens(statement);
    claimed.iter().filter(|token| token.is_capital()).all(|token| {
        let word = token.plain.strip_suffix("'s").unwrap_or(&token.plain);
        let known = ROLES.contains(&word) || tongue.idle.contains(&token.plain.as_str());
        // Where every noun has a capital, or at a beginning, it may be another form of a word.
        let may_be_a_word = !tongue.capitals_are_names || begins_a_sentence(statement, token);
        known
            || said.contains(word)
            || said.contains(&format!("{word}'s"))
            || (may_be_a_word && said.iter().any(|other| is_akin(word, other)))
    })
}

fn begins_a_sentence(statement: &str, token: &Token<'_>) -> bool {
    let before = statement.get(..token.start).unwrap_or_default().trim_end();
    before.is_empty() || before.ends_with(['.', '?', '!', ':', '"', '“'])
}

fn times_are_told(statement: &str, said: &BTreeSet<String>, tongue: &Tongue) -> bool {
    let is_time = |word: &str| tongue.days.contains(&word) || tongue.spans.contains(&word);
    tokens(statement).iter().all(|token| !is_time(&token.plain) || said.contains(&token.plain))
}

fn most_is_told(statement: &str, around: &BTreeSet<String>, tongue: &Tongue) -> bool {
    let carries = |token: &Token<'_>| {
        let word = token.plain.as_str();
        !tongue.idle.contains(&word)
            && !ROLES.contains(&word)
            && (token.is_number() || word.chars().count() >= STEM_LETTERS)
    };
    let claimed = tokens(statement);
    let claimed: Vec<&Token<'_>> = claimed.iter().filter(|token| carries(token)).collect();
    // A number in words has been looked for among the numbers, and may stand there in digits.
    let is_number =
        |word: &str| tongue.numbers.iter().any(|(one, value)| *one == word && *value > 1);
    let told = claimed.iter().filter(|token| {
        is_number(&token.plain) || around.iter().any(|word| is_akin(&token.plain, word))
    });
    count(told.count()) >= SHARE_LEAST * count(claimed.len())
}

/// Says whether two words may be forms of one: "replaced" and "replace".
fn is_akin(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let alike = short.chars().zip(long.chars()).take_while(|(a, b)| a == b).count();
    let letters = short.chars().count();
    let same_beginning = alike >= STEM_LETTERS && alike + 3 >= letters;
    // "Startkondensator" is a "Kondensator".
    same_beginning || (letters > STEM_LETTERS && long.ends_with(short))
}

/// A "will not start" must not become a "starts", nor the other way round.
fn nothing_is_turned_around(statement: &str, named: &str, tongue: &Tongue) -> bool {
    let is_no = |token: &Token<'_>| tongue.negators.contains(&token.plain.as_str());
    let (claimed, said) = (tokens(statement), tokens(named));
    match (claimed.iter().any(is_no), said.iter().any(is_no)) {
        (true, false) => false,
        (true, true) | (false, false) => true,
        (false, true) => {
            let denied = denied(named, &said, tongue);
            // What is said elsewhere without the "not" may be meant.
            let once =
                |word: &str| said.iter().filter(|one| is_akin(&one.plain, word)).count() == 1;
            let denied: Vec<&str> = denied.into_iter().filter(|word| once(word)).collect();
            !claimed.iter().any(|token| denied.iter().any(|word| is_akin(&token.plain, word)))
        }
    }
}

/// The words that stand behind a "not", in its sentence.
fn denied<'a>(text: &str, said: &'a [Token<'_>], tongue: &Tongue) -> Vec<&'a str> {
    let mut denied = Vec::new();
    for (at, token) in said.iter().enumerate() {
        if !tongue.negators.contains(&token.plain.as_str()) {
            continue;
        }
        let mut end = token.end;
        for behind in said.get(at + 1..).unwrap_or_default().iter().take(DENIES) {
            let between = text.get(end..behind.start).unwrap_or_default();
            if between.contains(['.', '?', '!', '\n']) {
                break;
            }
            end = behind.end;
            denied.push(behind.plain.as_str());
        }
    }
    denied.retain(|word| !tongue.idle.contains(word));
    denied
}

#[expect(clippy::cast_precision_loss, reason = "a statement has far fewer words than 2^53")]
fn count(things: usize) -> f64 {
    things as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(language: &str, statement: &str, lines: &[&str]) -> bool {
        let grounds = Grounds { named: lines.to_vec(), around: lines.to_vec() };
        is_borne_out(statement, &grounds, Tongue::of(language))
    }

    const LINES: [&str; 4] = [
        "Hi, this is Daniel. I am at the pump station on River Road, and the main compressor will not start.",
        "It reads 42, and it should be around 90. The fan is running, but the motor only hums.",
        "The serial number is 7315-082. I am putting the new one in now.",
        "I will order another capacitor for the van and close the ticket this afternoon.",
    ];

    #[test]
    fn what_stands_in_the_lines_is_borne_out_in_other_words_too() {
        for statement in [
            "Daniel is at the pump station on River Road; the main compressor will not start.",
            "The compressor does not start and the motor hums.",
            "The technician read a serial number of 7315-082.",
            "Agent orders another capacitor and closes the ticket this afternoon.",
            "The gauge reads forty-two instead of about ninety, while the fan runs.",
        ] {
            assert!(judge("en", statement, &LINES), "{statement}");
        }
        let german = ["Der Startkondensator ist defekt, ich bestelle morgen einen neuen."];
        assert!(judge(
            "de",
            "Der Kondensator ist defekt; der Techniker bestellt ihn morgen.",
            &german
        ));
    }

    #[test]
    fn what_is_made_up_is_not() {
        for (why, statement) in [
            ("a name", "Martin is at the pump station on River Road."),
            ("a name at a beginning", "Robert orders another capacitor this afternoon."),
            ("a place", "Daniel is at the pump station on Lake Road."),
            ("a number", "The gauge reads 43 and should be around 90."),
            ("another number", "The serial number is 7315-028."),
            ("a day", "The agent closes the ticket tomorrow."),
            ("a month", "The agent orders another capacitor for the van in October."),
            ("a turned \"not\"", "The main compressor at the pump station starts."),
            ("a \"not\" that was not said", "The fan is not running and the motor never hums."),
            ("a story", "The customer threatened to cancel the contract and demanded money back."),
        ] {
            let lines = if why.contains("not said") { &LINES[1..2] } else { &LINES[..] };
            assert!(!judge("en", statement, lines), "{why}: {statement}");
        }
        let german = ["Der Startkondensator ist defekt, ich bestelle morgen einen neuen."];
        assert!(!judge(
            "de",
            "Der Techniker Müller bestellt morgen einen neuen Startkondensator.",
            &german
        ));
        assert!(!judge("en", "It reads 42.", &[]));
    }
}
