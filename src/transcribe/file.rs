//! One file to text, here and now: the body of `fieldtape transcribe FILE`.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use crate::audio::{RateError, Resampler, WavError, WavReader};
use crate::domain::RateHz;

use super::conversation::{Said, merge};
use super::engine::Engine;
use super::heard::{EngineError, Haste, Manner};
use super::models::{ModelError, ModelFiles};
use super::scan::{AFTER_CALL, PIECE, Scan};
use super::segment::Segment;
use super::step::hear;

/// A file to be heard.
#[derive(Debug)]
pub struct FileJob {
    /// Any WAV with one channel or two.
    pub audio: File,
    /// The model, a name or a path.
    pub model: String,
    /// Where models are looked for, in order.
    pub model_dirs: Vec<PathBuf>,
    /// Two or three letters, or "auto".
    pub language: String,
    /// Names and part numbers to expect.
    pub vocabulary: Vec<String>,
    /// Threads, 0 for as many as there are cores.
    pub threads: u32,
    /// Who speaks on which channel; the first name also for a file with one channel.
    pub speakers: [String; 2],
}

/// A file as text.
#[derive(Debug, Clone, PartialEq)]
pub struct FileText {
    /// What was said, by start time.
    pub said: Vec<Said<String>>,
    /// The language it was taken for.
    pub language: String,
    /// The model that heard it, by name.
    pub model: String,
    /// Stretches that were heard and dropped.
    pub dropped: u32,
    /// The file's length.
    pub duration_ms: u64,
    /// The file ends before its header says: some of it may be missing.
    pub truncated: bool,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A model is missing or broken.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The file is refused.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// The file has a rate that cannot be brought to the model's.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// There is no telling who speaks.
    #[error(
        "{channels} channels: a file with one speaker, or with two on a channel each, can be \
         transcribed"
    )]
    Channels {
        /// As many as there are.
        channels: u16,
    },
    /// The language is unknown, or the engine failed.
    #[error("{0}")]
    Engine(String),
}

impl From<EngineError> for FileError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error.to_string())
    }
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// So much has been heard.
    pub heard_ms: u64,
    /// Of so much.
    pub total_ms: u64,
}

/// Hears a file in constant memory, in this process.
pub fn transcribe_file(
    job: FileJob,
    mut progress: impl FnMut(Progress),
) -> Result<FileText, FileError> {
    let mut reader = WavReader::new(BufReader::new(job.audio))?;
    if reader.channels() > 2 {
        return Err(FileError::Channels { channels: reader.channels() });
    }
    let files = ModelFiles::find(&job.model, &job.model_dirs)?;
    let mut engine = Engine::load(&files.model, &files.detector).map_err(|error| {
        FileError::Model(ModelError::Corrupt { path: files.path, why: error.to_string() })
    })?;
    let (rate_hz, total) = (reader.rate_hz(), reader.frames());
    let prompt = job.vocabulary.join(", ");
    let threads = super::threads(job.threads);
    let mut parties = (job.speakers.into_iter().take(usize::from(reader.channels())))
        .map(|speaker| Party::new(speaker, rate_hz, &job.language))
        .collect::<Result<Vec<Party>, FileError>>()?;
    let as_ms = |frames: u64| frames * 1000 / u64::from(rate_hz);
    let mut channels = vec![Vec::new(); parties.len()];
    let mut done = 0;
    loop {
        channels.iter_mut().for_each(Vec::clear);
        let got = reader.read(&mut channels, PIECE)?;
        for (party, sound) in parties.iter_mut().zip(&channels) {
            party.take(&mut engine, sound, got == 0)?;
            party.hear(&mut engine, &prompt, threads)?;
        }
        done += got as u64;
        progress(Progress { heard_ms: as_ms(done), total_ms: as_ms(total) });
        if got == 0 {
            break;
        }
    }
    let language = parties.iter().find_map(|party| party.heard_language.clone());
    Ok(FileText {
        dropped: parties.iter().map(|party| party.dropped).sum(),
        said: merge(parties.into_iter().map(|party| (party.speaker, party.segments))),
        language: language.unwrap_or(job.language),
        model: files.name,
        duration_ms: as_ms(done),
        truncated: reader.truncated(),
    })
}

/// One speaker being heard.
struct Party {
    speaker: String,
    resampler: Resampler,
    scan: Scan,
    language: String,
    heard_language: Option<String>,
    segments: Vec<Segment>,
    dropped: u32,
    /// Reused from piece to piece.
    sound: Vec<f32>,
}

impl Party {
    fn new(speaker: String, rate_hz: u32, language: &str) -> Result<Self, FileError> {
        Ok(Self {
            speaker,
            resampler: Resampler::new(rate_hz, RateHz::Hz16000)?,
            scan: Scan::new(0, AFTER_CALL),
            language: language.to_owned(),
            heard_language: None,
            segments: Vec::new(),
            dropped: 0,
            sound: Vec::new(),
        })
    }

    fn take(&mut self, engine: &mut Engine, sound: &[f32], ended: bool) -> Result<(), FileError> {
        self.sound.clear();
        self.resampler.push(sound, &mut self.sound);
        if ended {
            self.resampler.finish(&mut self.sound);
        }
        self.scan.push(engine, &self.sound)?;
        if ended {
            self.scan.finish(engine)?;
        }
        Ok(())
    }

    fn hear(&mut self, engine: &mut Engine, prompt: &str, threads: u32) -> Result<(), FileError> {
        while let Some(window) = self.scan.window() {
            let haste = Haste::None;
            let manner = Manner { language: &self.language, prompt, threads, haste };
            let text = hear(engine, &window, &manner)?;
            self.segments.extend(text.segments);
            self.dropped += text.dropped;
            if let Some(language) = text.language {
                self.language.clone_from(&language);
                self.heard_language = Some(language);
            }
        }
        Ok(())
    }
}
