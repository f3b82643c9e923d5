#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "test sounds are short"
)]

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;

fn tone(rate_hz: u32, tone_hz: f64, amplitude: f64, samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|n| (amplitude * (TAU * tone_hz * n as f64 / f64::from(rate_hz)).sin()) as f32)
        .collect()
}

fn doubled(samples: &[i16]) -> Vec<i16> {
    let (mut upsampler, mut out) = (Upsampler::new(), Vec::new());
    upsampler.push(samples, &mut out);
    upsampler.finish(&mut out);
    out
}

fn resampled(from_hz: u32, to: RateHz, samples: &[f32]) -> Vec<f32> {
    let (mut resampler, mut out) = (Resampler::new(from_hz, to).unwrap(), Vec::new());
    resampler.push(samples, &mut out);
    resampler.finish(&mut out);
    out
}

/// The amplitude of one frequency in the middle of a sound, away from its hard ends.
fn level(samples: &[f32], rate_hz: u32, tone_hz: f64) -> f64 {
    let quarter = samples.len() / 4;
    let middle = &samples[quarter..3 * quarter];
    let (mut re, mut im, mut weights) = (0.0, 0.0, 0.0);
    for (n, sample) in middle.iter().enumerate() {
        let window = 0.5 - 0.5 * (TAU * n as f64 / middle.len() as f64).cos();
        let angle = TAU * tone_hz * n as f64 / f64::from(rate_hz);
        re += window * f64::from(*sample) * angle.cos();
        im += window * f64::from(*sample) * angle.sin();
        weights += window;
    }
    2.0 * re.hypot(im) / weights
}

