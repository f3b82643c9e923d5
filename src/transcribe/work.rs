//! The stage `transcript`: a call's sealed tracks to one conversation.

use std::fs::File;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::hearing::{Cut, Hearing, manner};
use super::schedule::Schedule;
use super::{ModelError, Said, Segment, Speech, SpeechError, SpokenWord, merge};
use crate::clock::SharedClock;
use crate::domain::{CallSid, Party, RateHz, Stage, TrackSource, WaitingFor};
use crate::pipeline::{Verdict, Work};
use crate::store::{
    CallDetail, Claim, Output, SegmentRow, Store, TrackRow, TranscriptRow, WordRow,
};
use crate::vault::{RelPath, Vault};

/// Attempts before a transcript is given up: a fault of the engine that three fresh processes
/// and more time have not healed will not heal by itself.
const ATTEMPTS_MAX: u32 = 5;

/// How often a missing model is looked for again.
const MODEL_AGAIN: Duration = Duration::from_secs(30);

/// How often it is looked whether calls that are held back may go on.
const HELD_AGAIN: Duration = Duration::from_secs(5);

/// What the stage needs.
pub struct TranscriptWorkOptions {
    /// The ledger.
    pub store: Store,
    /// The recordings.
    pub vault: Vault,
    /// The time.
    pub clock: SharedClock,
    /// The engine.
    pub speech: Arc<Speech>,
    /// Whose turn it is.
    pub schedule: Schedule,
    /// The language spoken, or `auto`.
    pub language: String,
    /// Whether the 16 kHz files go once their words are written down.
    pub wide_is_spent: bool,
}

/// The work of the stage `transcript`.
pub struct TranscriptWork {
    options: TranscriptWorkOptions,
}

/// Why there is no conversation.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Cut(#[from] Cut),
    #[error("a recording of this call cannot be read ({path}): {why}")]
    Track { path: String, why: String, gone: bool },
}

impl TranscriptWork {
    /// Makes the stage's work.
    pub fn new(options: TranscriptWorkOptions) -> Self {
        Self { options }
    }

    async fn transcribe(&self, claim: &Claim) -> Result<Option<Output>, Failure> {
        let Some(detail) =
            self.options.store.call_as_recorded(claim.call_sid()).await.map_err(Cut::from)?
        else {
            return Ok(None);
        };
        let source = best_source(&detail.tracks);
        let tracks = Party::ALL.iter().flat_map(|party| widest(&detail.tracks, *party, source));
        let files = tracks.map(|track| Ok((track, Arc::new(self.open(track)?))));
        let files = files.collect::<Result<Vec<_>, Failure>>()?;
        let hearing = self.hearing(claim, &files).await?;
        let mut heard = Heard::default();
        let mut parties = Party::ALL.iter().map(|party| (*party, Vec::new())).collect::<Vec<_>>();
        for (track, audio) in &files {
            let other = files.iter().find(|(other, _)| is_beside(track, other));
            let other = other.map(|(_, audio)| audio);
            let said = hear(&hearing, track, (audio, other), &mut heard).await?;
            if let Some((_, own)) = parties.iter_mut().find(|(party, _)| *party == track.party) {
                own.extend(said);
            }
        }
        let Some((language, model)) = heard.by else { return Ok(None) };
        let segments = merge(parties).into_iter().map(row).collect();
        let transcript =
            TranscriptRow { source, language, model, dropped: heard.dropped, segments };
        if self.is_worse(claim, &transcript).await? {
            return Ok(Some(Output::Kept));
        }
        Ok(Some(Output::Transcript { transcript, spent: self.spent(&detail) }))
    }

    /// Says whether Twilio's copy brought so much less than the stream that something is wrong
    /// with it: a copy that is empty or cut off must not take the place of good words.
    async fn is_worse(&self, claim: &Claim, new: &TranscriptRow) -> Result<bool, Failure> {
        let stands = self.options.store.transcript(claim.call_sid()).await.map_err(Cut::from)?;
        let Some(stands) = stands.filter(|old| old.source != new.source) else { return Ok(false) };
        let (before, now) = (words(&stands), words(new));
        let worse = now * 2 < before;
        if worse {
            tracing::warn!(
                event = "transcript.kept",
                "the {} of {} has {now} words where the {} had {before}: the earlier transcript stays",
                copy_of(new.source),
                claim.call_sid(),
                copy_of(stands.source)
            );
        }
        Ok(worse)
    }

