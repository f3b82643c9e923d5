//! What was said, and when.

use serde::{Deserialize, Serialize};

/// A word, and when it was said, as well as the model can tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpokenWord {
    /// Its letters, with what punctuation clings to them.
    pub text: String,
    /// Where it begins on the track's timeline, within its segment.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
}

/// A stretch of one party's speech, as text.
///
/// It lies within the speech it belongs to: it never reaches into a pause longer than
/// the finder's (see `spans`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Where it begins on the track's timeline.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// The words, one space between them, none at either end.
    pub text: String,
    /// Mean log-probability of its tokens.
    pub avg_logprob: f32,
    /// How probable the model held it that nobody spoke.
    pub no_speech_prob: f32,
    /// The words one by one; none where they were not kept.
    #[serde(default)]
    pub words: Vec<SpokenWord>,
}

/// A breath: a longer pause divides segments even in mid-sentence.
const BREATH_MS: u64 = 480;

/// Segments are not joined to longer ones than these.
const JOINED_MS_MAX: u64 = 12_000;

/// What ends a sentence.
pub(crate) const STOPS: [char; 7] = ['.', '?', '!', '…', '。', '？', '！'];

impl Segment {
    fn goes_on_with(&self, next: &Self) -> bool {
        next.start_ms.saturating_sub(self.end_ms) <= BREATH_MS
            && next.end_ms.saturating_sub(self.start_ms) <= JOINED_MS_MAX
            && !self.text.ends_with(STOPS)
    }

    #[expect(clippy::cast_precision_loss, reason = "a segment has some hundred letters")]
    fn append(&mut self, next: Self) {
        // By length, for the tokens are no longer known one by one.
        let (before, after) = (self.text.len() as f32, next.text.len() as f32);
        let sum = self.avg_logprob * before + next.avg_logprob * after;
        self.avg_logprob = sum / (before + after).max(1.0);
        self.no_speech_prob = self.no_speech_prob.max(next.no_speech_prob);
        self.end_ms = next.end_ms;
        self.text = format!("{} {}", self.text, next.text);
        self.words.extend(next.words);
    }

    /// Returns the segment with every time put through `place`.
    #[must_use]
    pub fn moved(self, place: impl Fn(u64) -> u64) -> Self {
        let word = |word: SpokenWord| SpokenWord {
            start_ms: place(word.start_ms),
            end_ms: place(word.end_ms),
            ..word
        };
        Self {
            start_ms: place(self.start_ms),
            end_ms: place(self.end_ms),
            words: self.words.into_iter().map(word).collect(),
            ..self
        }
    }

    /// Returns exp(mean token log-probability), from 0 to 1.
    pub fn confidence(&self) -> f32 {
        self.avg_logprob.exp().clamp(0.0, 1.0)
    }
}

/// Joins segments that a breath divides in mid-sentence. They are in order.
pub(crate) fn joined(segments: Vec<Segment>) -> Vec<Segment> {
    let mut whole: Vec<Segment> = Vec::with_capacity(segments.len());
    for next in segments {
        match whole.last_mut() {
            Some(last) if last.goes_on_with(&next) => last.append(next),
            _ => whole.push(next),
        }
    }
    whole
}

/// A window of a whole track as text.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowText {
    /// What was said, by start time.
    pub segments: Vec<Segment>,
    /// The language it was taken for, as the model's two or three letters, if anything was heard:
    /// to be given to the next window.
    pub language: Option<String>,
    /// The model that heard it, by name.
    pub model: String,
    /// Stretches that were heard and dropped: sounds, loops, and what is too doubtful.
    pub dropped: u32,
    /// Where the next window begins.
    pub consumed_to: u64,
    /// There is no next window.
    pub finished: bool,
}

/// What a look at a live track gave.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveText {
    /// What was said in utterances that have ended: it will not change.
    pub segments: Vec<Segment>,
    /// What the one under way sounds like so far, if that was asked for.
    pub guess: Vec<Segment>,
    /// The 16 kHz sample up to which nothing needs to be heard again.
    pub consumed_to: u64,
    /// Where speech ended that waits to be heard, if any does.
    pub waiting_since: Option<u64>,
    /// Where the speech under way began, if anybody speaks.
    pub open_since: Option<u64>,
    /// The language, if anything was heard: to be given to the next look.
    pub language: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start_ms: u64, end_ms: u64, text: &str) -> Segment {
        let word = SpokenWord { text: text.to_owned(), start_ms, end_ms };
        let text = text.to_owned();
        let words = vec![word];
        Segment { start_ms, end_ms, text, avg_logprob: -0.1, no_speech_prob: 0.0, words }
    }

    #[test]
    fn a_breath_in_mid_sentence_divides_no_segment_and_all_else_does() {
        let joined = joined(vec![
            segment(0, 1000, "The fan is running,"),
            segment(1400, 2000, "but the motor hums."),
            segment(2300, 3000, "Yes,"),
            segment(3600, 4000, "I have one"),
            segment(4100, 15_700, "and on it goes"),
        ]);
        let shown: Vec<_> = joined.iter().map(|s| (s.start_ms, s.end_ms, s.words.len())).collect();
        let apart = [(2300, 3000, 1), (3600, 4000, 1), (4100, 15_700, 1)];
        assert_eq!((shown[0], &shown[1..]), ((0, 2000, 2), &apart[..]));
        assert_eq!(joined[0].text, "The fan is running, but the motor hums.");
        assert!((joined[0].avg_logprob + 0.1).abs() < 1e-6);
    }
}
