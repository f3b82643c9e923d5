//! Whether Twilio's copy of a recording may go: a decision from evidence, and nothing else.
//!
//! Every rule is needed and none is enough. A clock that jumped is caught by Twilio's own, a
//! callback that is repeated is no evidence at all, and an archive is believed only for what it
//! has shown back.

use std::time::Duration;

use serde_json::{Value, json};

use super::fingerprint::Fingerprint;
use crate::domain::{RecordingSid, StageStatus, UnixMillis};
use crate::store::ArchiveObject;

/// How far our clock and Twilio's may be apart. A synchronised clock is within a second; an answer
/// that lingered takes no longer than the line's own limits.
pub(super) const CLOCKS_APART_MAX: Duration = Duration::from_mins(5);

/// What the ledger says of a recording and its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// Whether the owner wants recordings deleted at Twilio at all.
    pub(super) asked_for: bool,
    /// Whether a person holds the call.
    pub(super) hold: bool,
    /// How far the fetching of the call's recordings is.
    pub(super) fetch: Option<StageStatus>,
    /// How far the splitting of its channels is.
    pub(super) split: Option<StageStatus>,
    /// How far its transcript is.
    pub(super) transcript: Option<StageStatus>,
    /// How far its archiving is.
    pub(super) archive: Option<StageStatus>,
    /// Whether there is an archive.
    pub(super) has_archive: bool,
    /// What was fetched; none when nothing was.
    pub(super) fetched: Option<Fetched>,
}

/// The file here, as it was when it was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fetched {
    /// Where it is, relative to the data folder.
    pub(super) path: String,
    /// Its size.
    pub(super) size_bytes: u64,
    /// SHA-256 in hex.
    pub(super) sha256: String,
    /// How many channels it has.
    pub(super) channels: u32,
}

/// What Twilio has just answered, and what our clock said then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Times {
    /// How old a recording has to be.
    pub(super) delete_after: Duration,
    /// Our clock.
    pub(super) now: UnixMillis,
    /// Whether it is known to be right.
    pub(super) synchronised: bool,
    /// Twilio's clock: the date of its answer.
    pub(super) twilio_now: Option<UnixMillis>,
    /// When Twilio says that the recording was made.
    pub(super) created: Option<UnixMillis>,
    /// Twilio's word for how far it is.
    pub(super) status: String,
    /// How many channels Twilio says it has.
    pub(super) channels: Option<u16>,
}

/// What the archive has just shown of the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ArchiveSays {
    /// There is no archive.
    NotConfigured,
    /// It read back as what it should be.
    Shown(ArchiveObject),
    /// It did not.
    NotShown {
        /// What it did instead.
        why: String,
    },
}

/// Everything that the decision is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Evidence {
    /// Which recording.
    pub(super) recording_sid: RecordingSid,
    /// What the ledger says.
    pub(super) facts: Facts,
    /// What the clocks and Twilio say.
    pub(super) times: Times,
    /// The file here, as it was read just now; none when it is not there.
    pub(super) local: Option<Fingerprint>,
    /// What the archive has just shown.
    pub(super) archive: ArchiveSays,
}

/// Why Twilio's copy stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Withheld {
    /// Nobody wants it deleted.
    #[error("twilio.delete is not set")]
    NotAsked,
    /// A person holds the call.
    #[error("the call is held: Twilio's copy stays until it is released")]
    Held,
    /// There is no copy of it here.
    #[error("not all of the call's recordings have been fetched yet")]
    NotFetched,
    /// Its channels are not the call's yet.
    #[error("its channels have not been split yet")]
    NotSplit,
    /// There is no transcript yet.
    #[error("the call has no transcript yet")]
    NotTranscribed,
    /// The call is not archived yet.
    #[error("the call is not in the archive yet")]
    NotArchived,
    /// Twilio is not done with it.
    #[error("Twilio says the recording is {status:?}, not \"completed\"")]
    NotCompleted {
        /// Twilio's word.
        status: String,
    },
    /// Nobody knows what time it is.
    #[error("the clock of this machine is not synchronised: set up a time service")]
    ClockUnsure,
    /// Twilio did not say what time it is, or when the recording was made.
    #[error("Twilio's answer has no time to judge the recording's age by")]
    Undated,
    /// The two clocks are too far apart.
    #[error("our clock and Twilio's are {} s apart: set the time", apart.as_secs())]
    ClocksApart {
        /// How far.
        apart: Duration,
    },
    /// It is not old enough.
    #[error("the recording is not old enough yet: {} s to go", left.as_secs())]
    TooYoung {
        /// How long until it is.
        left: Duration,
    },
    /// The file here has not all that Twilio has.
    #[error("{path} has fewer channels than Twilio's, which has {channels}")]
    FewerChannels {
        /// The file.
        path: String,
        /// How many Twilio has.
        channels: u16,
    },
    /// The file here is gone.
    #[error("{path} is not there any more; it is fetched anew")]
    LocalGone {
        /// The file.
        path: String,
    },
    /// The file here is not what was fetched.
    #[error("{path} is not what was fetched any more ({what}); it is fetched anew")]
    LocalAltered {
        /// The file.
        path: String,
        /// What differs.
        what: String,
    },
    /// The archive does not show its copy.
    #[error("the archive does not show its copy: {why}")]
    ArchiveLacks {
        /// What it does instead.
        why: String,
    },
}

