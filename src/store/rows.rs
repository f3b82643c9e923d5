//! What the ledger answers with.

use super::{AnnouncementRow, CorrectionRow, LegRow, NoteRow, SearchQuery, SummaryRow};
use crate::domain::{
    CallSid, Direction, DurationSource, EndReason, GapReason, Origin, Party, PartyMap, RateHz,
    RecordingSid, RecordingStatus, Samples8k, Stage, StageStatus, TrackSource, UnixMillis,
    WaitingFor,
};

/// A call's row number in this ledger. It never leaves the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(super) i64);

#[cfg(test)]
impl CallId {
    /// Makes one for a plan that no ledger knows of.
    pub(crate) fn for_test(id: u64) -> Self {
        Self(i64::try_from(id).unwrap())
    }
}

/// A call as it stands.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and a column")]
pub struct Call {
    /// Its row.
    pub id: CallId,
    /// Twilio's name of it.
    pub call_sid: CallSid,
    /// Whose the number of the other side is, if that is known.
    pub name: Option<String>,
    /// Who rang whom.
    pub direction: Direction,
    /// What began it.
    pub origin: Origin,
    /// The caller, as Twilio sent it.
    pub from_number: String,
    /// The called, as Twilio sent it.
    pub to_number: String,
    /// Twilio's word for how far the call is.
    pub call_status: String,
    /// Why it ended; none while it lasts.
    pub end_reason: Option<EndReason>,
    /// When we first heard of it.
    pub created_at: UnixMillis,
    /// When the first sample was heard.
    pub started_at: Option<UnixMillis>,
    /// When it ended; none while it lasts.
    pub ended_at: Option<UnixMillis>,
    /// Whether the wall clock was synchronised at `created_at`.
    pub clock_synced: bool,
    /// Its length in whole seconds and which figure that is, once ended.
    pub duration: Option<(u32, DurationSource)>,
    /// How far its sound has come.
    pub recording_status: RecordingStatus,
    /// How far its conversation has come.
    pub transcript_status: StageStatus,
    /// How far its summary has come.
    pub summary_status: StageStatus,
    /// How far its archive copy has come.
    pub archive_status: StageStatus,
    /// What went wrong last, of the earliest stage not completed.
    pub last_error: Option<String>,
    /// How often that stage was tried.
    pub retry_count: u32,
    /// What that stage waits for, if not merely its turn.
    pub waiting_for: Option<WaitingFor>,
    /// When that stage is tried next, if it is pending and has been tried.
    pub next_attempt_at: Option<UnixMillis>,
    /// Whether a person exchanged the two parties.
    pub parties_swapped: bool,
    /// Whether a person holds it: it is never purged or deleted anywhere while that is so.
    pub hold: bool,
    /// Why it is held, in the words of whoever did it.
    pub hold_note: Option<String>,
    /// When the last of its sound went from this disk, by the rules of retention.
    pub sound_purged_at: Option<UnixMillis>,
    /// When its transcript went from this ledger, likewise.
    pub words_purged_at: Option<UnixMillis>,
    /// Where its files are, relative to the data folder; none before the first sound.
    pub folder: Option<String>,
    /// False when it was answered without a stream because too many calls were live.
    pub live_copy: bool,
    /// When somebody said that they are not to be recorded; none when nobody did.
    pub declined_at: Option<UnixMillis>,
}

impl Call {
    /// Returns who is heard on which track.
    pub fn party_map(&self) -> PartyMap {
        PartyMap::new(self.direction, self.origin, self.parties_swapped)
    }

    /// Says whether the call has not ended yet.
    pub fn is_live(&self) -> bool {
        self.ended_at.is_none()
    }

    /// Returns the number or name of the other side, the one in the field.
    pub fn technician_address(&self) -> &str {
        match self.direction {
            Direction::Inbound => &self.from_number,
            Direction::Outbound => &self.to_number,
        }
    }
}

/// One stage of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct StageRow {
    /// Which.
    pub stage: Stage,
    /// How far.
    pub status: StageStatus,
    /// How often it was claimed.
    pub attempts: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// What it waits for.
    pub waiting_for: Option<WaitingFor>,
    /// Not before this.
    pub next_attempt_at: UnixMillis,
    /// When the row last changed.
    pub updated_at: UnixMillis,
}

/// A sealed file of one party.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackRow {
    /// Whose voice, after a swap by a person.
    pub party: Party,
    /// Where it came from.
    pub source: TrackSource,
    /// Its rate.
    pub rate: RateHz,
    /// 1 for the first; 2 and up were begun after an interruption.
    pub part_no: u32,
    /// Where the file is, relative to the data folder.
    pub path: String,
    /// Where its first sample lies on the call's timeline.
    pub origin: Samples8k,
    /// How much of it lies before the call's first sample: Twilio's copy may begin earlier.
    pub lead: Samples8k,
    /// Its length in samples of its own rate.
    pub samples: u64,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 in hex, once known.
    pub sha256: Option<String>,
    /// Whether it was closed at start, after a crash.
    pub salvaged: bool,
}

/// Silence that nobody spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapRow {
    /// In whose track, after a swap by a person.
    pub party: Party,
    /// In which copy.
    pub source: TrackSource,
    /// From here.
    pub start: Samples8k,
    /// To here.
    pub end: Samples8k,
    /// Why.
    pub reason: GapReason,
}