    /// Sets out to hear a call's files, or to go on with them.
    async fn hearing<'a>(
        &'a self,
        claim: &'a Claim,
        files: &[(&TrackRow, Arc<File>)],
    ) -> Result<Hearing<'a>, Failure> {
        let TranscriptWorkOptions { store, clock, schedule, speech, language, .. } = &self.options;
        let by = speech.manner().map_err(Cut::from)?;
        let named = files.iter().map(|(track, file)| (track.path.as_str(), &**file));
        let manner = manner(&by, language, named).map_err(|error| Failure::Track {
            path: files.iter().map(|(track, _)| track.path.as_str()).collect::<Vec<_>>().join(", "),
            why: error.to_string(),
            gone: false,
        })?;
        let kept = store.heard(claim.call(), manner.clone()).await.map_err(Cut::from)?;
        Ok(Hearing { store, clock, schedule, speech, language, claim, manner, kept })
    }

    fn open(&self, track: &TrackRow) -> Result<std::fs::File, Failure> {
        let failure = |why: String, gone| Failure::Track { path: track.path.clone(), why, gone };
        let path: RelPath = track
            .path
            .parse()
            .map_err(|error: crate::vault::BadPath| failure(error.to_string(), true))?;
        self.options.vault.open_read(&path).map_err(|error| {
            let gone = matches!(error, crate::vault::Error::Missing { .. });
            failure(error.to_string(), gone)
        })
    }

    /// The files that a finished transcript leaves without use: the 8 kHz ones hold the same sound.
    fn spent(&self, detail: &CallDetail) -> Vec<String> {
        let wide = |track: &&TrackRow| {
            self.options.wide_is_spent
                && track.rate == RateHz::Hz16000
                && matches!(track.source, TrackSource::Stream | TrackSource::Cloud)
        };
        detail.tracks.iter().filter(wide).map(|track| track.path.clone()).collect()
    }
}

/// Hears a part of a party's sound, on the call's timeline.
async fn hear(
    hearing: &Hearing<'_>,
    track: &TrackRow,
    (audio, other): (&Arc<File>, Option<&Arc<File>>),
    heard: &mut Heard,
) -> Result<Vec<Segment>, Failure> {
    let text = hearing.track(&track.path, audio, other).await?;
    // What Twilio's copy has from before the call's first sample is said at its beginning.
    let place = |ms: u64| (ms + track.origin.as_millis()).saturating_sub(track.lead.as_millis());
    let segments: Vec<Segment> =
        text.segments.into_iter().map(|segment| segment.moved(place)).collect();
    heard.dropped += text.dropped;
    if let Some(model) = text.model {
        let language = text.language.unwrap_or_else(|| hearing.language.to_owned());
        heard.note(language, model, &segments);
    }
    Ok(segments)
}

#[derive(Default)]
struct Heard {
    /// The language and the model, of the first track in which something was said if there is one.
    by: Option<(String, String)>,
    has_words: bool,
    dropped: u32,
}

impl Heard {
    /// A track without a word tells nothing of the language.
    fn note(&mut self, language: String, model: String, said: &[Segment]) {
        let first_words = !self.has_words && !said.is_empty();
        if first_words || self.by.is_none() {
            self.by = Some((language, model));
        }
        self.has_words |= first_words;
    }
}

/// How much shorter than what was heard here Twilio's copy may be and still count as whole: what a
/// call's end takes on its way.
const SHORTER_MAX_MS: u64 = 2_000;

/// Which copy the conversation is made from: Twilio's has both parties clean and without loss, if
/// it goes as far as the one made here.
fn best_source(tracks: &[TrackRow]) -> TrackSource {
    let end_ms = |source| {
        let of_source = tracks.iter().filter(|track| track.source == source);
        of_source.map(end_ms).max().unwrap_or(0)
    };
    let (cloud, stream) = (end_ms(TrackSource::Cloud), end_ms(TrackSource::Stream));
    if cloud > 0 && cloud + SHORTER_MAX_MS >= stream {
        TrackSource::Cloud
    } else {
        TrackSource::Stream
    }
}

