//! When: the days, times and spans that somebody says.

use super::tokens::{Token, find, tokens};
use super::tongue::Tongue;

/// What a word may be in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Day,
    Span,
    Which,
    Lead,
    Unit,
    Number,
}

/// Finds the times in a text, word for word, in order.
pub(super) fn dates<'a>(text: &'a str, tongue: &Tongue) -> Vec<&'a str> {
    let found = tokens(text);
    let greeted = greetings(&found, tongue);
    let parts: Vec<Vec<Part>> = found
        .iter()
        .enumerate()
        .map(|(at, token)| if greeted.contains(&at) { Vec::new() } else { parts(token, tongue) })
        .collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < found.len() {
        let mut end = at;
        while parts.get(end).is_some_and(|part| !part.is_empty())
            && (end == at || is_close(text, &found, end))
        {
            end += 1;
        }
        out.extend(time(text, &found, &parts, at, end));
        at = end.max(at + 1);
    }
    out
}

/// The places of words that merely greet.
fn greetings(found: &[Token<'_>], tongue: &Tongue) -> Vec<usize> {
    let mut places = Vec::new();
    for phrase in tongue.not_times {
        let mut from = 0;
        while let Some(at) = find(found, phrase, from) {
            places.extend(at..at + phrase.len());
            from = at + 1;
        }
    }
    places
}

fn parts(token: &Token<'_>, tongue: &Tongue) -> Vec<Part> {
    let word = token.plain.as_str();
    let number = token.is_number() || tongue.numbers.iter().any(|(name, _)| *name == word);
    [
        (tongue.days.contains(&word), Part::Day),
        (tongue.spans.contains(&word), Part::Span),
        (tongue.which.contains(&word), Part::Which),
        (tongue.leads.contains(&word), Part::Lead),
        (tongue.units.contains(&word), Part::Unit),
        (number, Part::Number),
    ]
    .into_iter()
    .filter_map(|(is, part)| is.then_some(part))
    .collect()
}

/// Says whether nothing but what belongs into a time lies between a word and the one before it.
fn is_close(text: &str, found: &[Token<'_>], at: usize) -> bool {
    let (Some(before), Some(here)) = (found.get(at.wrapping_sub(1)), found.get(at)) else {
        return false;
    };
    let between = text.get(before.end..here.start).unwrap_or_default();
    between.chars().all(|letter| letter.is_whitespace() || matches!(letter, ':' | '-' | '/' | '.'))
        && !between.contains(". ")
}

/// Returns the time that the words from `start` to `end` make, if they make one: with the words
/// that lead up to it and a number that follows.
fn time<'a>(
    text: &'a str,
    found: &[Token<'_>],
    parts: &[Vec<Part>],
    start: usize,
    end: usize,
) -> Option<&'a str> {
    let is = |at: usize, part: Part| parts.get(at).is_some_and(|here| here.contains(&part));
    let is_clock = |at: usize| match (found.get(at - 1), found.get(at)) {
        (Some(hour), Some(minute)) => text.get(hour.end..minute.start) == Some(":"),
        _ => false,
    };
    let tells = |at: &usize| {
        let at = *at;
        let after_number = at > start && is(at - 1, Part::Number);
        is(at, Part::Day)
            || (after_number && is(at, Part::Number) && is_clock(at))
            || (after_number && is(at, Part::Unit))
            || (is(at, Part::Span) && (start..at).any(|before| is(before, Part::Which)))
    };
    let told = (start..end).rfind(tells)?;
    let last = (told + 1..end).rfind(|at| is(*at, Part::Number)).unwrap_or(told);
    text.get(found.get(start)?.start..found.get(last)?.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_word_for_word() {
        let english = Tongue::of("en");
        for (text, times) in [
            ("I will close the ticket this afternoon.", &["this afternoon"][..]),
            ("Call me tomorrow at 10:30, or by Friday.", &["tomorrow at 10:30", "by Friday"]),
            ("I am there in two hours", &["in two hours"]),
            ("at the end of the week I go", &["at the end of the week"]),
            ("Come at 3 o'clock.", &["at 3 o'clock"]),
            ("on June 5 it is done", &["on June 5"]),
            ("Good morning, service desk.", &[]),
            ("I will drive to the next customer in the van.", &[]),
            ("It reads 42, and it should be around 90.", &[]),
            ("He may march.", &[]),
        ] {
            assert_eq!(dates(text, english), times, "{text}");
        }
        assert_eq!(dates("Ich komme morgen um 9 Uhr.", Tongue::of("de")), ["morgen um 9 Uhr"]);
        assert_eq!(dates("Guten Morgen!", Tongue::of("de")), [""; 0]);
        assert_eq!(dates("Voy el próximo lunes.", Tongue::of("es")), ["el próximo lunes"]);
        assert_eq!(dates("tomorrow", Tongue::of("xx")), [""; 0]);
    }
}
