#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "test sounds are short"
)]

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

/// A call and a microphone, each by a clock of its own, as time passes without anybody waiting.
struct World {
    random: StdRng,
    now_s: f64,
    began_s: f64,
    call_ppm: f64,
    /// 20 ms frames sent so far.
    frames: u64,
    /// Frames do not come before this.
    stalled_to_s: f64,
    source: Source,
    fit: Fit,
    /// What was written, by its place on the timeline in samples of 16 kHz.
    written: Vec<i16>,
    gaps: Vec<(u64, u64, GapReason)>,
    /// When, since boot, clicks were made at the microphone.
    clicks_s: Vec<f64>,
    clicking: bool,
}

struct Source {
    rate_hz: u32,
    ppm: f64,
    /// When its sample 0 was heard.
    zero_s: f64,
    epoch: u32,
    before: GapReason,
    count: u64,
    drift: Drift,
    is_there: bool,
    /// How late its blocks come, at most.
    late_s: f64,
}

impl Source {
    fn new(rate_hz: u32, ppm: f64) -> Self {
        Self {
            rate_hz,
            ppm,
            zero_s: 0.0,
            epoch: 1,
            before: GapReason::Disconnected,
            count: 0,
            drift: Drift::new(rate_hz),
            is_there: true,
            late_s: 0.002,
        }
    }

    fn true_hz(&self) -> f64 {
        f64::from(self.rate_hz) * (1.0 + self.ppm * 1e-6)
    }

    fn reopen(&mut self, now_s: f64, before: GapReason) {
        self.epoch += 1;
        self.zero_s = now_s;
        self.count = 0;
        self.before = before;
        self.drift = Drift::with_skew(self.rate_hz, self.drift.skew());
        self.is_there = true;
    }
}

/// What the first frames' lateness may shift sound by, until it is brought back.
const AT_FIRST_MS: f64 = 8.0;

/// Time passes in steps of one block.
const STEP_S: f64 = 0.02;

impl World {
    fn new(call_ppm: f64, source: Source) -> Self {
        Self {
            random: StdRng::seed_from_u64(7),
            now_s: 1000.0,
            began_s: 1001.3,
            call_ppm,
            frames: 0,
            stalled_to_s: 0.0,
            source: Source { zero_s: 1000.0, ..source },
            fit: Fit::new(Duration::from_secs(2)),
            written: Vec::new(),
            gaps: Vec::new(),
            clicks_s: Vec::new(),
            clicking: true,
        }
    }

    fn call_hz(&self) -> f64 {
        8000.0 * (1.0 + self.call_ppm * 1e-6)
    }

    /// Where the call's frames have come to.
    fn limit(&self) -> Samples8k {
        Samples8k::new(self.frames * 160)
    }

    fn run(&mut self, seconds: f64) {
        self.run_with(seconds, |_| {});
    }

    fn run_with(&mut self, seconds: f64, mut each: impl FnMut(&mut Self)) {
        let until_s = self.now_s + seconds;
        while self.now_s < until_s {
            self.now_s += STEP_S;
            each(self);
            self.send_frames();
            self.capture();
            let fitted = self.fit.release(self.limit());
            self.take(fitted);
        }
    }

    fn send_frames(&mut self) {
        // Of 20 ms each, heard of up to 60 ms late.
        let ready = (self.now_s - self.began_s) * self.call_hz() / 160.0;
        while self.now_s >= self.stalled_to_s && ((self.frames + 1) as f64) < ready {
            self.frames += 1;
            let late_s = self.random.random_range(0.0..0.06);
            let at_s = self.began_s + self.limit().get() as f64 / self.call_hz();
            let at_s = (at_s + late_s).max(self.stalled_to_s);
            self.fit.call_at(self.limit(), Duration::from_secs_f64(at_s));
        }
    }

    /// One block of silence, with a click on each full second.
    fn capture(&mut self) {
        if !self.source.is_there {
            return;
        }
        let source = &mut self.source;
        let until = ((self.now_s - source.zero_s) * source.true_hz()) as u64;
        let count = until.saturating_sub(source.count);
        let at_s = |n: u64| source.zero_s + n as f64 / source.true_hz();
        let mut samples = vec![0.0; count as usize];
        for (n, sample) in samples.iter_mut().enumerate() {
            let at = source.count + n as u64;
            if self.clicking && at_s(at).fract() < 1.0 / source.true_hz() {
                *sample = 0.9;
                self.clicks_s.push(at_s(at));
            }
        }
        let mut late_s = self.random.random_range(0.0..source.late_s);
        if source.drift.line().is_none() {
            // Opening it takes a moment.
            late_s += 0.06;
        }
        source.drift.see(until, Duration::from_secs_f64(at_s(until) + late_s));
        let sound = AgentSound {
            epoch: source.epoch,
            before: source.before,
            rate_hz: source.rate_hz,
            first: source.count,
            line: source.drift.line().unwrap(),
            samples,
        };
        source.count = until;
        self.fit.hear(sound, Duration::from_secs_f64(self.now_s));
    }

