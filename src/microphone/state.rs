//! How the microphone is, and what a person is told of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::cards::Absent;
use super::level::Level;
use super::name::DeviceName;
use super::opener::{Format, OpenError};
use crate::domain::lasting;

/// A device that has not answered for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(2);

/// How the microphone is.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// It is being opened, since this moment since boot.
    Opening {
        /// Since when.
        since: Duration,
    },
    /// It is not plugged in, or cannot be told from others.
    Absent(Absent),
    /// It is there and cannot be opened.
    Refused(OpenError),
    /// It was opened and gives no sound at all, or cannot be one.
    Mute {
        /// What is the matter with it.
        why: &'static str,
    },
    /// It is being closed, since this moment since boot.
    Closing {
        /// Since when.
        since: Duration,
    },
    /// It gives sound, and nothing is in it.
    Silent {
        /// Since when, since boot.
        since: Duration,
    },
    /// It hears.
    Hearing(Format),
}

/// What a person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it hears, or is about to.
    pub is_well: bool,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub fix: Option<String>,
}

/// The microphone as others see it. A clone sees the same.
#[derive(Clone)]
pub struct Status {
    name: Arc<DeviceName>,
    state: watch::Receiver<State>,
    level: Arc<Mutex<Level>>,
}

impl Status {
    pub(super) fn new(
        name: Arc<DeviceName>,
        state: watch::Receiver<State>,
        level: Arc<Mutex<Level>>,
    ) -> Self {
        Self { name, state, level }
    }

    /// Returns which microphone is meant.
    pub fn name(&self) -> &DeviceName {
        &self.name
    }

    /// Returns how it is now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until it is another than it was when last waited.
    pub async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            // Nobody listens any more, so nothing will change.
            std::future::pending::<()>().await;
        }
    }

    /// Returns how loud it was just now; nothing while it does not hear.
    pub fn level(&self) -> Level {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says it to a person, `now` since boot.
    pub fn finding(&self, now: Duration) -> Finding {
        self.state.borrow().finding(&self.name, now)
    }
}

impl State {
    /// Says it to a person.
    pub(super) fn finding(&self, name: &DeviceName, now: Duration) -> Finding {
        let ill = |detail: String, fix: &str| Finding {
            is_well: false,
            detail,
            fix: Some(fix.to_owned()),
        };
        let stuck = |since: &Duration| now.saturating_sub(*since);
        match self {
            Self::Hearing(format) => {
                Finding { is_well: true, detail: format!("{name} hears: {format}"), fix: None }
            }
            Self::Opening { since } | Self::Closing { since } if stuck(since) < STUCK_AFTER => {
                Finding { is_well: true, detail: format!("{name} is being opened"), fix: None }
            }
            Self::Opening { since } | Self::Closing { since } => ill(
                format!("{name} has not answered for {}", lasting(stuck(since))),
                "unplug it and plug it in again; it is taken as soon as it answers",
            ),
            Self::Absent(absent) => {
                let fix = absent.fix();
                ill(format!("{absent}: the agent is recorded from Twilio's stream only"), &fix)
            }
            Self::Refused(error) => ill(
                format!("{name}: {error}; the agent is recorded from Twilio's stream only"),
                error.fix(),
            ),
            Self::Mute { why } => ill(
                format!("{name} {why}; the agent is recorded from Twilio's stream only"),
                "unplug it and plug it in again; it is taken as soon as it gives sound",
            ),
            Self::Silent { since } => ill(
                format!("{name} has heard nothing but silence for {}", lasting(stuck(since))),
                "see whether it is muted: `fieldtape audio meter` shows what it hears",
            ),
        }
    }

    /// Says whether two are the same to a person: the same trouble is told once.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Silent { .. }, Self::Silent { .. })
            | (Self::Opening { .. }, Self::Opening { .. })
            | (Self::Closing { .. }, Self::Closing { .. }) => true,
            (one, other) => one == other,
        }
    }
}

impl Absent {
    /// Returns what to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::NotThere { instead, .. } if instead.is_empty() => {
                "plug it in; it is taken within a second".to_owned()
            }
            Self::NotThere { instead, .. } => format!(
                "plug it in, or write microphone.device = \"{}\", which is there",
                instead.join("\" or \"")
            ),
            Self::Several { .. } => "write one of them as microphone.device".to_owned(),
        }
    }
}

impl OpenError {
    /// Returns what to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Gone => "see `fieldtape audio devices` for those that are there",
            Self::Busy => {
                "end the program that records from it (`fuser -v /dev/snd/*` names it); it is taken as soon as it is free"
            }
            Self::Denied => {
                "let fieldtape.service open sound cards: /usr/share/doc/fieldtape/examples/microphone.conf"
            }
            Self::Unsupported { .. } => {
                "use another device: one that records 8 to 192 kHz on 1 to 8 channels"
            }
            Self::Failed { .. } => "unplug it and plug it in again",
            Self::NotBuilt => {
                "install a fieldtape with it, or set recording.agent_source = \"twilio\""
            }
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let channels = if self.channels == 1 { "channel" } else { "channels" };
        write!(out, "{} Hz, {} {channels}, {}", self.rate_hz, self.channels, self.sample)
    }
}
