//! Takes out what nobody said: sounds in brackets, loops, and what is too doubtful.
//!
//! Everything taken out is counted. In doubt a word stays: a person may well say "hello" three
//! times.

use super::heard::Word;
use super::segment::Segment;

/// A phrase of two words and more said this often in a row is a loop.
const LOOP_REPEATS: usize = 3;

/// A single word said this often in a row is one; digits never are, serial numbers have them.
const WORD_REPEATS: usize = 6;

/// The longest phrase looked for.
const LOOP_WORDS_MAX: usize = 16;

/// Below this mean log-probability a segment is dropped whatever else speaks for it.
const LOGPROB_LOST: f32 = -1.6;

/// Below this it is dropped if the model also doubts that anybody spoke.
const LOGPROB_DOUBTFUL: f32 = -1.0;

/// From here on the model doubts that anybody spoke.
const NO_SPEECH_DOUBTFUL: f32 = 0.5;

/// Nobody speaks faster: 40 characters a second is about 8 words. A short utterance is given
/// its first second free, times are not that exact.
const CHARS_PER_SECOND_MAX: u64 = 40;

/// Takes out bracketed sounds (`[BLANK_AUDIO]`, `(phone ringing)`, `*sighs*`, `♪`) and returns
/// how many there were. A bracket that never closes is left alone, with what follows.
pub(crate) fn drop_sounds(words: &mut Vec<Word>) -> u32 {
    let mut dropped = 0;
    let mut kept: Vec<Word> = Vec::with_capacity(words.len());
    let mut rest = words.as_slice();
    while let Some((first, after)) = rest.split_first() {
        if first.text.chars().all(|letter| matches!(letter, '♪' | '♫' | '🎵' | '🎶')) {
            dropped += 1;
            rest = after;
        } else if let Some(length) = bracketed(rest) {
            dropped += 1;
            rest = rest.get(length..).unwrap_or_default();
        } else {
            kept.push(first.clone());
            rest = after;
        }
    }
    *words = kept;
    dropped
}

/// Returns how many words the bracket takes that opens at the first of `words`.
fn bracketed(words: &[Word]) -> Option<usize> {
    let first = words.first()?;
    let close = match first.text.chars().next()? {
        '[' => ']',
        '(' => ')',
        '*' if first.text.len() > 1 => '*',
        _ => return None,
    };
    let closes = |(place, word): (usize, &Word)| {
        let text = word.text.trim_end_matches(['.', ',', '!', '?']);
        let text = if place == 0 { text.get(1..).unwrap_or("") } else { text };
        text.ends_with(close)
    };
    words.iter().take(LOOP_WORDS_MAX).enumerate().position(closes).map(|place| place + 1)
}

/// Takes out the repeats of a loop, all but the first, and returns where the loops were.
pub(crate) fn drop_loops(words: &mut Vec<Word>) -> Vec<usize> {
    let mut loops = Vec::new();
    let mut place = 0;
    while place < words.len() {
        if let Some((length, repeats)) = loop_at(words, place) {
            words.drain(place + length..place + length * repeats);
            loops.push(place);
            place += length;
        } else {
            place += 1;
        }
    }
    loops
}

/// Returns the length of the shortest phrase that loops from `place` on, and how often it comes.
fn loop_at(words: &[Word], place: usize) -> Option<(usize, usize)> {
    let rest = words.get(place..)?;
    (1..=LOOP_WORDS_MAX.min(rest.len() / LOOP_REPEATS)).find_map(|length| {
        let phrase = rest.get(..length)?;
        let same =
            |chunk: &&[Word]| chunk.iter().zip(phrase).all(|(a, b)| bare(&a.text) == bare(&b.text));
        let repeats = rest.chunks_exact(length).take_while(same).count();
        let single = phrase.iter().all(|word| bare(&word.text) == bare(&rest[0].text));
        let number = phrase.iter().all(|word| is_number(&bare(&word.text)));
        let looped =
            if single { repeats * length >= WORD_REPEATS } else { repeats >= LOOP_REPEATS };
        (looped && !number).then_some((length, repeats))
    })
}

