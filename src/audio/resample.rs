//! From one sampling rate to another, piece by piece, without a sample's drift.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

use crate::domain::RateHz;

/// The lowest rate of a file that is worth resampling: the telephone's.
pub const RATE_HZ_MIN: u32 = 8_000;

/// The highest rate that sound cards record at.
pub const RATE_HZ_MAX: u32 = 192_000;

/// The filter's length in samples of the lower rate. With this window it is flat to 0.85 of the
/// band (3.4 kHz of a telephone's 4) and silent beyond the band's edge, and it looks 8 ms ahead.
pub(super) const FILTER_LEN: usize = 128;

/// Steps between two samples for rates that share no small fraction; cubic interpolation
/// between that many leaves an error below 16 bits.
pub(super) const FINE_STEPS: usize = 256;

/// The largest fraction computed exactly: 11025 Hz to 16000 Hz is 441:640.
const EXACT_STEPS_MAX: u32 = 640;

/// Samples are worked on in pieces of this part of a second, one frame of a Twilio stream.
/// Together with the filter's 8 ms, at most 28 ms of sound are inside at any time.
const CHUNKS_PER_SECOND: u32 = 50;

/// A rate that no recording has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rate_hz} Hz is not a rate of speech: {RATE_HZ_MIN} to {RATE_HZ_MAX} Hz are")]
pub struct RateError {
    pub(super) rate_hz: u32,
}

/// Doubles the rate of a telephone track, 8 kHz to 16 kHz, while it is being heard.
///
/// Sample `2n` that comes out stands at the same moment as sample `n` that went in, and after
/// [`finish`](Self::finish) there are exactly twice as many, however they were pushed.
#[derive(Debug)]
pub struct Upsampler {
    pcm: Pcm,
}

impl Upsampler {
    /// Makes one that has heard nothing yet.
    pub fn new() -> Self {
        Self { pcm: Pcm::new(Converter::new(8_000, 16_000)) }
    }

    /// Takes any number of samples and appends what can be computed by now.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        self.pcm.push(samples, out);
    }

    /// Appends what is still inside the filter; the next push begins a new track.
    pub fn finish(&mut self, out: &mut Vec<i16>) {
        self.pcm.finish(out);
    }
}

impl Default for Upsampler {
    fn default() -> Self {
        Self::new()
    }
}

/// Halves the rate of a track that is heard at 16 kHz, for the file at the telephone's.
///
/// Sample `n` that comes out stands at the same moment as sample `2n` that went in, and after
/// [`finish`](Self::finish) there are exactly half as many, however they were pushed.
#[derive(Debug)]
pub struct Downsampler {
    pcm: Pcm,
}

impl Downsampler {
    /// Makes one that has heard nothing yet.
    pub fn new() -> Self {
        // rubato looks at every odd sample; one in front makes these the even ones.
        Self { pcm: Pcm::new(Converter::behind(1, 16_000, 8_000)) }
    }

    /// Takes any number of samples and appends what can be computed by now.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        self.pcm.push(samples, out);
    }

    /// Appends what is still inside the filter; the next push begins a new track.
    pub fn finish(&mut self, out: &mut Vec<i16>) {
        self.pcm.finish(out);
    }
}

impl Default for Downsampler {
    fn default() -> Self {
        Self::new()
    }
}

/// A converter of 16-bit samples.
#[derive(Debug)]
struct Pcm {
    converter: Converter,
    scratch: Vec<f32>,
}

impl Pcm {
    fn new(converter: Converter) -> Self {
        Self { converter, scratch: Vec::new() }
    }

    fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        self.scratch.clear();
        self.converter.push(samples.iter().map(|sample| f32::from(*sample)), &mut self.scratch);
        out.extend(self.scratch.iter().map(|sample| super::round_to_i16(*sample)));
    }

    fn finish(&mut self, out: &mut Vec<i16>) {
        self.scratch.clear();
        self.converter.finish(&mut self.scratch);
        out.extend(self.scratch.iter().map(|sample| super::round_to_i16(*sample)));
    }
}

/// Brings one channel of a file to a rate we keep, in constant memory.
///
/// `n` samples at `from_hz` become `n * to / from_hz`, rounded, each at its moment.
#[derive(Debug)]
pub struct Resampler {
    /// `None` where the rates are equal: those samples pass untouched.
    converter: Option<Converter>,
}

impl Resampler {
    /// Makes one from any rate a file may have.
    pub fn new(from_hz: u32, to: RateHz) -> Result<Self, RateError> {
        if !(RATE_HZ_MIN..=RATE_HZ_MAX).contains(&from_hz) {
            return Err(RateError { rate_hz: from_hz });
        }
        let converter = (from_hz != to.get()).then(|| Converter::new(from_hz, to.get()));
        Ok(Self { converter })
    }