    fn take(&mut self, fitted: Vec<Fitted>) {
        for one in fitted {
            match one {
                Fitted::Write { at, wide } => {
                    let at = 2 * at.get() as usize;
                    assert!(at >= self.written.len(), "{at} was written");
                    assert!(wide.len().is_multiple_of(2));
                    self.written.resize(at, 0);
                    self.written.extend(wide);
                }
                Fitted::Gap { start, end, reason } => {
                    self.gaps.push((start.get(), end.get(), reason));
                }
            }
        }
    }

    fn finish(&mut self) {
        let limit = self.limit();
        let fitted = self.fit.finish(limit);
        self.take(fitted);
        assert!(self.written.len() as u64 <= 2 * limit.get(), "not beyond the call's end");
        self.written.resize(2 * limit.get() as usize, 0);
    }

    /// By how many milliseconds each click that was to be written lies later than it should; none
    /// for one that is not there.
    fn errors_ms(&self) -> Vec<Option<f64>> {
        let clicks = self.clicks_s.iter().map(|at_s| (at_s - self.began_s) * self.call_hz() * 2.0);
        // Not those that the call's very end cuts through.
        let inside = clicks.filter(|at| *at >= 0.0 && *at + 320.0 < self.written.len() as f64);
        inside
            .map(|meant| {
                // Looked for within 60 ms.
                let from = (meant as usize).saturating_sub(960);
                let to = (meant as usize + 960).min(self.written.len());
                let near = self.written[from..to].iter().enumerate();
                let (n, loudest) = near.max_by_key(|(_, sample)| sample.unsigned_abs())?;
                (loudest.unsigned_abs() > 1500).then(|| (from as f64 + n as f64 - meant) / 16.0)
            })
            .collect()
    }

    fn worst_ms(&self) -> f64 {
        let errors = self.errors_ms();
        assert!(errors.len() > 3 && errors.iter().all(Option::is_some), "{errors:?}");
        errors.iter().flatten().map(|error| error.abs()).fold(0.0, f64::max)
    }
}

#[test]
fn after_an_hour_with_a_clock_200_ppm_wrong_every_click_is_in_its_place() {
    for (ppm, call_ppm, seconds) in [(200.0, 0.0, 3600), (-200.0, 30.0, 200)] {
        let mut world = World::new(call_ppm, Source::new(8000, ppm));
        world.run(f64::from(seconds) + 2.0);
        world.finish();
        let errors = world.errors_ms();
        assert!(errors.len() + 2 >= seconds as usize, "{} clicks", errors.len());
        let worst = world.worst_ms();
        let last = errors.last().unwrap().unwrap();
        println!("{ppm} ppm for {seconds} s: at worst {worst:.2} ms off, at the end {last:.2} ms");
        assert!(worst < AT_FIRST_MS, "{ppm} ppm: {worst} ms");
        let settled = errors.iter().skip(120).flatten().map(|error| error.abs());
        let settled = settled.fold(0.0, f64::max);
        assert!(settled < 2.0, "{ppm} ppm: after two minutes {settled} ms");
        assert_eq!(world.gaps, []);
    }
}

#[test]
fn sound_of_any_rate_lies_where_it_belongs_from_the_first_sample() {
    for rate_hz in [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000] {
        let mut world = World::new(0.0, Source::new(rate_hz, 50.0));
        world.run(6.0);
        world.finish();
        assert!(world.worst_ms() < AT_FIRST_MS, "{rate_hz} Hz: {:?}", world.errors_ms());
        assert_eq!(world.gaps, [], "{rate_hz} Hz");
    }
}

#[test]
fn unplugged_it_is_silence_and_a_gap_and_plugged_in_again_it_goes_on_in_its_place() {
    let mut world = World::new(0.0, Source::new(48_000, 100.0));
    world.run(10.5);
    world.source.is_there = false;
    world.run(5.0);
    let limit = world.limit();
    let Some(Fitted::Gap { start, end, reason }) = world.fit.missing(limit) else {
        panic!("it is told while it lasts");
    };
    assert_eq!((reason, limit.since(end)), (GapReason::Disconnected, 16_000));
    let now_s = world.now_s;
    world.source.reopen(now_s, GapReason::Disconnected);
    world.run(10.0);
    assert_eq!(world.fit.missing(world.limit()), None);
    world.finish();
    let [(from, to, GapReason::Disconnected)] = world.gaps[..] else { panic!("{:?}", world.gaps) };
    assert_eq!(from, start.get(), "told again, longer");
    assert!(from.abs_diff(9 * 8000 + 1600) < 400 && (to - from).abs_diff(5 * 8000) < 400);
    assert!(world.worst_ms() < AT_FIRST_MS, "{:?}", world.errors_ms());
}

#[test]
fn what_was_missing_at_the_start_is_a_gap_from_the_first_sample() {
    let mut world = World::new(0.0, Source::new(16_000, 0.0));
    world.source.is_there = false;
    world.run(5.5);
    let now_s = world.now_s;
    world.source.reopen(now_s, GapReason::Disconnected);
    world.run(5.0);
    world.finish();
    let [(0, to, GapReason::Disconnected)] = world.gaps[..] else { panic!("{:?}", world.gaps) };
    assert!(to.abs_diff(33_600) < 400, "{to}");
    assert!(world.worst_ms() < AT_FIRST_MS);
}

