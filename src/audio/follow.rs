//! From a clock that is not quite right to 16 kHz that is, steered while it runs.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Adjustable as _, Async, FixedAsync, Resampler as _, SincInterpolationParameters,
    SincInterpolationType, WindowFunction,
};

use super::resample::{FILTER_LEN, FINE_STEPS, RATE_HZ_MAX, RATE_HZ_MIN, RateError};

/// The rate that comes out.
const OUT_HZ: f64 = 16_000.0;

/// Samples that come out at once: 20 ms.
pub const FOLLOWED_CHUNK: usize = 320;

/// The furthest that the speed is turned, in parts of one: four times less than anybody hears.
pub const SPEED_SPAN: f64 = 0.005;

/// The most that the speed changes from one chunk to the next, so that no ear hears it change.
const SPEED_STEP: f64 = 1e-4;

/// Brings sound of any rate to 16 kHz at a speed that can be turned while it runs, so that it keeps
/// step with another clock.
///
/// It always knows where in what went in the next sample that comes out is taken from, to a small
/// part of a sample: whoever steers it needs no other measure.
pub struct Follower {
    filter: Async<f32>,
    /// Nominal: samples out for a sample in.
    ratio: f64,
    speed: f64,
    /// Where the sample before the next one was taken from, counted in samples that went in.
    taken_at: f64,
    pending: Vec<f32>,
    produced: Vec<f32>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Follower({:.0} Hz x {:.6})", OUT_HZ / self.ratio, self.speed)
    }
}

impl Follower {
    /// Makes one for a sound card of this rate. What it gives first lies before the first sample
    /// that goes in: see [`next_at`](Self::next_at).
    pub fn new(from_hz: u32) -> Result<Self, RateError> {
        if !(RATE_HZ_MIN..=RATE_HZ_MAX).contains(&from_hz) {
            return Err(RateError { rate_hz: from_hz });
        }
        let ratio = OUT_HZ / f64::from(from_hz);
        let len = FILTER_LEN * (from_hz.div_ceil(16_000) as usize);
        let shape = SincInterpolationParameters::new(len, WindowFunction::Blackman2)
            .oversampling_factor(FINE_STEPS)
            .interpolation(SincInterpolationType::Cubic);
        let span = 1.0 + 2.0 * SPEED_SPAN;
        let filter = Self::filter(ratio, span, &shape);
        Ok(Self {
            ratio,
            speed: 1.0,
            taken_at: before_first(len),
            pending: Vec::with_capacity(2 * filter.input_frames_max()),
            produced: vec![0.0; FOLLOWED_CHUNK],
            filter,
        })
    }

    #[expect(
        clippy::expect_used,
        reason = "the rate was checked: the ratio is neither 0 nor absurd"
    )]
    fn filter(ratio: f64, span: f64, shape: &SincInterpolationParameters) -> Async<f32> {
        Async::new_sinc(ratio, span, shape, FOLLOWED_CHUNK, 1, FixedAsync::Output)
            .expect("a finite ratio above zero and a whole chunk")
    }

    /// Returns where in what went in the next sample that comes out is taken from. Below 0 it lies
    /// before all that went in, and is silence.
    pub fn next_at(&self) -> f64 {
        self.taken_at + self.step()
    }

    /// Returns how many samples that go in make one that comes out.
    pub fn step(&self) -> f64 {
        self.speed / self.ratio
    }

    /// Turns the speed towards this many times the nominal one, as far as is allowed at once.
    pub fn turn(&mut self, speed: f64) {
        let wanted = speed.clamp(1.0 - SPEED_SPAN, 1.0 + SPEED_SPAN);
        let speed = wanted.clamp(self.speed - SPEED_STEP, self.speed + SPEED_STEP);
        // Within the span that the filter was made for; where it is refused the old speed stays.
        if self.filter.set_resample_ratio(self.ratio / speed, false).is_ok() {
            self.speed = speed;
        }
    }

    /// Takes any number of samples.
    pub fn push(&mut self, samples: &[f32]) {
        self.pending.extend_from_slice(samples);
    }

    /// Says whether there is enough for the next chunk.
    pub fn is_ready(&self) -> bool {
        self.pending.len() >= self.filter.input_frames_next()
    }

    /// Returns the next [`FOLLOWED_CHUNK`] samples, if there is enough for them.
    pub fn take(&mut self) -> Option<&[f32]> {
        let needed = self.filter.input_frames_next();
        if self.pending.len() < needed {
            return None;
        }
        self.process(needed);
        #[expect(clippy::cast_precision_loss, reason = "a chunk is 320 samples")]
        {
            self.taken_at += FOLLOWED_CHUNK as f64 * self.step();
        }
        Some(&self.produced)
    }

    #[expect(clippy::expect_used, reason = "both buffers are as large as the filter asked for")]
    fn process(&mut self, needed: usize) {
        let given = &self.pending[..needed];
        let input = InterleavedSlice::new(given, 1, needed).expect("as long as its slice");
        let mut output = InterleavedSlice::new_mut(&mut self.produced, 1, FOLLOWED_CHUNK)
            .expect("as long as its slice");
        self.filter
            .process_into_buffer(&input, &mut output, None)
            .expect("a whole chunk and room for the answer");
        self.pending.drain(..needed);
    }

    /// Returns how many samples of silence, pushed behind the last one, bring out all of it.
    pub fn tail(&self) -> usize {
        self.filter.input_frames_max()
    }
}

/// One step before where rubato takes its very first sample from: half a filter before the first one
/// that goes in, and one fine step on.
#[expect(clippy::cast_precision_loss, reason = "a filter is a few thousand samples long")]
fn before_first(len: usize) -> f64 {
    -(len as f64) / 2.0 + 1.0 / FINE_STEPS as f64
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
