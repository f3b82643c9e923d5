//! What the API sends, key by key. The ledger's rows and the domain's words know no JSON.

mod hits;
mod legs;
mod microphone;
mod notes;
mod queue;
mod storage;
mod summary;

use std::collections::BTreeMap;

use serde::Serialize;

pub(super) use self::hits::Hits;
use self::legs::{Announcement, Leg};
pub(super) use self::microphone::Microphone;
pub(super) use self::notes::{Contacts, Imported, Number, Numbers};
pub(super) use self::queue::{AllQueued, Pauses, Queue, Run};
pub(super) use self::storage::{PurgeAnswer, Storage};
pub(super) use self::summary::Summary;

use self::notes::{Correction, Note};
use super::sound;
use crate::domain::{CallSid, EndReason, Samples8k, TrackSource, UnixMillis, WaitingFor};
use crate::health;
use crate::store::{self, CallDetail, CloudRecordingRow, FillRow, GapRow, TrackRow};
use crate::transcribe::LiveSegment;

/// A moment as the API writes it: RFC 3339 in UTC.
pub(super) fn rfc3339(moment: UnixMillis) -> String {
    // Only a row that no clock wrote lies outside of the calendar.
    jiff::Timestamp::from_millisecond(moment.get()).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[expect(clippy::cast_precision_loss, reason = "a call is far shorter than 2^53 ms")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// A page of calls.
#[derive(Debug, Serialize)]
pub(super) struct Calls {
    pub(super) calls: Vec<Call>,
    pub(super) next_cursor: Option<String>,
}

/// A call.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the contract's name of the key")]
pub(super) struct Call {
    call_sid: String,
    /// Whose the number of the other side is, if that is known.
    name: Option<String>,
    direction: &'static str,
    from: String,
    to: String,
    /// Twilio's word for how far it is.
    call_status: String,
    created_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    duration_s: Option<u32>,
    duration_source: Option<&'static str>,
    end_reason: Option<&'static str>,
    recording_status: &'static str,
    transcript_status: &'static str,
    summary_status: &'static str,
    archive_status: &'static str,
    last_error: Option<String>,
    retry_count: u32,
    waiting_for: Option<&'static str>,
    /// Why its transcript is held back, if it is; in words for a person.
    waiting_reason: Option<String>,
    next_attempt_at: Option<String>,
    /// Whether a person exchanged the two.
    parties_swapped: bool,
    /// When somebody said that they are not to be recorded.
    declined_at: Option<String>,
    /// What people were told before they were recorded.
    announcements: Vec<Announcement>,
    /// Whom it was put through to.
    legs: Vec<Leg>,
    /// Whether a person holds it: nothing of it is deleted anywhere meanwhile.
    hold: bool,
    hold_note: Option<String>,
    /// When the last of its sound, and its transcript, went from this box by the rules of retention.
    sound_purged_at: Option<String>,
    words_purged_at: Option<String>,
    tracks: Vec<Track>,
    cloud_recordings: Vec<CloudRecording>,
    /// None before it is made.
    summary: Option<Summary>,
    notes: Vec<Note>,
    /// What people put right; each time of it.
    corrections: Vec<Correction>,
}

#[derive(Debug, Serialize)]
struct Track {
    party: &'static str,
    source: &'static str,
    rate_hz: u32,
    duration_s: f64,
    bytes: u64,
    sha256: Option<String>,
    gaps: Vec<Gap>,
    /// What were gaps until Twilio's copy filled them.
    filled: Vec<Filled>,
    url: String,
}

#[derive(Debug, Serialize)]
struct Gap {
    start_s: f64,
    end_s: f64,
}

#[derive(Debug, Serialize)]
struct Filled {
    start_s: f64,
    end_s: f64,
    recording_sid: String,
}

#[derive(Debug, Serialize)]
struct CloudRecording {
    recording_sid: String,
    status: String,
    channels: Option<u32>,
    duration_s: Option<u32>,
    bytes: Option<u64>,
    sha256: Option<String>,
    twilio_deleted_at: Option<String>,
    /// When its file went from this box by the rules of retention.
    purged_at: Option<String>,
    url: Option<String>,
}

impl Call {
    /// Takes a call, and why transcripts are held back if they are.
    pub(super) fn new(detail: CallDetail, held: Option<String>) -> Self {
        let waiting_reason = held.filter(|_| detail.awaits_its_transcript());
        let CallDetail {
            call,
            stages: _,
            tracks,
            gaps,
            fills,
            cloud_recordings,
            legs,
            announcements,
            summary,
            notes,
            corrections,
        } = detail;
        let summary = summary.map(Summary::from);
        let notes = notes.into_iter().map(Note::from).collect();
        let corrections = corrections.into_iter().map(Correction::from).collect();
        let sid = &call.call_sid;
        let tracks: Vec<Track> =
            tracks.iter().map(|track| Track::new(sid, track, &tracks, (&gaps, &fills))).collect();
        let cloud_recordings =
            cloud_recordings.into_iter().map(|row| CloudRecording::new(sid, row)).collect();
        let legs = legs.iter().map(Leg::from).collect();
        let started_at = call.started_at;
        let announcements =
            announcements.iter().map(|row| Announcement::new(row, started_at)).collect();
        Self {
            waiting_reason,
            announcements,
            legs,
            tracks,
            cloud_recordings,
            summary,
            notes,
            corrections,
            ..Self::bare(call)
        }
    }

    fn bare(call: store::Call) -> Self {
        Self {
            call_sid: call.call_sid.to_string(),
            name: call.name,
            direction: call.direction.as_str(),
            from: call.from_number,
            to: call.to_number,
            call_status: call.call_status,
            created_at: rfc3339(call.created_at),
            started_at: call.started_at.map(rfc3339),
            ended_at: call.ended_at.map(rfc3339),
            duration_s: call.duration.map(|(seconds, _)| seconds),
            duration_source: call.duration.map(|(_, source)| source.as_str()),
            end_reason: call.end_reason.map(EndReason::as_str),
            recording_status: call.recording_status.as_str(),
            transcript_status: call.transcript_status.as_str(),
            summary_status: call.summary_status.as_str(),
            archive_status: call.archive_status.as_str(),
            last_error: call.last_error,
            retry_count: call.retry_count,
            waiting_for: call.waiting_for.map(WaitingFor::as_str),
            waiting_reason: None,
            next_attempt_at: call.next_attempt_at.map(rfc3339),
            parties_swapped: call.parties_swapped,
            declined_at: call.declined_at.map(rfc3339),
            announcements: Vec::new(),
            legs: Vec::new(),
            hold: call.hold,
            hold_note: call.hold_note,
            sound_purged_at: call.sound_purged_at.map(rfc3339),
            words_purged_at: call.words_purged_at.map(rfc3339),
            tracks: Vec::new(),
            cloud_recordings: Vec::new(),
            summary: None,
            notes: Vec::new(),
            corrections: Vec::new(),
        }
    }
}

impl Track {
    fn new(
        call: &CallSid,
        track: &TrackRow,
        all: &[TrackRow],
        (gaps, fills): (&[GapRow], &[FillRow]),
    ) -> Self {
        let rate_hz = track.rate.get();
        let of_track = |gap: &&GapRow| (gap.party, gap.source) == (track.party, track.source);
        Self {
            party: track.party.as_str(),
            source: track.source.as_str(),
            rate_hz,
            duration_s: seconds(track.samples * 1000 / u64::from(rate_hz)),
            bytes: track.size_bytes,
            sha256: track.sha256.clone(),
            gaps: gaps.iter().filter(of_track).map(Gap::from).collect(),
            filled: fills
                .iter()
                .filter(|fill| fill.party == track.party && track.source == TrackSource::Stream)
                .map(Filled::from)
                .collect(),
            // `bytes` and `sha256` are those of what the address gives.
            url: format!("/api/v1/calls/{call}/audio/{}", sound::name(track, all, gaps)),
        }
    }
}

impl From<&FillRow> for Filled {
    fn from(fill: &FillRow) -> Self {
        Self {
            start_s: seconds(fill.start.as_millis()),
            end_s: seconds(fill.end.as_millis()),
            recording_sid: fill.recording_sid.to_string(),
        }
    }
}

impl From<&GapRow> for Gap {
    fn from(gap: &GapRow) -> Self {
        let seconds = |place: Samples8k| seconds(place.as_millis());
        Self { start_s: seconds(gap.start), end_s: seconds(gap.end) }
    }
}

impl CloudRecording {
    fn new(call: &CallSid, row: CloudRecordingRow) -> Self {
        let sid = row.recording_sid;
        let url = format!("/api/v1/calls/{call}/recordings/{sid}.wav");
        Self {
            recording_sid: sid.to_string(),
            status: row.status,
            channels: row.channels,
            duration_s: row.duration_s,
            bytes: row.size_bytes,
            sha256: row.sha256,
            twilio_deleted_at: row.twilio_deleted_at.map(rfc3339),
            purged_at: row.purged_at.map(rfc3339),
            url: row.path.map(|_| url),
        }
    }
}

/// Something said in a call in progress.
#[derive(Debug, Serialize)]
pub(super) struct Live {
    /// Its place among all that was said.
    n: usize,
    #[serde(flatten)]
    said: Said,
}

/// Something said, or what somebody seems to be saying.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    speaker: &'static str,
    start_s: f64,
    end_s: f64,
    text: String,
    confidence: f64,
}

impl Live {
    /// Takes the `n`th thing said.
    pub(super) fn new(n: usize, segment: LiveSegment) -> Self {
        Self { n, said: segment.into() }
    }
}

impl From<LiveSegment> for Said {
    fn from(segment: LiveSegment) -> Self {
        Self {
            speaker: segment.party.as_str(),
            start_s: seconds(segment.start_ms),
            end_s: seconds(segment.end_ms),
            text: segment.text,
            confidence: segment.confidence,
        }
    }
}

/// How far behind the speakers the words of a call in progress are.
#[derive(Debug, Serialize)]
pub(super) struct LiveStatus {
    /// None while the words of this call are not being written down.
    pub(super) lag_s: Option<f64>,
}

/// The appliance's health.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    ready: bool,
    live_calls: u32,
    version: &'static str,
    /// Which run of the program this is.
    instance: String,
    /// How many checks stand in each state.
    tally: BTreeMap<&'static str, usize>,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Check {
    name: String,
    state: &'static str,
    detail: String,
    fix: Option<String>,
}

impl From<&health::Health> for Health {
    fn from(health: &health::Health) -> Self {
        let checks = health.checks.iter().map(|check| Check {
            name: check.name.clone(),
            state: check.state.as_str(),
            detail: check.detail.clone(),
            fix: check.fix.clone(),
        });
        Self {
            status: health.worst().as_str(),
            ready: health.ready,
            live_calls: health.live_calls,
            version: env!("CARGO_PKG_VERSION"),
            instance: health.instance.clone(),
            tally: health.tally().map(|one| (one.state.as_str(), one.checks)).into(),
            checks: checks.collect(),
        }
    }
}

/// Stages that are due again.
#[derive(Debug, Serialize)]
pub(super) struct Queued {
    pub(super) queued: Vec<&'static str>,
}
