//! What the commands about speech take from the configuration.

use std::path::PathBuf;

use super::exit::Failure;
use super::{Context, output};
use crate::config::{Config, Environment, Lookup as _, Sources, Transcription};

/// A file that is always there and says nothing.
const EMPTY: &str = "/dev/null";

/// The settings for speech.
pub(super) struct Settings {
    /// How sound is written down.
    pub(super) transcription: Transcription,
    /// The folder whose `models` are ours.
    pub(super) data_dir: PathBuf,
    /// Bytes that recordings need on the disk.
    pub(super) min_free_bytes: u64,
    /// The file they come from; none for built-in defaults.
    pub(super) file: Option<PathBuf>,
}

impl Context {
    /// Returns the settings for speech. A configuration that somebody named must be right. One
    /// that merely lies in its usual place, perhaps for others to read, is told and done without:
    /// a file can be transcribed without it.
    pub(super) fn speech(&self) -> Result<Settings, Failure> {
        let named = self.config.is_some() || Environment.get("FIELDTAPE_CONFIG").is_some();
        let config = match self.config() {
            Ok(config) => config,
            Err(Failure::Config(problems)) if !named => {
                output::error(&format!("built-in defaults are used, because of {problems}"));
                let empty = Sources { file: Some(EMPTY.into()), environment: &Environment };
                let mut config = Config::load(&empty)
                    .map_err(|problems| Failure::Config(problems.to_string()))?;
                config.file = None;
                config
            }
            Err(failure) => return Err(failure),
        };
        Ok(Settings {
            transcription: config.transcription,
            data_dir: config.server.data_dir,
            min_free_bytes: config.recording.min_free_bytes,
            file: config.file,
        })
    }
}
