//! The thread that looks for the microphone, listens to it, and looks for it again when it is gone.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::cards::{self, Absent, Roots};
use super::hearing::Hearing;
use super::level::Level;
use super::name::DeviceName;
use super::opener::{Format, OpenError, Opener, Target};
use super::ring::{self, Block, Drain};
use super::state::{State, Status};
use crate::clock::{Line, SharedClock};

/// How often a device that is not there is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often the ring is emptied.
const DRAIN_EVERY: Duration = Duration::from_millis(10);

/// Sound as it is heard.
#[derive(Debug)]
pub struct Heard<'a> {
    /// The how-manieth time the device was begun to be listened to. Within one the samples are
    /// counted on; what lies between two is not known.
    pub epoch: u32,
    /// Whether the device itself lost sound before this epoch, and was there all the time.
    pub after_overrun: bool,
    /// Samples a second, as the device says.
    pub rate_hz: u32,
    /// The number of the first sample; where it does not follow, sound was lost on the way.
    pub first: u64,
    /// When which sample was heard, as far as is known by now.
    pub line: Line,
    /// One channel, with the gain, between -1 and 1.
    pub samples: &'a [f32],
}

/// Who is handed what is heard, on the ear's thread: it must not wait for anything.
pub type Listener = Box<dyn FnMut(&Heard<'_>) + Send>;

/// What to listen to, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which microphone.
    pub device: DeviceName,
    /// How much louder it is made, in dB.
    pub gain_db: f32,
    /// Where the kernel tells which cards there are.
    pub roots: Roots,
}

/// A microphone that is listened to until this is dropped.
pub struct Microphone {
    /// Dropped, it tells the thread to end. The thread is not waited for: a device may hold it.
    _stop: SyncSender<()>,
    status: Status,
}

impl Microphone {
    /// Begins to look for the device and to listen.
    pub fn start(
        options: Options,
        opener: Box<dyn Opener>,
        listener: Listener,
        clock: SharedClock,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let since = clock.since_boot();
        let (told, state) = watch::channel(State::Opening { since });
        let name = Arc::new(options.device.clone());
        let level = Arc::new(Mutex::new(Level::default()));
        let status = Status::new(name, state, Arc::clone(&level));
        #[expect(clippy::cast_possible_truncation, reason = "checked to be within tens of dB")]
        let gain = 10_f64.powf(f64::from(options.gain_db) / 20.0) as f32;
        let ear = Ear { options, opener, listener, clock, told, level, gain, epoch: 0, skew: 0.0 };
        std::thread::Builder::new()
            .name("microphone".to_owned())
            .spawn(move || ear.run(&stopped))?;
        Ok(Self { _stop: stop, status })
    }

    /// Returns how it is, now and later.
    pub fn status(&self) -> Status {
        self.status.clone()
    }
}

struct Ear {
    options: Options,
    opener: Box<dyn Opener>,
    listener: Listener,
    clock: SharedClock,
    told: watch::Sender<State>,
    level: Arc<Mutex<Level>>,
    gain: f32,
    epoch: u32,
    /// How far off the device's clock was when last followed.
    skew: f64,
}

/// The program is ending.
struct Stopped;

impl Ear {
    fn run(mut self, stopped: &Receiver<()>) {
        loop {
            let ended = self.listen_once(stopped);
            self.set_level(Level::default());
            match ended {
                Err(Stopped) => return,
                Ok(state) => self.tell(&self.seen_again(state)),
            }
            if wait(stopped, LOOK_EVERY).is_err() {
                return;
            }
        }
    }

    /// Looks for the device and listens to it for as long as it gives sound; says why no more.
    fn listen_once(&mut self, stopped: &Receiver<()>) -> Result<State, Stopped> {
        let target = match target(&self.options) {
            Ok(target) => target,
            Err(absent) => return Ok(State::Absent(absent)),
        };
        self.opening();
        let opened = self.opener.look(&target).and_then(|format| {
            let clock = Arc::clone(&self.clock);
            let (capture, drain) = ring::ring(format.rate_hz, format.channels, clock);
            let device = self.opener.open(&target, format, capture)?;
            Ok((format, drain, device))
        });
        let (format, drain, device) = match opened {
            Ok(opened) => opened,
            Err(error) => return Ok(State::Refused(why(&self.options, error))),
        };
        let ended = self.listen(format, drain, stopped);
        if !matches!(ended, Err(Stopped)) {
            self.told.send_replace(State::Closing { since: self.clock.since_boot() });
        }
        drop(device);
        ended
    }

