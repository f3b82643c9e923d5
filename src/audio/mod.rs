//! Samples in, samples out: the telephone's codecs, rates, and the WAV container.
//!
//! Invariant: no sample is invented or dropped. What goes in has exactly one place in what comes
//! out, whatever the sizes of the pieces it comes in, and a broken file is refused by name or
//! read as far as it goes, never guessed at.
//!
//! Not here: paths, files being written (vault), tokio, and when a sample was spoken (capture).

pub mod alaw;
mod follow;
mod resample;
pub mod ulaw;
mod wav;
mod wav_reader;

pub use follow::{FOLLOWED_CHUNK, Follower, SPEED_SPAN};
pub use resample::{Downsampler, RATE_HZ_MAX, RATE_HZ_MIN, RateError, Resampler, Upsampler};
pub use wav::{WAV_DATA_BYTES_MAX, WAV_HEADER_BYTES, wav_header};
pub use wav_reader::{CHANNELS_MAX, WavError, WavReader};

/// Rounds a sample in -1.0 to 1.0 to 16 bits; what is louder than that is clipped.
pub fn pcm16(sample: f32) -> i16 {
    round_to_i16(sample * 32768.0)
}

/// Rounds to the nearest 16-bit sample, clipping what does not fit and silencing what is no
/// number.
#[expect(clippy::cast_possible_truncation, reason = "a float-to-int cast clips, which is meant")]
fn round_to_i16(value: f32) -> i16 {
    value.round() as i16
}

/// Appends both speakers heard together: the clipped sum, and after the end of the shorter one
/// the rest of the longer.
pub fn mix(a: &[i16], b: &[i16], out: &mut Vec<i16>) {
    let both = a.len().min(b.len());
    out.reserve(a.len().max(b.len()));
    out.extend(a.iter().zip(b).map(|(a, b)| a.saturating_add(*b)));
    out.extend_from_slice(&a[both..]);
    out.extend_from_slice(&b[both..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_speakers_together_are_their_clipped_sum() {
        let mut out = vec![7];
        mix(&[1, 30_000, -30_000, 5], &[2, 30_000, -30_000], &mut out);
        assert_eq!(out, [7, 3, 32_767, -32_768, 5]);
        mix(&[], &[9], &mut out);
        assert_eq!(out.last(), Some(&9));
    }

    #[test]
    fn a_float_sample_rounds_to_its_nearest_16_bits_and_clips() {
        assert_eq!(pcm16(0.0), 0);
        assert_eq!(pcm16(1.0), 32_767);
        assert_eq!(pcm16(-1.0), -32_768);
        assert_eq!(pcm16(9.0), 32_767);
        assert_eq!(pcm16(f32::NAN), 0);
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(pcm16(f32::from(sample) / 32768.0), sample);
        }
    }
}
