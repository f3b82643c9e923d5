//! What the engine is asked, and what it says it heard.

/// Why the engine did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(not(feature = "whisper"), expect(dead_code, reason = "only an engine says some"))]
pub(crate) enum EngineError {
    /// The model file is broken, or there is nothing to load it with.
    #[error("{0}")]
    Model(String),
    /// The model knows no such language.
    #[error("{0}")]
    Language(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// How to listen.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "whisper"), expect(dead_code, reason = "only an engine reads it"))]
pub(crate) struct Manner<'a> {
    /// Two or three letters, or "auto".
    pub(crate) language: &'a str,
    /// Names and part numbers to expect, one a line.
    pub(crate) prompt: &'a str,
    /// Threads to use, at least one.
    pub(crate) threads: u32,
    /// What may be left out to be done sooner.
    pub(crate) haste: Haste,
}

/// What may be left out to be done sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "whisper"), expect(dead_code, reason = "only an engine reads it"))]
pub(crate) enum Haste {
    /// Nothing.
    None,
    /// Somebody waits: the model looks at little more than the sound, where that costs no words.
    Live,
    /// It is heard again in a moment: as [`Haste::Live`], and a bad result stands.
    Guess,
}

/// How often it has been tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "whisper"), expect(dead_code, reason = "only an engine reads it"))]
pub(crate) enum Attempt {
    /// The most probable word each time.
    First,
    /// For what came out badly so: drawn at some temperature, which a loop does not survive.
    Second,
}

/// A word (or what is written without a space before it), with its time in the window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    /// Its letters, without the space.
    pub(crate) text: String,
    /// Its first sample in the window, as well as the model can tell.
    pub(crate) start: usize,
    /// The first sample after it.
    pub(crate) end: usize,
    /// The sum of its tokens' log-probabilities.
    pub(crate) logprob_sum: f32,
    /// How many tokens that is.
    pub(crate) tokens: u32,
    /// The model's own segment it stands in, counted from 0.
    pub(crate) phrase: usize,
    /// How probable the model held it that nobody spoke.
    pub(crate) no_speech_prob: f32,
}

/// Everything heard in a window.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Heard {
    /// The words, in order.
    pub(crate) words: Vec<Word>,
    /// The sample up to which the model says it has written everything down; none if it does not
    /// say.
    pub(crate) complete_to: Option<usize>,
    /// The language they were taken for.
    pub(crate) language: String,
}