fn bare(word: &str) -> String {
    word.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn is_number(word: &str) -> bool {
    const DIGITS: [&str; 12] =
        ["zero", "oh", "o", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    DIGITS.contains(&word) || word.chars().all(|letter| letter.is_ascii_digit())
}

/// Says whether a segment is too doubtful to be shown.
pub(crate) fn is_doubtful(segment: &Segment) -> bool {
    let unsure = segment.avg_logprob < LOGPROB_DOUBTFUL;
    let lasted_ms = segment.end_ms.saturating_sub(segment.start_ms);
    let chars = segment.text.chars().count() as u64;
    !segment.text.chars().any(char::is_alphanumeric)
        || segment.avg_logprob < LOGPROB_LOST
        || (unsure && segment.no_speech_prob > NO_SPEECH_DOUBTFUL)
        || chars > CHARS_PER_SECOND_MAX * (lasted_ms + 1000) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word> {
        text.split_whitespace()
            .map(|word| Word {
                text: word.to_owned(),
                start: 0,
                end: 0,
                logprob_sum: 0.0,
                tokens: 1,
                phrase: 0,
                no_speech_prob: 0.0,
            })
            .collect()
    }

    fn without<T>(text: &str, change: fn(&mut Vec<Word>) -> T) -> (String, T) {
        let mut list = words(text);
        let dropped = change(&mut list);
        (list.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "), dropped)
    }

    #[test]
    fn sounds_in_brackets_are_no_text() {
        for (heard, left) in [
            ("[BLANK_AUDIO]", ""),
            ("[ Silence ]", ""),
            ("(phone ringing) Hello?", "Hello?"),
            ("Well, (upbeat music). Right.", "Well, Right."),
            ("*sighs* Yes.", "Yes."),
            ("♪ ♪", ""),
        ] {
            let (text, dropped) = without(heard, drop_sounds);
            assert_eq!(text, left, "{heard}");
            assert!(dropped > 0, "{heard}");
        }
    }

    #[test]
    fn a_bracket_that_never_closes_takes_nothing_with_it() {
        let heard = "The [part and everything after it stays here as it was said by somebody.";
        assert_eq!(without(heard, drop_sounds), (heard.to_owned(), 0));
    }

    #[test]
    fn a_phrase_that_loops_is_left_once() {
        for (heard, left, loops) in [
            (
                "So. I don't know. I don't know. I don't know. Right.",
                "So. I don't know. Right.",
                vec![1],
            ),
            ("Okay. Okay. Okay. Okay. Okay. Okay. Okay.", "Okay.", vec![0]),
            ("thank you thank you", "thank you thank you", vec![]),
            ("Hello? Hello? Hello?", "Hello? Hello? Hello?", vec![]),
            ("some words words words words um", "some words words words words um", vec![]),
        ] {
            assert_eq!(without(heard, drop_loops), (left.to_owned(), loops), "{heard}");
        }
    }

    #[test]
    fn digits_may_repeat() {
        let heard = "7 7 7 7 7 7 7 oh oh oh oh oh oh oh";
        assert_eq!(without(heard, drop_loops), (heard.to_owned(), vec![]));
    }

    #[test]
    fn doubt_drops_a_segment_and_confidence_keeps_it() {
        let segment = |avg_logprob, no_speech_prob, text: &str| Segment {
            start_ms: 0,
            end_ms: 1000,
            text: text.to_owned(),
            avg_logprob,
            no_speech_prob,
            words: Vec::new(),
        };
        assert!(!is_doubtful(&segment(-0.3, 0.9, "Yes.")));
        assert!(!is_doubtful(&segment(-1.2, 0.1, "Yes.")));
        assert!(is_doubtful(&segment(-1.2, 0.7, "you")));
        assert!(is_doubtful(&segment(-1.8, 0.0, "you")));
        assert!(is_doubtful(&segment(-0.1, 0.0, ". . .")));
        assert!(is_doubtful(&segment(-0.1, 0.0, &"far too much ".repeat(10))));
    }
}
