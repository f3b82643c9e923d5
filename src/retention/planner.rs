//! How a plan is made: what is left at each point of it, and what that rests on.

use std::time::Duration;

use super::plan::{Back, Plan, RestsOn, Room, Stays, Step, Why};
use super::{OnlyCopies, Policy};
use crate::domain::{PieceKind, Stage, TrackSource, UnixMillis};
use crate::store::{Keepsake, Piece};

/// The classes of what goes for room, in order.
const CLASSES: std::ops::RangeInclusive<u8> = 1..=6;

/// A call, and what is left of it at this point of the plan.
struct Left<'a> {
    kept: &'a Keepsake,
    stays: Vec<bool>,
    /// Of which it is told already why they stay.
    told: Vec<bool>,
}

/// A plan under way.
pub(super) struct Planner<'a> {
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

    /// Returns the stage that may still need a piece. A summary is made from the words alone, and
    /// comes last in a call's row of stages.
    fn undone(&self, piece: &Piece) -> Option<Stage> {
        let needs = |stage: &Stage| *stage != Stage::Summary || piece.kind == PieceKind::Words;
        self.kept.undone.filter(needs)
    }

    /// Returns the class in which a piece goes for room.
    fn class(&self, piece: &Piece) -> u8 {
        match (self.undone(piece), self.rests_on(piece)) {
            (None, RestsOn::Here(_)) => 1,
            (None, RestsOn::Archive) => 2,
            (None, RestsOn::Twilio(_)) => 3,
            (Some(_), RestsOn::Here(_)) if piece.kind == PieceKind::Wide => 4,
            (None, RestsOn::Nothing) => 5,
            (Some(_), _) => 6,
        }
    }
}

impl<'a> Planner<'a> {
    pub(super) fn new(kept: &'a [Keepsake], policy: &'a Policy) -> Self {
        let calls = kept.iter().map(Left::new).collect();
        Self { policy, calls, plan: Plan::default(), freed_bytes: 0 }
    }

    pub(super) fn finish(mut self) -> Plan {
        self.plan.forget_what_goes_after_all();
        self.plan
    }

    /// Takes what is past its days.
    pub(super) fn expire(&mut self, now: UnixMillis) {
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
            _ if !told && left.undone(piece).is_some() => left.undone(piece).map(Back::Undone),
            _ if !told && rests_on == RestsOn::Nothing => Some(Back::OnlyCopy),
            _ => None,
        };
        match back {
            Some(back) => self.stay(index, place, why, back),
            None => self.take(index, place, why, rests_on),
        }
    }

    /// Takes for room, class by class, until there is enough.
    pub(super) fn make_room(&mut self, room: Room) {
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
        match (self.barred(), self.undone(piece)) {
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