    /// Takes any number of samples and appends what can be computed by now.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        match &mut self.converter {
            Some(converter) => converter.push(samples.iter().copied(), out),
            None => out.extend_from_slice(samples),
        }
    }

    /// Appends what is still inside the filter; the next push begins a new sound.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        if let Some(converter) = &mut self.converter {
            converter.finish(out);
        }
    }
}

/// One continuous band-limited resampler, fed in pieces of one size so that its output cannot
/// depend on the sizes of the pushes.
struct Converter {
    from_hz: u32,
    to_hz: u32,
    filter: Async<f32>,
    /// What awaits a whole chunk.
    pending: Vec<f32>,
    /// So many samples of silence go in before the first one.
    silence: usize,
    produced: Vec<f32>,
    /// Output samples still to drop because they lie before the first input sample.
    lead: usize,
    lead_at_start: usize,
    taken: u64,
    given: u64,
}

impl std::fmt::Debug for Converter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Converter({} Hz -> {} Hz)", self.from_hz, self.to_hz)
    }
}

impl Converter {
    fn new(from_hz: u32, to_hz: u32) -> Self {
        Self::behind(0, from_hz, to_hz)
    }

    #[expect(clippy::expect_used, reason = "rates were checked: none is zero or absurd")]
    fn behind(silence: usize, from_hz: u32, to_hz: u32) -> Self {
        let ratio = f64::from(to_hz) / f64::from(from_hz);
        let (steps, interpolation) = match to_hz / gcd(from_hz, to_hz) {
            exact @ 1..=EXACT_STEPS_MAX => (exact as usize, SincInterpolationType::Nearest),
            _ => (FINE_STEPS, SincInterpolationType::Cubic),
        };
        let len = FILTER_LEN * (from_hz.div_ceil(to_hz) as usize);
        let filter_shape = SincInterpolationParameters::new(len, WindowFunction::Blackman2)
            .oversampling_factor(steps)
            .interpolation(interpolation);
        let chunk = (from_hz / CHUNKS_PER_SECOND) as usize;
        let filter = Async::new_sinc(ratio, 1.0, &filter_shape, chunk, 1, FixedAsync::Input)
            .expect("a finite ratio above zero and a chunk of at least 160");
        let lead = lead(ratio, len, steps, silence);
        let mut pending = Vec::with_capacity(chunk);
        pending.resize(silence, 0.0);
        Self {
            from_hz,
            to_hz,
            pending,
            silence,
            produced: vec![0.0; filter.output_frames_max()],
            filter,
            lead,
            lead_at_start: lead,
            taken: 0,
            given: 0,
        }
    }

    fn push(&mut self, samples: impl Iterator<Item = f32>, out: &mut Vec<f32>) {
        let chunk = self.filter.input_frames_next();
        for sample in samples {
            self.pending.push(sample);
            self.taken += 1;
            if self.pending.len() == chunk {
                self.process(out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<f32>) {
        let (from, to) = (u64::from(self.from_hz), u64::from(self.to_hz));
        let due = (self.taken * to + from / 2) / from;
        let spoken = out.len();
        let given_before = self.given;
        while self.given < due {
            self.pending.resize(self.filter.input_frames_next(), 0.0);
            self.process(out);
        }
        out.truncate(spoken + usize::try_from(due - given_before).unwrap_or(usize::MAX));
        self.filter.reset();
        self.pending.clear();
        self.pending.resize(self.silence, 0.0);
        (self.lead, self.taken, self.given) = (self.lead_at_start, 0, 0);
    }

    #[expect(clippy::expect_used, reason = "both buffers are as large as the filter asked for")]
    fn process(&mut self, out: &mut Vec<f32>) {
        let room = self.produced.len();
        let input = InterleavedSlice::new(self.pending.as_slice(), 1, self.pending.len())
            .expect("one channel is as long as its slice");
        let mut output = InterleavedSlice::new_mut(self.produced.as_mut_slice(), 1, room)
            .expect("one channel is as long as its slice");
        let (_, produced) = self
            .filter
            .process_into_buffer(&input, &mut output, None)
            .expect("a whole chunk and room for the longest answer");
        self.pending.clear();
        let skipped = self.lead.min(produced);
        self.lead -= skipped;
        out.extend_from_slice(&self.produced[skipped..produced]);
        self.given += (produced - skipped) as u64;
    }
}

/// How many output samples come before the one that stands where the first input sample does.
///
/// rubato's first output looks at input position `-len/2 + 1/ratio + 1/steps` and each next one
/// `1/ratio` further, so this is the `k` nearest to where that line crosses zero. For 8 kHz to
/// 16 kHz it is exact; else it is at most half an output sample (31 us) off.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
#[expect(clippy::cast_precision_loss, reason = "a filter is a few thousand samples long")]
fn lead(ratio: f64, len: usize, steps: usize, silence: usize) -> usize {
    (ratio * (len as f64 / 2.0 - 1.0 / steps as f64 + silence as f64) - 1.0).round() as usize
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
#[path = "resample_tests.rs"]
mod tests;
