//! Speech to text as the daemon sets it up.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use crate::capture;
use crate::config::Config;
use crate::transcribe::{self, LiveSource, LiveTrackSource, Machine, Speech};

/// From so many cores on finished calls are heard beside live ones, in a process of their own.
/// With fewer they wait for those anyway, and one model in memory is enough.
const SPEECH_APART_CORES: usize = 4;

/// Starts what makes speech into text, for finished calls and for live ones.
pub(super) fn start(
    config: &Config,
    machine: &Machine,
) -> anyhow::Result<(Arc<Speech>, Arc<Speech>)> {
    let start = || Speech::start(speech_options(config)?).context("no thread for speech");
    let finished = Arc::new(start()?);
    let shared = machine.cores() < SPEECH_APART_CORES;
    let live = if shared { Arc::clone(&finished) } else { Arc::new(start()?) };
    Ok((finished, live))
}

/// Says how speech is made into text by these settings.
pub fn speech_options(config: &Config) -> anyhow::Result<transcribe::Options> {
    let program = std::env::current_exe().context("fieldtape's own program file is gone")?;
    Ok(transcribe::Options {
        program,
        socket: config.transcription.speech_socket.clone(),
        model: config.transcription.model.clone(),
        live_model: config.transcription.live_model.clone(),
        model_dirs: model_dirs(config),
        vocabulary: config.transcription.vocabulary.clone(),
        threads: u32::try_from(config.transcription.threads).unwrap_or(0),
        nice: config.transcription.nice,
        idle: transcribe::IDLE,
        patience: transcribe::PATIENCE,
    })
}

/// Returns where models are looked for, in order.
pub(super) fn model_dirs(config: &Config) -> Vec<PathBuf> {
    crate::models::model_dirs(Some(&config.server.data_dir))
}

/// Returns the language to expect; "auto" leaves it to the model.
pub(super) fn language(config: &Config) -> String {
    config.transcription.language.map_or_else(|| "auto".to_owned(), |language| language.to_string())
}

/// Tells the room that hears a live call where its sound is.
pub(super) fn live_source(call: capture::LiveCall) -> LiveSource {
    let tracks = call.tracks.into_iter().map(|track| LiveTrackSource {
        party: track.party,
        part_path: track.part_path,
        rate: track.rate,
        origin: track.origin,
        heard_from: track.heard_from,
    });
    LiveSource { call_sid: call.call_sid, tracks: tracks.collect() }
}
