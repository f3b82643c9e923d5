//! Speech to text with the real model: in the worker process, and a file by itself.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "sound made of small numbers"
)]

mod accuracy;
mod files;
mod languages;
mod live;
mod vocabulary;
mod worker;

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fieldtape::audio::{Resampler, WavReader, pcm16, wav_header};
use fieldtape::domain::RateHz;
use fieldtape::transcribe::{
    FileError, FileJob, FileText, Hearing, LiveJob, ModelError, Options, PATIENCE, Progress,
    Segment, Speech, SpeechError, TrackJob, Transcriber,
};

use crate::wer::wer;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn asset(name: &str) -> File {
    File::open(root().join("tests/assets").join(name)).unwrap()
}

fn options() -> Options {
    Options {
        program: env!("CARGO_BIN_EXE_fieldtape").into(),
        socket: None,
        model: "tiny.en-q8_0".to_owned(),
        live_model: None,
        model_dirs: vec![root().join("models")],
        vocabulary: Vec::new(),
        threads: 1,
        nice: 10,
        idle: Duration::from_mins(1),
        patience: PATIENCE,
    }
}

/// Loads a model, by name or path.
fn transcriber(model: &str) -> Result<Transcriber, ModelError> {
    let model_dirs = vec![root().join("models")];
    Transcriber::load(&Hearing { model: model.to_owned(), model_dirs, threads: 1 })
}

/// Hears a file with the bundled model.
fn transcribe_file(job: FileJob, progress: impl FnMut(Progress)) -> Result<FileText, FileError> {
    transcriber("tiny.en-q8_0")?.hear(job, progress)
}

/// The larger model that speaks many languages, which is not in the repository: in `models/`, or
/// where `FIELDTAPE_BASE_MODEL` says.
fn base_model() -> Option<String> {
    let named = std::env::var_os("FIELDTAPE_BASE_MODEL").map(PathBuf::from);
    let path = named.unwrap_or_else(|| root().join("models/ggml-base-q5_1.bin"));
    if !path.exists() {
        eprintln!("skipped: there is no {}; FIELDTAPE_BASE_MODEL names one", path.display());
        return None;
    }
    Some(path.display().to_string())
}

fn file_job(audio: File) -> FileJob {
    FileJob {
        audio,
        language: "auto".to_owned(),
        vocabulary: Vec::new(),
        speakers: ["agent".to_owned(), "technician".to_owned()],
    }
}

/// Reads one channel of an asset at 16 kHz.
pub(crate) fn channel(name: &str, index: usize) -> Vec<f32> {
    let mut reader = WavReader::new(asset(name)).unwrap();
    let mut channels = vec![Vec::new(); usize::from(reader.channels())];
    while reader.read(&mut channels, 1 << 16).unwrap() > 0 {}
    let mut resampler = Resampler::new(reader.rate_hz(), RateHz::Hz16000).unwrap();
    let mut out = Vec::new();
    resampler.push(&channels[index], &mut out);
    resampler.finish(&mut out);
    out
}

/// Writes a recording as the vault does: 16 bits, one channel, 16 kHz.
fn recording(sound: &[f32]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&wav_header(RateHz::Hz16000, 1, sound.len() as u64 * 2)).unwrap();
    append(&mut file, sound);
    file
}

fn append(file: &mut File, sound: &[f32]) {
    let bytes: Vec<u8> = sound.iter().flat_map(|sample| pcm16(*sample).to_le_bytes()).collect();
    file.write_all(&bytes).unwrap();
}

/// What was heard in a whole track.
#[derive(Debug, Default)]
struct TrackText {
    segments: Vec<Segment>,
    language: String,
    model: String,
    duration_ms: u64,
}

/// Hears a whole track in a language, window by window; what comes back of the other party's on
/// it is left out.
async fn hear_beside(
    speech: &Speech,
    audio: File,
    other: Option<File>,
    language: &str,
) -> Result<TrackText, SpeechError> {
    let mut track = TrackText { language: language.to_owned(), ..TrackText::default() };
    let (audio, other, mut from_sample) = (Arc::new(audio), other.map(Arc::new), 0);
    loop {
        let (audio, language) = (Arc::clone(&audio), track.language.clone());
        let job = TrackJob { audio, other: other.clone(), from_sample, language, gently: false };
        let window = speech.window(job).await?;
        track.segments.extend(window.segments);
        track.language = window.language.unwrap_or(track.language);
        track.model = window.model;
        from_sample = window.consumed_to;
        if window.finished {
            track.duration_ms = from_sample / 16;
            return Ok(track);
        }
    }
}

async fn hear_in(speech: &Speech, audio: File, language: &str) -> Result<TrackText, SpeechError> {
    hear_beside(speech, audio, None, language).await
}

async fn hear(speech: &Speech, audio: File) -> Result<TrackText, SpeechError> {
    hear_in(speech, audio, "auto").await
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn text(segments: &[Segment]) -> String {
    segments.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) speaker: String,
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
    pub(crate) text: String,
}

/// What is said in the service call.
pub(crate) fn turns() -> Vec<Turn> {
    let mut json = String::new();
    asset("service-call.json").read_to_string(&mut json).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let turns = value["turns"].as_array().unwrap();
    let words = |turn: &serde_json::Value, key: &str| turn[key].as_str().unwrap().to_owned();
    let turn = |turn| Turn {
        speaker: words(turn, "speaker"),
        start_s: turn["start_s"].as_f64().unwrap(),
        end_s: turn["end_s"].as_f64().unwrap(),
        text: words(turn, "text"),
    };
    turns.iter().map(turn).collect()
}

/// How far from each turn's start the nearest segment of its speaker begins, sorted.
pub(crate) fn start_errors<'a>(turns: &[Turn], starts: impl Fn(&str) -> Vec<u64> + 'a) -> Vec<f64> {
    let error = |turn: &Turn| {
        let away = |start: u64| (start as f64 / 1000.0 - turn.start_s).abs();
        starts(&turn.speaker).into_iter().map(away).fold(f64::INFINITY, f64::min)
    };
    let mut errors: Vec<f64> = turns.iter().map(error).collect();
    errors.sort_by(f64::total_cmp);
    errors
}

/// Returns the value that `percent` of the sorted values do not exceed.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}

fn all(said: &[fieldtape::transcribe::Said<String>]) -> String {
    said.iter().map(|said| said.segment.text.as_str()).collect::<Vec<_>>().join(" ")
}

pub(crate) fn status(pid: u32, key: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_default().trim_matches([':', '\t', ' ']).to_owned()
}

/// Returns a field of `/proc/PID/stat`, counted from 1 as in its manual.
pub(crate) fn stat_field(stat: &str, number: usize) -> &str {
    let after_name = stat.rsplit_once(')').unwrap().1;
    after_name.split_whitespace().nth(number - 3).unwrap()
}

pub(crate) fn cpu_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks = |number| stat_field(&stat, number).parse::<f64>().unwrap();
    (ticks(14) + ticks(15)) / 100.0
}