/// Says whether a file has the other party's sound of the same time, sample beside sample.
fn is_beside(track: &TrackRow, other: &TrackRow) -> bool {
    track.party != other.party && (track.origin, track.lead) == (other.origin, other.lead)
}

fn length_ms(track: &TrackRow) -> u64 {
    track.samples * 1000 / u64::from(track.rate.get())
}

fn end_ms(track: &TrackRow) -> u64 {
    (track.origin.as_millis() + length_ms(track)).saturating_sub(track.lead.as_millis())
}

/// One party's parts in order, each at the widest rate that is there. Of recordings of the same
/// stretch, which an account may make several of, the longest.
fn widest(tracks: &[TrackRow], party: Party, source: TrackSource) -> Vec<&TrackRow> {
    let mut files: Vec<&TrackRow> = tracks
        .iter()
        .filter(|track| track.party == party && track.source == source && track.samples > 0)
        .collect();
    files.sort_by_key(|track| (track.part_no, std::cmp::Reverse(track.rate)));
    files.dedup_by_key(|track| track.part_no);
    files.sort_by_key(|track| std::cmp::Reverse(length_ms(track)));
    let mut chosen: Vec<&TrackRow> = Vec::new();
    for file in files {
        let (start, end) = (file.origin.as_millis(), end_ms(file));
        let said = |other: &&TrackRow| {
            start.max(other.origin.as_millis()) + 1_000 < end.min(end_ms(other))
        };
        if !chosen.iter().any(said) {
            chosen.push(file);
        }
    }
    chosen.sort_by_key(|track| (track.origin, track.part_no));
    chosen
}

fn words(transcript: &TranscriptRow) -> usize {
    transcript.segments.iter().map(|segment| segment.text.split_whitespace().count()).sum()
}

fn copy_of(source: TrackSource) -> &'static str {
    match source {
        TrackSource::Cloud => "copy at Twilio",
        TrackSource::Stream | TrackSource::Microphone | TrackSource::Browser => "copy made here",
    }
}

fn word(word: SpokenWord) -> WordRow {
    WordRow { text: word.text, start_ms: word.start_ms, end_ms: word.end_ms }
}

fn row(said: Said<Party>) -> SegmentRow {
    let confidence = f64::from(said.segment.confidence());
    SegmentRow {
        party: said.speaker,
        start_ms: said.segment.start_ms,
        end_ms: said.segment.end_ms,
        text: said.segment.text,
        confidence,
        avg_logprob: f64::from(said.segment.avg_logprob),
        no_speech_prob: f64::from(said.segment.no_speech_prob),
        words: said.segment.words.into_iter().map(word).collect(),
    }
}

impl Work for TranscriptWork {
    fn stage(&self) -> Stage {
        Stage::Transcript
    }

    fn attempts_max(&self) -> Option<u32> {
        Some(ATTEMPTS_MAX)
    }

    fn held(&self) -> Option<Duration> {
        self.options.schedule.held().map(|_| HELD_AGAIN)
    }

    fn first(&self) -> Vec<CallSid> {
        self.options.schedule.looked_at()
    }

    fn run<'a>(&'a self, claim: &'a Claim) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        Box::pin(async move {
            match self.transcribe(claim).await {
                Ok(Some(output)) => Verdict::Done(output),
                Ok(None) => Verdict::Nothing,
                Err(failure) => failure.into(),
            }
        })
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        let why = failure.to_string();
        match failure {
            Failure::Cut(Cut::GivesWay) => Self::GivesWay,
            Failure::Cut(Cut::Store(_)) | Failure::Track { gone: false, .. } => Self::Again { why },
            Failure::Track { gone: true, .. } => Self::Never { why },
            Failure::Cut(Cut::Speech(error)) => match error {
                SpeechError::Model(
                    ModelError::Missing { .. } | ModelError::NoEngine | ModelError::Corrupt { .. },
                ) => {
                    Self::Waits { waiting_for: WaitingFor::Model, why, after: MODEL_AGAIN }
                }
                SpeechError::Language(_) | SpeechError::BadAudio(_) => Self::Never { why },
                SpeechError::WorkerDied { .. }
                | SpeechError::Failed(_)
                | SpeechError::NotStarted { .. }
                | SpeechError::Busy
                // The program is ending: the runner gives the attempt back.
                | SpeechError::Stopped => Self::Again { why },
            },
        }
    }
}
