//! How loud it is.

/// A sample that no microphone gives while it hears anything: one step of 16 bits.
const NOTHING: f32 = 1.5 / 32_768.0;

/// How loud a stretch of sound was, as parts of full scale.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    /// The loudest sample.
    pub peak: f32,
    /// The root of the mean square.
    pub rms: f32,
}

/// Takes sound in until it is asked how loud it was.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter {
    peak: f32,
    squares: f64,
    samples: u32,
}

impl Meter {
    pub(super) fn take(&mut self, samples: &[f32]) {
        for sample in samples {
            self.peak = self.peak.max(sample.abs());
            self.squares += f64::from(*sample) * f64::from(*sample);
        }
        self.samples = self.samples.saturating_add(u32::try_from(samples.len()).unwrap_or(0));
    }

    /// Says how loud it was, and begins anew.
    #[expect(clippy::cast_possible_truncation, reason = "a level needs no more digits")]
    pub(super) fn read(&mut self) -> Level {
        let Self { peak, squares, samples } = std::mem::take(self);
        Level { peak, rms: (squares / f64::from(samples.max(1))).sqrt() as f32 }
    }
}

/// Says whether there is nothing in it but digital silence.
pub(super) fn is_silence(samples: &[f32]) -> bool {
    samples.iter().all(|sample| sample.abs() < NOTHING)
}

impl Level {
    /// Below this a level is told as this, in dB of full scale: below 16 bits.
    pub const FLOOR_DBFS: f32 = -96.0;

    /// Returns the loudest sample in dB of full scale.
    pub fn peak_dbfs(&self) -> f32 {
        dbfs(self.peak)
    }

    /// Returns the mean in dB of full scale.
    pub fn rms_dbfs(&self) -> f32 {
        dbfs(self.rms)
    }
}

fn dbfs(part: f32) -> f32 {
    (20.0 * part.max(f32::MIN_POSITIVE).log10()).max(Level::FLOOR_DBFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_wave_is_as_loud_as_its_samples_and_a_meter_begins_anew() {
        let mut meter = Meter::default();
        meter.take(&[0.5, -0.5]);
        meter.take(&[0.5, -0.5]);
        let level = meter.read();
        assert!((level.peak_dbfs() + 6.02).abs() < 0.01 && (level.rms_dbfs() + 6.02).abs() < 0.01);
        assert_eq!(meter.read(), Level::default());
        assert!((Level::default().peak_dbfs() - Level::FLOOR_DBFS).abs() < f32::EPSILON);
    }

    #[test]
    fn one_step_of_16_bits_is_silence_and_two_are_not() {
        assert!(is_silence(&[0.0, 1.0 / 32_768.0, -1.0 / 32_768.0]));
        assert!(!is_silence(&[0.0, 2.0 / 32_768.0]));
    }
}
