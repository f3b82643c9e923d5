//! Whose turn it is: live calls before finished ones, a call somebody looks at before the
//! backlog, and on a small or hot box finished ones not at all while a call is live.
//!
//! Invariant: finished calls are held back for [`HELD_MAX`] at a stretch and no longer, so that a
//! busy office gets its transcripts too.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::machine::Machine;
use crate::clock::SharedClock;
use crate::domain::CallSid;

/// How long finished calls are held back while calls are live. Then they go on beside those.
const HELD_MAX: Duration = Duration::from_mins(30);

/// With so many cores there is one to spare beside a live call's.
const CORES_ENOUGH: usize = 4;

/// How long a call counts as looked at: an open page asks every 15 s.
const LOOKED_AT_FOR: Duration = Duration::from_secs(45);

/// Calls that are looked at, at most: an office's few screens. The one not looked at for the
/// longest makes room.
const LOOKED_AT_MAX: usize = 8;

/// Counts the calls in progress.
pub type LiveCalls = Arc<dyn Fn() -> usize + Send + Sync>;

/// How finished calls are to be heard at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Course {
    /// There is nothing else to do.
    Freely,
    /// A call is live: behind everything else.
    Gently,
    /// Not now.
    Held {
        /// Why, in words for a person.
        why: String,
    },
}

/// Decides whose turn it is. A clone is another handle to the same.
#[derive(Clone)]
pub struct Schedule {
    inside: Arc<Inside>,
}

struct Inside {
    clock: SharedClock,
    machine: Machine,
    live_calls: LiveCalls,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Since when, since boot, finished calls have been held back or go on beside live ones.
    tight_since: Option<Duration>,
    was_hot: bool,
    /// Calls somebody looks at, and when they last did; the latest is last.
    looked_at: Vec<(CallSid, Duration)>,
}

impl Schedule {
    /// Makes a schedule for a box and its calls.
    pub fn new(clock: SharedClock, machine: Machine, live_calls: LiveCalls) -> Self {
        let inside = Inside { clock, machine, live_calls, state: Mutex::default() };
        Self { inside: Arc::new(inside) }
    }

    /// Notes that somebody looks at a call.
    pub fn look_at(&self, call_sid: &CallSid) {
        let now = self.inside.clock.since_boot();
        let looked_at = &mut self.state().looked_at;
        looked_at.retain(|(sid, _)| sid != call_sid);
        if looked_at.len() >= LOOKED_AT_MAX {
            looked_at.remove(0);
        }
        looked_at.push((call_sid.clone(), now));
    }

    /// Says why finished calls are held back, in words for a person; none while they are not.
    pub fn held(&self) -> Option<String> {
        match self.course() {
            Course::Held { why } => Some(why),
            Course::Freely | Course::Gently => None,
        }
    }

    /// Returns the calls that somebody looks at.
    pub(crate) fn looked_at(&self) -> Vec<CallSid> {
        let now = self.inside.clock.since_boot();
        let looked_at = &mut self.state().looked_at;
        looked_at.retain(|(_, at)| now.saturating_sub(*at) <= LOOKED_AT_FOR);
        looked_at.iter().map(|(sid, _)| sid.clone()).collect()
    }

