//! Files to text, here and now: the body of `fieldtape transcribe` and `model bench`.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Duration;

use crate::audio::{RateError, Resampler, WavError, WavReader};
use crate::clock::Clock;
use crate::domain::RateHz;

use super::conversation::{Said, merge};
use super::engine::Engine;
use super::heard::{EngineError, Haste, Manner};
use super::models::{ModelError, ModelFiles};
use super::scan::{AFTER_CALL, LIVE, PIECE, Scan};
use super::segment::Segment;
use super::spans::Rules;
use super::step::hear;
use super::vocabulary::prompt;

/// What a file is heard with.
#[derive(Debug, Clone)]
pub struct Hearing {
    /// The model, a name or a path.
    pub model: String,
    /// Where models are looked for, in order.
    pub model_dirs: Vec<PathBuf>,
    /// Threads, 0 for as many as there are cores.
    pub threads: u32,
}

/// A file to be heard.
#[derive(Debug)]
pub struct FileJob {
    /// Any WAV with one channel or two.
    pub audio: File,
    /// Two or three letters, or "auto".
    pub language: String,
    /// Names and part numbers to expect.
    pub vocabulary: Vec<String>,
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

/// A model loaded in this process, to hear one file after another.
pub struct Transcriber {
    engine: Engine,
    model: String,
    threads: u32,
}

impl Transcriber {
    /// Loads the model.
    pub fn load(hearing: &Hearing) -> Result<Self, ModelError> {
        let files = ModelFiles::find(&hearing.model, &hearing.model_dirs)?;
        let engine = Engine::load(&files.model, &files.detector)
            .map_err(|error| ModelError::Corrupt { path: files.path, why: error.to_string() })?;
        Ok(Self { engine, model: files.name, threads: super::threads(hearing.threads) })
    }

    /// Returns how many threads it uses.
    pub fn threads(&self) -> u32 {
        self.threads
    }

    /// Hears a file in constant memory.
    pub fn hear(
        &mut self,
        job: FileJob,
        mut progress: impl FnMut(Progress),
    ) -> Result<FileText, FileError> {
        let mut reader = WavReader::new(BufReader::new(job.audio))?;
        if reader.channels() > 2 {
            return Err(FileError::Channels { channels: reader.channels() });
        }
        let (rate_hz, total) = (reader.rate_hz(), reader.frames());
        let prompt = prompt(&job.vocabulary);
        let mut parties = (job.speakers.into_iter().take(usize::from(reader.channels())))
            .map(|speaker| Party::new(speaker, rate_hz, &job.language, AFTER_CALL))
            .collect::<Result<Vec<Party>, FileError>>()?;
        let as_ms = |frames: u64| frames * 1000 / u64::from(rate_hz);
        let mut channels = vec![Vec::new(); parties.len()];
        let mut done = 0;
        loop {
            channels.iter_mut().for_each(Vec::clear);
            let got = reader.read(&mut channels, PIECE)?;
            for (party, sound) in parties.iter_mut().zip(&channels) {
                party.resample(sound, got == 0);
            }
            overhear(&mut parties);
            for party in &mut parties {
                party.look(&mut self.engine, got == 0)?;
                party.hear(&mut self.engine, &prompt, self.threads)?;
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
            model: self.model.clone(),
            duration_ms: as_ms(done),
            truncated: reader.truncated(),
        })
    }

    /// Hears the beginning of a call as it is heard while it runs: each utterance by itself, soon
    /// after its end, until there were enough of them.
    pub fn hear_live(&mut self, audio: File, clock: &dyn Clock) -> Result<LivePace, FileError> {
        let mut reader = WavReader::new(BufReader::new(audio))?;
        let second = usize::try_from(reader.rate_hz()).unwrap_or(PIECE);
        let mut parties = (0..reader.channels())
            .map(|number| Party::new(number.to_string(), reader.rate_hz(), "auto", LIVE))
            .collect::<Result<Vec<Party>, FileError>>()?;
        let mut channels = vec![Vec::new(); parties.len()];
        let mut pace = LivePace::default();
        while pace.utterances.len() < UTTERANCES_ENOUGH {
            channels.iter_mut().for_each(Vec::clear);
            let got = reader.read(&mut channels, second)?;
            if got == 0 {
                break;
            }
            pace.call += Duration::from_secs(1);
            for (party, sound) in parties.iter_mut().zip(&channels) {
                party.resample(sound, false);
            }
            overhear(&mut parties);
            for party in &mut parties {
                let (began, known) = (clock.since_boot(), party.segments.len());
                party.look(&mut self.engine, false)?;
                party.scan.pause(&mut self.engine)?;
                party.hear(&mut self.engine, "", self.threads)?;
                let took = clock.since_boot().saturating_sub(began);
                pace.work += took;
                if party.segments.len() > known {
                    pace.utterances.push(took);
                }
            }
        }
        Ok(pace)
    }
}

/// Utterances after which it is known how long one takes.
const UTTERANCES_ENOUGH: usize = 8;

/// How hearing a call while it runs went.
#[derive(Debug, Clone, Default)]
pub struct LivePace {
    /// So much of the call was heard.
    pub call: Duration,
    /// It took so long altogether.
    pub work: Duration,
    /// How long each utterance took.
    pub utterances: Vec<Duration>,
}

/// Lets each of two parties know what the other track has, for its echo.
fn overhear(parties: &mut [Party]) {
    if let [left, right] = parties {
        left.scan.overhear(&right.sound);
        right.scan.overhear(&left.sound);
    }
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
    fn new(speaker: String, rate_hz: u32, language: &str, rules: Rules) -> Result<Self, FileError> {
        Ok(Self {
            speaker,
            resampler: Resampler::new(rate_hz, RateHz::Hz16000)?,
            scan: Scan::new(0, rules),
            language: language.to_owned(),
            heard_language: None,
            segments: Vec::new(),
            dropped: 0,
            sound: Vec::new(),
        })
    }

    fn resample(&mut self, sound: &[f32], ended: bool) {
        self.sound.clear();
        self.resampler.push(sound, &mut self.sound);
        if ended {
            self.resampler.finish(&mut self.sound);
        }
    }

    fn look(&mut self, engine: &mut Engine, ended: bool) -> Result<(), FileError> {
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