    /// A device that went away is told as what it is: not plugged in, if that can be told.
    fn seen_again(&self, state: State) -> State {
        match (&state, target(&self.options)) {
            (State::Refused(OpenError::Gone) | State::Mute { .. }, Err(absent)) => {
                State::Absent(absent)
            }
            _ => state,
        }
    }

    /// A device that is tried again and again is not opened anew each time, to a person.
    fn opening(&self) {
        let since = self.clock.since_boot();
        self.told.send_if_modified(|state| {
            let is_first =
                matches!(state, State::Hearing(_) | State::Silent { .. } | State::Closing { .. });
            if is_first {
                *state = State::Opening { since };
            }
            is_first
        });
    }

    fn listen(
        &mut self,
        format: Format,
        mut drain: Drain,
        stopped: &Receiver<()>,
    ) -> Result<State, Stopped> {
        let mut hearing = Hearing::new(format, self.skew, self.clock.since_boot());
        let mut samples = Vec::new();
        let mut state = None;
        self.epoch += 1;
        while state.is_none() {
            wait(stopped, DRAIN_EVERY)?;
            while let Some(block) = drain.next(&mut samples)
                && state.is_none()
            {
                state = self.take(&mut hearing, block, &mut samples);
            }
            state = state.or_else(|| drain.fatal().map(State::Refused));
            let now = self.clock.since_boot();
            state = state
                .or_else(|| hearing.is_deaf(now).then_some(State::Mute { why: "gives no sound" }));
            if state.is_none() && hearing.has_begun() {
                self.skew = hearing.drift.skew();
                if let Some(state) = hearing.state(now) {
                    self.tell(&state);
                }
                if let Some(level) = hearing.level(now) {
                    self.set_level(level);
                }
            }
        }
        Ok(state.unwrap_or(State::Mute { why: "gives no sound" }))
    }

    /// Takes a block in; says what the device is if it cannot be one.
    fn take(&mut self, hearing: &mut Hearing, block: Block, samples: &mut [f32]) -> Option<State> {
        let after_overrun = hearing.note(block, samples.len());
        if after_overrun {
            self.epoch += 1;
        }
        if hearing.is_ahead(block.at) {
            return Some(State::Mute {
                why: "gives sound faster than anybody speaks, as no sound card does",
            });
        }
        hearing.listen(samples, block.at);
        for sample in samples.iter_mut() {
            *sample *= self.gain;
        }
        hearing.meter.take(samples);
        let line = hearing.drift.line()?;
        let rate_hz = hearing.format.rate_hz;
        let (epoch, first) = (self.epoch, block.first);
        let after_overrun = hearing.begun_by_overrun;
        (self.listener)(&Heard { epoch, after_overrun, rate_hz, first, line, samples });
        None
    }

    /// Tells how it is, and the journal what has changed.
    fn tell(&self, state: &State) {
        let news = self.told.send_if_modified(|told| {
            let news = !told.is_like(state);
            if news {
                *told = state.clone();
            }
            news
        });
        if !news {
            return;
        }
        let finding = state.finding(&self.options.device, self.clock.since_boot());
        let detail = finding.detail;
        if finding.is_well {
            tracing::info!(event = "microphone.hears", "the microphone {detail}");
        } else {
            let fix = finding.fix.unwrap_or_default();
            tracing::error!(event = "microphone.lost", error = %detail, "the microphone: {detail}; {fix}");
        }
    }

    fn set_level(&self, level: Level) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = level;
    }
}

/// What is to be opened, if it is there.
pub(super) fn target(options: &Options) -> Result<Target, Absent> {
    let card = cards::find(&options.device, &cards::cards(&options.roots))?;
    Ok(match card {
        Some(card) => Target::Card { index: card.index, device: card.device },
        None => Target::Pcm(options.device.to_string()),
    })
}

/// Waits so long, or learns that the program is ending.
fn wait(stopped: &Receiver<()>, time: Duration) -> Result<(), Stopped> {
    match stopped.recv_timeout(time) {
        Err(RecvTimeoutError::Timeout) => Ok(()),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Stopped),
    }
}

/// Opens the device once, as far as it takes to know whether it could be listened to.
pub(super) fn probe(options: &Options, opener: &mut dyn Opener) -> Result<Format, State> {
    let target = target(options).map_err(State::Absent)?;
    opener.look(&target).map_err(|error| State::Refused(why(options, error)))
}

/// A device that the kernel has and we do not see is not gone.
fn why(options: &Options, error: OpenError) -> OpenError {
    match error {
        OpenError::Gone if cards::are_hidden(&options.roots) => OpenError::Denied,
        error => error,
    }
}

#[cfg(test)]
#[path = "ear_tests.rs"]
mod tests;
