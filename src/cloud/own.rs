//! The stage `split`: Twilio's copies become the call's own. Their channels are files of the two
//! parties, and what the live stream missed is filled from them.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::{
    AlignOrder, FillOrder, Gap, Place, SoundError, Split, SplitOrder, StreamPart, align, fill,
    split,
};
use crate::domain::{PartyMap, RateHz, Samples8k, Stage, TrackSource, WaitingFor};
use crate::pipeline::{Verdict, Work};
use crate::store::{
    self, CallDetail, Claim, CloudRecordingRow, Fill, NewTrack, Output, Store, StoreError, TrackRow,
};
use crate::vault::{self, BadPath, PartNo, RelPath, Vault};

/// Attempts before it is given up: everything it needs is on this machine.
const ATTEMPTS_MAX: u32 = 5;

/// How soon a call that has not ended here is looked at again: its files are sealed within seconds.
const LIVE_AGAIN: Duration = Duration::from_secs(5);

/// What the stage needs.
pub struct SplitOptions {
    /// The ledger.
    pub store: Store,
    /// The recordings.
    pub vault: Vault,
    /// The rates that a party's files come in.
    pub rates: Vec<RateHz>,
}

/// The work of the stage `split`.
pub struct SplitWork {
    options: SplitOptions,
}

