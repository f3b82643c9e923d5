#![expect(clippy::cast_precision_loss, reason = "test counts are small")]

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

const RATE_HZ: u32 = 48_000;

/// A clock that is off by `ppm`, heard of every 20 ms and late by what `late_s` says.
struct Other {
    ppm: f64,
    zero_at_s: f64,
    count: u64,
}

impl Other {
    fn new(ppm: f64) -> Self {
        Self { ppm, zero_at_s: 1234.5, count: 0 }
    }

    fn true_at_s(&self, count: f64) -> f64 {
        self.zero_at_s + count / (f64::from(RATE_HZ) * (1.0 + self.ppm * 1e-6))
    }

    fn run(&mut self, drift: &mut Drift, seconds: u64, mut late_s: impl FnMut() -> f64) {
        for _ in 0..seconds * 50 {
            self.count += u64::from(RATE_HZ / 50);
            let at_s = self.true_at_s(self.count as f64) + late_s();
            drift.see(self.count, Duration::from_secs_f64(at_s));
        }
    }

    /// How far off the line is where the clock stands, in milliseconds.
    fn error_ms(&self, drift: &Drift) -> f64 {
        let line = drift.line().unwrap();
        (line.at_s(self.count as f64) - self.true_at_s(self.count as f64)) * 1000.0
    }
}

#[test]
fn a_clock_200_ppm_off_is_known_to_a_few_millionths() {
    for ppm in [-200.0, -20.0, 0.0, 20.0, 200.0] {
        let (mut other, mut drift) = (Other::new(ppm), Drift::new(RATE_HZ));
        let mut random = StdRng::seed_from_u64(1);
        // A busy processor: late by 1 ms as a rule, by 40 ms now and then.
        other.run(&mut drift, 120, || {
            let slow = random.random_bool(0.02);
            random.random_range(0.0..if slow { 0.04 } else { 0.001 })
        });
        let measured_ppm = -drift.line().unwrap().skew() * 1e6;
        assert!((measured_ppm - ppm).abs() < 5.0, "{ppm} ppm taken for {measured_ppm}");
        assert!(other.error_ms(&drift).abs() < 0.5, "{ppm} ppm: {} ms", other.error_ms(&drift));
    }
}

#[test]
fn a_network_that_stalls_and_bursts_does_not_move_it() {
    let (mut other, mut drift) = (Other::new(30.0), Drift::new(RATE_HZ));
    let mut random = StdRng::seed_from_u64(2);
    other.run(&mut drift, 30, || 0.020 + random.random_range(0.0..0.060));
    let mut stall_s = 3.0;
    // Three seconds come together, three seconds late and less.
    other.run(&mut drift, 3, || {
        stall_s -= 0.02;
        0.020 + stall_s
    });
    other.run(&mut drift, 30, || 0.020 + random.random_range(0.0..0.060));
    let error_ms = other.error_ms(&drift) - 20.0;
    assert!(error_ms.abs() < 3.0, "{error_ms} ms");
}

#[test]
fn a_way_that_gets_longer_for_good_is_followed() {
    let (mut other, mut drift) = (Other::new(0.0), Drift::new(RATE_HZ));
    other.run(&mut drift, 300, || 0.020);
    other.run(&mut drift, 200, || 0.100);
    assert!((other.error_ms(&drift) - 100.0).abs() < 1.0, "{} ms", other.error_ms(&drift));
}

#[test]
fn before_ten_seconds_a_clock_is_taken_to_be_as_it_was() {
    let (mut other, mut drift) = (Other::new(150.0), Drift::with_skew(RATE_HZ, -150e-6));
    let mut random = StdRng::seed_from_u64(3);
    other.run(&mut drift, 9, || random.random_range(0.0..0.005));
    assert!((drift.skew() + 150e-6).abs() < 1e-9, "{}", drift.skew());
    assert!(other.error_ms(&drift) < 1.0);
}

#[test]
fn nonsense_bends_it_no_further_than_a_thousandth() {
    let (mut other, mut drift) = (Other::new(90_000.0), Drift::new(RATE_HZ));
    other.run(&mut drift, 100, || 0.0);
    assert!(drift.skew().abs() <= SKEW_MAX);
    let line = drift.line().unwrap();
    for count in [0.0, 48_000.0, 1e9] {
        assert!((line.count(line.at_s(count)) - count).abs() < 1e-3);
    }
}
