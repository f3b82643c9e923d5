#![expect(clippy::cast_possible_truncation, reason = "test sounds are short")]

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::audio::{pcm16, wav_header};
use crate::domain::RateHz;

struct Recipe {
    tag: u16,
    channels: u16,
    rate_hz: u32,
    bits: u16,
    extensible: bool,
}

impl Recipe {
    fn mono(tag: u16, bits: u16) -> Self {
        Self { tag, channels: 1, rate_hz: 44_100, bits, extensible: false }
    }

    fn file(&self, data: &[u8]) -> Vec<u8> {
        self.file_that_claims(data, data.len() as u32)
    }

    fn file_that_claims(&self, data: &[u8], claimed: u32) -> Vec<u8> {
        let frame_bytes = self.channels * self.bits.div_ceil(8);
        let mut format = Vec::new();
        format.extend(if self.extensible { 0xfffe } else { self.tag }.to_le_bytes());
        format.extend(self.channels.to_le_bytes());
        format.extend(self.rate_hz.to_le_bytes());
        format.extend((self.rate_hz.wrapping_mul(u32::from(frame_bytes))).to_le_bytes());
        format.extend(frame_bytes.to_le_bytes());
        format.extend(self.bits.to_le_bytes());
        if self.extensible {
            format.extend([22, 0]);
            format.extend(self.bits.to_le_bytes());
            format.extend([4, 0, 0, 0]);
            format.extend(self.tag.to_le_bytes());
            format.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
        }
        let mut file = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        file.extend((format.len() as u32).to_le_bytes());
        file.extend(format);
        // An odd chunk with its padding byte, as tagging programs write.
        file.extend(b"LIST\x03\0\0\0abc\0data");
        file.extend(claimed.to_le_bytes());
        file.extend(data);
        file
    }
}

fn read_all(file: Vec<u8>) -> Result<(Vec<Vec<f32>>, bool), WavError> {
    let mut reader = WavReader::new(Cursor::new(file))?;
    let mut out = vec![Vec::new(); usize::from(reader.channels())];
    while reader.read(&mut out, 1000)? > 0 {}
    assert_eq!(out[0].len() as u64, reader.frames());
    Ok((out, reader.truncated()))
}

#[track_caller]
fn check_samples(recipe: &Recipe, data: &[u8], expected: &[f32]) {
    let (out, truncated) = read_all(recipe.file(data)).unwrap();
    assert_eq!(out, [expected]);
    assert!(!truncated);
}

#[test]
fn every_coding_decodes_to_the_same_range() {
    for extensible in [false, true] {
        let recipe = |tag, bits| Recipe { extensible, ..Recipe::mono(tag, bits) };
        check_samples(&recipe(1, 8), &[0, 128, 192], &[-1.0, 0.0, 0.5]);
        check_samples(&recipe(1, 16), &[0, 0x80, 0, 0, 0, 0x40], &[-1.0, 0.0, 0.5]);
        check_samples(&recipe(1, 24), &[0, 0, 0x80, 0, 0, 0x40], &[-1.0, 0.5]);
        check_samples(&recipe(1, 32), &[0, 0, 0, 0x80, 0, 0, 0, 0x40], &[-1.0, 0.5]);
        check_samples(&recipe(3, 32), &(-0.25_f32).to_le_bytes(), &[-0.25]);
        check_samples(&recipe(3, 64), &(-0.25_f64).to_le_bytes(), &[-0.25]);
        check_samples(&recipe(7, 8), &[0xff, 0x00], &[0.0, -32_124.0 / 32_768.0]);
        check_samples(&recipe(6, 8), &[0xd5, 0x2a], &[8.0 / 32_768.0, -32_256.0 / 32_768.0]);
        check_samples(&recipe(1, 20), &[0, 0, 0x40], &[0.5]);
    }
}

#[test]
fn channels_come_apart_and_keep_their_order() {
    let recipe = Recipe { channels: 3, ..Recipe::mono(1, 8) };
    let (out, _) = read_all(recipe.file(&[128, 192, 0, 0, 128, 192])).unwrap();
    assert_eq!(out, [[0.0, -1.0], [0.5, 0.0], [-1.0, 0.5]]);
}

#[test]
fn what_is_no_number_is_silence() {
    let data = [f32::NAN, f32::INFINITY, 0.5].map(f32::to_le_bytes).concat();
    check_samples(&Recipe::mono(3, 32), &data, &[0.0, 0.0, 0.5]);
}

#[test]
fn a_header_that_was_never_finished_does_not_hide_the_sound() {
    let recipe = Recipe::mono(1, 16);
    for claimed in [0, 5, u32::MAX, u32::MAX - 36, 0x7fff_f000] {
        let (out, truncated) =
            read_all(recipe.file_that_claims(&[0, 0, 0, 0x40], claimed)).unwrap();
        assert_eq!(out, [[0.0, 0.5]], "claims {claimed}");
        assert!(truncated, "claims {claimed}");
    }
    let (out, _) = read_all(recipe.file_that_claims(&[0, 0, 0, 0x40, 9], 0)).unwrap();
    assert_eq!(out, [[0.0, 0.5]], "half a sample at the end is none");
}

