//! The sound of a recording, as a WAV of 8 kHz and 16 bits that can be read from any byte.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};

use crate::audio::{WAV_HEADER_BYTES, wav_header};
use crate::domain::RateHz;

/// Samples a second of every recording.
const RATE: u64 = 8000;

/// The bytes that made-up sound repeats, each time with its own number in front: a whole number
/// of frames of one and of two channels.
const BLOCK_BYTES: usize = 64 * 1024;

/// How loud made-up sound is: the mask of a sample's upper byte, so at most 2047 of 32767.
const HUSH: u8 = 0x07;

/// What a recording sounds like. Cheap to clone.
#[derive(Clone)]
pub struct Media {
    channels: u16,
    frames: u64,
    /// Frames of the source that lie before the first.
    skipped: u64,
    source: Source,
}

#[derive(Clone)]
enum Source {
    /// Interleaved samples.
    Held(Arc<[u8]>),
    /// One block for any length.
    Noise(Arc<[u8]>),
    /// Another's two channels in one.
    Mixed(Arc<Media>),
}

/// Shows its size, not its sound.
impl fmt::Debug for Media {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Media({} channels, {:?})", self.channels, self.length())
    }
}

impl Media {
    /// Takes two channels; the shorter one is filled with silence.
    pub fn dual(first: &[i16], second: &[i16]) -> Self {
        let frames = first.len().max(second.len());
        let at = |channel: &[i16], place: usize| channel.get(place).copied().unwrap_or(0);
        let samples = (0..frames).flat_map(|place| [at(first, place), at(second, place)]);
        Self::held(2, frames, samples)
    }

    /// Takes one channel.
    pub fn mono(samples: &[i16]) -> Self {
        Self::held(1, samples.len(), samples.iter().copied())
    }

    /// Makes soft noise of any length up, at the cost of 64 KiB. No two blocks of it are the same.
    pub fn noise(channels: u16, length: Duration, seed: u64) -> Self {
        let mut block = vec![0; BLOCK_BYTES];
        StdRng::seed_from_u64(seed).fill_bytes(&mut block);
        for sample in block.chunks_exact_mut(2) {
            sample[1] &= HUSH;
        }
        let frames =
            u64::try_from(length.as_millis()).unwrap_or(u64::MAX).saturating_mul(RATE / 1000);
        Self { channels, frames, skipped: 0, source: Source::Noise(block.into()) }
    }

    fn held(channels: u16, frames: usize, samples: impl Iterator<Item = i16>) -> Self {
        let bytes: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
        Self { channels, frames: frames as u64, skipped: 0, source: Source::Held(bytes.into()) }
    }

    /// Returns the number of channels.
    pub fn channels(&self) -> u16 {
        self.channels
    }

    /// Returns how long it is.
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.frames / (RATE / 1000))
    }

    /// Returns the bytes of the whole WAV, its header among them.
    pub fn size_bytes(&self) -> u64 {
        WAV_HEADER_BYTES + self.data_bytes()
    }

    /// Returns at most `up_to` bytes of the WAV from the byte `at`, none behind its end.
    pub fn read(&self, at: u64, up_to: usize) -> Vec<u8> {
        let left = usize::try_from(self.size_bytes().saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = up_to.min(left);
        let header = self.header(None);
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(header.len());
        let mut bytes: Vec<u8> = header.into_iter().skip(from).take(wanted).collect();
        let data_at = at.saturating_sub(WAV_HEADER_BYTES);
        bytes.extend(self.data(data_at, wanted - bytes.len()));
        bytes
    }

    /// Returns the whole WAV.
    pub fn wav(&self) -> Vec<u8> {
        self.read(0, usize::MAX)
    }

    /// Returns what is left of it when recording begins late.
    #[must_use]
    pub(in super::super) fn begun_at(&self, frame: u64) -> Self {
        let frame = frame.min(self.frames);
        let skipped = self.skipped + frame;
        Self { frames: self.frames - frame, skipped, ..self.clone() }
    }

    /// Returns it in one channel.
    #[must_use]
    pub(super) fn mixed(&self) -> Self {
        if self.channels == 1 {
            return self.clone();
        }
        let source = Source::Mixed(Arc::new(self.clone()));
        Self { channels: 1, frames: self.frames, skipped: 0, source }
    }

    /// Returns the header, with another length in it if there is to be.
    pub(super) fn header(&self, claimed: Option<u32>) -> [u8; 44] {
        let mut header = wav_header(RateHz::Hz8000, self.channels, self.data_bytes());
        if let Some(data) = claimed {
            let riff = if matches!(data, 0 | u32::MAX) { data } else { data.saturating_add(36) };
            header[4..8].copy_from_slice(&riff.to_le_bytes());
            header[40..44].copy_from_slice(&data.to_le_bytes());
        }
        header
    }

    fn frame_bytes(&self) -> u64 {
        u64::from(self.channels) * 2
    }

    fn data_bytes(&self) -> u64 {
        self.frames.saturating_mul(self.frame_bytes())
    }

    /// Returns bytes of sound; the caller stays within its length.
    fn data(&self, at: u64, count: usize) -> Vec<u8> {
        let at = at + self.skipped * self.frame_bytes();
        match &self.source {
            Source::Held(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                bytes.get(from..from.saturating_add(count)).unwrap_or_default().to_vec()
            }
            Source::Noise(block) => noise(block, at, count),
            Source::Mixed(inner) => {
                // An odd byte is the second half of a sample.
                let odd = usize::from(at % 2 == 1);
                let first = (at - odd as u64) * 2;
                let samples = (count + odd).div_ceil(2);
                let pairs = inner.data(first, samples * 4);
                let mixed = pairs.chunks_exact(4).flat_map(|pair| {
                    let sample =
                        |at: usize| i32::from(i16::from_le_bytes([pair[at], pair[at + 1]]));
                    let half = i32::midpoint(sample(0), sample(2));
                    i16::try_from(half).unwrap_or_default().to_le_bytes()
                });
                mixed.skip(odd).take(count).collect()
            }
        }
    }
}

