//! Where a snippet of sound is heard again in a longer one.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Samples looked at together, 4 s: of each such block, all but the snippet's own length are
/// places that are tried at once.
const BLOCK: usize = 32_768;

/// Peaks kept while searching. Two matter in the end, and neighbours may merge.
const PEAKS_MAX: usize = 4;

/// Peaks nearer than this to each other are one: 2 ms, less than any voice's pitch period.
const PEAK_WIDTH: u64 = 16;

/// What is less like the snippet than this is not looked at.
const PEAK_MIN: f32 = 0.3;

/// Where the sound has less than this part of the snippet's energy, it is no copy of it.
const ENERGY_MIN: f64 = 0.01;

/// How like the snippet the sound is at a place: 1 for a copy, however loud.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Peak {
    pub(super) place: u64,
    pub(super) likeness: f32,
}

/// The best places of a search.
#[derive(Debug, Clone, Default)]
pub(super) struct Peaks(Vec<Peak>);

impl Peaks {
    fn insert(&mut self, peak: Peak) {
        let lowest = self.0.get(PEAKS_MAX - 1);
        if lowest.is_some_and(|lowest| peak.likeness <= lowest.likeness) {
            return;
        }
        let near = |other: &Peak| other.place.abs_diff(peak.place) <= PEAK_WIDTH;
        if self.0.iter().any(|other| near(other) && other.likeness >= peak.likeness) {
            return;
        }
        self.0.retain(|other| !near(other));
        self.0.push(peak);
        self.0.sort_by(|a, b| b.likeness.total_cmp(&a.likeness));
        self.0.truncate(PEAKS_MAX);
    }

    /// Returns the best place, if the second best is clearly worse: a tone is like itself at every
    /// turn, and what is played twice does not say which time it was.
    pub(super) fn distinct(&self, likeness_min: f32, second_max: f32) -> Option<Peak> {
        let best = self.0.first().filter(|best| best.likeness >= likeness_min)?;
        let second = self.0.get(1).map_or(0.0, |peak| peak.likeness);
        (second <= second_max * best.likeness).then_some(*best)
    }
}

/// Compares by way of the Fourier transform, which tries a whole block of places at once.
pub(super) struct Correlator {
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    /// The conjugate spectrum of the snippet, scaled to its norm.
    snippet: Vec<Complex<f32>>,
    snippet_len: usize,
    snippet_energy: f64,
    time: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    /// The energy of the block before each sample.
    energy: Vec<f64>,
}

