//! Whether the wall clock can be trusted to say what is past its days: it is synchronised, and has
//! run as the boot clock does for a while.

use std::time::Duration;

use crate::domain::UnixMillis;

/// How long it has to have been so.
const SETTLED_AFTER: Duration = Duration::from_hours(1);

/// How far the two clocks may come apart between two looks: a time daemon corrects by less.
const APART_MAX: Duration = Duration::from_mins(1);

/// What was seen of the clock.
#[derive(Debug, Default)]
pub(super) struct Steady {
    /// Since when, by the boot clock.
    since: Option<Duration>,
    /// Both clocks when last looked at.
    last: Option<(UnixMillis, Duration)>,
}

impl Steady {
    /// Takes a look.
    pub(super) fn note(&mut self, synchronised: bool, now: (UnixMillis, Duration)) {
        let jumped = self.last.is_some_and(|last| apart(last, now) > APART_MAX);
        self.last = Some(now);
        if !synchronised || jumped {
            self.since = None;
        }
        if synchronised {
            self.since.get_or_insert(now.1);
        }
    }

    /// Says whether that is long enough.
    pub(super) fn is_settled(&self, since_boot: Duration) -> bool {
        self.since.is_some_and(|since| since_boot.saturating_sub(since) >= SETTLED_AFTER)
    }
}

/// How differently the two clocks have moved.
fn apart(before: (UnixMillis, Duration), now: (UnixMillis, Duration)) -> Duration {
    let forward = now.0.since(before.0);
    let back = before.0.since(now.0);
    let passed = now.1.saturating_sub(before.1);
    back.max(forward.abs_diff(passed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_trusted_when_it_has_run_as_it_should_for_an_hour() {
        let mut steady = Steady::default();
        let at = |minute: u64, off_ms: i64| {
            let passed = Duration::from_mins(minute);
            let wall = UnixMillis::new(1_790_000_000_000 + off_ms).plus(passed);
            (wall, passed)
        };
        for minute in 0..60 {
            steady.note(true, at(minute, 0));
        }
        assert!(!steady.is_settled(Duration::from_mins(59)));
        steady.note(true, at(60, 500));
        assert!(steady.is_settled(Duration::from_hours(1)));
        let ten_years = 315_360_000_000;
        steady.note(true, at(61, ten_years));
        assert!(!steady.is_settled(Duration::from_mins(61)), "it jumped ahead");
        steady.note(true, at(121, ten_years));
        assert!(steady.is_settled(Duration::from_mins(121)), "and stayed there");
        steady.note(true, at(122, 0));
        assert!(!steady.is_settled(Duration::from_mins(122)), "it jumped back");
        steady.note(false, at(200, 0));
        assert!(!steady.is_settled(Duration::from_mins(200)), "it is not synchronised");
    }
}
