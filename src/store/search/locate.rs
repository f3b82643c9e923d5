//! Where in a call what was looked for stands.

use super::SaidAt;
use super::query::{SearchQuery, Term};
use super::tokens::tokens;
use crate::domain::Party;

/// Letters of a snippet, at most: two lines. A segment is seldom longer.
const SNIPPET_CHARS: usize = 220;

/// Words shown before the first that was found, where not all fit.
const WORDS_BEFORE: usize = 6;

/// A segment, or a note, as it is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spoken {
    /// Who said it and when; none for a note.
    pub(super) said: Option<SaidAt>,
    pub(super) text: String,
}

/// What stands where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The text.
    pub text: String,
    /// What was found in it: from which byte to which.
    pub marks: Vec<(usize, usize)>,
}

/// A segment in which something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) segment: usize,
    pub(super) snippet: Snippet,
    /// How much of what is looked for stands there.
    worth: Worth,
}

/// How many of the terms stand somewhere: those first that are not the name of whom the call was with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Worth {
    beyond_the_name: usize,
    terms: usize,
}

/// Finds the segments in which something of the query stands: those with most of it first. `name` is
/// that of whom the call was with: who looks for what Daniel said does not look for his name.
pub(super) fn locate(query: &SearchQuery, spoken: &[Spoken], name: Option<&str>) -> Vec<Located> {
    let mut marks: Vec<Vec<(usize, usize)>> = vec![Vec::new(); spoken.len()];
    let mut worths: Vec<Worth> = vec![Worth::default(); spoken.len()];
    let name = name.map(|name| Spoken { said: None, text: name.to_owned() });
    let name = words_of(name.as_slice(), None);
    let lanes = Party::ALL.iter().map(|party| Some(*party)).chain([None]);
    for lane in lanes.filter(|lane| query.party.is_none() || *lane == query.party) {
        let words = words_of(spoken, lane);
        for term in &query.terms {
            let beyond_the_name = usize::from(places(term, &name).next().is_none());
            let mut counted = None;
            for (segment, start, end) in places(term, &words) {
                if counted.replace(segment) != Some(segment)
                    && let Some(worth) = worths.get_mut(segment)
                {
                    worth.beyond_the_name += beyond_the_name;
                    worth.terms += 1;
                }
                if let Some(marks) = marks.get_mut(segment) {
                    marks.push((start, end));
                }
            }
        }
    }
    let found = marks.into_iter().zip(worths).zip(spoken).enumerate();
    let mut found: Vec<Located> = found
        .filter(|(_, ((marks, _), _))| !marks.is_empty())
        .map(|(segment, ((marks, worth), said))| Located {
            segment,
            snippet: snippet(&said.text, marks),
            worth,
        })
        .collect();
    // Of as many, the one that was said first.
    found.sort_by_key(|located| std::cmp::Reverse(located.worth));
    found
}

/// A party's words, or the notes', in order: of which segment, from where to where, as the index has them.
fn words_of(spoken: &[Spoken], lane: Option<Party>) -> Vec<(usize, usize, usize, String)> {
    let own = spoken.iter().enumerate();
    let own = own.filter(|(_, spoken)| spoken.said.map(|said| said.party) == lane);
    own.flat_map(|(segment, said)| {
        tokens(&said.text).into_iter().map(move |one| (segment, one.start, one.end, one.plain))
    })
    .collect()
}

/// Where a term stands: for each of its words the segment and the place in it.
fn places<'a>(
    term: &'a Term,
    words: &'a [(usize, usize, usize, String)],
) -> impl Iterator<Item = (usize, usize, usize)> + 'a {
    let length = term.words.len();
    words
        .windows(length.max(1))
        .filter(move |window| fits(term, window))
        .flat_map(|window| window.iter().map(|(segment, start, end, _)| (*segment, *start, *end)))
}

fn fits(term: &Term, window: &[(usize, usize, usize, String)]) -> bool {
    let last = term.words.len().saturating_sub(1);
    window.iter().zip(&term.words).enumerate().all(|(at, ((.., said), wanted))| {
        if at == last && term.is_prefix {
            said.starts_with(wanted.as_str())
        } else {
            said == wanted
        }
    })
}

