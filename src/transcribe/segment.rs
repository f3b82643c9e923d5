//! What was said, and when.

use serde::{Deserialize, Serialize};

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
}

impl Segment {
    /// Returns exp(mean token log-probability), from 0 to 1.
    pub fn confidence(&self) -> f32 {
        self.avg_logprob.exp().clamp(0.0, 1.0)
    }
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
