//! Live tracks as the worker hears them: each where its scan has come to.
//!
//! A scan is kept from look to look only to save work. Whoever asks keeps the sample before which
//! nothing needs to be heard again, so a worker that knows nothing of a track begins there.

use std::collections::VecDeque;
use std::fs::File;

use super::engine::Engine;
use super::heard::{Haste, Manner};
use super::scan::{LIVE, PIECE, Scan};
use super::segment::Segment;
use super::spans::RATE_HZ;
use super::step::{StepError, hear};
use super::track::Track;

/// Tracks followed at once: 16 calls of two parties. One more, and the one not looked at for the
/// longest is begun anew.
const TRACKS_MAX: usize = 32;

/// The most sound one look goes over, so that others get their turn when much has come together.
const LOOK_SAMPLES_MAX: u64 = 120 * RATE_HZ;

/// A look at a live track.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Which track: a number no other live track has.
    pub(crate) track: u64,
    /// The sample before which nothing needs to be heard again.
    pub(crate) from: u64,
    /// The first sample not to be read.
    pub(crate) to: u64,
    /// Whether to guess at the utterance under way, if none that has ended waits.
    pub(crate) guess: bool,
}

/// What a look gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Look {
    /// What was said in utterances that have ended.
    pub(crate) segments: Vec<Segment>,
    /// What the one under way sounds like so far.
    pub(crate) guess: Vec<Segment>,
    /// Where the next look begins.
    pub(crate) consumed_to: u64,
    /// Where speech ended that waits to be heard.
    pub(crate) waiting_since: Option<u64>,
    /// Where the speech under way began.
    pub(crate) open_since: Option<u64>,
    /// The language of what was heard, if anything was.
    pub(crate) language: Option<String>,
}

/// The live tracks.
#[derive(Default)]
pub(crate) struct Looks {
    /// The one looked at last is last.
    scans: VecDeque<(u64, Scan)>,
}

impl Looks {
    /// Goes over what is new in a track and hears what has ended, up to a window of it.
    pub(crate) fn look(
        &mut self,
        engine: &mut Engine,
        audio: File,
        place: Place,
        manner: &Manner<'_>,
    ) -> Result<Look, StepError> {
        // Put back only when all went well: after a fault it is begun anew.
        let mut scan = self.take(place);
        advance(&mut scan, engine, audio, place.to)?;
        let mut guess = Vec::new();
        let (mut segments, mut language) = (Vec::new(), None);
        if let Some(window) = scan.window() {
            let heard = hear(engine, &window, manner)?;
            (segments, language) = (heard.segments, heard.language);
        } else if let Some(window) = scan.under_way().filter(|_| place.guess) {
            let manner = Manner { haste: Haste::Guess, ..*manner };
            guess = hear(engine, &window, &manner)?.segments;
        }
        let look = Look {
            segments,
            guess,
            consumed_to: scan.resume_at(),
            waiting_since: scan.waiting_since(),
            open_since: scan.open_since(),
            language,
        };
        if self.scans.len() >= TRACKS_MAX {
            self.scans.pop_front();
        }
        self.scans.push_back((place.track, scan));
        Ok(look)
    }

    /// Takes the track's scan, or a new one if that is not where it should be.
    fn take(&mut self, place: Place) -> Scan {
        let known = self.scans.iter().position(|(track, _)| *track == place.track);
        let known = known.and_then(|known| self.scans.remove(known)).map(|(_, scan)| scan);
        let is_there = |scan: &Scan| scan.resume_at() == place.from && scan.pushed_to() <= place.to;
        known.filter(is_there).unwrap_or_else(|| Scan::new(place.from, LIVE))
    }
}

/// Has the scan take what is new up to sample `to`, until there is a window to be heard.
fn advance(scan: &mut Scan, engine: &mut Engine, audio: File, to: u64) -> Result<(), StepError> {
    let begin = scan.pushed_to();
    let mut track = Track::growing(audio, begin, to.min(begin + LOOK_SAMPLES_MAX))?;
    let mut sound = Vec::new();
    while scan.is_hungry() {
        track.read(&mut sound, PIECE)?;
        if sound.is_empty() {
            scan.pause(engine)?;
            break;
        }
        scan.push(engine, &sound)?;
    }
    Ok(())
}
