//! `TwiML`: what we answer a call, as Twilio's own libraries would write it.
//!
//! Texts may hold anything: what XML forbids is left out and the rest is escaped.

mod write;

use url::Url;

/// Characters that a `<Parameter>`'s name and value may have together: Twilio takes fewer
/// than 500.
pub const PARAMETER_CHARS_MAX: usize = 499;

/// A document that Twilio would refuse, or misread without a word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TwimlError {
    /// A stream's address of another kind than Twilio connects to.
    #[error("stream url must be wss:// with neither query nor fragment")]
    StreamUrl,
    /// A parameter that would be cut or refused.
    #[error(
        "stream parameter {name} is longer than {PARAMETER_CHARS_MAX} characters with its name"
    )]
    ParameterTooLong {
        /// Its name.
        name: String,
    },
}

/// A document: verbs that Twilio executes one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    verbs: Vec<Verb>,
}

impl Response {
    /// Starts an empty document, which as it is would end the call.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a verb.
    #[must_use]
    pub fn then(mut self, verb: impl Into<Verb>) -> Self {
        self.verbs.push(verb.into());
        self
    }
}

/// One step of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Reads a text aloud.
    Say(Say),
    /// Starts something that goes on beside the following verbs.
    Start(Start),
    /// Rings somebody and connects them.
    Dial(Dial),
    /// Waits.
    Pause {
        /// For how long.
        length_s: u16,
    },
    /// Ends the call.
    Hangup,
    /// Does not take the call.
    Reject(RejectReason),
}

/// Something that goes on beside the following verbs, until the call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Sends us the sound while it is spoken.
    Stream(Stream),
    /// Records at Twilio.
    Recording(Recording),
}

/// `<Say>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    /// What is said.
    pub text: String,
    /// In which language (`en-US`); Twilio's default if none.
    pub language: Option<String>,
    /// By whom (`alice`, `Polly.…`); Twilio's default if none.
    pub voice: Option<String>,
}

/// What the caller hears when a call is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// That there is no such number.
    Rejected,
    /// The engaged tone.
    Busy,
}

/// Which tracks a `<Stream>` sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamTracks {
    /// What the person on this leg says.
    Inbound,
    /// What that person hears.
    Outbound,
    /// Both, as two tracks of one stream.
    Both,
}

/// `<Stream>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Stream {
    url: String,
    name: String,
    tracks: StreamTracks,
    status_callback: String,
    parameters: Vec<(String, String)>,
}

impl Stream {
    /// Takes where the sound goes, what the stream is called, and the absolute URL that hears
    /// of its start and end.
    pub fn new(
        url: &str,
        name: &str,
        tracks: StreamTracks,
        status_callback: &str,
    ) -> Result<Self, TwimlError> {
        let parsed = Url::parse(url).map_err(|_| TwimlError::StreamUrl)?;
        let plain = parsed.query().is_none() && parsed.fragment().is_none();
        if !plain || !url.starts_with("wss://") {
            return Err(TwimlError::StreamUrl);
        }
        Ok(Self {
            url: url.to_owned(),
            name: name.to_owned(),
            tracks,
            status_callback: status_callback.to_owned(),
            parameters: Vec::new(),
        })
    }

    /// Adds a parameter, which comes back in the stream's `start` message.
    pub fn with_parameter(mut self, name: &str, value: &str) -> Result<Self, TwimlError> {
        if name.chars().count() + value.chars().count() > PARAMETER_CHARS_MAX {
            return Err(TwimlError::ParameterTooLong { name: name.to_owned() });
        }
        self.parameters.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }
}

/// Leaves the parameters' values out: one is the stream's token.
impl std::fmt::Debug for Stream {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Stream")
            .field("url", &self.url)
            .field("name", &self.name)
            .field("tracks", &self.tracks)
            .finish_non_exhaustive()
    }
}

/// `<Recording>`: always two channels, both parties, nothing trimmed and every event told,
/// because Twilio's defaults differ from place to place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The absolute URL that hears of its progress; nobody does if none.
    pub status_callback: Option<String>,
}

/// `<Dial>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// The number shown to those who are rung; the caller's own if none.
    pub caller_id: Option<String>,
    /// Whether the caller's leg counts as answered only when the other side answers.
    pub answer: AnswerOn,
    /// For how long it rings.
    pub timeout_s: u16,
    /// Who is rung, all at once, at most ten; the first to answer is connected.
    pub nouns: Vec<Noun>,
}

/// When the leg that dials counts as answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerOn {
    /// At once.
    Dial,
    /// When the other side answers.
    Bridge,
}

/// Whom a `<Dial>` rings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noun {
    /// A telephone.
    Number(String),
    /// A browser or app that registered under this identity.
    Client(String),
}

impl From<Say> for Verb {
    fn from(say: Say) -> Self {
        Self::Say(say)
    }
}

impl From<Stream> for Verb {
    fn from(stream: Stream) -> Self {
        Self::Start(Start::Stream(stream))
    }
}

impl From<Recording> for Verb {
    fn from(recording: Recording) -> Self {
        Self::Start(Start::Recording(recording))
    }
}

impl From<Dial> for Verb {
    fn from(dial: Dial) -> Self {
        Self::Dial(dial)
    }
}

#[cfg(test)]
mod tests;