/// One of Twilio's own recordings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudRecordingRow {
    /// Twilio's name of it.
    pub recording_sid: RecordingSid,
    /// Twilio's word for how far it is.
    pub status: String,
    /// One or two.
    pub channels: Option<u32>,
    /// Its length in seconds.
    pub duration_s: Option<u32>,
    /// When it began, by Twilio's clock.
    pub started_at: Option<UnixMillis>,
    /// Twilio's code of what went wrong.
    pub error_code: Option<String>,
    /// Where it is here, once fetched.
    pub path: Option<String>,
    /// Its size, once fetched.
    pub size_bytes: Option<u64>,
    /// SHA-256 in hex, once fetched.
    pub sha256: Option<String>,
    /// Samples of each channel, once fetched.
    pub frames: Option<u64>,
    /// Where its first sample lies on the call's timeline, in samples of 8 kHz; before its
    /// beginning if negative, none while that is not known.
    pub origin_8k: Option<i64>,
    /// Whether its channels have become the call's own.
    pub split: bool,
    /// When it was deleted at Twilio.
    pub twilio_deleted_at: Option<UnixMillis>,
    /// When its file went from this disk, by the rules of retention: it is not fetched again.
    pub purged_at: Option<UnixMillis>,
}

/// A stretch of a party's live files that holds the sound of Twilio's copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillRow {
    /// In whose track, after a swap by a person.
    pub party: Party,
    /// From here.
    pub start: Samples8k,
    /// To here.
    pub end: Samples8k,
    /// Whose sound it is.
    pub recording_sid: RecordingSid,
}

/// A call with all that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallDetail {
    /// The call.
    pub call: Call,
    /// Its stages, in order.
    pub stages: Vec<StageRow>,
    /// Its sealed files: agent before technician, then by part and rate.
    pub tracks: Vec<TrackRow>,
    /// Its gaps, by time.
    pub gaps: Vec<GapRow>,
    /// What were gaps until Twilio's copy filled them, by time.
    pub fills: Vec<FillRow>,
    /// Twilio's copies.
    pub cloud_recordings: Vec<CloudRecordingRow>,
    /// Whom it was put through to, in the order in which they were rung.
    pub legs: Vec<LegRow>,
    /// What was told before it was recorded, by time.
    pub announcements: Vec<AnnouncementRow>,
    /// What it came to, once that is known.
    pub summary: Option<SummaryRow>,
    /// What people noted, the first first.
    pub notes: Vec<NoteRow>,
    /// What people put right, the first time first.
    pub corrections: Vec<CorrectionRow>,
}

impl CallDetail {
    /// Says whether its transcript is due and not begun.
    pub fn awaits_its_transcript(&self) -> bool {
        let waits = |row: &StageRow| {
            row.stage == Stage::Transcript
                && row.status == StageStatus::Pending
                && row.waiting_for.is_none()
        };
        self.stages.iter().any(waits)
    }
}

/// A stretch of speech by one party.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentRow {
    /// Who spoke, after a swap by a person.
    pub party: Party,
    /// From here on the call's timeline.
    pub start_ms: u64,
    /// To here.
    pub end_ms: u64,
    /// What was said.
    pub text: String,
    /// exp(mean log-probability of its tokens), 0 to 1.
    pub confidence: f64,
    /// Mean log-probability of its tokens.
    pub avg_logprob: f64,
    /// How likely the model thinks that nobody spoke, 0 to 1.
    pub no_speech_prob: f64,
    /// Its words one by one; none where it is not known where they lie.
    pub words: Vec<WordRow>,
}

/// A word of a stretch of speech.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordRow {
    /// Its letters, with what punctuation clings to them.
    pub text: String,
    /// Where it begins on the call's timeline.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
}

/// A call's conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct TranscriptRow {
    /// Which copy of the sound it was made from: `stream` or `cloud`.
    pub source: TrackSource,
    /// The language spoken, as an ISO 639 code.
    pub language: String,
    /// The model's name.
    pub model: String,
    /// Stretches dropped because the model was too unsure of them.
    pub dropped: u32,
    /// Both parties, by time.
    pub segments: Vec<SegmentRow>,
}

/// Which calls to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallFilter {
    /// Only calls whose `recording_status` is this.
    pub recording_status: Option<RecordingStatus>,
    /// Only calls one of whose stages (see `stage`) has this status.
    pub stage_status: Option<StageStatus>,
    /// Which stage `stage_status` speaks of; any when none.
    pub stage: Option<Stage>,
    /// Only calls from or to this number.
    pub number: Option<String>,
    /// Only calls created at or after this.
    pub from: Option<UnixMillis>,
    /// Only calls created before this.
    pub to: Option<UnixMillis>,
    /// Only calls in which this is found.
    pub words: Option<SearchQuery>,
}

/// Where a page of calls ends and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The last call's time.
    pub created_at: UnixMillis,
    /// The last call's row.
    pub id: CallId,
}

impl Cursor {
    /// Returns the cursor as text for a URL.
    pub fn to_text(self) -> String {
        format!("{}-{}", self.created_at.get(), self.id.0)
    }

    /// Reads what [`Cursor::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        let (created_at, id) = text.split_once('-')?;
        Some(Self {
            created_at: UnixMillis::new(created_at.parse().ok()?),
            id: CallId(id.parse().ok()?),
        })
    }
}

/// A page of calls, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct CallPage {
    /// The calls.
    pub calls: Vec<Call>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
}

/// How many stages are undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Which stage.
    pub stage: Stage,
    /// Waiting their turn.
    pub pending: u64,
    /// Under way.
    pub processing: u64,
    /// Given up.
    pub failed: u64,
    /// When the call of the oldest undone one began.
    pub oldest: Option<UnixMillis>,
    /// When the first of those that wait is tried next.
    pub next_attempt_at: Option<UnixMillis>,
    /// What the first of those waits for, if that is not merely its turn.
    pub waiting_for: Option<WaitingFor>,
}
