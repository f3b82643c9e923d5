//! In which order and when the frames of one stream leave. No sockets, no clock: the same seed
//! makes the same plan.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::faults::Faults;
use super::sound::FRAME_MS;
use crate::domain::StreamTrack;

/// The first timestamp of a stream: none of those captured began at 0.
const FIRST_TIMESTAMP_MS: u64 = 102;

/// Behind how many later messages a delayed one arrives. Two tracks take turns, so from two on
/// it is overtaken on its own track.
const DELAY_MESSAGES: std::ops::RangeInclusive<u32> = 2..=5;

/// How long the line works between two stalls.
const STALL_PAUSE_MS: std::ops::RangeInclusive<u64> = 2000..=6000;

/// One message that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sending {
    /// When, in the call's own time.
    pub(super) due: Duration,
    pub(super) sequence: u64,
    pub(super) track: StreamTrack,
    /// Which frame of the sound.
    pub(super) frame: u64,
    pub(super) chunk: u64,
    pub(super) timestamp_ms: u64,
}

/// The messages of one stream, in the order in which they leave.
pub(super) struct Plan {
    faults: Faults,
    fates: StdRng,
    tracks: Vec<StreamTrack>,
    first: u64,
    next: u64,
    end: u64,
    sequence: u64,
    /// Messages of one slot and those that their passing sets free, so at most 2 x 2 + 5.
    ready: VecDeque<Sending>,
    delayed: Vec<(u32, Sending)>,
    stall: Option<Stall>,
}

/// Which frames of the sound a stream carries.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    pub(super) first: u64,
    pub(super) end: u64,
}

impl Plan {
    /// Plans the call's stream number `leg`.
    pub(super) fn new(faults: &Faults, tracks: &[StreamTrack], stretch: Stretch, leg: u64) -> Self {
        let seed = faults.seed.wrapping_add(leg);
        let began_ms = stretch.first * FRAME_MS;
        Self {
            fates: StdRng::seed_from_u64(seed),
            tracks: tracks.to_vec(),
            first: stretch.first,
            next: stretch.first,
            end: stretch.end,
            sequence: 1,
            ready: VecDeque::new(),
            delayed: Vec::new(),
            stall: (faults.stall_ms > 0).then(|| Stall::new(faults.stall_ms, began_ms, !seed)),
            faults: faults.clone(),
        }
    }

    /// Returns the sequence number behind all that were given out.
    pub(super) fn next_sequence(&self) -> u64 {
        self.sequence + 1
    }

    /// Plans the next 20 ms of every track.
    fn plan_slot(&mut self) {
        let frame = self.next;
        let end_ms = (frame + 1) * FRAME_MS;
        let due_ms = self.stall.as_mut().map_or(end_ms, |stall| stall.pass(end_ms));
        for track in self.tracks.clone() {
            self.sequence += 1;
            let chunk = frame - self.first + 1;
            let jitter_ms = self.fates.random_range(0..=2 * self.faults.jitter_ms);
            let timestamp_ms =
                FIRST_TIMESTAMP_MS + (chunk - 1) * FRAME_MS + jitter_ms - self.faults.jitter_ms;
            let due = Duration::from_millis(due_ms);
            let sequence = self.sequence;
            self.meet_fate(Sending { due, sequence, track, frame, chunk, timestamp_ms });
        }
        self.next += 1;
    }

    fn meet_fate(&mut self, sending: Sending) {
        // Every message takes the same number of draws, so that one kind of fault does not
        // change which frames another kind meets.
        let dropped = self.fates.random::<f64>() < self.faults.drop_ratio;
        let delayed = self.fates.random::<f64>() < self.faults.reorder_ratio;
        let repeated = self.fates.random::<f64>() < self.faults.duplicate_ratio;
        let delay = self.fates.random_range(DELAY_MESSAGES);
        let first = sending.frame == self.first;
        let mut copies = if first || !repeated { 1 } else { 2 };
        if dropped && !first {
            copies = 0;
        } else if delayed && !first {
            copies -= 1;
            self.delayed.push((delay + 1, sending));
        }
        self.ready.extend(std::iter::repeat_n(sending, copies));
        for (messages_left, waiting) in &mut self.delayed {
            *messages_left -= 1;
            waiting.due = sending.due;
        }
        let free = self.delayed.extract_if(.., |(messages_left, _)| *messages_left == 0);
        self.ready.extend(free.map(|(_, waiting)| waiting));
    }
}

impl Iterator for Plan {
    type Item = Sending;

    fn next(&mut self) -> Option<Sending> {
        while self.ready.is_empty() && self.next < self.end {
            self.plan_slot();
        }
        if self.ready.is_empty() {
            self.ready.extend(self.delayed.drain(..).map(|(_, waiting)| waiting));
        }
        self.ready.pop_front()
    }
}

/// Stretches of the call in which nothing arrives.
struct Stall {
    draws: StdRng,
    length_ms: u64,
    start_ms: u64,
}

impl Stall {
    fn new(length_ms: u64, began_ms: u64, seed: u64) -> Self {
        let mut stall = Self { draws: StdRng::seed_from_u64(seed), length_ms, start_ms: began_ms };
        stall.start_ms += stall.draws.random_range(STALL_PAUSE_MS);
        stall
    }