fn decibels(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

#[test]
fn a_click_comes_out_where_it_went_in() {
    for place in [0, 1, 159, 160, 161, 500, 999] {
        let mut input = vec![0; 1000];
        input[place] = 20_000;
        let output = doubled(&input);
        let (loudest, _) =
            output.iter().enumerate().max_by_key(|(_, s)| i32::from(**s).abs()).unwrap();
        assert_eq!(loudest, 2 * place);
        for away in 1..40 {
            let before = (2 * place).checked_sub(away).map_or(0, |n| output[n]);
            let after = output.get(2 * place + away).copied().unwrap_or(0);
            let both_there = 2 * place >= away && 2 * place + away < output.len();
            assert!(!both_there || (before - after).abs() <= 1, "ringing on both sides alike");
        }
    }
}

#[test]
fn telephone_speech_keeps_its_level_and_place() {
    for tone_hz in [100.0, 300.0, 1000.0, 3000.0, 3400.0] {
        let input: Vec<i16> =
            tone(8000, tone_hz, 16_000.0, 8000).iter().map(|s| *s as i16).collect();
        let output = doubled(&input);
        let ideal = tone(16_000, tone_hz, 16_000.0, 16_000);
        let worst =
            (2000..14_000).map(|n| (f32::from(output[n]) - ideal[n]).abs()).fold(0.0, f32::max);
        assert!(worst < 16.0, "{tone_hz} Hz is off by {worst} of 16000");
    }
}

#[test]
fn a_3_khz_tone_leaves_no_image_at_5_khz() {
    let input = tone(8000, 3000.0, 0.5, 16_000);
    let output = resampled(8000, RateHz::Hz16000, &input);
    let image = decibels(level(&output, 16_000, 5000.0) / level(&output, 16_000, 3000.0));
    println!("image of 3 kHz: {image:.1} dB");
    assert!(image < -90.0, "{image} dB");
}

#[test]
fn what_16_khz_cannot_hold_is_filtered_out_of_a_file() {
    for from_hz in [22_050, 44_100, 48_000, 96_000, 192_000, 44_099] {
        let samples = from_hz as usize;
        let kept = resampled(from_hz, RateHz::Hz16000, &tone(from_hz, 3000.0, 0.5, samples));
        let gain = decibels(level(&kept, 16_000, 3000.0) / 0.5);
        assert!(gain.abs() < 0.1, "{from_hz} Hz: {gain} dB");
        let high = resampled(from_hz, RateHz::Hz16000, &tone(from_hz, 10_000.0, 0.5, samples));
        let alias = decibels(level(&high, 16_000, 6000.0) / 0.5);
        println!("{from_hz} Hz: 10 kHz comes out at {alias:.1} dB");
        assert!(alias < -80.0, "{from_hz} Hz: {alias} dB");
    }
}

#[test]
fn a_file_of_any_rate_keeps_every_moment_within_half_a_sample() {
    for from_hz in [8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000, 44_099] {
        let output =
            resampled(from_hz, RateHz::Hz16000, &tone(from_hz, 400.0, 0.5, from_hz as usize));
        // A sine of 400 Hz changes by at most 0.5 * TAU * 400 / 16000 from sample to sample.
        let half_a_sample = 0.5 * 0.5 * TAU * 400.0 / 16_000.0 + 1e-3;
        let ideal = tone(16_000, 400.0, 0.5, 16_000);
        assert_eq!(output.len(), 16_000);
        for n in 2000..14_000 {
            let error = f64::from((output[n] - ideal[n]).abs());
            assert!(error < half_a_sample, "{from_hz} Hz, sample {n}: {error}");
        }
    }
}

#[test]
fn equal_rates_pass_untouched() {
    let input = tone(16_000, 440.0, 0.3, 1234);
    assert_eq!(resampled(16_000, RateHz::Hz16000, &input), input);
}

#[test]
fn the_loudest_square_wave_clips_and_does_not_wrap() {
    let input: Vec<i16> =
        (0..4000).map(|n| if n / 20 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    let output = doubled(&input);
    for n in 100..3900 {
        let away_from_edge = (3..17).contains(&(n % 20));
        assert!(!away_from_edge || (output[2 * n] > 0) == (input[n] > 0), "sample {n} wrapped");
    }
    assert!(output.contains(&i16::MAX) && output.contains(&i16::MIN));
}

#[test]
fn at_most_40_ms_are_inside_at_any_time() {
    let (mut upsampler, mut out) = (Upsampler::new(), Vec::new());
    for taken in 1..=4000 {
        upsampler.push(&[0], &mut out);
        assert!(2 * taken - out.len() <= 40 * 16, "{taken} in, {} out", out.len());
    }
}

#[test]
fn rates_that_no_recording_has_are_refused() {
    for rate_hz in [0, 1, 7999, 192_001, u32::MAX] {
        assert_eq!(Resampler::new(rate_hz, RateHz::Hz16000).unwrap_err(), RateError { rate_hz });
    }
}

#[test]
fn an_upsampler_that_was_finished_begins_anew() {
    let (mut upsampler, mut first, mut second) = (Upsampler::new(), Vec::new(), Vec::new());
    let input: Vec<i16> = (0..777).map(|n| (n * 37 % 2000) as i16).collect();
    upsampler.push(&input, &mut first);
    upsampler.finish(&mut first);
    upsampler.push(&input, &mut second);
    upsampler.finish(&mut second);
    assert_eq!(first, second);
    upsampler.finish(&mut second);
    assert_eq!(first.len(), second.len(), "nothing more was in it");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pieces_of_any_size_come_out_twice_as_long_and_the_same(
        pieces in prop::collection::vec(prop::collection::vec(any::<i16>(), 0..700), 0..12),
    ) {
        let whole = pieces.concat();
        let (mut upsampler, mut out) = (Upsampler::new(), Vec::new());
        for piece in &pieces {
            upsampler.push(piece, &mut out);
            prop_assert!(out.len() <= 2 * whole.len());
        }
        upsampler.finish(&mut out);
        prop_assert_eq!(out.len(), 2 * whole.len());
        prop_assert_eq!(out, doubled(&whole));
    }

    #[test]
    fn a_file_of_any_rate_and_length_becomes_exactly_as_long_as_it_lasts(
        from_hz in RATE_HZ_MIN..=RATE_HZ_MAX,
        samples in 0_usize..5000,
    ) {
        let out = resampled(from_hz, RateHz::Hz16000, &vec![0.1; samples]);
        let due = (samples as f64 * 16_000.0 / f64::from(from_hz)).round() as usize;
        prop_assert_eq!(out.len(), due);
    }
}

#[test]
fn a_halved_track_keeps_every_second_moment_and_is_half_as_long() {
    for tone_hz in [300.0, 1000.0, 3000.0] {
        let input: Vec<i16> =
            tone(16_000, tone_hz, 16_000.0, 16_001).iter().map(|s| *s as i16).collect();
        let (mut halves, mut out) = (Downsampler::new(), Vec::new());
        input.chunks(777).for_each(|piece| halves.push(piece, &mut out));
        halves.finish(&mut out);
        assert_eq!(out.len(), 8001, "half a sample counts whole");
        let ideal = tone(8000, tone_hz, 16_000.0, 8000);
        let worst = (1000..7000).map(|n| (f32::from(out[n]) - ideal[n]).abs()).fold(0.0, f32::max);
        assert!(worst < 16.0, "{tone_hz} Hz is off by {worst} of 16000");
    }
}
