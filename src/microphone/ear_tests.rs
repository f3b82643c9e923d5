use std::fs;
use std::sync::mpsc;
use std::time::Instant;

use tempfile::TempDir;

use super::super::opener::Listening;
use super::super::ring::Capture;
use super::super::state::Finding;
use super::*;
use crate::clock::{Clock as _, SystemClock};

/// How long a fact may take to come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const FORMAT: Format = Format { rate_hz: 8000, channels: 1, sample: "floats" };

/// A sound card whose driver is this test.
struct Fake {
    /// What the next attempts to open it come to; none waits until there is one.
    answers: mpsc::Receiver<Result<(), OpenError>>,
    /// Where the card's end of the ring goes.
    opened: SyncSender<Capture>,
}

struct Open;

impl Listening for Open {}

impl Opener for Fake {
    fn look(&mut self, _target: &Target) -> Result<Format, OpenError> {
        self.answers.recv().unwrap_or(Err(OpenError::Gone)).map(|()| FORMAT)
    }

    fn open(
        &mut self,
        _target: &Target,
        _format: Format,
        capture: Capture,
    ) -> Result<Box<dyn Listening>, OpenError> {
        self.opened.send(capture).unwrap();
        Ok(Box::new(Open))
    }

    fn pcms(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// What the listener was handed.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    epoch: u32,
    after_overrun: bool,
    first: u64,
    samples: Vec<f32>,
}

struct Bench {
    proc: TempDir,
    microphone: Microphone,
    answers: SyncSender<Result<(), OpenError>>,
    opened: mpsc::Receiver<Capture>,
    heard: mpsc::Receiver<Told>,
}

impl Bench {
    fn new(device: &str) -> Self {
        let proc = tempfile::tempdir().unwrap();
        let root = |name| proc.path().join(name);
        let roots = Roots { proc: root(""), sys: root("sys"), dev: root("dev") };
        let (answers, next) = sync_channel(8);
        let (taken, opened) = sync_channel(8);
        let (heard_to, heard) = sync_channel(10_000);
        let options = Options { device: device.parse().unwrap(), gain_db: 6.020_6, roots };
        let listener = move |heard: &Heard<'_>| {
            let Heard { epoch, after_overrun, first, samples, .. } = *heard;
            let samples = samples.to_vec();
            heard_to.send(Told { epoch, after_overrun, first, samples }).unwrap();
        };
        let fake = Box::new(Fake { answers: next, opened: taken });
        let clock = Arc::new(SystemClock);
        let microphone = Microphone::start(options, fake, Box::new(listener), clock).unwrap();
        Self { proc, microphone, answers, opened, heard }
    }

    /// Plugs a card in.
    fn plug(&self) {
        let card = self.proc.path().join("asound/card1");
        fs::create_dir_all(card.join("pcm0c")).unwrap();
        fs::write(card.join("usbid"), "046d:0a44\n").unwrap();
        fs::write(card.join("id"), "Headset\n").unwrap();
    }

    fn unplug(&self) {
        fs::remove_dir_all(self.proc.path().join("asound")).unwrap();
    }

    fn open(&self) -> Capture {
        self.answers.send(Ok(())).unwrap();
        self.opened.recv_timeout(PATIENCE).unwrap()
    }

    fn heard(&self) -> Told {
        self.heard.recv_timeout(PATIENCE).unwrap()
    }

