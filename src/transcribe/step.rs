//! One step of a track: from a sample on, to the next window of speech, to text.
//!
//! A step knows nothing of the one before. Whoever drives it keeps the sample it returned, so a
//! track goes on after a restart, and another track can have the engine between two steps.

use std::fs::File;

use super::clean;
use super::engine::Engine;
use super::heard::{Attempt, EngineError, Haste, Manner};
use super::place::{Placed, place};
use super::scan::{AFTER_CALL, PIECE, Scan};
use super::segment::{Segment, joined};
use super::spans::RATE_HZ;
use super::track::{Track, TrackError};
use super::window::Window;

/// The most sound one step looks at: 2 minutes, some 2 s of work on a slow box (0.33 s measured
/// on a fast one), so that a silent track too gives way to a live one.
const STEP_SAMPLES_MAX: u64 = 120 * RATE_HZ;

/// The model now and then stops before a window's end. If so much speech is left, 1 s, it is heard
/// by itself; less is the last syllable or a breath.
const REST_SAMPLES_MIN: u64 = RATE_HZ;

/// The most passes over what is left of a window; three were never needed.
const PASSES_MAX: usize = 4;

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

/// The files a step is about.
#[derive(Debug)]
pub(crate) struct Files {
    /// The party's own.
    pub(crate) own: File,
    /// The other party's, of the same time: what of it comes back on the own track is not heard.
    pub(crate) other: Option<File>,
}

/// Does one step of a finished file from sample `from` on.
pub(crate) fn step(
    engine: &mut Engine,
    files: Files,
    from: u64,
    manner: &Manner<'_>,
) -> Result<Step, StepError> {
    let begin = Scan::begins_at(from);
    let mut track = Track::whole(files.own, begin)?;
    let mut other = files.other.map(|file| Track::whole(file, begin)).transpose()?;
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
        if let Some(other) = &mut other {
            other.read(&mut sound, PIECE)?;
            scan.overhear(&sound);
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
///
/// What comes out badly is heard once more by itself, in another way; what comes out badly then
/// too is dropped, and counted. A guess is heard once.
pub(crate) fn hear(
    engine: &mut Engine,
    window: &Window,
    manner: &Manner<'_>,
) -> Result<Text, EngineError> {
    let mut text = Text { segments: Vec::new(), dropped: 0, language: None };
    let mut again = Window::default();
    let mut rest = None;
    let guess = manner.haste == Haste::Guess;
    for _ in 0..if guess { 1 } else { PASSES_MAX } {
        let window = rest.as_ref().unwrap_or(window);
        if window.pieces.is_empty() {
            break;
        }
        let pass = listen(engine, window, manner, Attempt::First, &mut text)?;
        for placed in pass.placed {
            if placed.doubtful > 0 {
                again.copy(window, &placed.piece);
            } else {
                text.segments.extend(placed.segments);
            }
        }
        rest = Some(pass.rest);
    }
    if !again.pieces.is_empty() && !guess {
        for placed in listen(engine, &again, manner, Attempt::Second, &mut text)?.placed {
            text.dropped += placed.doubtful;
            text.segments.extend(placed.segments);
        }
        text.segments.sort_by_key(|segment| segment.start_ms);
    }
    text.segments = joined(text.segments);
    Ok(text)
}

/// What one pass over a window gave.
struct Pass {
    placed: Vec<Placed>,
    /// The speech it did not come to.
    rest: Window,
}

/// Hears a window once. The language and the sounds left out go into `text`.
fn listen(
    engine: &mut Engine,
    window: &Window,
    manner: &Manner<'_>,
    attempt: Attempt,
    text: &mut Text,
) -> Result<Pass, EngineError> {
    let language = text.language.as_deref().unwrap_or(manner.language);
    let mut heard = engine.listen(&window.audio, &Manner { language, ..*manner }, attempt)?;
    text.language = Some(heard.language);
    text.dropped += clean::drop_sounds(&mut heard.words);
    let loops = clean::drop_loops(&mut heard.words);
    // A loop fills the time of what was not heard for it; all of it is heard again.
    let end = heard.complete_to.filter(|_| loops.is_empty());
    let rest = end.map(|end| window.after(end)).unwrap_or_default();
    if rest.speech_samples() < REST_SAMPLES_MIN {
        let placed = place(&heard.words, &loops, &window.pieces);
        return Ok(Pass { placed, rest: Window::default() });
    }
    let pieces = window.pieces_before(end.unwrap_or(usize::MAX));
    Ok(Pass { placed: place(&heard.words, &loops, &pieces), rest })
}
