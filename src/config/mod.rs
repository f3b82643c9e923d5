//! What the operator wants: a TOML file, the environment over it, flags over both, checked whole.
//!
//! Invariant: a [`Config`] is complete and typed; every problem of its sources was told at once,
//! each with its key. The environment is read here and nowhere else, through [`Lookup`].
//!
//! Not here: what a setting means to a room; each room's own options are built from this by the
//! daemon.

mod agent;
mod build;
mod consent;
mod edit;
mod keeping;
mod lookup;
mod merge;
mod outside;
mod problems;
mod raw;
mod secrets;
mod tls;
mod units;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::archive::PlaceOptions;
use crate::contacts::Country;
use crate::domain::{AccountSid, RateHz, TrackSource};
use crate::health::Secret;
use crate::microphone::DeviceName;
use crate::models::{Language, Mirror};
use crate::retention::Policy;
use crate::summarize::ServerOptions;
use crate::twilio::door::PublicUrl;
use crate::twilio::rest::{Credentials, Origin};
use crate::twilio::signature::{AuthToken, SharedKey};
use crate::web::lan::Prices;
use crate::web::tls::CertificateFiles;

pub use edit::{Draft, EditError, set_models};
pub use lookup::{Environment, Lookup};
pub use problems::{Problem, Problems};
pub use secrets::{Laid, lay_open};

/// Where settings come from.
pub struct Sources<'a> {
    /// The file named by a flag.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: &'a dyn Lookup,
}

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where it listens and where it keeps things.
    pub server: Server,
    /// The account, and how calls are answered.
    pub twilio: Twilio,
    /// Where a second copy of everything goes; none keeps it here only.
    pub archive: Option<Archive>,
    /// How sound is kept.
    pub recording: Recording,
    /// How it is written down.
    pub transcription: Transcription,
    /// The server that writes summaries; none to make them on the box alone.
    pub summary: Option<ServerOptions>,
    /// How long what is kept.
    pub retention: Policy,
    /// What people are told before they are recorded.
    pub consent: Consent,
    /// The box's own microphone.
    pub microphone: Microphone,
    /// The file it was read from; none for built-in defaults.
    pub file: Option<PathBuf>,
    /// What was set and has no effect, for a person to read.
    pub warnings: Vec<Problem>,
    /// Where each secret that is set is kept.
    pub secrets: Vec<Secret>,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The ledger and the recordings.
    pub data_dir: PathBuf,
    /// The page and the API.
    pub lan_listen: SocketAddr,
    /// Twilio's door.
    pub twilio_listen: SocketAddr,
    /// The https base that Twilio calls.
    pub public_url: Option<PublicUrl>,
    /// How the page is encrypted; none: not at all.
    pub lan_tls: Option<LanTls>,
    /// How Twilio's door is encrypted; none: not at all, something in front of it is.
    pub twilio_tls: Option<CertificateFiles>,
    /// Calls heard at once; one more is recorded at Twilio only.
    pub max_calls: usize,
    /// The socket that the command line speaks to.
    pub admin_socket: PathBuf,
    /// Where the package's scripts write down what an upgrade came to.
    pub upgrade_folder: Option<PathBuf>,
}

/// How the page is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LanTls {
    /// By a certificate that the box made for itself.
    SelfSigned,
    /// By this one.
    Files(CertificateFiles),
}

/// `[twilio]`
#[derive(Debug, Clone, PartialEq)]
pub struct Twilio {
    /// Our account.
    pub account_sid: Option<AccountSid>,
    /// What webhooks are signed with.
    pub auth_token: Option<AuthToken>,
    /// What webhooks are signed with when a shared key is set up for them.
    pub shared_key: Option<SharedKey>,
    /// False lets anybody in; for a bench on loopback only.
    pub validate_signatures: bool,
    /// The country whose numbers may be written without its code.
    pub country: Country,
    /// The number shown when the office rings out.
    pub caller_id: Option<String>,
    /// The agent's browser, as a Twilio client identity.
    pub agent_identity: Option<String>,
    /// The agent's telephone.
    pub agent_number: Option<String>,
    /// Where its REST API is.
    pub api_origin: Origin,
    /// What its REST API is asked with; none while no account is set.
    pub api: Option<Credentials>,
    /// Whether Twilio keeps a copy of its own.
    pub cloud_recording: CloudRecording,
    /// How often Twilio is asked what it knows.
    pub reconcile_every: Duration,
    /// When Twilio's copies are deleted; none keeps them.
    pub deletion: Option<Deletion>,
    /// Bytes a second for all downloads together.
    pub bandwidth_limit: Option<u64>,
    /// What Twilio's copies cost, as far as that was said.
    pub prices: Prices,
}