    /// Waits until a person would be told this.
    fn await_told(&self, words: &str) -> Finding {
        let began = now();
        let status = self.microphone.status();
        loop {
            let finding = status.finding(SystemClock.since_boot());
            if finding.detail.contains(words) {
                return finding;
            }
            assert!(began.elapsed() < PATIENCE, "{words:?}: {finding:?}");
            std::thread::yield_now();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a deadline of this test")]
fn now() -> Instant {
    Instant::now()
}

/// Half a millisecond of sound, and time for it.
fn speak(capture: &mut Capture, value: f32) {
    capture.heard(&[value; 4], |sample| sample);
}

#[test]
fn what_was_missing_at_the_start_is_told_and_heard_as_soon_as_it_is_there() {
    let bench = Bench::new("usb:046d:0a44");
    let told = bench.await_told("is not plugged in");
    assert!(!told.is_well && told.fix.unwrap().contains("plug it in"));
    bench.plug();
    let mut capture = bench.open();
    speak(&mut capture, 0.25);
    let told = bench.heard();
    assert_eq!((told.epoch, told.first, told.after_overrun), (1, 0, false));
    assert!(told.samples.iter().all(|sample| (sample - 0.5).abs() < 1e-3), "6 dB louder");
    assert!(bench.await_told("hears: 8000 Hz, 1 channel").is_well);
}

#[test]
fn a_device_that_is_taken_is_told_and_taken_when_it_is_free() {
    let bench = Bench::new("default");
    bench.answers.send(Err(OpenError::Busy)).unwrap();
    let told = bench.await_told("taken by another program");
    assert!(told.fix.unwrap().contains("fuser"));
    bench.answers.send(Err(OpenError::Denied)).unwrap();
    let told = bench.await_told("may not open");
    assert!(told.fix.unwrap().contains("microphone.conf"));
    let mut capture = bench.open();
    speak(&mut capture, 0.25);
    bench.heard();
    bench.await_told("hears");
}

#[test]
fn unplugged_and_plugged_in_again_it_is_heard_in_a_new_epoch() {
    let bench = Bench::new("usb:046d:0a44");
    bench.plug();
    let mut capture = bench.open();
    speak(&mut capture, 0.25);
    assert_eq!(bench.heard().epoch, 1);
    bench.unplug();
    capture.trouble().over(OpenError::Gone);
    bench.await_told("is not plugged in");
    bench.plug();
    let mut capture = bench.open();
    speak(&mut capture, 0.25);
    let told = bench.heard();
    assert_eq!((told.epoch, told.first, told.after_overrun), (2, 0, false));
}

#[test]
fn what_the_card_loses_begins_a_new_epoch_and_what_we_lose_is_in_the_count() {
    let bench = Bench::new("default");
    let mut capture = bench.open();
    speak(&mut capture, 0.25);
    let first = bench.heard();
    capture.trouble().overrun();
    speak(&mut capture, 0.25);
    let second = bench.heard();
    assert_eq!((first.epoch, first.first, second.epoch, second.first), (1, 0, 2, 4));
    assert!(second.after_overrun && !first.after_overrun);
}

#[test]
fn a_microphone_that_gives_nothing_but_silence_is_told_within_a_second_or_two() {
    let bench = Bench::new("default");
    let mut capture = bench.open();
    let began = now();
    // As a card gives it: as much as there is time for.
    let mut given = 0;
    let silent = loop {
        let due = began.elapsed().as_millis() * 8;
        if given < due {
            capture.heard(&vec![0.0; usize::try_from(due - given).unwrap()], |sample| sample);
            given = due;
        }
        let finding = bench.microphone.status().finding(SystemClock.since_boot());
        if finding.detail.contains("nothing but silence") {
            break finding;
        }
        assert!(began.elapsed() < PATIENCE, "{finding:?}");
        std::thread::yield_now();
    };
    assert!(silent.fix.unwrap().contains("muted"));
    speak(&mut capture, 0.25);
    assert!(bench.await_told("hears").is_well);
}

#[test]
fn a_device_that_gives_no_sample_is_told_and_opened_again() {
    let bench = Bench::new("default");
    let _capture = bench.open();
    bench.await_told("gives no sound");
    let mut capture = bench.open();
    speak(&mut capture, 0.25);
    bench.heard();
}

#[test]
fn sound_faster_than_time_is_no_microphones() {
    let bench = Bench::new("default");
    let mut capture = bench.open();
    for _ in 0..10 {
        capture.heard(&[0.25; 800], |sample| sample);
    }
    bench.await_told("faster than anybody speaks");
    let heard: usize = bench.heard.try_iter().map(|told| told.samples.len()).sum();
    assert!(heard <= 4000 + 800, "{heard} samples were passed on");
}

#[test]
fn a_device_that_never_answers_holds_nobody_and_is_told() {
    let bench = Bench::new("default");
    let told = bench.await_told("has not answered for");
    assert!(!told.is_well);
    assert!(matches!(bench.microphone.status().state(), State::Opening { .. }));
    // Ending does not wait for it.
    drop(bench.microphone);
}

#[test]
fn the_level_is_that_of_the_last_moment() {
    let bench = Bench::new("default");
    let mut capture = bench.open();
    let status = bench.microphone.status();
    let began = now();
    let mut given = 0;
    loop {
        let due = began.elapsed().as_millis() * 8;
        if given < due {
            capture.heard(&vec![0.25; usize::try_from(due - given).unwrap()], |sample| sample);
            given = due;
        }
        if (status.level().peak - 0.5).abs() < 1e-3 && (status.level().rms - 0.5).abs() < 1e-3 {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{:?}", status.level());
        std::thread::yield_now();
    }
}