#[test]
fn without_any_sound_the_whole_call_is_a_gap() {
    let mut world = World::new(0.0, Source::new(16_000, 0.0));
    world.source.is_there = false;
    world.run(5.0);
    world.finish();
    assert_eq!(world.gaps, [(0, world.limit().get(), GapReason::Disconnected)]);
    let mut empty = Fit::new(Duration::from_secs(2));
    assert_eq!(empty.finish(Samples8k::ZERO), []);
}

#[test]
fn what_the_card_or_we_have_lost_is_a_gap_as_long_as_it_was() {
    let mut world = World::new(0.0, Source::new(48_000, 0.0));
    world.run(4.3);
    // The card lost 100 ms and began to count anew.
    let now_s = world.now_s + 0.1;
    world.source.reopen(now_s, GapReason::Lost);
    world.now_s += 0.1;
    world.run(3.0);
    // We lost three blocks; the count goes on.
    world.now_s += 3.0 * STEP_S;
    world.source.count += (3.0 * STEP_S * world.source.true_hz()) as u64;
    world.run(3.0);
    world.finish();
    let [(a, b, GapReason::Lost), (c, d, GapReason::Lost)] = world.gaps[..] else {
        panic!("{:?}", world.gaps)
    };
    assert!((b - a).abs_diff(800) < 50 && (d - c).abs_diff(480) < 50, "{:?}", world.gaps);
    assert!(world.worst_ms() < AT_FIRST_MS);
}

#[test]
fn a_stream_that_stalls_moves_nothing_and_loses_nothing() {
    let mut world = World::new(20.0, Source::new(48_000, -80.0));
    world.run(20.0);
    world.stalled_to_s = world.now_s + 4.0;
    world.run(30.0);
    world.finish();
    assert!(world.worst_ms() < AT_FIRST_MS, "{:?}", world.errors_ms());
    assert_eq!(world.gaps, []);
}

#[test]
fn a_burst_at_the_start_is_waited_for() {
    let mut world = World::new(0.0, Source::new(48_000, 0.0));
    // The first frames come 600 ms late, together.
    world.stalled_to_s = world.began_s + 0.6;
    world.run(20.0);
    world.finish();
    assert!(world.worst_ms() < 25.0, "{:?}", world.errors_ms());
    assert!(world.errors_ms().last().unwrap().unwrap().abs() < 1.0, "{:?}", world.errors_ms());
    assert_eq!(world.gaps, []);
}

#[test]
fn of_a_call_that_ends_nothing_later_is_written() {
    let mut world = World::new(0.0, Source::new(48_000, 0.0));
    world.run(5.0);
    let frames = world.frames;
    world.stalled_to_s = f64::INFINITY;
    world.run(8.0);
    world.finish();
    assert_eq!((world.frames, world.written.len() as u64), (frames, frames * 320));
    assert_eq!(world.gaps, []);
}

#[test]
fn a_busy_processor_moves_nothing() {
    let mut world = World::new(0.0, Source { late_s: 0.3, ..Source::new(48_000, 150.0) });
    world.run(60.0);
    world.finish();
    assert!(world.worst_ms() < 15.0, "{:?}", world.worst_ms());
    assert_eq!(world.gaps, []);
}

#[test]
fn a_muted_microphone_is_known_by_its_silence() {
    let mut world = World::new(0.0, Source::new(16_000, 0.0));
    world.run(4.0);
    assert_eq!(world.fit.mute_since(), None);
    let sound = |epoch| AgentSound {
        epoch,
        before: GapReason::Lost,
        rate_hz: 16_000,
        first: 0,
        line: world.source.drift.line().unwrap(),
        samples: vec![0.0; 16_000 * 7],
    };
    let mut fit = Fit::new(Duration::from_secs(2));
    fit.call_at(Samples8k::ZERO, Duration::from_secs(1000));
    fit.hear(sound(1), Duration::from_secs(1010));
    let nothing_more = AgentSound { first: 16_000 * 7, samples: Vec::new(), ..sound(1) };
    fit.hear(nothing_more, Duration::from_secs(1011));
    assert_eq!(fit.mute_since(), Some(Samples8k::ZERO));
}

#[test]
fn what_a_muted_microphone_does_not_hear_is_a_gap_until_it_hears_again() {
    let mut world = World::new(0.0, Source::new(16_000, 0.0));
    world.run(4.5);
    // Nobody clicks for nine seconds.
    world.clicking = false;
    world.run(9.0);
    let limit = world.limit();
    let Some(Fitted::Gap { start, .. }) = world.fit.missing(limit) else { panic!("it is told") };
    world.clicking = true;
    world.run(3.0);
    world.finish();
    let [(from, to, GapReason::Disconnected)] = world.gaps[..] else { panic!("{:?}", world.gaps) };
    assert_eq!(from, start.get());
    // From the click at 4 s to that at 14 s, of a call that began at 1.3 s.
    assert!(from.abs_diff(21_600) < 200 && to.abs_diff(101_600) < 200, "{:?}", world.gaps);
}
