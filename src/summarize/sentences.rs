//! What each party said, sentence by sentence, with where each was said.

use unicode_segmentation::UnicodeSegmentation as _;

use super::tokens::tokens;
use crate::domain::Party;
use crate::store::{SegmentRow, Stretch};

/// A pause of a party's that ends a sentence, whatever the model wrote: longer than a breath.
const PAUSE_MS: u64 = 1_500;

/// What a sentence never ends with, though a point follows.
const SHORTENED: [&str; 12] =
    ["mr", "mrs", "ms", "dr", "st", "no", "nr", "inc", "approx", "e.g", "i.e", "sra"];

/// Below this a line is doubtful: the model gave its words less than even odds.
const CONFIDENCE_DOUBTFUL: f64 = 0.5;

/// A sentence as it was said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sentence {
    /// By whom.
    pub(super) party: Party,
    /// Word for word.
    pub(super) text: String,
    /// Where on the call's timeline.
    pub(super) place: Stretch,
    /// Whether the model was unsure of it.
    pub(super) doubtful: bool,
}

/// Takes a conversation apart, in order of time.
pub(super) fn sentences(segments: &[SegmentRow]) -> Vec<Sentence> {
    let mut out = Vec::new();
    for party in Party::ALL {
        let mut run: Vec<&SegmentRow> = Vec::new();
        for segment in segments.iter().filter(|segment| segment.party == *party) {
            let goes_on = run
                .last()
                .is_some_and(|before| segment.start_ms.saturating_sub(before.end_ms) <= PAUSE_MS);
            if !goes_on {
                divide(&std::mem::take(&mut run), &mut out);
            }
            run.push(segment);
        }
        divide(&run, &mut out);
    }
    out.sort_by_key(|sentence| sentence.place.start_ms);
    out
}

/// A run of segments as one text, and where its parts are spoken.
struct Run {
    text: String,
    /// From which byte on which segment.
    parts: Vec<(usize, usize)>,
    /// From which byte on which moment, where that is known.
    moments: Vec<(usize, u64, u64)>,
}

fn divide(segments: &[&SegmentRow], out: &mut Vec<Sentence>) {
    let Some(first) = segments.first() else { return };
    let run = Run::of(segments);
    let mut at = 0;
    for piece in pieces(&run.text) {
        let (start, end) = (at, at + piece.len());
        at = end;
        let text = piece.trim();
        if tokens(text).is_empty() {
            continue;
        }
        let touched: Vec<&SegmentRow> =
            run.touched(start, end).filter_map(|index| segments.get(index).copied()).collect();
        out.push(Sentence {
            party: first.party,
            text: text.to_owned(),
            place: run.place(start, end, &touched),
            doubtful: touched.iter().any(|segment| {
                segment.confidence < CONFIDENCE_DOUBTFUL || segment.no_speech_prob > 0.5
            }),
        });
    }
}

/// Divides a text into sentences; joined they are the text again.
fn pieces(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for piece in text.split_sentence_bounds() {
        match out.last_mut() {
            Some(before) if is_shortened(before) => before.push_str(piece),
            _ => out.push(piece.to_owned()),
        }
    }
    out
}

/// Says whether a piece ends with a word that is merely written short.
fn is_shortened(piece: &str) -> bool {
    let piece = piece.trim_end();
    let Some(body) = piece.strip_suffix('.') else { return false };
    let word = body.rsplit(char::is_whitespace).next().unwrap_or_default().to_lowercase();
    SHORTENED.contains(&word.as_str()) || word.chars().count() == 1 && word != "i"
}