/// Why Twilio's copy is not the call's own yet.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Sound(#[from] SoundError),
    #[error(transparent)]
    BadPath(#[from] BadPath),
    #[error("a thread of fieldtape's broke: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// A call as its files are worked on.
struct Job {
    vault: Vault,
    detail: CallDetail,
    rates: Vec<RateHz>,
    /// What Twilio's stream brought.
    parts: Vec<StreamPart>,
    /// That and what the parties' own microphones heard.
    all_parts: Vec<StreamPart>,
    gaps: Vec<Gap>,
}

impl SplitWork {
    /// Makes the stage's work.
    pub fn new(options: SplitOptions) -> Self {
        Self { options }
    }

    async fn split(&self, claim: &Claim) -> Result<Verdict, Failure> {
        let Some(detail) = self.options.store.call_as_recorded(claim.call_sid()).await? else {
            return Ok(Verdict::Nothing);
        };
        if detail.call.is_live() {
            return Ok(Verdict::Waits {
                waiting_for: WaitingFor::Recording,
                why: "the call is still being recorded here".to_owned(),
                after: LIVE_AGAIN,
            });
        }
        let job = Job::new(self.options.vault.clone(), detail, self.options.rates.clone())?;
        let output = tokio::task::spawn_blocking(move || job.run()).await??;
        Ok(Verdict::Done(Output::Split(output)))
    }
}

impl Job {
    fn new(vault: Vault, detail: CallDetail, rates: Vec<RateHz>) -> Result<Self, BadPath> {
        let heard = detail.tracks.iter().filter(|track| track.source != TrackSource::Cloud);
        let all_parts: Vec<StreamPart> = heard.map(part).collect::<Result<_, _>>()?;
        let parts = all_parts.iter().filter(|part| !part.is_own).cloned().collect();
        let missed = detail.gaps.iter().filter(|gap| gap.source == TrackSource::Stream);
        let gaps = missed
            .map(|gap| Gap { party: gap.party, start: gap.start, end: gap.end, reason: gap.reason })
            .collect();
        Ok(Self { vault, detail, rates, parts, all_parts, gaps })
    }

    fn run(mut self) -> Result<store::Split, Failure> {
        let mut output = store::Split::default();
        let recordings = self.detail.cloud_recordings.clone();
        let mut number = PartNo::FIRST;
        for row in &recordings {
            if let (Some(path), false) = (&row.path, row.split) {
                self.take(row, &path.parse()?, number, &mut output)?;
            }
            number = number.next();
        }
        Ok(output)
    }

    /// Makes one recording the call's own.
    fn take(
        &mut self,
        row: &CloudRecordingRow,
        recording: &RelPath,
        recording_no: PartNo,
        output: &mut store::Split,
    ) -> Result<(), Failure> {
        let call = self.detail.call.clone();
        let mapped = PartyMap::new(call.direction, call.origin, false);
        let expected = self.expected(row);
        let place = self.place(recording, mapped, expected)?;
        let sid = &row.recording_sid;
        let (offset, crossed) = match place {
            Place::Found(found) => (Some(found.offset_samples), found.swapped),
            // Nothing was heard here that it could disagree with.
            Place::NothingHeard => (Some(expected.unwrap_or(0)), false),
            Place::Unlike => {
                tracing::warn!(event = "cloud.unplaced", recording.sid = %sid, "{sid} could not be found in what was heard of {} here; gaps stay as they are", call.call_sid);
                (None, false)
            }
        };
        if crossed {
            tracing::warn!(event = "cloud.crossed", recording.sid = %sid, "{sid} has the parties of {} on each other's channels; they are named as they were heard here", call.call_sid);
        }
        let parties = PartyMap::new(call.direction, call.origin, crossed);
        if let Some(offset_samples) = offset {
            self.fill(row, recording, (parties, offset_samples), output)?;
        }
        let wide = self.parts.is_empty() && self.rates.contains(&RateHz::Hz16000);
        let order = SplitOrder { recording, recording_no, parties, wide };
        let origin = offset.or(expected).unwrap_or(0);
        match split(&self.vault, &order)? {
            Split::Mono => {
                tracing::warn!(event = "cloud.mono", recording.sid = %sid, "{sid} has both parties of {} in one channel: it can be heard, and who speaks cannot be told", call.call_sid);
            }
            Split::Tracks(tracks) => {
                output.tracks.extend(tracks.into_iter().map(|track| NewTrack {
                    party: track.party,
                    source: TrackSource::Cloud,
                    rate: track.file.rate(),
                    part_no: recording_no.get(),
                    path: track.file.path().as_str().to_owned(),
                    origin: Some(Samples8k::new(origin.max(0).unsigned_abs())),
                    lead: Samples8k::new(origin.min(0).unsigned_abs()),
                    samples: track.file.samples(),
                    size_bytes: track.file.bytes(),
                    salvaged: false,
                }));
            }
        }
        output.recordings.push((sid.clone(), offset));
        Ok(())
    }

    fn place(
        &self,
        recording: &RelPath,
        parties: PartyMap,
        expected: Option<i64>,
    ) -> Result<Place, SoundError> {
        let order =
            AlignOrder { parts: &self.parts, gaps: &self.gaps, recording, parties, expected };
        align(&self.vault, &order)
    }

    /// Where the clocks say it begins: Twilio's, which tells whole seconds, and ours.
    fn expected(&self, row: &CloudRecordingRow) -> Option<i64> {
        let began_at = self.detail.call.started_at?;
        let offset_ms = row.started_at?.get().checked_sub(began_at.get())?;
        let is_sure = self.detail.call.clock_synced;
        is_sure.then(|| offset_ms.saturating_mul(8))
    }

    fn fill(
        &mut self,
        row: &CloudRecordingRow,
        recording: &RelPath,
        (parties, offset_samples): (PartyMap, i64),
        output: &mut store::Split,
    ) -> Result<(), SoundError> {
        let (parts, gaps) = (&self.all_parts, &self.gaps);
        let order = FillOrder { parts, gaps, recording, parties, offset_samples };
        let filled = fill(&self.vault, &order)?;
        for file in &filled.files {
            let path = file.file.path();
            let parts = self.parts.iter_mut().chain(&mut self.all_parts);
            for part in parts.filter(|part| part.path == *path) {
                part.samples = file.file.samples();
            }
            output.rewritten.push(store::Rewritten {
                path: path.as_str().to_owned(),
                samples: file.file.samples(),
                size_bytes: file.file.bytes(),
            });
        }
        for span in &filled.spans {
            self.gaps.retain(|gap| {
                gap.party != span.party || gap.start < span.start || gap.end > span.end
            });
            output.fills.push(Fill {
                recording_sid: row.recording_sid.clone(),
                party: span.party,
                start: span.start,
                end: span.end,
            });
        }
        if !filled.spans.is_empty() {
            let filled_ms: u64 =
                filled.spans.iter().map(|span| span.end.as_millis() - span.start.as_millis()).sum();
            tracing::info!(event = "recording.filled", duration_ms = filled_ms, recording.sid = %row.recording_sid, "{:.1} s that the stream of {} had missed were filled from Twilio's copy", Duration::from_millis(filled_ms).as_secs_f64(), self.detail.call.call_sid);
        }
        Ok(())
    }
}

fn part(track: &TrackRow) -> Result<StreamPart, BadPath> {
    Ok(StreamPart {
        party: track.party,
        rate: track.rate,
        origin: track.origin,
        samples: track.samples,
        path: track.path.parse()?,
        is_own: track.source.is_own(),
    })
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        let why = failure.to_string();
        match failure {
            Failure::Sound(SoundError::Vault(vault::Error::Full { .. })) => {
                Self::Waits { waiting_for: WaitingFor::Disk, why, after: Duration::from_mins(1) }
            }
            Failure::Sound(SoundError::Unreadable { .. } | SoundError::Short { .. })
            | Failure::BadPath(_) => Self::Never { why },
            Failure::Store(_) | Failure::Sound(SoundError::Vault(_)) | Failure::Broken(_) => {
                Self::Again { why }
            }
        }
    }
}

impl Work for SplitWork {
    fn stage(&self) -> Stage {
        Stage::Split
    }

    fn attempts_max(&self) -> Option<u32> {
        Some(ATTEMPTS_MAX)
    }

    /// What is left of the disk is for what is live.
    fn held(&self) -> Option<Duration> {
        (self.options.vault.mark() == vault::Mark::Spent).then_some(super::fetch::NO_ROOM_AGAIN)
    }

    fn run<'a>(&'a self, claim: &'a Claim) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        Box::pin(async move { self.split(claim).await.unwrap_or_else(Verdict::from) })
    }
}