    /// Returns when something arrives that was due at `due_ms`.
    fn pass(&mut self, due_ms: u64) -> u64 {
        while due_ms >= self.start_ms + self.length_ms {
            self.start_ms += self.length_ms + self.draws.random_range(STALL_PAUSE_MS);
        }
        if due_ms >= self.start_ms { self.start_ms + self.length_ms } else { due_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[StreamTrack] = StreamTrack::ALL;

    fn plan(faults: &Faults, frames: u64) -> Vec<Sending> {
        Plan::new(faults, BOTH, Stretch { first: 0, end: frames }, 0).collect()
    }

    fn share(count: usize, of: usize) -> f64 {
        f64::from(u32::try_from(count).unwrap()) / f64::from(u32::try_from(of).unwrap())
    }

    #[test]
    fn without_faults_the_tracks_take_turns_every_20_ms() {
        let plan = plan(&Faults::none(1), 500);
        assert_eq!(plan.len(), 1000);
        for (place, sending) in (0_u64..).zip(&plan) {
            assert_eq!(sending.sequence, place + 2);
            assert_eq!(sending.track, BOTH[usize::try_from(place % 2).unwrap()]);
            assert_eq!((sending.frame, sending.chunk), (place / 2, place / 2 + 1));
            assert_eq!(sending.due, Duration::from_millis((place / 2 + 1) * 20));
            let exact_ms = 102 + place / 2 * 20;
            assert!(sending.timestamp_ms.abs_diff(exact_ms) <= 3, "{sending:?}");
        }
        assert!(plan.iter().any(|sending| sending.timestamp_ms % 20 != 2), "they wander");
    }

    #[test]
    fn a_plan_depends_on_its_seed_alone() {
        let faults = |seed| Faults {
            drop_ratio: 0.1,
            reorder_ratio: 0.1,
            duplicate_ratio: 0.1,
            stall_ms: 700,
            ..Faults::none(seed)
        };
        assert_eq!(plan(&faults(7), 900), plan(&faults(7), 900));
        assert_ne!(plan(&faults(7), 900), plan(&faults(8), 900));
    }

    #[test]
    fn a_dropped_frame_leaves_a_hole_in_the_sequence() {
        let plan = plan(&Faults { drop_ratio: 0.1, ..Faults::none(3) }, 2000);
        let dropped = 1.0 - share(plan.len(), 4000);
        assert!((0.08..0.12).contains(&dropped), "{dropped}");
        assert!(plan.is_sorted_by(|a, b| a.sequence < b.sequence));
        assert_eq!((plan[0].sequence, plan[1].sequence), (2, 3), "a stream's first are spared");
    }

    #[test]
    fn a_delayed_frame_arrives_behind_later_ones_and_none_is_lost() {
        let plan = plan(&Faults { reorder_ratio: 0.1, ..Faults::none(3) }, 2000);
        let overtaken = |i: &usize| plan[..*i].iter().any(|s| s.sequence > plan[*i].sequence);
        let late = share((0..plan.len()).filter(overtaken).count(), 4000);
        assert!((0.07..0.12).contains(&late), "{late}");
        let mut sequences: Vec<u64> = plan.iter().map(|sending| sending.sequence).collect();
        sequences.sort_unstable();
        assert!(sequences.into_iter().eq(2..=4001));
        assert!(plan.is_sorted_by_key(|sending| sending.due));
    }

    #[test]
    fn a_repeated_frame_is_the_same_twice() {
        let plan = plan(&Faults { duplicate_ratio: 0.1, ..Faults::none(3) }, 2000);
        let repeated = share(plan.len(), 4000) - 1.0;
        assert!((0.08..0.12).contains(&repeated), "{repeated}");
        assert!(plan.windows(2).all(|two| two[0].sequence < two[1].sequence || two[0] == two[1]));
    }

    #[test]
    fn one_kind_of_fault_does_not_change_whom_another_meets() {
        let only_drops = Faults { drop_ratio: 0.1, ..Faults::none(3) };
        let all = Faults { reorder_ratio: 0.3, duplicate_ratio: 0.3, ..only_drops.clone() };
        let heard = |faults| {
            let sequences = plan(faults, 500).into_iter().map(|sending| sending.sequence);
            sequences.collect::<std::collections::BTreeSet<u64>>()
        };
        assert_eq!(heard(&only_drops), heard(&all));
    }

    #[test]
    fn after_a_stall_everything_comes_at_once() {
        let plan = plan(&Faults { stall_ms: 700, ..Faults::none(3) }, 1500);
        assert!(plan.is_sorted_by_key(|sending| sending.due));
        let gaps = plan.windows(2).map(|two| two[1].due.saturating_sub(two[0].due));
        let stalls = gaps.filter(|gap| *gap >= Duration::from_millis(680)).count();
        assert!((3..=15).contains(&stalls), "{stalls} in 30 s");
        let burst = plan.chunk_by(|a, b| a.due == b.due).map(<[_]>::len).max().unwrap();
        assert!(burst >= 68, "{burst}");
    }

    #[test]
    fn a_later_stream_goes_on_in_the_sound_but_begins_its_own_count() {
        let stretch = Stretch { first: 100, end: 200 };
        let mut plan = Plan::new(&Faults::none(1), &[StreamTrack::Inbound], stretch, 1);
        let first = plan.next().unwrap();
        assert_eq!((first.frame, first.sequence, first.chunk), (100, 2, 1));
        assert!(first.timestamp_ms.abs_diff(102) <= 3);
        assert_eq!(first.due, Duration::from_millis(2020));
        assert_eq!(plan.by_ref().last().unwrap().frame, 199);
        assert_eq!(plan.next_sequence(), 102);
    }
}
