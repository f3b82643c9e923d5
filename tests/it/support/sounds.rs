//! Sound to play, and sound that was recorded.

use std::path::{Path, PathBuf};

use fieldtape::audio::ulaw;
use fieldtape::simulate::Sound;
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// So many milliseconds of every mu-law code in random order: no other sample of it can pass for
/// the one that belongs there.
pub(crate) fn noise(seed: u64, ms: usize) -> Vec<u8> {
    let mut sound = vec![0; ms * 8];
    StdRng::seed_from_u64(seed).fill_bytes(&mut sound);
    sound
}

/// So many milliseconds of a quiet 400 Hz tone.
pub(crate) fn tone(ms: usize) -> Vec<u8> {
    let period = [0_i16, 300, 600, 820, 950, 1000, 950, 820, 600, 300]
        .into_iter()
        .chain([0, -300, -600, -820, -950, -1000, -950, -820, -600, -300]);
    period.cycle().take(ms * 8).map(ulaw::encode).collect()
}

/// A recorded conversation of ours as the telephone carries it: 8 kHz, agent left, technician
/// right.
pub(crate) fn asset_sound(name: &str) -> Sound {
    let wav = std::fs::read(root().join("tests/assets").join(name)).unwrap();
    let (mu_law, stereo) = (7_u16.to_le_bytes(), 2_u16.to_le_bytes());
    assert_eq!((&wav[20..22], &wav[22..24]), (&mu_law[..], &stereo[..]), "{name}");
    let data = wav.windows(4).position(|chunk| chunk == b"data").unwrap() + 8;
    let codes = &wav[data..];
    let side = |side| codes.iter().skip(side).step_by(2).copied().collect();
    Sound::stereo(side(0), side(1))
}

/// What a mu-law sound must be on disk.
pub(crate) fn decoded(ulaw_codes: &[u8]) -> Vec<i16> {
    let mut pcm = Vec::new();
    ulaw::decode_into(ulaw_codes, &mut pcm);
    pcm
}

/// Reads a recording with a reader that is not ours.
pub(crate) fn read_wav(path: &Path, rate_hz: u32) -> Vec<i16> {
    let mut reader =
        hound::WavReader::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    assert_eq!(reader.spec(), spec, "{}", path.display());
    reader.samples().collect::<Result<_, _>>().unwrap()
}
