//! What speech can be asked, and why it may not answer.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(doc)]
use super::WindowText;
use super::child::Death;
use super::models::ModelError;
use super::queue::NotTaken;

/// How long a worker with nothing to do keeps its memory.
pub const IDLE: Duration = Duration::from_mins(1);

/// How long one answer may take: 20 x the 30 s of a window, and one minute for loading a model or
/// looking through silence.
pub const PATIENCE: Duration = Duration::from_mins(10 + 1);

/// What speech needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// The executable that has `speech-worker`: our own, or a build for a newer processor.
    pub program: PathBuf,
    /// Where systemd starts the worker as a unit of its own, if it does.
    pub socket: Option<PathBuf>,
    /// The model for whole tracks, a name or a path.
    pub model: String,
    /// The model for live ones, if another.
    pub live_model: Option<String>,
    /// Where models are looked for, in order.
    pub model_dirs: Vec<PathBuf>,
    /// Names and part numbers to expect.
    pub vocabulary: Vec<String>,
    /// Threads, 0 for as many as there are cores.
    pub threads: u32,
    /// The worker's niceness.
    pub nice: i32,
    /// See [`IDLE`].
    pub idle: Duration,
    /// See [`PATIENCE`].
    pub patience: Duration,
}

/// A whole track, of which the next window is to be heard.
#[derive(Debug)]
pub struct TrackJob {
    /// The WAV: one channel, any rate, complete.
    pub audio: Arc<File>,
    /// The other party's WAV of the same time, if there is one: its echo is not heard twice.
    pub other: Option<Arc<File>>,
    /// The 16 kHz sample to begin at: 0, then [`WindowText::consumed_to`] of the window before.
    pub from_sample: u64,
    /// Two or three letters, or "auto".
    pub language: String,
    /// Behind everything else the box does.
    pub gently: bool,
}

/// A live track to be looked at.
#[derive(Debug)]
pub struct LiveJob {
    /// Our own recording at 16 kHz, still growing.
    pub audio: File,
    /// Which track it is: a number no other live track has.
    pub track: u64,
    /// The 16 kHz sample to begin at: [`LiveText::consumed_to`](super::LiveText::consumed_to) of
    /// the look before.
    pub from_sample: u64,
    /// The first sample not to be read.
    pub to_sample: u64,
    /// Two or three letters, or "auto".
    pub language: String,
    /// Whether to guess at the utterance under way, if none that has ended waits.
    pub guess: bool,
}

/// Why there is no text, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// A model is missing or broken: wait for somebody to bring one.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model does not know the language: change one of the two.
    #[error("{0}")]
    Language(String),
    /// The sound cannot be read: trying again does not help.
    #[error("the track cannot be read: {0}")]
    BadAudio(String),
    /// The worker came to an end: try again.
    #[error("the speech process ended ({how}): {last_line}")]
    WorkerDied {
        /// Its exit code or signal, or what it failed to do.
        how: String,
        /// The last line it wrote.
        last_line: String,
    },
    /// The engine refused, and lives: try again.
    #[error("the speech engine failed: {0}")]
    Failed(String),
    /// The worker cannot be started: the program file is not where it was.
    #[error("the speech process cannot be started from {}", program.display())]
    NotStarted {
        /// The executable.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Too many jobs wait: come again later.
    #[error("too many tracks wait to be heard")]
    Busy,
    /// The appliance is stopping.
    #[error("speech has been stopped")]
    Stopped,
}

impl From<Death> for SpeechError {
    fn from(death: Death) -> Self {
        let last_line =
            if death.last_line.is_empty() { "it said nothing".to_owned() } else { death.last_line };
        Self::WorkerDied { how: death.how, last_line }
    }
}

impl From<NotTaken> for SpeechError {
    fn from(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::Full => Self::Busy,
            NotTaken::Stopped => Self::Stopped,
        }
    }
}
