//! What can go wrong with the archive, by what the caller can do about it.

use super::wire::Fault;

/// Why the archive did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The line to it does not work; it will when the line does.
    #[error("the archive cannot be reached: {why}")]
    Unreachable {
        /// What the line did.
        why: String,
    },
    /// The keys are not good for this; no further attempt will be better.
    #[error(
        "the archive does not let us in ({why}): check archive.access_key_id, archive.secret_access_key and what the key may do"
    )]
    Denied {
        /// What it answered.
        why: String,
    },
    /// There is no such bucket.
    #[error("the archive has no bucket {bucket:?}: make it, or check archive.url")]
    NoBucket {
        /// The bucket.
        bucket: String,
    },
    /// The bucket is not where the settings say.
    #[error(
        "the archive's bucket is somewhere else ({why}): check archive.region and archive.endpoint"
    )]
    Elsewhere {
        /// What it answered.
        why: String,
    },
    /// Our clock and the archive's are too far apart for signatures to hold.
    #[error("the archive's clock and ours are too far apart: set the time")]
    ClockSkewed,
    /// It is busy or broken for the moment.
    #[error("the archive is busy or broken: {why}")]
    Busy {
        /// What it answered.
        why: String,
    },
    /// It said no, or something that makes no sense.
    #[error("the archive refused: {why}")]
    Refused {
        /// What it answered.
        why: String,
    },
    /// The file here cannot be read.
    #[error("a file of the call cannot be read for the archive: {why}")]
    Unreadable {
        /// What the disk answered.
        why: String,
    },
    /// The file here is not what the ledger says it is.
    #[error("{path} is not the file that was recorded ({what}): nothing was sent to the archive")]
    Altered {
        /// The file.
        path: String,
        /// What differs.
        what: String,
    },
    /// It said yes and does not show what it was given.
    #[error("the archive took {key} and does not show it back: {why}")]
    NotShown {
        /// The object.
        key: String,
        /// What it showed instead.
        why: String,
    },
}

impl Error {
    /// Sorts a fault of the client's by what lies under it.
    pub(super) fn of(error: &object_store::Error, bucket: &str) -> Self {
        match fault(error) {
            Some(fault) => Self::of_fault(fault, bucket),
            None => Self::Refused { why: error.to_string() },
        }
    }

    /// Sorts what the line did with a request of our own.
    pub(super) fn of_line(error: &object_store::client::HttpError, bucket: &str) -> Self {
        match fault(error) {
            Some(fault) => Self::of_fault(fault, bucket),
            None => Self::Unreachable { why: error.to_string() },
        }
    }

    fn of_fault(fault: &Fault, bucket: &str) -> Self {
        let why = fault.to_string();
        let Fault::Answer { status, code, .. } = fault else {
            return Self::Unreachable { why };
        };
        match (*status, code.as_str()) {
            (_, "NoSuchBucket") => Self::NoBucket { bucket: bucket.to_owned() },
            (_, "RequestTimeTooSkewed" | "RequestExpired") => Self::ClockSkewed,
            (_, "RequestTimeout" | "SlowDown" | "InternalError" | "BadDigest") => {
                Self::Busy { why }
            }
            (300..=399, _)
            | (
                _,
                "AuthorizationHeaderMalformed"
                | "PermanentRedirect"
                | "IllegalLocationConstraintException",
            ) => Self::Elsewhere { why },
            (401 | 403, _) => Self::Denied { why },
            (408 | 425 | 429 | 500.., _) => Self::Busy { why },
            _ => Self::Refused { why },
        }
    }
}

/// Says whether the answer was that there is no such object.
pub(super) fn is_missing(error: &object_store::Error) -> bool {
    matches!(
        fault(error),
        Some(Fault::Answer { status: 404, code, .. }) if code != "NoSuchBucket"
    )
}

/// Finds what our transport said, however deep the client wrapped it.
fn fault<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Fault> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return Some(fault);
        }
        next = error.source();
    }
    None
}
