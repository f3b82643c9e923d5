//! What somebody said they would do, or was asked to do, by rule.

use super::dates::dates;
use super::sentences::Sentence;
use super::tokens::{Token, find, tokens};
use super::tongue::Tongue;
use crate::domain::Party;
use crate::store::ActionItem;

/// Items of one call, at most: a screen of them. More are no list any more.
pub(super) const ACTIONS_MAX: usize = 24;

/// A promise or request of fewer words than this says nothing: "I will."
const WORDS_LEAST: usize = 2;

/// Finds what is to be done, in the words it was said in.
pub(super) fn actions(sentences: &[Sentence], tongue: &Tongue) -> Vec<ActionItem> {
    let mut items: Vec<ActionItem> = Vec::new();
    for sentence in sentences.iter().filter(|sentence| !sentence.doubtful) {
        let Some(who) = who(&sentence.text, sentence.party, tongue) else { continue };
        // Said twice it is to be done once.
        if let Some(same) = items.iter_mut().find(|item| is_same(&item.text, &sentence.text)) {
            same.places.push(sentence.place);
            continue;
        }
        items.push(ActionItem {
            id: None,
            text: sentence.text.clone(),
            who,
            due: dates(&sentence.text, tongue).first().map(|due| (*due).to_owned()),
            places: vec![sentence.place],
            done_at: None,
        });
    }
    items
}

fn is_same(one: &str, other: &str) -> bool {
    let plain = |text: &str| tokens(text).into_iter().map(|token| token.plain).collect::<Vec<_>>();
    plain(one) == plain(other)
}

/// Says who is to do what a sentence speaks of, if it promises or asks for something.
pub(super) fn who(text: &str, speaker: Party, tongue: &Tongue) -> Option<Vec<Party>> {
    let said = tokens(text);
    if let Some(first) = promised(&said, tongue) {
        let us = tongue.us.contains(&first);
        return Some(if us { Party::ALL.to_vec() } else { vec![speaker] });
    }
    asked(&said, tongue).then(|| vec![speaker.other()])
}

/// Returns the promise's first word, if there is a promise.
fn promised(said: &[Token<'_>], tongue: &Tongue) -> Option<&'static str> {
    let meant = |phrase: &&&'static [&'static str]| holds(said, phrase, tongue);
    let phrase = tongue.promises.iter().find(meant)?;
    // "werden wir": whoever is meant may come last.
    let us = phrase.iter().find(|word| tongue.us.contains(*word));
    us.or_else(|| phrase.first()).copied()
}

fn asked(said: &[Token<'_>], tongue: &Tongue) -> bool {
    tongue.requests.iter().any(|phrase| holds(said, phrase, tongue))
}

/// Says whether the phrase stands there, followed by something that is not denied and not done at
/// once.
fn holds(said: &[Token<'_>], phrase: &[&str], tongue: &Tongue) -> bool {
    let mut from = 0;
    while let Some(at) = find(said, phrase, from) {
        let after = said.get(at + phrase.len()..).unwrap_or_default();
        let rest: Vec<&str> = after.iter().map(|token| token.plain.as_str()).collect();
        let denied = rest.iter().take(2).any(|word| tongue.negators.contains(word));
        let near = rest.iter().take(4).copied().collect::<Vec<_>>().join(" ");
        let near = format!(" {near} ");
        let at_once = tongue.at_once.iter().any(|done| near.contains(&format!(" {done} ")));
        if rest.len() >= WORDS_LEAST && !denied && !at_once {
            return true;
        }
        from = at + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_the_speakers_and_requests_the_others() {
        use Party::{Agent, Technician};
        for (text, expected) in [
            ("I will order another capacitor.", Some(vec![Technician])),
            ("We'll close the ticket today.", Some(vec![Agent, Technician])),
            ("Then please replace it.", Some(vec![Agent])),
            ("Could you send me the invoice?", Some(vec![Agent])),
            ("You need to turn the valve.", Some(vec![Agent])),
            ("I have to get a new fan.", Some(vec![Technician])),
            ("I will not do that again.", None),
            ("I will.", None),
            ("Can you hear me now?", None),
            ("Please hold the line.", None),
            ("Let me tell you what I will tell him.", None),
            ("Do you have a replacement in the van?", None),
            ("The compressor will not start.", None),
        ] {
            assert_eq!(who(text, Technician, Tongue::of("en")), expected, "{text}");
        }
        let german = Tongue::of("de");
        assert_eq!(who("Morgen werden wir das Teil bestellen.", Agent, german).unwrap().len(), 2);
        assert_eq!(who("Bitte tauschen Sie es aus.", Agent, german), Some(vec![Technician]));
        let spanish = Tongue::of("es");
        assert_eq!(who("Voy a pedir otra bomba.", Agent, spanish), Some(vec![Agent]));
        assert_eq!(who("I will order it.", Agent, Tongue::of("ja")), None);
    }
}
