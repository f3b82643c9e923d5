//! Words while people speak: looks at the files of live calls as they grow.
//!
//! Every track gets a look in turn, and each look hears what has ended of it, a window at most:
//! so nobody's words wait for more than one window of each other. Only when nothing that has
//! ended waits, one guess is made at an utterance under way, of the one guessed at the longest
//! ago. Guesses take half of the engine's time at most.
//!
//! Best effort, and it says so: a box that is too slow leaves the guesses out, then falls behind
//! in the open, and the after-call transcript is the one that counts. It reads files and writes on
//! the board; nothing it does can hold a recording up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::spans::RATE_HZ;
use super::{LiveBoard, LiveJob, LiveSegment, LiveText, Segment, Speech};
use crate::audio::WAV_HEADER_BYTES;
use crate::clock::SharedClock;
use crate::domain::{CallSid, Party, RateHz, Samples8k};

/// How often live files are looked at. Half of it is what it adds to the wait for a word; a look
/// costs some 3 ms of a fast processor.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often one utterance under way is guessed at.
const GUESS_EVERY: Duration = Duration::from_secs(1);

/// Speech shorter than this is not guessed at: 0.6 s at 16 kHz.
const GUESS_MIN: u64 = 9_600;

/// Behind by this much, no more guesses are made.
const GUESS_LAG_MAX: Duration = Duration::from_secs(1);

/// How long a track is left alone that could not be looked at: whatever is wrong, a process that
/// starts again and again would make it worse.
const REST: Duration = Duration::from_secs(5);

/// How often the board is told how far behind the words are.
const TELL_EVERY: Duration = Duration::from_secs(1);

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
    /// From where on the call's timeline it is heard: what is before was heard elsewhere.
    pub heard_from: Samples8k,
}

/// Writes live calls' words on the board.
pub struct LiveWriter<F> {
    speech: Arc<Speech>,
    board: LiveBoard,
    clock: SharedClock,
    language: String,
    sources: F,
    calls: BTreeMap<CallSid, Progress>,
    /// Tracks seen so far: the next one's number.
    tracks_seen: u64,
    /// No guess before this, since boot: the engine is for what has been said.
    next_guess: Duration,
}

#[derive(Debug, Default)]
struct Progress {
    tracks: BTreeMap<PathBuf, Ear>,
    told_at: Duration,
    warned: bool,
}

/// How far one track has come.
#[derive(Debug, Clone)]
struct Ear {
    number: u64,
    party: Party,
    origin_ms: u64,
    /// The language it was taken for, or what to take it for.
    language: String,
    /// The sample before which nothing needs to be heard again.
    consumed_to: u64,
    /// The sample up to which it was last looked at, and when, since boot.
    looked_to: u64,
    looked_at: Duration,
    /// Not before this, since boot.
    next_look: Duration,
    /// Where speech ended that waits to be heard.
    waiting_since: Option<u64>,
    /// Where the speech under way began.
    open_since: Option<u64>,
    /// When, since boot, it was last guessed at.
    guessed_at: Duration,
    /// Where the speech began that the board shows a guess at.
    guess_shown: Option<u64>,
}

