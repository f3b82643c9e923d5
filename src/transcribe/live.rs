//! Words while people speak: looks at the files of live calls as they grow.
//!
//! Best effort, and it says so: a box that is too slow falls behind in the open, and the
//! after-call transcript is the one that counts. It reads files and writes on the board; nothing
//! it does can hold a recording up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{LiveBoard, LiveJob, LiveSegment, Speech, SpeechError};
use crate::audio::WAV_HEADER_BYTES;
use crate::domain::{CallSid, Party, RateHz, Samples8k};

/// How often live files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// New sound below this is not worth a look: 0.8 s at 16 kHz.
const NEWS_MIN: u64 = 12_800;

/// A live call's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSource {
    /// The call.
    pub call_sid: CallSid,
    /// Its files under way.
    pub tracks: Vec<LiveTrackSource>,
}

/// One file under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveTrackSource {
    /// Whose voice.
    pub party: Party,
    /// The growing file.
    pub part_path: PathBuf,
    /// Its rate; only 16 kHz files are heard live.
    pub rate: RateHz,
    /// Where its first sample lies on the call's timeline.
    pub origin: Samples8k,
}

/// Writes live calls' words on the board.
pub struct LiveWriter<F> {
    speech: Arc<Speech>,
    board: LiveBoard,
    language: String,
    sources: F,
    calls: BTreeMap<CallSid, Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Per file, the sample up to which it has been heard.
    consumed: BTreeMap<PathBuf, u64>,
    warned: bool,
}

impl<F: FnMut() -> Vec<LiveSource> + Send + 'static> LiveWriter<F> {
    /// Makes a writer that asks `sources` which calls are live.
    pub fn new(speech: Arc<Speech>, board: LiveBoard, language: String, sources: F) -> Self {
        Self { speech, board, language, sources, calls: BTreeMap::new() }
    }

    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut beat = interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = beat.tick() => {}
            }
            let live = (self.sources)();
            self.end_calls_not_in(&live);
            for source in live {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = self.look(source) => {}
                }
            }
        }
    }

    fn end_calls_not_in(&mut self, live: &[LiveSource]) {
        let names: BTreeSet<&CallSid> = live.iter().map(|source| &source.call_sid).collect();
        self.calls.retain(|call_sid, _| {
            let goes_on = names.contains(call_sid);
            if !goes_on {
                self.board.end(call_sid);
            }
            goes_on
        });
    }

    async fn look(&mut self, source: LiveSource) {
        let LiveSource { call_sid, tracks } = source;
        if !self.calls.contains_key(&call_sid) {
            self.calls.insert(call_sid.clone(), Progress::default());
            self.board.begin(&call_sid);
        }
        let mut behind = 0;
        for track in tracks.iter().filter(|track| track.rate == RateHz::Hz16000) {
            match self.hear(&call_sid, track).await {
                Ok(samples) => behind = behind.max(samples),
                Err(error) => self.warn_once(&call_sid, &error),
            }
        }
        self.board.lags(&call_sid, Samples8k::new(behind / 2).as_secs_f64());
    }

    /// Hears what is new in one file; returns how many samples are still unheard.
    async fn hear(
        &mut self,
        call_sid: &CallSid,
        track: &LiveTrackSource,
    ) -> Result<u64, SpeechError> {
        let Some(progress) = self.calls.get_mut(call_sid) else { return Ok(0) };
        let from_sample = *progress.consumed.get(&track.part_path).unwrap_or(&0);
        // A file that is not there has just been sealed: its call is over.
        let Ok(audio) = File::open(&track.part_path) else { return Ok(0) };
        let size = audio.metadata().map_or(0, |metadata| metadata.len());
        let to_sample = size.saturating_sub(WAV_HEADER_BYTES) / 2;
        if to_sample < from_sample + NEWS_MIN {
            return Ok(to_sample.saturating_sub(from_sample));
        }
        let job = LiveJob { audio, from_sample, to_sample, language: self.language.clone() };
        let text = self.speech.live(job).await?;
        progress.consumed.insert(track.part_path.clone(), text.consumed_to.max(from_sample));
        let origin_ms = track.origin.as_millis();
        for segment in text.segments {
            let heard = LiveSegment {
                party: track.party,
                start_ms: segment.start_ms + origin_ms,
                end_ms: segment.end_ms + origin_ms,
                confidence: f64::from(segment.confidence()),
                text: segment.text,
            };
            self.board.heard(call_sid, heard);
        }
        Ok(to_sample.saturating_sub(text.consumed_to))
    }

    fn warn_once(&mut self, call_sid: &CallSid, error: &SpeechError) {
        let Some(progress) = self.calls.get_mut(call_sid) else { return };
        if !std::mem::replace(&mut progress.warned, true) {
            tracing::warn!(
                call.sid = %call_sid, event = "live.failed", error = %error,
                "no words are shown while {call_sid} runs: {error}; its transcript is made afterwards"
            );
        }
    }
}
