//! Twilio's own recordings, as its callbacks tell of them.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{CallId, Store, StoreError};
use crate::domain::{CallSid, RecordingSid, UnixMillis};

/// What a recording callback says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudUpdate {
    /// The recording.
    pub recording_sid: RecordingSid,
    /// The parent leg of its call.
    pub call_sid: CallSid,
    /// Twilio's word for how far it is.
    pub status: String,
    /// One or two.
    pub channels: Option<u32>,
    /// Seconds, on completion.
    pub duration_s: Option<u32>,
    /// What began it, in Twilio's word.
    pub source: Option<String>,
    /// Which tracks it holds, in Twilio's word.
    pub track: Option<String>,
    /// When it began.
    pub started_at: Option<UnixMillis>,
    /// Twilio's code of what went wrong; none or "0" when nothing did.
    pub error_code: Option<String>,
    /// Now.
    pub at: UnixMillis,
}

/// How far along a recording's word is; a final word is never replaced.
fn rank(status: &str) -> u8 {
    match status {
        "in-progress" | "paused" => 0,
        "stopped" => 1,
        "processing" => 2,
        "completed" | "absent" | "failed" => 4,
        "deleted" => 5,
        _ => 3,
    }
}

impl Store {
    /// Applies a recording callback, whatever the order, however often it comes; says whether
    /// anything is different now.
    pub async fn cloud_recording(&self, update: CloudUpdate) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let call = tx
                .query_row(
                    "select id from calls where call_sid = ?1",
                    [update.call_sid.as_str()],
                    |row| row.get(0).map(CallId),
                )
                .optional()?;
            let changed = upsert(tx, &update, call)?;
            if let (true, Some(call)) = (changed, call) {
                follow_recordings(tx, call)?;
            }
            Ok(changed)
        })
        .await
    }
}

fn upsert(
    tx: &Transaction<'_>,
    update: &CloudUpdate,
    call: Option<CallId>,
) -> Result<bool, StoreError> {
    let stands: Option<String> = tx
        .query_row(
            "select status from cloud_recordings where recording_sid = ?1",
            [update.recording_sid.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    if stands.is_some_and(|word| rank(&update.status) <= rank(&word)) {
        return Ok(false);
    }
    tx.execute(
        "insert into cloud_recordings (call_id, call_sid, recording_sid, status, channels, \
         duration_s, source, track, started_at_ms, error_code, created_at_ms, updated_at_ms) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11) \
         on conflict (recording_sid) do update set status = excluded.status, \
           channels = coalesce(excluded.channels, channels), \
           duration_s = coalesce(excluded.duration_s, duration_s), \
           source = coalesce(excluded.source, source), \
           track = coalesce(excluded.track, track), \
           started_at_ms = coalesce(excluded.started_at_ms, started_at_ms), \
           error_code = coalesce(excluded.error_code, error_code), \
           updated_at_ms = excluded.updated_at_ms",
        params![
            call.map(|id| id.0),
            update.call_sid.as_str(),
            update.recording_sid.as_str(),
            update.status,
            update.channels,
            update.duration_s,
            update.source,
            update.track,
            update.started_at.map(UnixMillis::get),
            update.error_code,
            update.at.get(),
        ],
    )?;
    Ok(true)
}

/// A call not heard here is being recorded as long as Twilio has, or is making, a copy of it; its
/// stages follow, whichever of the call's end and the recording's news came first.
pub(super) fn follow_recordings(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    tx.execute(
        "update calls set recording_status = 'recording' where id = ?1 \
         and recording_status in ('pending', 'failed') and exists (select 1 from cloud_recordings \
           where call_id = calls.id and status not in ('absent', 'failed', 'deleted'))",
        [call.0],
    )?;
    tx.execute(
        "update calls set recording_status = 'failed', \
           last_error = coalesce(last_error, 'Twilio made no recording of this call, and no stream of it arrived') \
         where id = ?1 and recording_status in ('pending', 'recording') and ended_at_ms is not null \
         and not exists (select 1 from tracks where call_id = calls.id) \
         and not exists (select 1 from streams where call_id = calls.id and stopped_at_ms is null) \
         and exists (select 1 from cloud_recordings where call_id = calls.id) \
         and not exists (select 1 from cloud_recordings \
           where call_id = calls.id and status not in ('absent', 'failed', 'deleted'))",
        [call.0],
    )?;
    super::finish::settle_soundless(tx, call)?;
    super::stages::refresh(tx, call)
}
