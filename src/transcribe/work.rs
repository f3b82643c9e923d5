//! The stage `transcript`: a call's sealed tracks to one conversation.

use std::fs::File;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::hearing::{Cut, Hearing, manner};
use super::parts::{OpenPart, Part, best_source, parts};
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
        let detail = self.options.store.call(claim.call_sid()).await.map_err(Cut::from)?;
        let Some(detail) = detail else { return Ok(None) };
        let source = best_source(&detail.tracks);
        let planned = parts(&detail.tracks, &detail.gaps, source).into_iter();
        let files = planned.map(|part| self.open_part(part));
        let files = files.collect::<Result<Vec<_>, Failure>>()?;
        let hearing = self.hearing(claim, &files).await?;
        let mut heard = Heard::default();
        let mut parties = Party::ALL.iter().map(|party| (*party, Vec::new())).collect::<Vec<_>>();
        let mut spoke = Vec::new();
        for OpenPart { part, audio, other } in &files {
            let party = part.track.party;
            // What stands in for a microphone that was heard all the time is not listened to.
            let stands_in = part.instead.is_some() && !spoke.contains(&party);
            if !part.can_count() && !stands_in {
                continue;
            }
            let said = hear(&hearing, part.track, (audio, other.as_ref()), &mut heard).await?;
            if part.instead.is_none() && !said.is_empty() {
                spoke.push(party);
            }
            if let Some((_, own)) = parties.iter_mut().find(|(other, _)| *other == party) {
                own.extend(said.into_iter().filter(|said| stands_in || part.counts(said)));
            }
        }
        let Some((language, model)) = heard.by else { return Ok(None) };
        for (party, _) in parties.iter_mut().filter(|_| detail.call.parties_swapped) {
            // Kept as recorded: they are exchanged when they are read.
            *party = party.other();
        }
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
        parts: &[OpenPart<'_>],
    ) -> Result<Hearing<'a>, Failure> {
        let TranscriptWorkOptions { store, clock, schedule, speech, language, .. } = &self.options;
        let by = speech.manner().map_err(Cut::from)?;
        let path = |part: &OpenPart<'_>| part.part.track.path.clone();
        let named = parts.iter().map(|part| (part.part.track.path.as_str(), &*part.audio));
        let manner = manner(&by, language, named).map_err(|error| Failure::Track {
            path: parts.iter().map(path).collect::<Vec<_>>().join(", "),
            why: error.to_string(),
            gone: false,
        })?;
        let kept = store.heard(claim.call(), manner.clone()).await.map_err(Cut::from)?;
        Ok(Hearing { store, clock, schedule, speech, language, claim, manner, kept })
    }

    fn open_part<'a>(&self, part: Part<'a>) -> Result<OpenPart<'a>, Failure> {
        let audio = Arc::new(self.open(part.track)?);
        let other = part.other.map(|other| self.open(other)).transpose()?.map(Arc::new);
        Ok(OpenPart { part, audio, other })
    }

    fn open(&self, track: &TrackRow) -> Result<File, Failure> {
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
    /// A microphone's do not.
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
