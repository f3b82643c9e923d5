//! Another clock against ours: a sound card's, a browser's, Twilio's.
//!
//! All that is known of such a clock is that it had come to some count when we heard of it. We
//! never hear of it early, only late: by a buffer, a busy processor, a network. So the truth is the
//! line that lies below all that was seen and touches it; how late the rest was does not matter.
//! Of such lines the best is the edge of the lower hull that is below the middle of what was seen
//! (Moon, Skelly and Towsley, "Estimation and removal of clock skew from network delay
//! measurements", 1999).

use std::collections::VecDeque;
use std::time::Duration;

/// Of what is seen within this much of the other clock's time only the least late counts.
const BUCKET_S: f64 = 1.0;

/// So many buckets are looked back on, some two minutes: long enough to tell a few millionths,
/// short enough to follow a crystal that gets warm and a network that finds another way.
const BUCKETS_MAX: usize = 128;

/// A slope from less than this is mostly noise, and from this on it begins to count.
const SPAN_MIN_S: f64 = 10.0;

/// From so much on the slope is believed altogether.
const SPAN_SURE_S: f64 = 60.0;

/// No working clock is further off than a thousandth; a crystal is within a ten-thousandth.
const SKEW_MAX: f64 = 1e-3;

/// What is known of another clock.
#[derive(Debug, Clone)]
pub struct Drift {
    rate_hz: f64,
    /// The slope where nothing is known yet: what it was when this clock was last followed.
    skew_before: f64,
    /// The least late of each bucket, in order; the last one may still change.
    seen: VecDeque<Seen>,
    line: Option<Line>,
}

/// A sighting.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    /// By the other clock, as it counts itself.
    x_s: f64,
    /// What ours was further on.
    ahead_s: f64,
}

/// When, by our clock, the other one comes to which count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    rate_hz: f64,
    /// When it was at 0, in seconds since boot.
    zero_at_s: f64,
    /// How much longer its second takes than ours; above 0 it is slow.
    skew: f64,
}

impl Drift {
    /// Makes one of a clock that says it counts so many a second.
    pub fn new(rate_hz: u32) -> Self {
        Self::with_skew(rate_hz, 0.0)
    }

    /// Makes one of a clock whose skew is known from before, and its count is not.
    pub fn with_skew(rate_hz: u32, skew: f64) -> Self {
        Self {
            rate_hz: f64::from(rate_hz),
            skew_before: skew.clamp(-SKEW_MAX, SKEW_MAX),
            seen: VecDeque::with_capacity(BUCKETS_MAX),
            line: None,
        }
    }

    /// Takes note that the other clock had come to `count` when ours, since boot, was at `at`.
    pub fn see(&mut self, count: u64, at: Duration) {
        let x_s = float(count) / self.rate_hz;
        let new = Seen { x_s, ahead_s: at.as_secs_f64() - x_s };
        match self.seen.back_mut() {
            // What comes from before is later than what came before it.
            Some(last) if bucket(last.x_s) > bucket(x_s) => return,
            Some(last) if bucket(last.x_s) == bucket(x_s) => {
                // By the line known so far: within a bucket it hardly slopes.
                if new.ahead_s >= last.ahead_s {
                    return;
                }
                *last = new;
            }
            _ => {
                if self.seen.len() == BUCKETS_MAX {
                    self.seen.pop_front();
                }
                self.seen.push_back(new);
            }
        }
        self.line = Some(self.fit());
    }

    /// Returns the line, once anything was seen.
    pub fn line(&self) -> Option<Line> {
        self.line
    }

    /// Returns how much longer its second takes than ours, as far as is known.
    pub fn skew(&self) -> f64 {
        self.line.map_or(self.skew_before, |line| line.skew)
    }

    fn fit(&self) -> Line {
        let span_s = match (self.seen.front(), self.seen.back()) {
            (Some(first), Some(last)) => last.x_s - first.x_s,
            _ => 0.0,
        };
        let sure = ((span_s - SPAN_MIN_S) / (SPAN_SURE_S - SPAN_MIN_S)).clamp(0.0, 1.0);
        let seen_skew = if sure > 0.0 { self.hull_skew() } else { self.skew_before };
        let skew =
            (self.skew_before + sure * (seen_skew - self.skew_before)).clamp(-SKEW_MAX, SKEW_MAX);
        let zero_at_s = self.seen.iter().map(|seen| seen.ahead_s - skew * seen.x_s);
        Line { rate_hz: self.rate_hz, zero_at_s: zero_at_s.fold(f64::INFINITY, f64::min), skew }
    }

    /// The slope of the lower hull's edge below the middle of what was seen.
    fn hull_skew(&self) -> f64 {
        let mut hull: Vec<Seen> = Vec::with_capacity(self.seen.len());
        for &seen in &self.seen {
            while let [.., before, last] = hull[..]
                && slope(before, last) >= slope(last, seen)
            {
                hull.pop();
            }
            hull.push(seen);
        }
        let middle_s = self.seen.iter().map(|seen| seen.x_s).sum::<f64>()
            / float(self.seen.len() as u64).max(1.0);
        let below = hull.windows(2).find(|edge| edge[1].x_s >= middle_s);
        below.map_or(self.skew_before, |edge| slope(edge[0], edge[1]))
    }
}

impl Line {
    /// Returns when, in seconds since boot, the other clock is at `count`.
    pub fn at_s(&self, count: f64) -> f64 {
        self.zero_at_s + count / self.rate_hz * (1.0 + self.skew)
    }

    /// Returns the other clock's count at a moment in seconds since boot.
    pub fn count(&self, at_s: f64) -> f64 {
        (at_s - self.zero_at_s) / (1.0 + self.skew) * self.rate_hz
    }

    /// Returns how much longer its second takes than ours.
    pub fn skew(&self) -> f64 {
        self.skew
    }
}

fn slope(from: Seen, to: Seen) -> f64 {
    (to.ahead_s - from.ahead_s) / (to.x_s - from.x_s)
}

#[expect(clippy::cast_possible_truncation, reason = "a call is far shorter than 2^63 s")]
fn bucket(x_s: f64) -> i64 {
    (x_s / BUCKET_S).floor() as i64
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;