/// When Twilio's copies are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// So long after they were made, if everything that makes them superfluous is proven.
    pub after: Duration,
}

/// Whether Twilio keeps a copy of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudRecording {
    /// Asked for in the TwiML, from second 0.
    Twiml,
    /// Asked for over the REST API, as soon as the call is known and announced.
    Rest,
    /// No.
    Off,
}

/// `[archive]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where it is.
    pub place: PlaceOptions,
    /// Bytes a second for all uploads together.
    pub bandwidth_limit: Option<u64>,
}

/// `[recording]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The rates of the files; 8000 is always among them.
    pub rates: Vec<RateHz>,
    /// The most sound that a power cut may cost.
    pub sync_every: Duration,
    /// Room that must be left on the disk, or the page and the log say so.
    pub min_free_bytes: u64,
    /// How long the 16 kHz files are kept.
    pub keep_16k: Keep16k,
    /// Where the agent is heard.
    pub agent_source: AgentSource,
}

/// Where the agent is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentSource {
    /// In Twilio's stream.
    Twilio,
    /// By the box's own microphone, and in the stream beside it.
    Microphone,
}

impl AgentSource {
    /// Returns what hears the agent beside Twilio's stream, if anything does.
    pub const fn beside(self) -> Option<TrackSource> {
        match self {
            Self::Twilio => None,
            Self::Microphone => Some(TrackSource::Microphone),
        }
    }
}

/// How long the 16 kHz files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep16k {
    /// As long as the 8 kHz ones.
    Always,
    /// Until the transcript is there.
    UntilTranscribed,
}

/// `[transcription]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcription {
    /// A model's name or the path of its file.
    pub model: String,
    /// A model's name or the path of its file, for words while people speak; none for the same.
    pub live_model: Option<String>,
    /// Where models are fetched from.
    pub mirror: Mirror,
    /// The language spoken; none to have a multilingual model find out.
    pub language: Option<Language>,
    /// Threads of the speech process; 0 is one a core.
    pub threads: usize,
    /// Whether words are shown while people speak.
    pub live: bool,
    /// Names and part numbers of the site.
    pub vocabulary: Vec<String>,
    /// The niceness of the speech process.
    pub nice: i32,
    /// Where systemd starts the speech process, if it does.
    pub speech_socket: Option<PathBuf>,
}

/// `[consent]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Said before anything is recorded; empty says nothing.
    pub announcement: String,
    /// The language it is said in, as Twilio names it (`en-US`).
    pub language: Option<String>,
    /// Whose voice says it, as Twilio names it (`Polly.Joanna`).
    pub voice: Option<String>,
    /// A sound file that is played instead.
    pub sound: Option<PathBuf>,
    /// With this key somebody says that they are not to be recorded; none asks nobody.
    pub decline_key: Option<char>,
}

/// `[microphone]`
#[derive(Debug, Clone, PartialEq)]
pub struct Microphone {
    /// Which one.
    pub device: DeviceName,
    /// How much louder its sound is made.
    pub gain_db: f32,
}

/// The file that is read when no other is named.
pub const DEFAULT_FILE: &str = "/etc/fieldtape/config.toml";

impl Config {
    /// Reads and checks all settings.
    pub fn load(sources: &Sources<'_>) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let merged = merge::merge(sources, &mut problems);
        let secrets = secrets::places(&merged, sources.environment);
        let config = build::build(merged, sources.environment, &mut problems);
        problems.none_or(config.map(|config| Self { secrets, ..config }))
    }

    /// Reads what the settings name, and says what of it cannot be used.
    pub fn check_files(&self) -> Result<(), Problems> {
        let mut problems = tls::certificates(self);
        consent::sound_file(self, &mut problems);
        problems.none_or(Some(()))
    }
}

#[cfg(test)]
mod shipped_tests;
#[cfg(test)]
mod tests;