#[test]
fn a_chunk_after_the_sound_is_not_heard() {
    let recipe = Recipe::mono(1, 16);
    let mut file = recipe.file(&[0, 0, 0, 0x40]);
    file.extend(b"LIST\x02\0\0\0ab");
    assert_eq!(read_all(file).unwrap().0, [[0.0, 0.5]]);

    let mut file = recipe.file(&[]);
    file.extend(b"LIST\x02\0\0\0ab");
    assert!(matches!(read_all(file), Err(WavError::NoAudio)), "an empty recording with a title");
}

#[test]
fn what_is_not_sound_is_refused_by_name() {
    let refusal = |file: &[u8]| read_all(file.to_vec()).unwrap_err();
    assert!(matches!(refusal(b""), WavError::Empty));
    assert!(matches!(refusal(b"RI"), WavError::NotWav { .. }));
    assert!(matches!(refusal(b"<html>an error page, not a recording"), WavError::NotWav { .. }));
    assert!(matches!(refusal(b"RIFF\0\0\0\0WAVE"), WavError::NotWav { .. }));
    assert!(matches!(refusal(b"RIFF\0\0\0\0WAVEdata\x01\0\0\0x"), WavError::NotWav { .. }));
    assert!(matches!(refusal(b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0"), WavError::NotWav { .. }));

    let sound = [0; 64];
    let good = || Recipe::mono(1, 16);
    assert!(matches!(refusal(&good().file(&[])), WavError::NoAudio));
    assert!(matches!(refusal(&good().file(&[1])), WavError::NoAudio));
    for (code, bits) in [(0x55, 0), (2, 4), (1, 0), (1, 64), (3, 16), (7, 16), (0x31, 0)] {
        let error = refusal(&Recipe::mono(code, bits).file(&sound));
        assert!(
            matches!(error, WavError::UnsupportedFormat { code: c, bits: b } if (c, b) == (code, bits)),
            "{code:#x}/{bits}: {error}"
        );
    }
    for rate_hz in [0, 1, 7_999, 192_001, u32::MAX] {
        let error = refusal(&Recipe { rate_hz, ..good() }.file(&sound));
        assert!(matches!(error, WavError::AbsurdRate { rate_hz: r } if r == rate_hz), "{error}");
    }
    for channels in [0, 9, 8191] {
        let error = refusal(&Recipe { channels, ..good() }.file(&sound));
        assert!(matches!(error, WavError::AbsurdChannels { channels: c } if c == channels));
    }
}

#[test]
fn our_own_recordings_read_back_as_they_were_written() {
    let samples: Vec<i16> = (0..10_000).map(|n| (n * 7919 % 65_536 - 32_768) as i16).collect();
    let mut file = wav_header(RateHz::Hz8000, 1, 20_000).to_vec();
    file.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    let (out, truncated) = read_all(file).unwrap();
    let again: Vec<i16> = out[0].iter().map(|s| pcm16(*s)).collect();
    assert_eq!(again, samples);
    assert!(!truncated);
}

#[test]
fn the_test_speech_reads_whole() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assets");
    for (name, rate_hz, channels, frames) in
        [("service-call.wav", 8000, 2, 546_084), ("jfk.wav", 16_000, 1, 176_000)]
    {
        let file = std::fs::File::open(folder.join(name)).unwrap();
        let reader = WavReader::new(file).unwrap();
        assert_eq!((reader.rate_hz(), reader.channels()), (rate_hz, channels), "{name}");
        assert_eq!(reader.frames(), frames, "{name}");
        assert!(!reader.truncated(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok((out, _)) = read_all(bytes) {
            prop_assert!(!out.is_empty());
        }
    }

    #[test]
    fn a_good_file_with_any_bytes_changed_or_cut_off_never_panics_nor_grows(
        recipe in (0_u16..9, 1_u16..4, prop::sample::select(vec![8_u16, 16, 24, 32, 64]), any::<bool>()),
        data in prop::collection::vec(any::<u8>(), 0..300),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (tag, channels, bits, extensible) = recipe;
        let mut file = Recipe { tag, channels, rate_hz: 8000, bits, extensible }.file(&data);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(cut.index(file.len()) + 1);
        let len = file.len();
        if let Ok((out, _)) = read_all(file) {
            prop_assert!(out.iter().map(Vec::len).sum::<usize>() <= len);
        }
    }
}

#[test]
fn passing_over_sound_is_reading_and_forgetting_it() {
    let recipe = Recipe { channels: 2, ..Recipe::mono(TAG_PCM, 16) };
    let data: Vec<u8> = (0..20_000_i16).flat_map(i16::to_le_bytes).collect();
    let (whole, _) = read_all(recipe.file(&data)).unwrap();
    let mut reader = WavReader::new(Cursor::new(recipe.file(&data))).unwrap();
    let mut out = vec![Vec::new(); 2];
    reader.read(&mut out, 10).unwrap();
    reader.skip(5_000).unwrap();
    out.iter_mut().for_each(Vec::clear);
    reader.read(&mut out, 7).unwrap();
    assert_eq!(out[1], whole[1][5_010..5_017]);
    reader.skip(u64::MAX).unwrap();
    assert_eq!(reader.read(&mut out, 1).unwrap(), 0);
}
