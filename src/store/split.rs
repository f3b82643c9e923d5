//! Twilio's copies as they become the call's own: tracks of their channels, gaps they fill.

use rusqlite::{Transaction, params};

use super::finish::{NewTrack, insert_track};
use super::streams::{sql_count, sql_samples};
use super::{CallId, StoreError, calls};
use crate::domain::{Party, RecordingSid, Samples8k, UnixMillis};

/// What became of a call's recordings. Parties are as recorded, whoever was swapped since.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// The recordings, and where each one's first sample lies on the call's timeline in samples of
    /// 8 kHz (before its beginning if negative); none when no place could be found.
    pub recordings: Vec<(RecordingSid, Option<i64>)>,
    /// Files of their channels.
    pub tracks: Vec<NewTrack>,
    /// Files of the call that were replaced by fuller ones of the same name.
    pub rewritten: Vec<Rewritten>,
    /// What they are fuller by.
    pub fills: Vec<Fill>,
}

/// A file replaced by a fuller one of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// Relative to the data folder.
    pub path: String,
    /// Its length now, in samples of its own rate.
    pub samples: u64,
    /// Its size now.
    pub size_bytes: u64,
}

/// A stretch of a party's live files that holds the sound of Twilio's copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// Whose sound it is.
    pub recording_sid: RecordingSid,
    /// In whose track.
    pub party: Party,
    /// From here on the call's timeline.
    pub start: Samples8k,
    /// To here.
    pub end: Samples8k,
}

/// Writes it all down; telling it twice is telling it once.
pub(super) fn apply(
    tx: &Transaction<'_>,
    call: CallId,
    split: &Split,
    now: UnixMillis,
) -> Result<(), StoreError> {
    for (sid, origin) in &split.recordings {
        tx.execute(
            "update cloud_recordings set split_at_ms = ?1, origin_sample = ?2 where recording_sid = ?3",
            params![now.get(), origin, sid.as_str()],
        )?;
    }
    for track in &split.tracks {
        insert_track(tx, call, track, now)?;
    }
    for file in &split.rewritten {
        // What a party's own microphone has not heard of it is silence.
        tx.execute(
            "insert into gaps (call_id, party, source, start_sample, end_sample, reason) \
             select call_id, party, source, origin_sample + samples * 8000 / rate_hz, \
               origin_sample + ?2 * 8000 / rate_hz, 'disconnected' from tracks \
             where path = ?1 and source in ('microphone', 'browser') and samples < ?2 \
             on conflict do update set end_sample = max(end_sample, excluded.end_sample)",
            params![file.path, sql_count(file.samples)],
        )?;
        tx.execute(
            "update tracks set samples = ?1, size_bytes = ?2, sha256 = null, sealed_at_ms = ?3 \
             where path = ?4",
            params![sql_count(file.samples), sql_count(file.size_bytes), now.get(), file.path],
        )?;
    }
    for fill in &split.fills {
        tx.execute(
            "insert into fills (call_id, party, start_sample, end_sample, recording_id) \
             select ?1, ?2, ?3, ?4, id from cloud_recordings where recording_sid = ?5 \
             on conflict do update set end_sample = max(end_sample, excluded.end_sample)",
            params![
                call.0,
                fill.party.as_str(),
                sql_samples(fill.start),
                sql_samples(fill.end),
                fill.recording_sid.as_str()
            ],
        )?;
        close_gaps(tx, call, fill)?;
    }
    begin(tx, call)?;
    calls::estimate_duration(tx, call)
}

/// Has the call's copies split again: more was heard of it live than was known.
pub(super) fn undo(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    tx.execute(
        "update cloud_recordings set split_at_ms = null where call_id = ?1 and path is not null",
        [call.0],
    )?;
    Ok(())
}

/// Takes back the gaps, or the parts of them, that a fill has closed.
fn close_gaps(tx: &Transaction<'_>, call: CallId, fill: &Fill) -> Result<(), StoreError> {
    let (start, end) = (sql_samples(fill.start), sql_samples(fill.end));
    for step in [
        // A gap that goes on behind the fill begins anew where that ends.
        "insert or ignore into gaps (call_id, party, source, start_sample, end_sample, reason) \
         select call_id, party, source, ?4, end_sample, reason from gaps \
         where call_id = ?1 and party = ?2 and source = 'stream' and reason <> 'paused' \
         and start_sample < ?4 and end_sample > ?4 and ?3 < ?4",
        "delete from gaps where call_id = ?1 and party = ?2 and source = 'stream' \
         and reason <> 'paused' and start_sample >= ?3 and start_sample < ?4",
        // One that began before it ends where that begins.
        "update gaps set end_sample = ?3 where call_id = ?1 and party = ?2 and source = 'stream' \
         and reason <> 'paused' and start_sample < ?3 and end_sample > ?3 and ?3 < ?4",
    ] {
        tx.execute(step, params![call.0, fill.party.as_str(), start, end])?;
    }
    Ok(())
}

/// A call that was never heard here began when its recording did.
fn begin(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    tx.execute(
        "update calls set recording_status = 'completed', started_at_ms = coalesce(started_at_ms, \
           (select min(started_at_ms) from cloud_recordings where call_id = calls.id)) \
         where id = ?1 and exists (select 1 from cloud_recordings \
           where call_id = calls.id and path is not null)",
        [call.0],
    )?;
    Ok(())
}
