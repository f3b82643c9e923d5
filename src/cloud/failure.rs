//! Why a recording is not here, and what that means for trying again.

use std::time::Duration;

use crate::domain::WaitingFor;
use crate::pipeline::Verdict;
use crate::store::StoreError;
use crate::twilio::rest::RestError;
use crate::vault::{self, DownloadError};

/// How long Twilio is left alone when it asks for that without saying how long.
const THROTTLED_FOR: Duration = Duration::from_secs(30);

/// Why a recording is not here.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Twilio(#[from] RestError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}", chain(.0))]
    Vault(#[from] vault::Error),
    #[error("{}", chain(.0))]
    Download(#[from] DownloadError),
    #[error("{0}")]
    NotYet(String),
    #[error("{0}")]
    Gone(String),
    #[error("a thread of fieldtape's broke: {0}")]
    Broken(#[from] tokio::task::JoinError),
    #[error("the file of a transfer was lost to a broken thread")]
    Lost,
}

/// An error with all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        let why = failure.to_string();
        match failure {
            Failure::Twilio(error) => match error {
                RestError::Unreachable { .. } => Self::Unreachable { why },
                RestError::Throttled { after } => Self::Waits {
                    waiting_for: WaitingFor::Twilio,
                    why,
                    after: after.unwrap_or(THROTTLED_FOR),
                },
                RestError::Unauthorized { .. } => Self::Never { why },
                RestError::Unanswered { .. }
                | RestError::Busy { .. }
                | RestError::TooEarly
                | RestError::NotFound
                | RestError::NotDual
                | RestError::BeyondEnd
                | RestError::Refused { .. }
                | RestError::Garbled { .. } => Self::Again { why },
            },
            Failure::Vault(vault::Error::Full { .. })
            | Failure::Download(DownloadError::Vault(vault::Error::Full { .. })) => {
                Self::Waits { waiting_for: WaitingFor::Disk, why, after: Duration::from_mins(1) }
            }
            Failure::Gone(_) => Self::Never { why },
            Failure::Store(_)
            | Failure::Vault(_)
            | Failure::Download(_)
            | Failure::NotYet(_)
            | Failure::Broken(_)
            | Failure::Lost => Self::Again { why },
        }
    }
}
