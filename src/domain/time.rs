//! Moments and lengths.

use std::time::Duration;

/// A moment: milliseconds since 1970-01-01T00:00:00Z, by the wall clock as it stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixMillis(i64);

impl UnixMillis {
    /// Takes a count of milliseconds.
    pub const fn new(ms: i64) -> Self {
        Self(ms)
    }

    /// Returns the count of milliseconds.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Returns the time since `earlier`, zero if it was later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns the moment `after` this one.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns the moment `before` this one.
    #[must_use]
    pub fn minus(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(before.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A sampling rate that recordings are kept at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RateHz {
    /// 8000 Hz, the telephone's own.
    Hz8000,
    /// 16000 Hz, the speech model's.
    Hz16000,
}

impl RateHz {
    /// Returns the rate in hertz.
    pub const fn get(self) -> u32 {
        match self {
            Self::Hz8000 => 8000,
            Self::Hz16000 => 16000,
        }
    }

    /// Returns the rate for a number of hertz, if it is one we keep.
    pub const fn from_hz(rate_hz: u32) -> Option<Self> {
        match rate_hz {
            8000 => Some(Self::Hz8000),
            16000 => Some(Self::Hz16000),
            _ => None,
        }
    }
}

/// A place or a length on a call's timeline, in samples of 8 kHz, the clock that all of a
/// call's files share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Samples8k(u64);

impl Samples8k {
    /// The start of the call.
    pub const ZERO: Self = Self(0);

    /// Takes a count of 8 kHz samples.
    pub const fn new(samples: u64) -> Self {
        Self(samples)
    }

    /// Takes milliseconds of the call's timeline.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(8))
    }

    /// Returns the count.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 8
    }

    /// Returns seconds.
    #[expect(clippy::cast_precision_loss, reason = "a call is far shorter than 2^53 samples")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 8000.0
    }

    /// Returns the same place counted in samples of `rate`.
    pub const fn at(self, rate: RateHz) -> u64 {
        match rate {
            RateHz::Hz8000 => self.0,
            RateHz::Hz16000 => self.0.saturating_mul(2),
        }
    }

    /// Returns this place moved on by `samples`.
    #[must_use]
    pub const fn plus(self, samples: u64) -> Self {
        Self(self.0.saturating_add(samples))
    }

    /// Returns the samples from `earlier` to here, zero if it is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Writes how long something lasts, as people say it: two units at most.
pub fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |major: u64, major_unit: &str, minor: u64, minor_unit: &str| match minor {
        0 => format!("{major} {major_unit}"),
        _ => format!("{major} {major_unit} {minor} {minor_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => two(hours, "h", minutes, "min"),
        (days, hours, _) => two(days, "d", hours, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_something_lasts_is_told_in_two_units_at_most() {
        let told = |seconds| lasting(Duration::from_secs(seconds));
        assert_eq!(told(0), "0 s");
        assert_eq!(told(59), "59 s");
        assert_eq!(told(119), "1 min");
        assert_eq!(told(3600), "1 h");
        assert_eq!(told(8 * 3600 + 12 * 60 + 30), "8 h 12 min");
        assert_eq!(told(75 * 3600), "3 d 3 h");
    }
}
