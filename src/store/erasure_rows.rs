//! What an erasure is made of, as the ledger answers.

use std::str::FromStr;

use crate::domain::{CallSid, UnixMillis};

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Returns the word used in the ledger and the certificate.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("{word:?} in an erasure")),
                }
            }
        }
    };
}

named!(
    /// Where a thing is.
    Place {
        /// On this box.
        Here = "here",
        /// In the archive.
        Archive = "archive",
        /// At Twilio.
        Twilio = "twilio",
    }
);
named!(
    /// What a thing is.
    ItemKind {
        /// The call itself: its rows here, its record at Twilio.
        Call = "call",
        /// Its transcript.
        Transcript = "transcript",
        /// A file of sound.
        File = "file",
        /// The call's folder, with whatever else was in it.
        Folder = "folder",
        /// The ledger's file, in which what was deleted is overwritten.
        Journal = "journal",
        /// An object of the archive.
        Object = "object",
        /// A recording at Twilio.
        Recording = "recording",
    }
);
named!(
    /// What became of a thing.
    ItemStatus {
        /// It is still there, as far as is known.
        Pending = "pending",
        /// It is gone.
        Done = "done",
        /// It was not there.
        Absent = "absent",
        /// It stays.
        Kept = "kept",
    }
);

/// One thing that an erasure takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its row; 0 before it has one.
    pub id: i64,
    /// Of which erasure.
    pub erasure: String,
    /// Of which call.
    pub call_sid: CallSid,
    /// Where.
    pub place: Place,
    /// What.
    pub kind: ItemKind,
    /// Its name there.
    pub name: String,
    /// Its size, if that is known.
    pub size_bytes: Option<u64>,
    /// SHA-256 of what it was, in hex, if that is known.
    pub sha256: Option<String>,
    /// What became of it.
    pub status: ItemStatus,
    /// Why it is as it is, for a person to read.
    pub note: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Not before this.
    pub next_attempt_at: UnixMillis,
    /// When it was gone.
    pub done_at: Option<UnixMillis>,
}

impl Item {
    /// Makes one named after its call, with everything else still open.
    pub(super) fn of(erasure: &str, call_sid: &CallSid, place: Place, kind: ItemKind) -> Self {
        Self {
            id: 0,
            erasure: erasure.to_owned(),
            call_sid: call_sid.clone(),
            place,
            kind,
            name: call_sid.to_string(),
            size_bytes: None,
            sha256: None,
            status: ItemStatus::Pending,
            note: None,
            attempts: 0,
            next_attempt_at: UnixMillis::new(0),
            done_at: None,
        }
    }
}

/// An erasure with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The certificate's number.
    pub id: String,
    /// When it was asked for.
    pub asked_at: UnixMillis,
    /// Whether the wall clock was right then.
    pub clock_synced: bool,
    /// Who asked, as in the audit trail.
    pub actor: String,
    /// `call` or `number`.
    pub what: String,
    /// The call's name, or a number's last four digits.
    pub subject: String,
    /// When nothing was left of it; none while something is pending.
    pub finished_at: Option<UnixMillis>,
    /// When anything of it last changed.
    pub changed_at: UnixMillis,
    /// What it takes.
    pub items: Vec<Item>,
}

/// An erasure of which something is still to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingErasure {
    /// The certificate's number.
    pub id: String,
    /// When it was asked for.
    pub asked_at: UnixMillis,
    /// `call` or `number`.
    pub what: String,
    /// The call's name, or a number's last four digits.
    pub subject: String,
    /// How many things are pending.
    pub pending: u64,
    /// Why one of them is.
    pub why: Option<String>,
}

/// What a try to erase a thing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It is gone.
    Gone {
        /// What else is to be known, for a person to read.
        note: Option<String>,
    },
    /// It was not there.
    WasNotThere,
    /// It is tried again.
    Later {
        /// Why, for a person to read.
        why: String,
        /// When.
        at: UnixMillis,
        /// False gives the attempt back: the fault was not the other side's.
        counted: bool,
    },
}
