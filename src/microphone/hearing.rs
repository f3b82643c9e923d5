//! What is known of a device while it is listened to.

use std::time::Duration;

use super::level::{Level, Meter, is_silence};
use super::opener::Format;
use super::ring::Block;
use super::state::State;
use crate::clock::Drift;

/// A device that gives no sample for so long gives none.
const DEAF_AFTER: Duration = Duration::from_secs(1);

/// How long nothing but silence after it was opened is told as such: from the first second.
const SILENT_AT_FIRST: Duration = Duration::from_secs(1);

/// And how long once something was heard: some headsets give nothing while nobody speaks.
const SILENT_LATER: Duration = Duration::from_secs(30);

/// How often the pace is measured anew.
const PACE_EVERY: Duration = Duration::from_secs(1);

/// Samples that come so far ahead of time come from no sound card: a file that has ended, a
/// broken driver. It is more than any card keeps before it is read.
const AHEAD_MAX: Duration = Duration::from_millis(500);

/// How often the level is told: ten times a second looks like a moving needle.
const LEVEL_EVERY: Duration = Duration::from_millis(100);

/// What is known of a device since it was opened.
pub(super) struct Hearing {
    pub(super) format: Format,
    opened_at: Duration,
    pub(super) drift: Drift,
    pub(super) meter: Meter,
    metered_at: Duration,
    /// When the last block came.
    last_at: Duration,
    /// Samples heard, lost ones included.
    count: u64,
    overruns: u32,
    /// The count of samples and the moment that their pace is measured from.
    pace: (u64, Duration),
    pub(super) begun_by_overrun: bool,
    /// When something else than silence was last heard.
    sound_at: Option<Duration>,
}

impl Hearing {
    pub(super) fn new(format: Format, skew: f64, now: Duration) -> Self {
        Self {
            format,
            opened_at: now,
            drift: Drift::with_skew(format.rate_hz, skew),
            meter: Meter::default(),
            metered_at: now,
            last_at: now,
            count: 0,
            overruns: 0,
            pace: (0, now),
            begun_by_overrun: false,
            sound_at: None,
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.count > 0
    }

    /// Takes note of when a block came; says whether the count of samples means nothing any more.
    pub(super) fn note(&mut self, block: Block, samples: usize) -> bool {
        let overrun = std::mem::replace(&mut self.overruns, block.overruns) != block.overruns;
        if overrun {
            self.begun_by_overrun = true;
            self.drift = Drift::with_skew(self.format.rate_hz, self.drift.skew());
        }
        self.count = block.first + samples as u64;
        self.last_at = block.at;
        self.drift.see(self.count, block.at);
        overrun
    }

    /// Takes note of whether there is anything in it.
    pub(super) fn listen(&mut self, samples: &[f32], at: Duration) {
        if !is_silence(samples) {
            self.sound_at = Some(at);
        }
    }

    /// Says whether more came within a second than there was time for.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 samples")]
    pub(super) fn is_ahead(&mut self, at: Duration) -> bool {
        let (count, since) = self.pace;
        let heard_s = self.count.saturating_sub(count) as f64 / f64::from(self.format.rate_hz);
        let passed = at.saturating_sub(since);
        if passed >= PACE_EVERY {
            self.pace = (self.count, at);
        }
        heard_s > (passed + AHEAD_MAX).as_secs_f64()
    }

    pub(super) fn is_deaf(&self, now: Duration) -> bool {
        now.saturating_sub(self.last_at) >= DEAF_AFTER
    }

    /// Says how it is, as soon as that is known.
    pub(super) fn state(&self, now: Duration) -> Option<State> {
        let (since, patience) = match self.sound_at {
            Some(at) => (at, SILENT_LATER),
            None => (self.opened_at, SILENT_AT_FIRST),
        };
        if now.saturating_sub(since) >= patience {
            return Some(State::Silent { since });
        }
        self.sound_at.map(|_| State::Hearing(self.format))
    }

    pub(super) fn level(&mut self, now: Duration) -> Option<Level> {
        let is_time = now.saturating_sub(self.metered_at) >= LEVEL_EVERY;
        is_time.then(|| {
            self.metered_at = now;
            self.meter.read()
        })
    }
}
