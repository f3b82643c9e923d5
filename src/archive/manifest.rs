//! What the archive holds of a call, as a page that a person or a program without the ledger can
//! read: `manifest.json`.
//!
//! It is uploaded last, so an archive that shows it holds what it names. The same call gives the
//! same bytes: no time of writing stands in it.

use std::time::Duration;

use serde::Serialize;

use crate::domain::UnixMillis;
use crate::store::{
    ArchiveObject, Call, CallDetail, CloudRecordingRow, FillRow, GapRow, TrackRow, TranscriptRow,
};

/// The format's version: raised when a reader of the one before would misread it.
const VERSION: u32 = 1;

/// Writes the manifest of a call and of what the archive holds of it.
pub(super) fn manifest(
    detail: &CallDetail,
    transcript: Option<&TranscriptRow>,
    objects: &[ArchiveObject],
) -> Vec<u8> {
    let page = Manifest {
        format: "fieldtape-archive",
        version: VERSION,
        call: call(&detail.call),
        files: objects.iter().map(|object| file(object, detail)).collect(),
        cloud_recordings: detail.cloud_recordings.iter().map(cloud).collect(),
        transcript: transcript.map(|transcript| Transcript {
            source: transcript.source.as_str(),
            model: &transcript.model,
            language: &transcript.language,
            segments: transcript.segments.len(),
        }),
        gaps: detail.gaps.iter().map(gap).collect(),
        fills: detail.fills.iter().map(fill).collect(),
    };
    // Plain strings and whole numbers cannot fail to become JSON.
    let mut bytes = serde_json::to_vec_pretty(&page).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[derive(Serialize)]
struct Manifest<'a> {
    format: &'static str,
    version: u32,
    call: CallFacts<'a>,
    files: Vec<File<'a>>,
    cloud_recordings: Vec<CloudRecording<'a>>,
    transcript: Option<Transcript<'a>>,
    gaps: Vec<Gap>,
    fills: Vec<Fill<'a>>,
}

#[derive(Serialize)]
struct CallFacts<'a> {
    call_sid: &'a str,
    direction: &'static str,
    origin: &'static str,
    from_number: &'a str,
    to_number: &'a str,
    call_status: &'a str,
    end_reason: Option<&'static str>,
    created_at: Option<String>,
    started_at: Option<String>,
    ended_at: Option<String>,
    clock_synced: bool,
    duration_s: Option<u32>,
    duration_source: Option<&'static str>,
}

#[derive(Serialize)]
struct File<'a> {
    key: &'a str,
    size_bytes: u64,
    sha256: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<Track>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording_sid: Option<&'a str>,
}

#[derive(Serialize)]
struct Track {
    party: &'static str,
    source: &'static str,
    rate_hz: u32,
    part_no: u32,
    origin_ms: u64,
    lead_ms: u64,
    duration_ms: u64,
}

#[derive(Serialize)]
struct CloudRecording<'a> {
    recording_sid: &'a str,
    status: &'a str,
    channels: Option<u32>,
    duration_s: Option<u32>,
    sha256: Option<&'a str>,
}

#[derive(Serialize)]
struct Transcript<'a> {
    source: &'static str,
    model: &'a str,
    language: &'a str,
    segments: usize,
}

#[derive(Serialize)]
struct Gap {
    party: &'static str,
    source: &'static str,
    start_ms: u64,
    end_ms: u64,
    reason: &'static str,
}

#[derive(Serialize)]
struct Fill<'a> {
    party: &'static str,
    start_ms: u64,
    end_ms: u64,
    recording_sid: &'a str,
}

fn call(call: &Call) -> CallFacts<'_> {
    CallFacts {
        call_sid: call.call_sid.as_str(),
        direction: call.direction.as_str(),
        origin: call.origin.as_str(),
        from_number: &call.from_number,
        to_number: &call.to_number,
        call_status: &call.call_status,
        end_reason: call.end_reason.map(crate::domain::EndReason::as_str),
        created_at: moment(call.created_at),
        started_at: call.started_at.and_then(moment),
        ended_at: call.ended_at.and_then(moment),
        clock_synced: call.clock_synced,
        duration_s: call.duration.map(|(duration_s, _)| duration_s),
        duration_source: call.duration.map(|(_, source)| source.as_str()),
    }
}

fn file<'a>(object: &'a ArchiveObject, detail: &'a CallDetail) -> File<'a> {
    let path = object.path.as_deref();
    let track = detail.tracks.iter().find(|track| Some(track.path.as_str()) == path);
    let of_path = |row: &&CloudRecordingRow| row.path.is_some() && row.path.as_deref() == path;
    let recording = detail.cloud_recordings.iter().find(of_path);
    File {
        key: &object.key,
        size_bytes: object.size_bytes,
        sha256: &object.sha256,
        kind: match (track, recording) {
            (Some(_), _) => "party",
            (None, Some(_)) => "cloud-recording",
            // Its file has gone here since, by the rules of retention.
            (None, None) if path.is_some_and(|path| path.contains("/cloud_")) => "cloud-recording",
            (None, None) if path.is_some() => "party",
            (None, None) => "transcript",
        },
        track: track.map(track_facts),
        recording_sid: recording.map(|row| row.recording_sid.as_str()),
    }
}

fn track_facts(track: &TrackRow) -> Track {
    let rate_hz = track.rate.get();
    let duration = Duration::from_secs(track.samples) / rate_hz;
    Track {
        party: track.party.as_str(),
        source: track.source.as_str(),
        rate_hz,
        part_no: track.part_no,
        origin_ms: track.origin.as_millis(),
        lead_ms: track.lead.as_millis(),
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    }
}

fn cloud(row: &CloudRecordingRow) -> CloudRecording<'_> {
    CloudRecording {
        recording_sid: row.recording_sid.as_str(),
        status: &row.status,
        channels: row.channels,
        duration_s: row.duration_s,
        sha256: row.sha256.as_deref(),
    }
}

fn gap(gap: &GapRow) -> Gap {
    Gap {
        party: gap.party.as_str(),
        source: gap.source.as_str(),
        start_ms: gap.start.as_millis(),
        end_ms: gap.end.as_millis(),
        reason: gap.reason.as_str(),
    }
}

fn fill(fill: &FillRow) -> Fill<'_> {
    Fill {
        party: fill.party.as_str(),
        start_ms: fill.start.as_millis(),
        end_ms: fill.end.as_millis(),
        recording_sid: fill.recording_sid.as_str(),
    }
}

/// Returns a moment as RFC 3339, if it is within what that can say.
fn moment(at: UnixMillis) -> Option<String> {
    jiff::Timestamp::from_millisecond(at.get()).ok().map(|moment| moment.to_string())
}
