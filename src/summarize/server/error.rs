//! What can go wrong with the server, by what the caller can do about it.

use std::time::Duration;

use crate::domain::WaitingFor;
use crate::pipeline::Verdict;

/// When a server that is away is looked for again.
const AWAY_AGAIN: Duration = Duration::from_mins(2);

/// The longest that a server's own wish for a pause is followed.
const PAUSE_MAX: Duration = Duration::from_hours(1);

/// Why there is no summary of the server's. No word of the call stands in any of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::summarize) enum ServerError {
    /// Nobody answers there.
    #[error("the summary server at {at} cannot be reached: {why}")]
    Unreachable { at: String, why: String },
    /// It answers that it is busy, or broken for the moment.
    #[error("the summary server is busy or broken (HTTP {status})")]
    Busy { status: u16, after: Option<Duration> },
    /// It does not let us in.
    #[error("the summary server does not let us in (HTTP {status}): check summary.api_key")]
    Denied { status: u16 },
    /// It has no such model, or nothing of the kind is at that address.
    #[error(
        "the summary server has nothing there (HTTP {status}): check summary.url and summary.model"
    )]
    NotThere { status: u16 },
    /// It does not take what it is asked, in whatever form.
    #[error("the summary server refuses what it is asked (HTTP {status})")]
    Refused { status: u16 },
    /// What it is asked is longer than it can read.
    #[error("the summary server cannot read so much at once: give its model a longer context")]
    TooLong,
    /// It takes too long.
    #[error("the summary server was not done within {} min: a smaller model is quicker", .within.as_secs().div_ceil(60))]
    TooSlow { within: Duration },
    /// It stopped in the middle of its answer.
    #[error("the summary server cut its answer off")]
    CutOff,
    /// What it answers makes no sense.
    #[error("the summary server's answer makes no sense: {what}")]
    Garbled { what: &'static str },
    /// Nothing that it said of the call stands in the call.
    #[error("nothing that the summary server said stands in the call; its summary is not shown")]
    MadeUp,
}

impl From<ServerError> for Verdict {
    fn from(error: ServerError) -> Self {
        let why = error.to_string();
        let waits =
            |after| Self::Waits { waiting_for: WaitingFor::Network, why: why.clone(), after };
        match error {
            ServerError::Unreachable { .. } => waits(AWAY_AGAIN),
            ServerError::Busy { after, .. } => waits(after.unwrap_or(AWAY_AGAIN).min(PAUSE_MAX)),
            ServerError::Denied { .. }
            | ServerError::NotThere { .. }
            | ServerError::Refused { .. }
            | ServerError::TooLong => Self::Never { why },
            ServerError::TooSlow { .. }
            | ServerError::CutOff
            | ServerError::Garbled { .. }
            | ServerError::MadeUp => Self::Again { why },
        }
    }
}
