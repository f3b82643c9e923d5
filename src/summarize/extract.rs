//! A summary in the call's own words: the sentences that say most, by rule.
//!
//! The same words give the same summary, on every box and every time.

use std::collections::{BTreeMap, BTreeSet};

use super::dates::dates;
use super::sentences::Sentence;
use super::tokens::tokens;
use super::tongue::Tongue;
use crate::domain::Party;

/// One in so many sentences is a key sentence.
const ONE_IN: usize = 3;

/// At least and at most so many: a paragraph, and no more than a person reads at a glance.
const KEY_LEAST: usize = 3;
const KEY_MOST: usize = 10;

/// Further sentences with numbers or times, at most.
const FIGURES_MOST: usize = 14;

/// A sentence that repeats more than this of a chosen one says nothing new.
const SAME_ENOUGH: f64 = 0.6;

/// Longer ones are speech that the model divided nowhere: they say much because they are long.
const LONG_WORDS: usize = 50;

/// In a language that nothing is known of, shorter words carry nothing.
const SHORT_LETTERS: usize = 3;

/// What was chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Extract {
    /// The places of the chosen sentences, in order of time.
    pub(super) chosen: Vec<usize>,
    /// Sentences with numbers or times that had no room.
    pub(super) figures_left: usize,
}

/// A sentence as it is weighed.
struct Weighed {
    party: Party,
    words: BTreeSet<String>,
    weight: f64,
    /// The numbers and times in it, unless it only asks for them.
    figures: BTreeSet<String>,
}

/// Chooses what is shown of a conversation.
pub(super) fn extract(sentences: &[Sentence], tongue: &Tongue) -> Extract {
    let weighed = weigh(sentences, tongue);
    let mut order: Vec<usize> = (0..weighed.len()).collect();
    let weight = |at: usize| weighed.get(at).map_or(0.0, |sentence| sentence.weight);
    // Of equal weight the earlier one goes first.
    order.sort_by(|a, b| weight(*b).total_cmp(&weight(*a)).then(a.cmp(b)));
    order.retain(|at| weight(*at) > 0.0);
    let mut chosen = BTreeSet::new();
    let room = sentences.len().div_ceil(ONE_IN).clamp(KEY_LEAST, KEY_MOST);
    for at in &order {
        if chosen.len() < room && is_new(&weighed, &chosen, *at) {
            chosen.insert(*at);
        }
    }
    hear_both(&weighed, &order, &mut chosen);
    let figures_left = keep_figures(&weighed, &order, &mut chosen);
    Extract { chosen: chosen.into_iter().collect(), figures_left }
}

/// Adds what has a number or a time that stands in no chosen sentence yet; returns how many
/// sentences there was no room for.
fn keep_figures(weighed: &[Weighed], order: &[usize], chosen: &mut BTreeSet<usize>) -> usize {
    let figures = |at: &usize| weighed.get(*at).map(|sentence| &sentence.figures);
    let mut told: BTreeSet<&String> = chosen.iter().filter_map(figures).flatten().collect();
    let (mut kept, mut left) = (0, 0);
    for at in order {
        let Some(own) = figures(at).filter(|own| own.iter().any(|one| !told.contains(one))) else {
            continue;
        };
        if kept == FIGURES_MOST {
            left += 1;
            continue;
        }
        told.extend(own);
        chosen.insert(*at);
        kept += 1;
    }
    left
}

/// Lets each party who had something to say be heard.
fn hear_both(weighed: &[Weighed], order: &[usize], chosen: &mut BTreeSet<usize>) {
    let party = |at: &usize| weighed.get(*at).map(|sentence| sentence.party);
    for silent in Party::ALL {
        if chosen.iter().all(|at| party(at) != Some(*silent)) {
            chosen.extend(order.iter().find(|at| party(at) == Some(*silent)));
        }
    }
}

/// Says whether a sentence repeats none of those that are chosen.
fn is_new(weighed: &[Weighed], chosen: &BTreeSet<usize>, at: usize) -> bool {
    let Some(new) = weighed.get(at) else { return false };
    !chosen.contains(&at)
        && chosen.iter().filter_map(|other| weighed.get(*other)).all(|other| {
            let shared = count(new.words.intersection(&other.words).count());
            shared / count(new.words.union(&other.words).count()).max(1.0) <= SAME_ENOUGH
        })
}

fn weigh(sentences: &[Sentence], tongue: &Tongue) -> Vec<Weighed> {
    let spoken: Vec<Vec<String>> =
        sentences.iter().map(|one| carrying(&one.text, tongue)).collect();
    let mut often: BTreeMap<&str, usize> = BTreeMap::new();
    for word in spoken.iter().flatten() {
        *often.entry(word).or_default() += 1;
    }
    let weighed = sentences.iter().zip(&spoken);
    weighed.map(|(sentence, words)| one(sentence, words, &often, tongue)).collect()
}

fn one(
    sentence: &Sentence,
    words: &[String],
    often: &BTreeMap<&str, usize>,
    tongue: &Tongue,
) -> Weighed {
    let all = tokens(&sentence.text);
    let distinct: BTreeSet<String> = words.iter().cloned().collect();
    let mut weight: f64 = distinct
        .iter()
        .map(|word| 1.0 + count(often.get(word.as_str()).copied().unwrap_or(1)).ln())
        .sum();
    weight /= count(all.len()).sqrt().max(1.0);
    let numbers = all.iter().filter(|token| token.is_number()).map(|token| token.plain.clone());
    let numbers: BTreeSet<String> = numbers.collect();
    let times = dates(&sentence.text, tongue);
    let names = all.iter().skip(1).filter(|token| {
        tongue.capitals_are_names
            && token.is_capital()
            && !tongue.idle.contains(&token.plain.as_str())
    });
    let cues = all.iter().filter(|token| tongue.cues.contains(&token.plain.as_str()));
    weight += 0.8 * count(numbers.len().min(2)) + 0.8 * count(times.len().min(1));
    weight += 0.4 * count(names.count().min(2)) + 0.5 * count(cues.count().min(3));
    if super::actions::who(&sentence.text, sentence.party, tongue).is_some() {
        weight += 0.5;
    }
    if distinct.is_empty() && numbers.is_empty() {
        weight = 0.0;
    }
    for (is, factor) in [
        (sentence.text.ends_with('?'), 0.5),
        (all.len() > LONG_WORDS, 0.5),
        (sentence.doubtful, 0.3),
    ] {
        weight *= if is { factor } else { 1.0 };
    }
    let times = times.into_iter().map(str::to_lowercase);
    let asks = sentence.text.ends_with('?');
    let figures = numbers.into_iter().chain(times).filter(|_| !asks).collect();
    Weighed { party: sentence.party, words: distinct, weight, figures }
}

/// The words of a sentence that say what it is about.
fn carrying(text: &str, tongue: &Tongue) -> Vec<String> {
    let carries = |word: &String| {
        let known = !tongue.idle.is_empty();
        let short = word.chars().count() <= if known { 1 } else { SHORT_LETTERS };
        !short && !tongue.idle.contains(&word.as_str()) || word.starts_with(char::is_numeric)
    };
    tokens(text).into_iter().map(|token| token.plain).filter(carries).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a call has far fewer words than 2^53")]
fn count(things: usize) -> f64 {
    things as f64
}