fn noise(block: &[u8], at: u64, count: usize) -> Vec<u8> {
    let size = block.len() as u64;
    let mut bytes = Vec::with_capacity(count);
    let mut at = at;
    while bytes.len() < count {
        let inside = usize::try_from(at % size).unwrap_or_default();
        let wanted = (count - bytes.len()).min(block.len() - inside);
        let start = bytes.len();
        bytes.extend_from_slice(&block[inside..inside + wanted]);
        // The block's number, quiet enough to be noise: four bits in each of its first samples.
        for place in inside..(inside + wanted).min(NUMBER_SAMPLES * 2) {
            let shift = 4 * (place / 2);
            let nibble = u8::try_from(((at / size) >> shift) & 0x0f).unwrap_or_default();
            bytes[start + place - inside] = if place % 2 == 0 { nibble } else { 0 };
        }
        at += wanted as u64;
    }
    bytes
}

/// Samples at a block's start that hold its number: 32 bits.
const NUMBER_SAMPLES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_is_the_same_as_in_the_whole() {
        let ramp: Vec<i16> = (0..1000).collect();
        let dual = Media::dual(&ramp, &[7, -7]);
        let noise = Media::noise(2, Duration::from_secs(10), 3);
        for media in [dual.clone(), dual.mixed(), dual.begun_at(10), noise.clone(), noise.mixed()] {
            let whole = media.wav();
            assert_eq!(whole.len() as u64, media.size_bytes());
            for (at, count) in [(0, 3), (40, 10), (45, 1), (47, 8), (131, 70_000), (3_900, 900)] {
                let end = (at + count).min(whole.len());
                let expected = whole.get(at..end).unwrap_or_default();
                assert!(media.read(at as u64, count) == expected, "{at} {count}");
            }
        }
        assert_eq!(dual.read(dual.size_bytes() + 5, 10), Vec::<u8>::new());
    }

    #[test]
    fn channels_lie_side_by_side_and_mix_into_one() {
        let dual = Media::dual(&[100, 200], &[-50]);
        assert_eq!(dual.wav()[44..], [100, 0, 206, 255, 200, 0, 0, 0]);
        assert_eq!(dual.mixed().wav()[44..], [25, 0, 100, 0]);
        assert_eq!(dual.begun_at(1).wav()[44..], [200, 0, 0, 0]);
        assert_eq!((dual.channels(), dual.mixed().channels()), (2, 1));
    }

    #[test]
    fn a_day_of_sound_is_read_anywhere_and_no_two_blocks_are_the_same() {
        let day = Media::noise(2, Duration::from_hours(24), 1);
        assert_eq!(day.size_bytes(), 44 + 24 * 3600 * 8000 * 4);
        let block = |number: u64| day.read(44 + number * BLOCK_BYTES as u64, BLOCK_BYTES);
        assert_ne!(block(0), block(1));
        assert_ne!(block(1), block(40_001));
        assert_eq!(day.read(day.size_bytes() - 3, 100).len(), 3);
    }

    #[test]
    fn a_header_may_lie() {
        let media = Media::mono(&[1; 50]);
        let lengths = |claimed| {
            let header = media.header(claimed);
            let at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
            (at(4), at(40))
        };
        assert_eq!(lengths(None), (136, 100));
        assert_eq!(lengths(Some(0)), (0, 0));
        assert_eq!(lengths(Some(u32::MAX)), (u32::MAX, u32::MAX));
        assert_eq!(lengths(Some(10)), (46, 10));
    }
}
