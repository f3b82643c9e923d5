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

use super::{OnlyCopies, Policy};
use crate::domain::{PieceKind, RecordingSid, Stage, TrackSource, UnixMillis};
use crate::store::{CallId, Keepsake, Piece};

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
    fn forget_what_goes_after_all(&mut self) {
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
    let mut planner = Planner {
        policy,
        calls: kept.iter().map(Left::new).collect(),
        plan: Plan::default(),
        freed_bytes: 0,
    };
    planner.expire(now);
    planner.make_room(room);
    planner.plan.forget_what_goes_after_all();
    planner.plan
}

/// The classes of what goes for room, in order.
const CLASSES: std::ops::RangeInclusive<u8> = 1..=6;

/// A call, and what is left of it at this point of the plan.
struct Left<'a> {
    kept: &'a Keepsake,
    stays: Vec<bool>,
    /// Of which it is told already why they stay.
    told: Vec<bool>,
}

struct Planner<'a> {
    policy: &'a Policy,
    /// The oldest first.
    calls: Vec<Left<'a>>,
    plan: Plan,
    freed_bytes: u64,
}

impl<'a> Left<'a> {
    fn new(kept: &'a Keepsake) -> Self {
        let count = kept.pieces.len();
        Self { kept, stays: vec![true; count], told: vec![false; count] }
    }

    /// Lists what is left, by its place.
    fn pieces(&self) -> impl Iterator<Item = (usize, &'a Piece)> {
        let pieces = self.kept.pieces.iter().enumerate();
        pieces.filter(|(place, _)| self.stays.get(*place).copied().unwrap_or(false))
    }

    /// Says why nothing of the call may go, whatever the reason.
    fn barred(&self) -> Option<Back> {
        let kept = self.kept;
        match kept {
            _ if kept.hold => Some(Back::Held),
            _ if kept.ended_at.is_none() || !kept.sealed => Some(Back::Live),
            _ if kept.erasing => Some(Back::Erasing),
            _ if kept.under_way => Some(Back::UnderWay),
            _ => None,
        }
    }

    /// Finds where the same is had from without this piece.
    fn rests_on(&self, piece: &Piece) -> RestsOn {
        let beside = |found: &dyn Fn(&Piece) -> bool| {
            let mut others = self.pieces().filter(|(_, other)| other.name != piece.name);
            others.find(|(_, other)| found(other)).map(|(_, other)| other.name.clone())
        };
        let here = match (piece.kind, piece.source) {
            // From any other source 16 kHz may be what was recorded, and 8 kHz what was made of it.
            (PieceKind::Wide, Some(TrackSource::Stream | TrackSource::Cloud)) => beside(&|other| {
                matches!(other.kind, PieceKind::Narrow | PieceKind::Channel)
                    && (other.party, other.source, other.part_no)
                        == (piece.party, piece.source, piece.part_no)
            }),
            (PieceKind::Channel, _) => {
                beside(&|other| other.kind == PieceKind::Copy && other.part_no == piece.part_no)
            }
            // What was said is heard again.
            (PieceKind::Words, _) => {
                beside(&|other| matches!(other.kind, PieceKind::Narrow | PieceKind::Channel))
            }
            (PieceKind::Wide | PieceKind::Narrow | PieceKind::Copy, _) => None,
        };
        match (here, &piece.archived, &piece.at_twilio) {
            (Some(name), ..) => RestsOn::Here(name),
            (None, Some(_), _) => RestsOn::Archive,
            (None, None, Some(sid)) => RestsOn::Twilio(sid.clone()),
            (None, None, None) => RestsOn::Nothing,
        }
    }

    /// Returns the class in which a piece goes for room.
    fn class(&self, piece: &Piece) -> u8 {
        match (self.kept.undone, self.rests_on(piece)) {
            (None, RestsOn::Here(_)) => 1,
            (None, RestsOn::Archive) => 2,
            (None, RestsOn::Twilio(_)) => 3,
            (Some(_), RestsOn::Here(_)) if piece.kind == PieceKind::Wide => 4,
            (None, RestsOn::Nothing) => 5,
            (Some(_), _) => 6,
        }
    }
}

