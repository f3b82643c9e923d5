//! What somebody types into the search box, made sense of. No text is an error.
//!
//! Words are all wanted, in any order; `"a phrase"` as it stands; `capa*` is how a word begins.
//! `party:technician`, `number:0143`, `from:2026-11-01` and `to:2026-11-21` leave calls out.

use jiff::Zoned;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::tokens::{Token, folded, tokens};
use crate::domain::{Party, UnixMillis};

/// Words looked for at once, at most: each further one costs time, and nobody types so many.
pub const TERMS_MAX: usize = 16;

/// Letters that a beginning has at least. With one it would be every other word.
const PREFIX_LEAST: usize = 2;

/// Digits that a telephone number has at least. With fewer it may be any number.
const NUMBER_LEAST: usize = 7;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchQuery {
    /// All of these must be found.
    pub(super) terms: Vec<Term>,
    /// Only in this party's words.
    pub party: Option<Party>,
    /// Only in calls from or to this number, or one that ends so; its digits.
    pub number: Option<String>,
    /// Only in calls created at or after this.
    pub from: Option<UnixMillis>,
    /// Only in calls created before this.
    pub to: Option<UnixMillis>,
    /// How many words there were beyond [`TERMS_MAX`], which are not looked for.
    pub left_out: usize,
}

/// Words that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) words: Vec<String>,
    /// Whether the last of them is only how a word begins.
    pub(super) is_prefix: bool,
    /// The digits of a telephone number that this may be instead.
    pub(super) number: Option<String>,
}

impl SearchQuery {
    /// Reads what somebody typed. Days are those of `zone`.
    pub fn parse(text: &str, zone: &TimeZone) -> Self {
        let mut query = Self::default();
        // Every other part of a text divided at its quotes was between two of them.
        for (at, part) in text.split(['"', '“', '”', '„']).enumerate() {
            if at % 2 == 1 {
                query.add(phrase(part, false));
            } else {
                query.read(part, zone);
            }
        }
        query.left_out = query.terms.len().saturating_sub(TERMS_MAX);
        query.terms.truncate(TERMS_MAX);
        query
    }

    /// Says whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.number.is_none()
    }

    fn add(&mut self, term: Option<Term>) {
        self.terms.extend(term);
    }

    /// Reads words that stand outside of quotes.
    fn read(&mut self, part: &str, zone: &TimeZone) {
        let mut words = part.split_whitespace().peekable();
        while let Some(word) = words.next() {
            if self.filter(word, zone) {
                continue;
            }
            if !is_dialled(word) {
                self.add(phrase(word, word.ends_with('*')));
                continue;
            }
            // A number may be written in groups.
            let mut groups = vec![word];
            while let Some(group) = words.next_if(|next| is_dialled(next)) {
                groups.push(group);
            }
            self.number_or_words(&groups);
        }
    }

    fn number_or_words(&mut self, groups: &[&str]) {
        let digits = digits(&groups.concat());
        if digits.len() < NUMBER_LEAST {
            for group in groups {
                self.add(phrase(group, false));
            }
            return;
        }
        let term = phrase(&groups.join(" "), false);
        self.add(term.map(|term| Term { number: Some(digits), ..term }));
    }

    /// Reads what leaves calls out; says whether it was that.
    fn filter(&mut self, word: &str, zone: &TimeZone) -> bool {
        let Some((key, value)) = word.split_once(':') else { return false };
        match folded(key).as_str() {
            "party" => value.to_lowercase().parse().map(|party| self.party = Some(party)).is_ok(),
            "number" => {
                let digits = digits(value);
                let given = !digits.is_empty();
                self.number = Some(digits).filter(|_| given).or(self.number.take());
                given
            }
            "from" => midnight(value, zone, 0).map(|at| self.from = Some(at)).is_some(),
            // The day named is one of those wanted.
            "to" => midnight(value, zone, 1).map(|at| self.to = Some(at)).is_some(),
            _ => false,
        }
    }

    /// Each term as a name may have it.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.terms.iter().map(Term::quoted)
    }

    /// Writes it as the index wants it; none when there is nothing to look for. It consists of
    /// words and digits between quotes, so nothing typed can mean anything else. `named` are, for
    /// each term, the numbers of those who are called so.
    pub(super) fn as_match(&self, named: &[Vec<String>]) -> Option<String> {
        let columns = match self.party {
            Some(Party::Agent) => "{agent}",
            Some(Party::Technician) => "{technician}",
            None => "{agent technician numbers notes}",
        };
        let term = |(at, term): (usize, &Term)| {
            let words = format!("{columns} : {}", term.quoted());
            let dialled = term.number.as_deref().map(number);
            let named = named.get(at).into_iter().flatten().map(|digits| number(digits));
            let ways: Vec<String> = [words].into_iter().chain(dialled).chain(named).collect();
            if ways.len() == 1 { ways.concat() } else { format!("({})", ways.join(" OR ")) }
        };
        let only = self.number.as_deref().map(number);
        let all: Vec<String> = self.terms.iter().enumerate().map(term).chain(only).collect();
        (!all.is_empty()).then(|| all.join(" AND "))
    }
}