    /// Returns how finished calls are to be heard at this moment.
    pub(crate) fn course(&self) -> Course {
        let Inside { clock, machine, live_calls, .. } = &*self.inside;
        let live = live_calls();
        let mut state = self.state();
        if live == 0 {
            state.tight_since = None;
            return Course::Freely;
        }
        state.was_hot = machine.is_hot(state.was_hot);
        let small = machine.cores() < CORES_ENOUGH;
        if !small && !state.was_hot {
            return Course::Gently;
        }
        let now = clock.since_boot();
        let since = *state.tight_since.get_or_insert(now);
        let left = HELD_MAX.saturating_sub(now.saturating_sub(since));
        if left.is_zero() {
            return Course::Gently;
        }
        let calls = if live == 1 { "a call is" } else { "calls are" };
        let because = match machine.cores() {
            _ if state.was_hot => "this box is hot".to_owned(),
            1 => "this box has one core".to_owned(),
            cores => format!("this box has {cores} cores"),
        };
        let minutes = left.as_secs().div_ceil(60);
        let why = format!("waits while {calls} in progress, for {because}: {minutes} min at most");
        Course::Held { why }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No holder leaves it half changed.
        self.inside.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Schedule({:?})", self.inside.machine)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::machine::tests::Box;
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::UnixMillis;

    struct Office {
        clock: Arc<ManualClock>,
        live: Arc<AtomicUsize>,
        hardware: Box,
        schedule: Schedule,
    }

    fn office(cores: usize) -> Office {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(0)));
        let live = Arc::new(AtomicUsize::new(0));
        let hardware = Box::new(cores);
        let seen = Arc::clone(&live);
        let live_calls: LiveCalls = Arc::new(move || seen.load(Ordering::SeqCst));
        let schedule = Schedule::new(clock.clone(), hardware.machine.clone(), live_calls);
        Office { clock, live, hardware, schedule }
    }

    fn sid(n: usize) -> CallSid {
        format!("CA{n:032x}").parse().unwrap()
    }

    #[test]
    fn a_small_box_holds_finished_calls_back_for_half_an_hour_at_most() {
        let office = office(2);
        assert_eq!(office.schedule.course(), Course::Freely);
        office.live.store(2, Ordering::SeqCst);
        assert_eq!(
            office.schedule.held().unwrap(),
            "waits while calls are in progress, for this box has 2 cores: 30 min at most"
        );
        office.clock.advance(HELD_MAX.saturating_sub(Duration::from_secs(1)));
        assert!(office.schedule.held().unwrap().ends_with(": 1 min at most"));
        office.clock.advance(Duration::from_secs(1));
        assert_eq!(office.schedule.course(), Course::Gently);
        office.clock.advance(Duration::from_hours(9));
        assert_eq!(office.schedule.course(), Course::Gently, "calls all day");
        office.live.store(0, Ordering::SeqCst);
        assert_eq!(office.schedule.course(), Course::Freely);
        office.live.store(1, Ordering::SeqCst);
        assert!(office.schedule.held().is_some(), "another stretch");
    }

    #[test]
    fn a_larger_box_holds_them_back_only_while_it_is_hot() {
        let office = office(4);
        office.hardware.heat(60_000);
        office.live.store(1, Ordering::SeqCst);
        assert_eq!(office.schedule.course(), Course::Gently);
        office.hardware.heat(80_000);
        assert_eq!(
            office.schedule.held().unwrap(),
            "waits while a call is in progress, for this box is hot: 30 min at most"
        );
        office.clock.advance(Duration::from_mins(20));
        office.hardware.heat(50_000);
        assert_eq!(office.schedule.course(), Course::Gently);
        office.hardware.heat(80_000);
        office.clock.advance(Duration::from_mins(10));
        assert_eq!(
            office.schedule.course(),
            Course::Gently,
            "heat that comes and goes is one stretch"
        );
        office.live.store(0, Ordering::SeqCst);
        assert_eq!(office.schedule.course(), Course::Freely, "heat alone holds nothing back");
    }

    #[test]
    fn few_calls_are_looked_at_and_not_for_ever() {
        let office = office(2);
        (0..=LOOKED_AT_MAX).for_each(|n| office.schedule.look_at(&sid(n)));
        office.schedule.look_at(&sid(1));
        let looked_at = office.schedule.looked_at();
        assert_eq!(looked_at.len(), LOOKED_AT_MAX);
        assert!(!looked_at.contains(&sid(0)), "the one not looked at for the longest made room");
        office.clock.advance(LOOKED_AT_FOR);
        office.schedule.look_at(&sid(3));
        office.clock.advance(Duration::from_secs(1));
        assert_eq!(office.schedule.looked_at(), [sid(3)]);
    }
}
