//! The words of a call's life, as they stand in the ledger, the API and the log.

use std::fmt;
use std::str::FromStr;

/// A word that none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no {kind}")]
pub struct BadWord {
    kind: &'static str,
    word: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the word used in the ledger, the API and the log.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = BadWord;

            fn from_str(word: &str) -> Result<Self, BadWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(BadWord { kind: stringify!($name), word: word.to_owned() }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// Who rang whom, seen from the office.
    Direction {
        /// Somebody rang the office.
        Inbound = "inbound",
        /// The office rang out.
        Outbound = "outbound",
    }
);
words!(
    /// What began the call at Twilio. With the direction it decides who is on which track.
    Origin {
        /// A telephone rang our number.
        Number = "number",
        /// An agent's browser or app placed the call.
        Client = "client",
        /// A request to the Calls API placed it.
        Rest = "rest",
    }
);
words!(
    /// A person in the conversation. Not the same as a [`StreamTrack`].
    Party {
        /// The one in the office.
        Agent = "agent",
        /// The one in the field.
        Technician = "technician",
    }
);
words!(
    /// What somebody who has logged in, or a program with a token, may do. Each may do all that the
    /// ones before it may.
    Role {
        /// Sees, hears and exports calls.
        Viewer = "viewer",
        /// Also changes calls and what is done with them.
        Operator = "operator",
        /// Also erases, and says who may come in.
        Admin = "admin",
    }
);
words!(
    /// A track of a media stream, from Twilio's point of view of the recorded leg.
    StreamTrack {
        /// What Twilio hears from the person on that leg.
        Inbound = "inbound",
        /// What Twilio plays to that person.
        Outbound = "outbound",
    }
);
words!(
    /// Where a track's sound came from.
    TrackSource {
        /// Twilio's media stream.
        Stream = "stream",
        /// A channel of Twilio's own recording.
        Cloud = "cloud",
        /// The box's microphone.
        Microphone = "microphone",
        /// The agent's browser.
        Browser = "browser",
    }
);
words!(
    /// Why a stretch of a track is silence that nobody spoke.
    GapReason {
        /// The frames never arrived.
        Lost = "lost",
        /// No stream was connected.
        Disconnected = "disconnected",
        /// The disk could not take the sound.
        Disk = "disk",
        /// The recorder was told to pause.
        Paused = "paused",
    }
);
words!(
    /// Why a call ended.
    EndReason {
        /// Both parties had their say.
        Completed = "completed",
        /// The recorder stopped, by order or by accident, before the call did.
        Interrupted = "interrupted",
        /// The other side was engaged.
        Busy = "busy",
        /// Twilio could not place it.
        Failed = "failed",
        /// Nobody took it.
        NoAnswer = "no-answer",
        /// It was withdrawn before it was answered.
        Canceled = "canceled",
    }
);
words!(
    /// Which of three figures a call's duration is.
    DurationSource {
        /// Twilio's `CallDuration`.
        Twilio = "twilio",
        /// From the first sample to the end.
        Timestamps = "timestamps",
        /// From the call's row to the end.
        CreatedAt = "created_at",
    }
);
words!(
    /// How far a call's sound has come.
    RecordingStatus {
        /// Nothing heard yet.
        Pending = "pending",
        /// Being heard, here or at Twilio.
        Recording = "recording",
        /// Sealed here, or a verified cloud file.
        Completed = "completed",
        /// There was sound to be had and we have none.
        Failed = "failed",
    }
);
words!(
    /// What is kept of a call, by kind.
    PieceKind {
        /// A party's sound at 16 kHz.
        Wide = "16khz",
        /// A party's sound at 8 kHz, as it was heard live.
        Narrow = "8khz",
        /// A party's sound at 8 kHz, out of Twilio's copy.
        Channel = "cloud_channel",
        /// Twilio's copy as it was fetched.
        Copy = "cloud_copy",
        /// The conversation.
        Words = "transcript",
    }
);
words!(
    /// One step of a call's pipeline.
    Stage {
        /// Download the cloud recording.
        Fetch = "fetch",
        /// Split its channels.
        Split = "split",
        /// Write the conversation.
        Transcript = "transcript",
        /// Summarise it.
        Summary = "summary",
        /// Copy it to the archive.
        Archive = "archive",
        /// Delete it at Twilio.
        Delete = "delete",
    }
);
words!(
    /// How far a stage has come.
    StageStatus {
        /// Waits for its turn.
        Pending = "pending",
        /// Under way.
        Processing = "processing",
        /// Done.
        Completed = "completed",
        /// Given up; a person may retry it.
        Failed = "failed",
        /// There is nothing to do.
        Skipped = "skipped",
    }
);
words!(
    /// What a call came to.
    Outcome {
        /// Two people talked, or one spoke.
        Talked = "talked",
        /// The recording ended before the talk did.
        CutOff = "cut-off",
        /// There is sound and nobody speaks in it.
        NobodySpoke = "nobody-spoke",
        /// Somebody spoke and no word could be made out.
        Unclear = "unclear",
        /// Nobody took it.
        NoAnswer = "no-answer",
        /// The other side was engaged.
        Busy = "busy",
        /// Twilio could not place it.
        Failed = "failed",
        /// It was withdrawn before it was answered.
        Canceled = "canceled",
        /// It took place, or may have, and there is no sound of it.
        NotHeard = "not-heard",
    }
);
words!(
    /// By whom a call ended, where that can be known.
    EndedBy {
        /// The one who rang, before anybody answered.
        Caller = "caller",
        /// The office, which had rung, before anybody answered.
        Office = "office",
        /// The recorder, by order or by accident, before the call did.
        Recorder = "recorder",
    }
);
words!(
    /// What a pending stage waits for, when it is not merely its turn.
    WaitingFor {
        /// The link to the outside.
        Network = "network",
        /// Room on the disk, or a disk at all.
        Disk = "disk",
        /// Twilio's answer.
        Twilio = "twilio",
        /// The recording to be complete.
        Recording = "recording",
        /// A speech model.
        Model = "model",
        /// A synchronised clock.
        Clock = "clock",
    }
);

impl TrackSource {
    /// Says whether it is the party's own device, heard beside Twilio: whoever's voice that is, no
    /// swap of Twilio's tracks changes it.
    pub const fn is_own(self) -> bool {
        match self {
            Self::Microphone | Self::Browser => true,
            Self::Stream | Self::Cloud => false,
        }
    }
}

impl Stage {
    /// Says whether its work needs the world outside.
    pub const fn needs_network(self) -> bool {
        match self {
            Self::Fetch | Self::Archive | Self::Delete => true,
            Self::Split | Self::Transcript | Self::Summary => false,
        }
    }
}

impl StageStatus {
    /// Says whether a stage may go from this status to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        use StageStatus::{Completed, Failed, Pending, Processing, Skipped};
        matches!(
            (self, next),
            (Pending, Processing | Skipped)
                | (Processing, Pending | Completed | Failed | Skipped)
                | (Failed | Completed | Skipped, Pending)
        )
    }
}

impl Party {
    /// Returns the other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Agent => Self::Technician,
            Self::Technician => Self::Agent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
        for stage in Stage::ALL {
            assert_eq!(stage.as_str().parse::<Stage>().unwrap(), *stage);
        }
        assert_eq!("no-answer".parse::<EndReason>().unwrap(), EndReason::NoAnswer);
        assert!("Completed".parse::<StageStatus>().is_err(), "words are lower case");
    }

    #[test]
    fn work_begins_only_from_pending() {
        for status in StageStatus::ALL {
            assert_eq!(
                status.may_become(StageStatus::Processing),
                *status == StageStatus::Pending,
                "{status}"
            );
        }
    }
}