impl Term {
    fn quoted(&self) -> String {
        format!("\"{}\"{}", self.words.join(" "), if self.is_prefix { "*" } else { "" })
    }
}

/// A number as the index has it, with the zero that is dialled within a country and without.
fn number(digits: &str) -> String {
    format!("{{numbers}} : (\"{digits}\" OR \"{}\")", digits.trim_start_matches('0'))
}

fn phrase(text: &str, is_prefix: bool) -> Option<Term> {
    let words: Vec<String> = tokens(text).into_iter().map(|Token { plain, .. }| plain).collect();
    let last = words.last()?.chars().count();
    Some(Term { is_prefix: is_prefix && last >= PREFIX_LEAST, words, number: None })
}

/// Says whether a word consists of what telephone numbers are written with.
fn is_dialled(word: &str) -> bool {
    word.contains(|letter: char| letter.is_ascii_digit())
        && word.chars().all(|letter| letter.is_ascii_digit() || "+()/.-".contains(letter))
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// The beginning of a day, so many days later.
fn midnight(text: &str, zone: &TimeZone, later: i64) -> Option<UnixMillis> {
    let date: Date = text.parse().ok()?;
    let date = date.checked_add(jiff::Span::new().try_days(later).ok()?).ok()?;
    let at: Zoned = date.to_zoned(zone.clone()).ok()?;
    Some(UnixMillis::new(at.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SearchQuery {
        SearchQuery::parse(text, &TimeZone::UTC)
    }

    #[test]
    fn words_phrases_beginnings_and_numbers_are_understood() {
        let every = "{agent technician numbers notes}";
        for (typed, expected) in [
            ("Capacitor", format!("{every} : \"capacitor\"")),
            (
                "\"start capacitor\" Dan*",
                format!("{every} : \"start capacitor\" AND {every} : \"dan\"*"),
            ),
            ("café e*", format!("{every} : \"cafe\" AND {every} : \"e\"")),
            ("don't", format!("{every} : \"don t\"")),
            ("party:technician 42", "{technician} : \"42\"".to_owned()),
            (
                "+1 (512) 555-0143",
                format!(
                    "({every} : \"1 512 555 0143\" OR {{numbers}} : (\"15125550143\" OR \"15125550143\"))"
                ),
            ),
            (
                "number:0301234567 gauge",
                format!("{every} : \"gauge\" AND {{numbers}} : (\"0301234567\" OR \"301234567\")"),
            ),
        ] {
            assert_eq!(parse(typed).as_match(&[]).unwrap(), expected, "{typed}");
        }
        assert_eq!(parse("\"*\" - ( ) : * \"\"").as_match(&[]), None);
    }

    #[test]
    fn days_are_whole_and_those_of_the_zone() {
        let query = parse("gauge from:2026-11-20 to:2026-11-21");
        let day_ms = 86_400_000;
        assert_eq!(query.to.unwrap().get() - query.from.unwrap().get(), 2 * day_ms);
        let zone = TimeZone::fixed(jiff::tz::offset(-6));
        let local = SearchQuery::parse("from:2026-11-20", &zone);
        assert_eq!(local.from.unwrap().get() - query.from.unwrap().get(), day_ms / 4);
    }

    #[test]
    fn what_is_no_filter_is_words() {
        for typed in ["from:yesterday", "party:nobody", "to:9999999-1-1", "colour:blue", "number:x"]
        {
            let query = parse(typed);
            assert_eq!(query.terms.len(), 1, "{typed}");
            assert_eq!((query.party, query.from, query.to, query.number), (None, None, None, None));
        }
        let many = parse(&"word ".repeat(40));
        assert_eq!((many.terms.len(), many.left_out), (TERMS_MAX, 24));
    }
}