impl<F: FnMut() -> Vec<LiveSource> + Send + 'static> LiveWriter<F> {
    /// Makes a writer that asks `sources` which calls are live.
    pub fn new(
        speech: Arc<Speech>,
        board: LiveBoard,
        clock: SharedClock,
        language: String,
        sources: F,
    ) -> Self {
        let (calls, next_guess) = (BTreeMap::new(), Duration::ZERO);
        Self { speech, board, clock, language, sources, calls, tracks_seen: 0, next_guess }
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
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.go_round() => {}
            }
        }
    }

    /// Looks at every track once, then guesses once if there is time for it.
    async fn go_round(&mut self) {
        let live = (self.sources)();
        self.take_note_of(&live);
        let tracks: Vec<(CallSid, PathBuf)> =
            self.ears().map(|(call_sid, path, _)| (call_sid.clone(), path.clone())).collect();
        for (call_sid, path) in &tracks {
            self.hear(call_sid, path, false).await;
        }
        if let Some((call_sid, path)) = self.next_to_guess() {
            let began = self.clock.since_boot();
            self.hear(&call_sid, &path, true).await;
            let now = self.clock.since_boot();
            self.next_guess = now + now.saturating_sub(began);
        }
        self.tell();
    }

    /// Begins what has begun and ends what has ended.
    fn take_note_of(&mut self, live: &[LiveSource]) {
        let now = self.clock.since_boot();
        let names: BTreeSet<&CallSid> = live.iter().map(|source| &source.call_sid).collect();
        self.calls.retain(|call_sid, _| {
            let goes_on = names.contains(call_sid);
            if !goes_on {
                self.board.end(call_sid);
            }
            goes_on
        });
        for LiveSource { call_sid, tracks } in live {
            let progress = self.calls.entry(call_sid.clone()).or_insert_with(|| {
                self.board.begin(call_sid);
                Progress::default()
            });
            let is_heard = |track: &&LiveTrackSource| track.rate == RateHz::Hz16000;
            progress.tracks.retain(|path, _| tracks.iter().any(|track| track.part_path == *path));
            for track in tracks.iter().filter(is_heard) {
                progress.tracks.entry(track.part_path.clone()).or_insert_with(|| {
                    self.tracks_seen += 1;
                    Ear::new(self.tracks_seen, track, &self.language, now)
                });
            }
        }
    }

    /// Hears what is new in one file, and perhaps guesses at what is not finished.
    async fn hear(&mut self, call_sid: &CallSid, path: &PathBuf, guess: bool) {
        let Some(progress) = self.calls.get_mut(call_sid) else { return };
        let Some(ear) = progress.tracks.get_mut(path) else { return };
        let now = self.clock.since_boot();
        if now < ear.next_look {
            return;
        }
        // A file that is not there has just been sealed: its call is over.
        let Some(job) = ear.job(path, guess, now) else { return };
        let to_sample = job.to_sample;
        match self.speech.live(job).await {
            Ok(text) => {
                (ear.looked_to, ear.looked_at) = (to_sample, now);
                ear.show(text, |event| match event {
                    Shown::Said(segment) => self.board.heard(call_sid, segment),
                    Shown::Guess(segment) => self.board.guessed(call_sid, segment),
                });
            }
            Err(error) => {
                ear.next_look = self.clock.since_boot() + REST;
                if std::mem::replace(&mut progress.warned, true) {
                    return;
                }
                tracing::warn!(
                    call.sid = %call_sid, event = "live.failed", error = %error,
                    "no words are shown while {call_sid} runs: {error}; its transcript is made afterwards"
                );
            }
        }
    }

    /// Returns the utterance under way that was guessed at the longest ago, if it is time and
    /// nothing waits that has ended.
    fn next_to_guess(&self) -> Option<(CallSid, PathBuf)> {
        let now = self.clock.since_boot();
        if now < self.next_guess {
            return None;
        }
        let is_late = |progress: &Progress| {
            let waits = |ear: &Ear| ear.waiting_since.is_some();
            progress.lag(now) > GUESS_LAG_MAX || progress.tracks.values().any(waits)
        };
        if self.calls.values().any(is_late) {
            return None;
        }
        let (call_sid, path, _) = self
            .ears()
            .filter(|(_, _, ear)| ear.is_to_be_guessed(now))
            .min_by_key(|(_, _, ear)| ear.guessed_at)?;
        Some((call_sid.clone(), path.clone()))
    }

    fn ears(&self) -> impl Iterator<Item = (&CallSid, &PathBuf, &Ear)> {
        self.calls.iter().flat_map(|(call_sid, progress)| {
            progress.tracks.iter().map(move |(path, ear)| (call_sid, path, ear))
        })
    }

    /// Tells the board how far behind each call's words are.
    fn tell(&mut self) {
        let now = self.clock.since_boot();
        for (call_sid, progress) in &mut self.calls {
            if now.saturating_sub(progress.told_at) >= TELL_EVERY {
                progress.told_at = now;
                self.board.lags(call_sid, progress.lag(now).as_secs_f64());
            }
        }
    }
}