impl Run {
    fn of(segments: &[&SegmentRow]) -> Self {
        let mut run = Self { text: String::new(), parts: Vec::new(), moments: Vec::new() };
        for (index, segment) in segments.iter().enumerate() {
            if !run.text.is_empty() {
                run.text.push(' ');
            }
            let base = run.text.len();
            run.parts.push((base, index));
            run.text.push_str(segment.text.trim());
            let mut at = base;
            for word in &segment.words {
                // A word that is not found leaves its moment unknown.
                let rest = run.text.get(at..).unwrap_or_default();
                let Some(found) = rest.find(word.text.as_str()) else { break };
                run.moments.push((at + found, word.start_ms, word.end_ms));
                at += found + word.text.len();
            }
        }
        run
    }

    /// Which segments a stretch of the text lies in.
    fn touched(&self, start: usize, end: usize) -> impl Iterator<Item = usize> {
        let ends = self.parts.iter().skip(1).map(|(base, _)| *base).chain([usize::MAX]);
        let parts = self.parts.iter().zip(ends);
        parts
            .filter(move |((base, _), until)| *base < end && *until > start + 1)
            .map(|((_, index), _)| *index)
    }

    /// Where a stretch of the text is spoken: by its words, else by its segments.
    fn place(&self, start: usize, end: usize, touched: &[&SegmentRow]) -> Stretch {
        let words = || self.moments.iter().filter(|(at, ..)| (start..end).contains(at));
        let from = touched.first().map_or(0, |segment| segment.start_ms);
        let to = touched.last().map_or(from, |segment| segment.end_ms);
        let all_known = touched.iter().all(|segment| !segment.words.is_empty());
        let start_ms = words().next().filter(|_| all_known).map_or(from, |(_, start, _)| *start);
        let end_ms = words().next_back().filter(|_| all_known).map_or(to, |(.., end)| *end);
        Stretch { start_ms, end_ms: end_ms.max(start_ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::WordRow;

    fn said(party: Party, start_ms: u64, end_ms: u64, text: &str) -> SegmentRow {
        SegmentRow {
            party,
            start_ms,
            end_ms,
            text: text.to_owned(),
            confidence: 0.9,
            avg_logprob: -0.1,
            no_speech_prob: 0.0,
            words: Vec::new(),
        }
    }

    fn outline(segments: &[SegmentRow]) -> Vec<(String, u64, u64)> {
        let found = sentences(segments).into_iter();
        found.map(|s| (s.text, s.place.start_ms, s.place.end_ms)).collect()
    }

    #[test]
    fn a_sentence_may_lie_in_two_segments_and_two_in_one() {
        let segments = [
            said(Party::Technician, 0, 2000, "It reads 42. And it should be"),
            said(Party::Agent, 1800, 2100, "Yes."),
            said(Party::Technician, 2300, 4000, "around 90."),
            said(Party::Technician, 9000, 9500, "hello"),
        ];
        assert_eq!(
            outline(&segments),
            [
                ("It reads 42.".to_owned(), 0, 2000),
                ("And it should be around 90.".to_owned(), 0, 4000),
                ("Yes.".to_owned(), 1800, 2100),
                ("hello".to_owned(), 9000, 9500),
            ]
        );
    }

    #[test]
    fn a_sentence_is_placed_by_its_words_where_those_are_known() {
        let word = |text: &str, start_ms| WordRow {
            text: text.to_owned(),
            start_ms,
            end_ms: start_ms + 100,
        };
        let words = vec![word("Hi.", 400), word("It", 900), word("hums.", 1300)];
        let segment = SegmentRow { words, ..said(Party::Agent, 400, 1600, "Hi. It hums.") };
        assert_eq!(
            outline(&[segment]),
            [("Hi.".to_owned(), 400, 500), ("It hums.".to_owned(), 900, 1400)]
        );
    }

    #[test]
    fn a_shortened_word_ends_no_sentence() {
        let segment =
            said(Party::Agent, 0, 900, "Ask Mr. Miller at St. James. J. Smith knows him.");
        let texts: Vec<_> = outline(&[segment]).into_iter().map(|(text, ..)| text).collect();
        assert_eq!(texts, ["Ask Mr. Miller at St. James.", "J. Smith knows him."]);
    }
}
