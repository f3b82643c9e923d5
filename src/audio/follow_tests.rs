#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "short sounds"
)]

use std::f64::consts::TAU;

use super::*;

const RATES_HZ: [u32; 9] = [8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000];

/// A second of a tone.
fn tone(rate_hz: u32, tone_hz: f64, seconds: f64) -> Vec<f32> {
    let samples = (f64::from(rate_hz) * seconds) as u32;
    let at = |n: u32| TAU * tone_hz * f64::from(n) / f64::from(rate_hz);
    (0..samples).map(|n| (0.5 * at(n).sin()) as f32).collect()
}

/// Runs a tone through a follower at changing speeds; returns what came out, and from where.
fn followed(rate_hz: u32, sound: &[f32], mut speed: impl FnMut(f64) -> f64) -> Vec<(f64, f32)> {
    let mut follower = Follower::new(rate_hz).unwrap();
    let mut out = Vec::new();
    for piece in sound.chunks(rate_hz as usize / 73) {
        follower.push(piece);
        while follower.is_ready() {
            follower.turn(speed(follower.next_at()));
            let (first, step) = (follower.next_at(), follower.step());
            let Some(chunk) = follower.take() else { break };
            let places = (0..).map(|n| first + f64::from(n) * step);
            out.extend(places.zip(chunk.iter().copied()));
        }
    }
    out
}

/// The worst a tone is off from what it should be where the follower says it took it from.
fn worst(rate_hz: u32, tone_hz: f64, out: &[(f64, f32)]) -> f64 {
    let settled = f64::from(rate_hz) * 0.1;
    out.iter()
        .filter(|(at, _)| *at > settled)
        .map(|(at, heard)| {
            let meant = 0.5 * (TAU * tone_hz * at / f64::from(rate_hz)).sin();
            (f64::from(*heard) - meant).abs()
        })
        .fold(0.0, f64::max)
}

#[test]
fn every_sample_is_taken_from_where_it_says() {
    for rate_hz in RATES_HZ {
        for tone_hz in [300.0, 1000.0, 3000.0] {
            let out = followed(rate_hz, &tone(rate_hz, tone_hz, 1.0), |_| 1.0);
            assert!((out.len() as f64 - 16_000.0).abs() < 700.0, "{} samples", out.len());
            let worst = worst(rate_hz, tone_hz, &out);
            assert!(worst < 5e-4, "{rate_hz} Hz, {tone_hz} Hz: off by {worst}");
        }
    }
}

#[test]
fn turning_the_speed_is_heard_by_nobody() {
    for rate_hz in [8000, 44_100, 48_000] {
        // To and fro over the whole span, as fast as it is let.
        let sway = |at: f64| {
            let is_up = at / f64::from(rate_hz) % 4.0 < 2.0;
            if is_up { 1.006 } else { 0.994 }
        };
        let out = followed(rate_hz, &tone(rate_hz, 1000.0, 4.0), sway);
        let worst = worst(rate_hz, 1000.0, &out);
        assert!(worst < 5e-4, "{rate_hz} Hz: off by {worst}");
        let steps = out.windows(2).map(|two| two[1].0 - two[0].0);
        let nominal = f64::from(rate_hz) / 16_000.0;
        assert!(steps.clone().all(|step| (step / nominal - 1.0).abs() < SPEED_SPAN + 1e-9));
        let fastest = steps.map(|step| step / nominal).fold(0.0, f64::max);
        assert!(fastest > 1.0 + SPEED_SPAN * 0.9, "it was turned: {fastest}");
    }
}

#[test]
fn what_16_khz_cannot_hold_is_not_folded_into_it() {
    for rate_hz in [44_100, 48_000, 192_000] {
        let out = followed(rate_hz, &tone(rate_hz, 10_000.0, 1.0), |_| 1.0002);
        let settled = f64::from(rate_hz) * 0.1;
        let loudest = out.iter().filter(|(at, _)| *at > settled).map(|(_, s)| s.abs());
        let loudest = loudest.fold(0.0, f32::max);
        assert!(loudest < 1e-4, "{rate_hz} Hz: {loudest}");
    }
}

#[test]
fn silence_behind_the_end_brings_out_the_end() {
    let mut follower = Follower::new(48_000).unwrap();
    let mut heard_to = 0.0;
    follower.push(&vec![0.1; 4800]);
    follower.push(&vec![0.0; follower.tail()]);
    while follower.take().is_some() {
        heard_to = follower.next_at();
    }
    assert!(heard_to >= 4800.0, "{heard_to}");
}

#[test]
fn a_rate_that_no_sound_card_has_is_refused() {
    for rate_hz in [0, 7999, 192_001, u32::MAX] {
        assert!(Follower::new(rate_hz).is_err(), "{rate_hz}");
    }
}