impl Progress {
    /// Returns how long the oldest utterance that has ended has been waiting for its words, or,
    /// for one that nobody knows of yet, how long nobody has looked.
    fn lag(&self, now: Duration) -> Duration {
        self.tracks.values().map(|ear| ear.lag(now)).max().unwrap_or_default()
    }
}

/// What comes onto the board.
enum Shown {
    Said(LiveSegment),
    Guess(LiveSegment),
}

impl Ear {
    fn new(number: u64, track: &LiveTrackSource, language: &str, now: Duration) -> Self {
        let from = Samples8k::new(track.heard_from.since(track.origin)).at(RateHz::Hz16000);
        Self {
            number,
            party: track.party,
            origin_ms: track.origin.as_millis(),
            language: language.to_owned(),
            consumed_to: from,
            looked_to: from,
            looked_at: now,
            next_look: now,
            waiting_since: None,
            open_since: None,
            guessed_at: Duration::ZERO,
            guess_shown: None,
        }
    }

    /// Makes the next look's job, of what is there of the file.
    fn job(&mut self, path: &PathBuf, guess: bool, now: Duration) -> Option<LiveJob> {
        let audio = File::open(path).ok()?;
        let size = audio.metadata().map_or(0, |metadata| metadata.len());
        let to_sample = (size.saturating_sub(WAV_HEADER_BYTES) / 2).max(self.looked_to);
        if guess {
            self.guessed_at = now;
        }
        Some(LiveJob {
            audio,
            track: self.number,
            from_sample: self.consumed_to,
            to_sample,
            language: self.language.clone(),
            guess,
        })
    }

    fn lag(&self, now: Duration) -> Duration {
        let unseen = now.saturating_sub(self.looked_at);
        match self.waiting_since {
            Some(ended) => {
                let waited = self.looked_to.saturating_sub(ended) / (RATE_HZ / 1000);
                unseen + Duration::from_millis(waited)
            }
            None => unseen.saturating_sub(LOOK_EVERY),
        }
    }

    fn is_to_be_guessed(&self, now: Duration) -> bool {
        let is_long = |since: u64| self.looked_to >= since + GUESS_MIN;
        self.open_since.is_some_and(is_long) && now.saturating_sub(self.guessed_at) >= GUESS_EVERY
    }

    /// Takes note of what a look gave, and shows it.
    fn show(&mut self, text: LiveText, mut show: impl FnMut(Shown)) {
        self.consumed_to = text.consumed_to.max(self.consumed_to);
        (self.waiting_since, self.open_since) = (text.waiting_since, text.open_since);
        if let Some(language) = text.language {
            self.language = language;
        }
        let guessed = self.guess_shown.filter(|began| *began < self.consumed_to);
        if guessed.is_some() || !text.segments.is_empty() {
            self.guess_shown = None;
        }
        if guessed.is_some() && text.segments.is_empty() {
            // It came to nothing.
            show(Shown::Guess(self.on_the_call(&[])));
        }
        for segment in text.segments {
            show(Shown::Said(self.on_the_call(&[segment])));
        }
        if !text.guess.is_empty() {
            self.guess_shown = self.open_since;
            show(Shown::Guess(self.on_the_call(&text.guess)));
        }
    }

    /// Puts segments together to one, on the call's timeline.
    fn on_the_call(&self, segments: &[Segment]) -> LiveSegment {
        let texts: Vec<&str> = segments.iter().map(|segment| segment.text.as_str()).collect();
        let least = segments.iter().map(Segment::confidence).reduce(f32::min);
        LiveSegment {
            party: self.party,
            start_ms: self.origin_ms + segments.first().map_or(0, |segment| segment.start_ms),
            end_ms: self.origin_ms + segments.last().map_or(0, |segment| segment.end_ms),
            text: texts.join(" "),
            confidence: f64::from(least.unwrap_or(0.0)),
        }
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
