//! How much room there has to be: the lines between green, amber, red and black.
//!
//! The floor is what the owner wants left free. Above it lies what live calls may still need, then
//! an hour of as many calls as may be, then a day as days are here. A small disk has less of each,
//! so that it is of use at all.

use std::time::Duration;

use crate::domain::RateHz;
use crate::vault::{Mark, Space};

/// How long live calls, and one more, go on above the floor.
const LIVE_AHEAD: Duration = Duration::from_mins(10);

/// How long as many calls as may be go on above that.
const BUSY_AHEAD: Duration = Duration::from_hours(1);

/// The share of the disk that each of these takes at most: one of so many parts.
const LIVE_PARTS: u64 = 4;
const BUSY_PARTS: u64 = 8;
const DAY_PARTS: u64 = 8;

/// What the lines are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// What the owner wants left free.
    pub floor_bytes: u64,
    /// What a second of one call takes.
    pub call_bytes_per_s: u64,
    /// As many calls as may be live.
    pub calls_max: u64,
    /// As many as are.
    pub calls_live: u64,
    /// What a day takes, of late.
    pub day_bytes: u64,
}

/// Below each of these many free bytes the mark is that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lines {
    /// What the owner wants left free.
    pub floor_bytes: u64,
    /// No new call is heard here.
    pub black_bytes: u64,
    /// Whatever may go makes room.
    pub red_bytes: u64,
    /// What is made again from what stays makes room.
    pub amber_bytes: u64,
}

/// Returns what a second of a call of two parties takes.
pub fn call_bytes_per_s(rates: &[RateHz]) -> u64 {
    let samples: u64 = rates.iter().map(|rate| u64::from(rate.get())).sum();
    // Two parties, two bytes a sample.
    samples * 4
}

impl Lines {
    /// Draws them for a disk of `total_bytes`.
    pub fn draw(load: &Load, total_bytes: u64) -> Self {
        let calls = |count: u64, time: Duration| {
            count.saturating_mul(load.call_bytes_per_s).saturating_mul(time.as_secs())
        };
        let at_most = |bytes: u64, parts: u64| bytes.min(total_bytes / parts);
        let live = at_most(calls(load.calls_live + 1, LIVE_AHEAD), LIVE_PARTS);
        let busy = at_most(calls(load.calls_max, BUSY_AHEAD), BUSY_PARTS);
        let day = at_most(load.day_bytes, DAY_PARTS);
        let black_bytes = load.floor_bytes.saturating_add(live);
        let red_bytes = black_bytes.saturating_add(busy);
        let amber_bytes = red_bytes.saturating_add(day);
        Self { floor_bytes: load.floor_bytes, black_bytes, red_bytes, amber_bytes }
    }

    /// Says where a disk stands.
    pub fn mark(&self, space: Space) -> Mark {
        match space.free_bytes {
            free if free < self.floor_bytes => Mark::Spent,
            free if free < self.black_bytes => Mark::Black,
            free if free < self.red_bytes => Mark::Red,
            free if free < self.amber_bytes => Mark::Amber,
            _ => Mark::Green,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn load() -> Load {
        Load {
            floor_bytes: GIB,
            call_bytes_per_s: call_bytes_per_s(&[RateHz::Hz8000, RateHz::Hz16000]),
            calls_max: 16,
            calls_live: 2,
            day_bytes: 3 * GIB,
        }
    }

    #[test]
    fn a_card_of_128_gib_has_an_hour_of_sixteen_calls_between_red_and_black() {
        let lines = Lines::draw(&load(), 128 * GIB);
        assert_eq!(lines.black_bytes, GIB + 3 * 96_000 * 600);
        assert_eq!(lines.red_bytes - lines.black_bytes, 16 * 96_000 * 3600);
        assert_eq!(lines.amber_bytes - lines.red_bytes, 3 * GIB);
        let mark = |free_bytes| lines.mark(Space { total_bytes: 128 * GIB, free_bytes });
        assert_eq!(mark(GIB - 1), Mark::Spent);
        assert_eq!(mark(GIB), Mark::Black);
        assert_eq!(mark(2 * GIB), Mark::Red);
        assert_eq!(mark(9 * GIB), Mark::Amber);
        assert_eq!(mark(10 * GIB), Mark::Green);
    }

    #[test]
    fn an_empty_disk_is_green_however_small_it_is_above_the_floor() {
        for total in [64 << 20, 256 << 20, GIB, 16 * GIB] {
            let lines = Lines::draw(&Load { floor_bytes: total / 8, ..load() }, total);
            assert!(lines.amber_bytes < total * 3 / 4, "{total}: {lines:?}");
        }
    }
}