impl Correlator {
    pub(super) fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(BLOCK);
        let backward = planner.plan_fft_inverse(BLOCK);
        let (time, spectrum) = (forward.make_input_vec(), forward.make_output_vec());
        let (snippet, snippet_len, snippet_energy, energy) = Default::default();
        Self { forward, backward, snippet, snippet_len, snippet_energy, time, spectrum, energy }
    }

    /// Returns how many places one block has for the snippet.
    pub(super) fn places_per_block(&self) -> u64 {
        (BLOCK - self.snippet_len) as u64 + 1
    }

    /// Returns how many samples a block has.
    pub(super) fn block_len() -> u64 {
        BLOCK as u64
    }

    /// Takes the snippet to look for; what is longer than half a block is cut.
    #[expect(clippy::cast_possible_truncation, reason = "24 bits of a scale are plenty")]
    #[expect(clippy::cast_precision_loss, reason = "a block's length is a small number")]
    pub(super) fn look_for(&mut self, snippet: &[f32]) {
        let snippet = &snippet[..snippet.len().min(BLOCK / 2)];
        self.snippet_len = snippet.len();
        self.snippet_energy = snippet.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        self.load(snippet);
        self.transform();
        // The way there and back multiplies by the length of a block.
        let scale = 1.0 / (BLOCK as f64 * self.snippet_energy.sqrt().max(f64::MIN_POSITIVE));
        self.snippet = self.spectrum.iter().map(|value| value.conj() * scale as f32).collect();
    }

    /// Searches one block of sound that begins at `at`, for places before `end`.
    #[expect(clippy::cast_possible_truncation, reason = "24 bits of a likeness are plenty")]
    pub(super) fn search(&mut self, sound: &[f32], at: u64, end: u64, peaks: &mut Peaks) {
        let sound = &sound[..sound.len().min(BLOCK)];
        self.load(sound);
        self.energy.clear();
        self.energy.push(0.0);
        let mut sum = 0.0;
        for sample in sound {
            sum += f64::from(*sample).powi(2);
            self.energy.push(sum);
        }
        self.transform();
        for (value, snippet) in self.spectrum.iter_mut().zip(&self.snippet) {
            *value *= snippet;
        }
        self.transform_back();
        let floor = ENERGY_MIN * self.snippet_energy;
        let ends = self.energy.iter().skip(self.snippet_len);
        let places = self.time.iter().zip(self.energy.iter().zip(ends));
        for (place, (product, (before, after))) in (at..end).zip(places) {
            let energy = after - before;
            if energy <= floor {
                continue;
            }
            let likeness = (f64::from(*product) / energy.sqrt()) as f32;
            if likeness >= PEAK_MIN {
                peaks.insert(Peak { place, likeness });
            }
        }
    }

    fn load(&mut self, sound: &[f32]) {
        self.time.fill(0.0);
        for (place, sample) in self.time.iter_mut().zip(sound) {
            *place = *sample;
        }
    }

    #[expect(clippy::expect_used, reason = "both buffers were made by the plan itself")]
    fn transform(&mut self) {
        self.forward
            .process(&mut self.time, &mut self.spectrum)
            .expect("buffers of the plan's own lengths");
    }

    fn transform_back(&mut self) {
        // The first and last value of a real signal's spectrum are real; what rounding left of
        // their imaginary parts is dropped, and that is all that is ever complained of.
        let _rounded = self.backward.process(&mut self.spectrum, &mut self.time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u32, count: usize) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((state >> 16) as u16) / 32_768.0 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    fn peaks(snippet: &[f32], sound: &[f32]) -> Peaks {
        let mut correlator = Correlator::new();
        correlator.look_for(snippet);
        let mut peaks = Peaks::default();
        correlator.search(sound, 100, 100 + correlator.places_per_block(), &mut peaks);
        peaks
    }

    #[test]
    fn a_quieter_copy_is_found_on_its_very_sample() {
        let sound = noise(1, BLOCK);
        for place in [0_usize, 1, 777, BLOCK - 4000] {
            let snippet: Vec<f32> = sound[place..place + 4000].iter().map(|s| s * 0.1).collect();
            let best = peaks(&snippet, &sound).distinct(0.5, 0.9).unwrap();
            assert_eq!(best.place, 100 + place as u64);
            assert!((best.likeness - 1.0).abs() < 1e-3, "{}", best.likeness);
        }
    }

    #[test]
    fn other_noise_a_tone_and_silence_are_found_nowhere() {
        let sound = noise(1, BLOCK);
        assert!(peaks(&noise(2, 4000), &sound).distinct(0.5, 0.9).is_none());
        assert!(peaks(&sound[..4000], &vec![0.0; BLOCK]).distinct(0.5, 0.9).is_none());
        assert!(peaks(&vec![0.0; 4000], &sound).distinct(0.5, 0.9).is_none());
        let tone: Vec<f32> = (0..20_u16).cycle().map(|n| f32::from(n) - 9.5).take(BLOCK).collect();
        assert!(peaks(&tone[..4000], &tone).distinct(0.5, 0.9).is_none());
    }

    #[test]
    fn what_is_played_twice_does_not_say_which_time_it_was() {
        let mut sound = noise(1, BLOCK);
        sound.copy_within(0..4000, 20_000);
        let snippet = sound[..4000].to_vec();
        assert!(peaks(&snippet, &sound).distinct(0.5, 0.9).is_none());
        assert!(peaks(&snippet, &sound[..20_000]).distinct(0.5, 0.9).is_some());
    }
}