/// That Twilio's copy may go, and why. Only [`may_delete`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    evidence: Evidence,
    age: Duration,
    apart: Duration,
}

impl Facts {
    /// Judges what the ledger alone can tell; returns what was fetched.
    pub(super) fn judge(&self) -> Result<&Fetched, Withheld> {
        if !self.asked_for {
            return Err(Withheld::NotAsked);
        }
        if self.hold {
            return Err(Withheld::Held);
        }
        let fetched = self.fetched.as_ref().ok_or(Withheld::NotFetched)?;
        // One that was fetched this moment is not what the split was of.
        if !is_over(self.fetch) {
            return Err(Withheld::NotFetched);
        }
        if !is_over(self.split) {
            return Err(Withheld::NotSplit);
        }
        if !is_over(self.transcript) {
            return Err(Withheld::NotTranscribed);
        }
        if self.has_archive && self.archive != Some(StageStatus::Completed) {
            return Err(Withheld::NotArchived);
        }
        Ok(fetched)
    }
}

/// Says whether a stage has done what it will do. A failed one may yet need Twilio's copy.
fn is_over(status: Option<StageStatus>) -> bool {
    matches!(status, Some(StageStatus::Completed | StageStatus::Skipped))
}

impl Times {
    /// Judges the recording's age and the clocks it is told by; returns the age, and how far the
    /// clocks are apart.
    pub(super) fn judge(&self) -> Result<(Duration, Duration), Withheld> {
        if self.status != "completed" {
            return Err(Withheld::NotCompleted { status: self.status.clone() });
        }
        if !self.synchronised {
            return Err(Withheld::ClockUnsure);
        }
        let (Some(twilio_now), Some(created)) = (self.twilio_now, self.created) else {
            return Err(Withheld::Undated);
        };
        let apart = self.now.since(twilio_now).max(twilio_now.since(self.now));
        if apart > CLOCKS_APART_MAX {
            return Err(Withheld::ClocksApart { apart });
        }
        // The younger of the two ages counts.
        let age = self.now.since(created).min(twilio_now.since(created));
        match self.delete_after.checked_sub(age) {
            Some(left) if left > Duration::ZERO => Err(Withheld::TooYoung { left }),
            Some(_) | None => Ok((age, apart)),
        }
    }
}

/// Decides whether Twilio's copy may be deleted.
pub(super) fn may_delete(evidence: Evidence) -> Result<Proof, Withheld> {
    let fetched = evidence.facts.judge()?;
    let (age, apart) = evidence.times.judge()?;
    let path = &fetched.path;
    if let Some(channels) = evidence.times.channels
        && u32::from(channels) > fetched.channels
    {
        return Err(Withheld::FewerChannels { path: path.clone(), channels });
    }
    let Some(local) = &evidence.local else {
        return Err(Withheld::LocalGone { path: path.clone() });
    };
    if local.size_bytes != fetched.size_bytes || local.sha256 != fetched.sha256 {
        let what = format!("SHA-256 {}, not {}", local.sha256, fetched.sha256);
        return Err(Withheld::LocalAltered { path: path.clone(), what });
    }
    match &evidence.archive {
        ArchiveSays::NotConfigured if !evidence.facts.has_archive => {}
        ArchiveSays::NotConfigured => return Err(Withheld::NotArchived),
        ArchiveSays::NotShown { why } => return Err(Withheld::ArchiveLacks { why: why.clone() }),
        ArchiveSays::Shown(object) => {
            if object.sha256 != fetched.sha256 || object.size_bytes != fetched.size_bytes {
                let why = format!("{} has SHA-256 {}", object.key, object.sha256);
                return Err(Withheld::ArchiveLacks { why });
            }
        }
    }
    Ok(Proof { evidence, age, apart })
}

impl Proof {
    /// Returns which recording it is about.
    pub(super) fn recording_sid(&self) -> &RecordingSid {
        &self.evidence.recording_sid
    }

    /// Writes down what was proved, for the audit trail.
    pub(super) fn to_json(&self) -> Value {
        let Evidence { recording_sid, facts, times, archive, .. } = &self.evidence;
        let local = facts.fetched.as_ref().map(|file| {
            json!({ "path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256 })
        });
        let archive = match archive {
            ArchiveSays::Shown(object) => json!({
                "key": object.key, "size_bytes": object.size_bytes,
                "sha256": object.sha256, "etag": object.etag,
            }),
            ArchiveSays::NotConfigured | ArchiveSays::NotShown { .. } => Value::Null,
        };
        let word = |status: Option<StageStatus>| status.map(StageStatus::as_str);
        json!({
            "recording_sid": recording_sid.as_str(),
            "age_s": self.age.as_secs(),
            "delete_after_s": times.delete_after.as_secs(),
            "our_clock_ms": times.now.get(),
            "twilio_clock_ms": times.twilio_now.map(UnixMillis::get),
            "clocks_apart_ms": u64::try_from(self.apart.as_millis()).unwrap_or(u64::MAX),
            "created_ms": times.created.map(UnixMillis::get),
            "reread_here": local,
            "read_back_from_archive": archive,
            "split": word(facts.split),
            "transcript": word(facts.transcript),
        })
    }
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
