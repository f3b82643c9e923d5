//! One step of a track: from a sample on, to the next window of speech, to text.
//!
//! A step knows nothing of the one before. Whoever drives it keeps the sample it returned, so a
//! track goes on after a restart, and another track can have the engine between two steps.

use std::fs::File;

use super::clean;
use super::engine::Engine;
use super::heard::{EngineError, Manner};
use super::place::place;
use super::scan::{AFTER_CALL, PIECE, Scan};
use super::segment::Segment;
use super::spans::RATE_HZ;
use super::track::{Track, TrackError};
use super::window::Window;

/// The most sound one step looks at: 2 minutes, some 2 s of work on a slow box (0.33 s measured
/// on a fast one), so that a silent track too gives way to a live one.
const STEP_SAMPLES_MAX: u64 = 120 * RATE_HZ;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// The sound cannot be read.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// The engine cannot hear it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What a step gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// What was said.
    pub(crate) segments: Vec<Segment>,
    /// How many stretches were heard and dropped.
    pub(crate) dropped: u32,
    /// Where the next step begins.
    pub(crate) consumed_to: u64,
    /// There is no next step.
    pub(crate) finished: bool,
    /// The language of what was heard, if anything was.
    pub(crate) language: Option<String>,
}

/// Does one step of a finished file from sample `from` on.
pub(crate) fn step(
    engine: &mut Engine,
    audio: File,
    from: u64,
    manner: &Manner<'_>,
) -> Result<Step, StepError> {
    let begin = Scan::begins_at(from);
    let mut track = Track::whole(audio, begin)?;
    let samples = track.samples(begin);
    let mut scan = Scan::new(from, AFTER_CALL);
    let mut sound = Vec::with_capacity(PIECE);
    let mut ended = false;
    let window = loop {
        let far = scan.position().saturating_sub(from) >= STEP_SAMPLES_MAX;
        if far && !ended {
            scan.pause(engine)?;
        }
        if let Some(window) = scan.window() {
            break window;
        }
        if far || ended {
            break Window::default();
        }
        track.read(&mut sound, PIECE)?;
        ended = sound.is_empty();
        if ended {
            scan.finish(engine)?;
        } else {
            scan.push(engine, &sound)?;
        }
    };
    let finished = ended && !scan.has_windows();
    let heard = hear(engine, &window, manner)?;
    Ok(Step {
        segments: heard.segments,
        dropped: heard.dropped,
        consumed_to: if finished { samples } else { scan.resume_at() },
        finished,
        language: heard.language,
    })
}

/// A window as text.
pub(crate) struct Text {
    /// What was said.
    pub(crate) segments: Vec<Segment>,
    /// How many stretches were heard and dropped.
    pub(crate) dropped: u32,
    /// The language it was taken for, if anything was heard.
    pub(crate) language: Option<String>,
}

/// Hears a window: words, cleaned and put on the speech they belong to.
pub(crate) fn hear(
    engine: &mut Engine,
    window: &Window,
    manner: &Manner<'_>,
) -> Result<Text, EngineError> {
    if window.pieces.is_empty() {
        return Ok(Text { segments: Vec::new(), dropped: 0, language: None });
    }
    let mut heard = engine.listen(&window.audio, manner)?;
    let sounds = clean::drop_sounds(&mut heard.words);
    let loops = clean::drop_loops(&mut heard.words);
    let (segments, doubtful) = place(&heard.words, window);
    Ok(Text { segments, dropped: sounds + loops + doubtful, language: Some(heard.language) })
}
