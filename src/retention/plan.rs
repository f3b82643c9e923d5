//! What goes, in which order, and what stays back: one pure function of what is kept.
//!
//! First goes what is past its days, the oldest call first. Then, for room, class by class and in
//! each class the oldest call first:
//!
//! 1. what is made again from what stays here: 16 kHz files and the channels of Twilio's copy, of
//!    calls that are done;
//! 2. what the archive has shown back, byte for byte;
//! 3. Twilio's copy, while Twilio has it;
//! 4. 16 kHz files of calls that are not done, whose 8 kHz files stay;
//! 5. only copies of calls that are done, and
//! 6. what is left of calls that are not done: these two only when `only_copies` says so.
//!
//! Whatever is said, nothing goes of a call that is held, live, worked on or about to be erased,
//! and Twilio's copy not while its deletion there waits to read it. What a piece rests on is judged
//! by what is left at that point of the plan, so no two pieces go on the strength of each other.

use std::collections::HashSet;
use std::time::Duration;

use super::Policy;
use super::planner::Planner;
use crate::domain::{PieceKind, RecordingSid, Stage, UnixMillis};
use crate::store::{CallId, Keepsake};

/// Why a piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is past its days.
    Expired {
        /// So long it was to be kept.
        after: Duration,
    },
    /// There has to be room.
    Room,
}

impl Why {
    /// Returns the word used in the API and the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired { .. } => "expired",
            Self::Room => "room",
        }
    }
}

/// Where the same is still had from when a piece is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestsOn {
    /// A piece that stays here, by its name: it is made again from that.
    Here(String),
    /// The archive.
    Archive,
    /// Twilio.
    Twilio(RecordingSid),
    /// Nothing: it is the only copy, and the configuration says that it may go.
    Nothing,
}

/// Why a piece stays that would have gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Back {
    /// A person holds the call.
    Held,
    /// The call has not ended, or its files are still being sealed.
    Live,
    /// A stage of the call is being worked on.
    UnderWay,
    /// The call is about to be erased.
    Erasing,
    /// A stage of the call may still need it.
    Undone(Stage),
    /// The deletion at Twilio has to read it first.
    Deleting,
    /// It is the only copy.
    OnlyCopy,
    /// The clock was not right when the call was made: nobody knows how old it is.
    Undated,
}

impl Back {
    /// Returns the word used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Live => "live",
            Self::UnderWay => "under_way",
            Self::Erasing => "erasing",
            Self::Undone(_) => "undone",
            Self::Deleting => "deleting_at_twilio",
            Self::OnlyCopy => "only_copy",
            Self::Undated => "undated",
        }
    }
}

/// One piece that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its call.
    pub call: CallId,
    /// Which piece of it.
    pub name: String,
    /// What kind.
    pub kind: PieceKind,
    /// What that frees.
    pub size_bytes: u64,
    /// Why.
    pub why: Why,
    /// Where the same is had from then.
    pub rests_on: RestsOn,
}

/// A piece that stays back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stays {
    /// Its call.
    pub call: CallId,
    /// Which piece of it.
    pub name: String,
    /// What it would free.
    pub size_bytes: u64,
    /// Why it would have gone.
    pub wanted: Why,
    /// Why it does not.
    pub back: Back,
}

/// What goes, in order, and what stays back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What goes.
    pub steps: Vec<Step>,
    /// What stays that would have gone.
    pub stays: Vec<Stays>,
    /// How much of the room asked for is not to be had.
    pub short_bytes: u64,
}

impl Plan {
    /// Returns what it frees.
    pub fn freed_bytes(&self) -> u64 {
        self.steps.iter().map(|step| step.size_bytes).sum()
    }

    /// What was kept back from expiry may have made room all the same.
    pub(super) fn forget_what_goes_after_all(&mut self) {
        let goes: HashSet<(CallId, &str)> =
            self.steps.iter().map(|step| (step.call, step.name.as_str())).collect();
        self.stays.retain(|stays| !goes.contains(&(stays.call, stays.name.as_str())));
    }
}

/// How much room is wanted, and how badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// So many bytes are to be free more than before.
    pub bytes: u64,
    /// Whether only the first class goes for it.
    pub gently: bool,
}

/// Works out what goes at `now`, to the end that there is `room`.
pub fn plan(kept: &[Keepsake], policy: &Policy, now: UnixMillis, room: Room) -> Plan {
    let mut planner = Planner::new(kept, policy);
    planner.expire(now);
    planner.make_room(room);
    planner.finish()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