impl Planner<'_> {
    /// Takes what is past its days.
    fn expire(&mut self, now: UnixMillis) {
        for index in 0..self.calls.len() {
            for (place, after) in self.expired(index, now) {
                self.take_or_tell(index, place, Why::Expired { after });
            }
        }
    }

    /// Lists the pieces of a call that are past their days, what is made of others first.
    fn expired(&self, index: usize, now: UnixMillis) -> Vec<(usize, Duration)> {
        let Some(left) = self.calls.get(index) else { return Vec::new() };
        let age = now.since(left.kept.ended_at.unwrap_or(left.kept.began_at));
        let past = left.pieces().filter_map(|(place, piece)| {
            let after = self.policy.days_of(piece.kind)?;
            (age > after).then_some((place, piece.kind, after))
        });
        let mut past: Vec<_> = past.collect();
        past.sort_by_key(|(_, kind, _)| going(*kind));
        past.into_iter().map(|(place, _, after)| (place, after)).collect()
    }

    fn take_or_tell(&mut self, index: usize, place: usize, why: Why) {
        let Some(left) = self.calls.get(index) else { return };
        let Some(piece) = left.kept.pieces.get(place) else { return };
        let rests_on = left.rests_on(piece);
        let told = self.policy.only_copies != OnlyCopies::Keep;
        let back = match left.kept {
            _ if left.barred().is_some() => left.barred(),
            kept if !kept.dated => Some(Back::Undated),
            kept if kept.deleting && piece.kind == PieceKind::Copy => Some(Back::Deleting),
            kept if !told && kept.undone.is_some() => kept.undone.map(Back::Undone),
            _ if !told && rests_on == RestsOn::Nothing => Some(Back::OnlyCopy),
            _ => None,
        };
        match back {
            Some(back) => self.stay(index, place, why, back),
            None => self.take(index, place, why, rests_on),
        }
    }

    /// Takes for room, class by class, until there is enough.
    fn make_room(&mut self, room: Room) {
        let room_bytes = room.bytes;
        for class in CLASSES.filter(|class| *class == 1 || !room.gently) {
            for index in 0..self.calls.len() {
                if self.freed_bytes >= room_bytes {
                    return;
                }
                if class <= 4 || self.policy.only_copies == OnlyCopies::ForRoom {
                    self.take_class(index, class, room_bytes);
                }
            }
        }
        self.plan.short_bytes = room_bytes.saturating_sub(self.freed_bytes);
        if self.plan.short_bytes > 0 && !room.gently {
            self.tell_what_stays();
        }
    }

    /// Takes what of a call goes in a class, as far as it is needed.
    fn take_class(&mut self, index: usize, class: u8, room_bytes: u64) {
        let Some(left) = self.calls.get(index).filter(|left| left.barred().is_none()) else {
            return;
        };
        let mut places: Vec<_> =
            left.pieces().map(|(place, piece)| (going(piece.kind), place)).collect();
        places.sort_unstable();
        for (_, place) in places {
            let Some(left) = self.calls.get(index) else { return };
            let Some(piece) = left.kept.pieces.get(place) else { continue };
            let kept_for_deletion = piece.kind == PieceKind::Copy && left.kept.deleting;
            if self.freed_bytes >= room_bytes
                || piece.size_bytes == 0
                || kept_for_deletion
                || left.class(piece) != class
            {
                continue;
            }
            let rests_on = left.rests_on(piece);
            self.take(index, place, Why::Room, rests_on);
        }
    }

    fn take(&mut self, index: usize, place: usize, why: Why, rests_on: RestsOn) {
        let Some(left) = self.calls.get_mut(index) else { return };
        let (Some(piece), Some(stays)) = (left.kept.pieces.get(place), left.stays.get_mut(place))
        else {
            return;
        };
        *stays = false;
        self.freed_bytes += piece.size_bytes;
        self.plan.steps.push(Step {
            call: left.kept.call,
            name: piece.name.clone(),
            kind: piece.kind,
            size_bytes: piece.size_bytes,
            why,
            rests_on,
        });
    }

    fn stay(&mut self, index: usize, place: usize, wanted: Why, back: Back) {
        let Some(left) = self.calls.get_mut(index) else { return };
        let (Some(piece), Some(told)) = (left.kept.pieces.get(place), left.told.get_mut(place))
        else {
            return;
        };
        if std::mem::replace(told, true) {
            return;
        }
        let (call, name, size_bytes) = (left.kept.call, piece.name.clone(), piece.size_bytes);
        self.plan.stays.push(Stays { call, name, size_bytes, wanted, back });
    }

    /// Says of all that is left why it does not make room.
    fn tell_what_stays(&mut self) {
        for index in 0..self.calls.len() {
            let Some(left) = self.calls.get(index) else { return };
            let told: Vec<_> = left
                .pieces()
                .filter(|(_, piece)| piece.size_bytes > 0)
                .map(|(place, piece)| (place, left.back(piece)))
                .collect();
            for (place, back) in told {
                self.stay(index, place, Why::Room, back);
            }
        }
    }
}

impl Left<'_> {
    /// Says why a piece does not make room.
    fn back(&self, piece: &Piece) -> Back {
        let deleting = self.kept.deleting && piece.kind == PieceKind::Copy;
        match (self.barred(), self.kept.undone) {
            (Some(back), _) => back,
            (None, _) if deleting => Back::Deleting,
            (None, Some(stage)) => Back::Undone(stage),
            (None, None) => Back::OnlyCopy,
        }
    }
}

/// In which order the pieces of one call go: what is made of others before what it is made of.
const fn going(kind: PieceKind) -> u8 {
    match kind {
        PieceKind::Words => 0,
        PieceKind::Wide => 1,
        PieceKind::Channel => 2,
        PieceKind::Copy => 3,
        PieceKind::Narrow => 4,
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