/// Cuts a text to what is around the first word that was found.
fn snippet(text: &str, mut marks: Vec<(usize, usize)>) -> Snippet {
    marks.sort_unstable();
    marks.dedup();
    if text.chars().count() <= SNIPPET_CHARS {
        return Snippet { text: text.to_owned(), marks };
    }
    let first = marks.first().map_or(0, |(start, _)| *start);
    let before = tokens(text).into_iter().map(|token| token.start).filter(|at| *at <= first);
    let before: Vec<usize> = before.collect();
    let from = before.iter().rev().nth(WORDS_BEFORE).copied().unwrap_or(0);
    let rest = text.get(from..).unwrap_or_default();
    let until = rest.char_indices().nth(SNIPPET_CHARS).map_or(rest.len(), |(at, _)| at);
    let cut = rest.get(..until).unwrap_or_default();
    let lead = if from > 0 { "… " } else { "" };
    let tail = if until < rest.len() { " …" } else { "" };
    let inside = |(start, end): (usize, usize)| {
        let whole = start >= from && end <= from + until;
        whole.then(|| (start - from + lead.len(), end - from + lead.len()))
    };
    Snippet {
        text: format!("{lead}{cut}{tail}"),
        marks: marks.into_iter().filter_map(inside).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn said(party: Party, text: &str) -> Spoken {
        let said = Some(SaidAt { party, start_ms: 0, end_ms: 1 });
        Spoken { said, text: text.to_owned() }
    }

    fn find(typed: &str, spoken: &[Spoken]) -> Vec<(usize, Vec<String>)> {
        find_of(None, typed, spoken)
    }

    fn find_of(name: Option<&str>, typed: &str, spoken: &[Spoken]) -> Vec<(usize, Vec<String>)> {
        let query = SearchQuery::parse(typed, &TimeZone::UTC);
        let marked = |one: Located| {
            let Snippet { text, marks } = one.snippet;
            (one.segment, marks.iter().map(|(from, to)| text[*from..*to].to_owned()).collect())
        };
        locate(&query, spoken, name).into_iter().map(marked).collect()
    }

    #[test]
    fn words_phrases_and_beginnings_are_found_where_they_stand() {
        let spoken = [
            said(Party::Technician, "The old capacitor is swollen."),
            said(Party::Agent, "That sounds like the Start"),
            said(Party::Agent, "Capacitor. Café?"),
            said(Party::Technician, "Yes, Capacity."),
        ];
        let found = |typed: &str| find(typed, &spoken);
        assert_eq!(found("capacitor")[0], (0, vec!["capacitor".to_owned()]));
        assert_eq!(found("capacitor").len(), 2);
        assert_eq!(found("capac* old")[0].0, 0, "most of it first");
        assert_eq!(found("capac*").len(), 3);
        assert_eq!(
            found("\"start capacitor\""),
            [(1, vec!["Start".to_owned()]), (2, vec!["Capacitor".to_owned()])],
            "a phrase goes on in the next segment of the same party"
        );
        assert_eq!(found("\"swollen that\""), [], "but not in the other's");
        assert_eq!(found("party:agent capacitor").len(), 1);
        assert_eq!(found("cafe"), [(2, vec!["Café".to_owned()])]);
        assert_eq!(found("nothing"), []);
    }

    #[test]
    fn what_somebody_said_goes_before_where_their_name_was_said() {
        let spoken = [
            said(Party::Technician, "Hi, this is Daniel."),
            said(Party::Technician, "The capacitor is swollen."),
        ];
        let first = |name: Option<&str>| find_of(name, "daniel capacitor", &spoken).remove(0).0;
        assert_eq!((first(Some("Daniel Réyes")), first(Some("Ann")), first(None)), (1, 0, 0));
        assert_eq!(find_of(Some("Daniel"), "daniel", &spoken).len(), 1);
    }

    #[test]
    fn a_long_text_is_cut_to_what_is_around_the_find() {
        let long =
            format!("{} the capacitor is gone {}", "äh well ".repeat(60), "and so on ".repeat(60));
        let found = find("capacitor", &[said(Party::Agent, &long)]);
        assert_eq!(found, [(0, vec!["capacitor".to_owned()])]);
        let query = SearchQuery::parse("capacitor", &TimeZone::UTC);
        let snippet = locate(&query, &[said(Party::Agent, &long)], None).remove(0).snippet.text;
        assert!(snippet.starts_with("… ") && snippet.ends_with(" …"), "{snippet}");
        assert!(snippet.chars().count() <= SNIPPET_CHARS + 4);
    }
}
