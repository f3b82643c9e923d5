//! Twilio's own recordings, as its callbacks and its lists tell of them, and as they come here.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::clock::whole_ms;
use super::streams::sql_count;
use super::{CallId, Store, StoreError, chain, erasure_items, erasures};
use crate::clock::Reading;
use crate::domain::{CallSid, RecordingSid, Stage, UnixMillis};

/// What a recording callback, or Twilio's list, says.
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

/// A recording that is whole here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Which.
    pub recording_sid: RecordingSid,
    /// Relative to the data folder.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// One or two.
    pub channels: u32,
    /// Samples of each channel.
    pub frames: u64,
    /// Their rate.
    pub rate_hz: u32,
}

impl Store {
    /// Applies news of a recording, whatever the order, however often it comes; says whether
    /// anything is different now.
    pub async fn cloud_recording(&self, update: CloudUpdate) -> Result<bool, StoreError> {
        self.write(move |tx| {
            if let Some(erasure) = erasures::erased_by(tx, &update.call_sid)? {
                // It was made, or heard of, after its call was erased.
                erasure_items::add_recording(tx, &erasure, &update)?;
                return Ok(false);
            }
            let call = tx
                .query_row(
                    "select id from calls where call_sid = ?1",
                    [update.call_sid.as_str()],
                    |row| row.get(0).map(CallId),
                )
                .optional()?;
            let changed = upsert(tx, &update, call)?;
            if let (true, Some(call)) = (changed, call) {
                follow_recordings(tx, call, update.at)?;
            }
            Ok(changed)
        })
        .await
    }

    /// Writes down that a recording is whole here. Telling it twice is telling it once.
    pub async fn recording_fetched(
        &self,
        fetched: Fetched,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute(
                "update cloud_recordings set path = ?1, size_bytes = ?2, sha256 = ?3, \
                 channels = ?4, frames = ?5, rate_hz = ?6, fetched_at_ms = ?7, updated_at_ms = ?7 \
                 where recording_sid = ?8 and path is null",
                params![
                    fetched.path,
                    sql_count(fetched.size_bytes),
                    fetched.sha256,
                    fetched.channels,
                    sql_count(fetched.frames),
                    fetched.rate_hz,
                    at.get(),
                    fetched.recording_sid.as_str()
                ],
            )?;
            let call: Option<i64> = tx
                .query_row(
                    "update calls set recording_status = 'completed' where id = \
                       (select call_id from cloud_recordings where recording_sid = ?1) \
                     and ended_at_ms is not null returning id",
                    [fetched.recording_sid.as_str()],
                    |row| row.get(0),
                )
                .optional()?;
            call.map_or(Ok(()), |call| super::finish::settle_soundless(tx, CallId(call)))
        })
        .await
    }

    /// Lists recordings that are still under way by the last word of them, which is older than
    /// `before`; with the call of each, at most `limit`.
    pub async fn recordings_unsettled(
        &self,
        before: UnixMillis,
        limit: u32,
    ) -> Result<Vec<(RecordingSid, CallSid)>, StoreError> {
        self.read(move |db| {
            let mut found = db.prepare(
                "select recording_sid, call_sid from cloud_recordings where path is null \
                 and status not in ('completed', 'absent', 'failed', 'deleted') \
                 and updated_at_ms < ?1 order by id limit ?2",
            )?;
            let mut rows = found.query(params![before.get(), limit])?;
            let mut recordings = Vec::new();
            while let Some(row) = rows.next()? {
                recordings.push((super::read::word(row, 0)?, super::read::word(row, 1)?));
            }
            Ok(recordings)
        })
        .await
    }

    /// Returns calls under way since `since`, heard here already, of which Twilio has no recording
    /// by what is known.
    pub async fn calls_without_copy(&self, since: UnixMillis) -> Result<Vec<CallSid>, StoreError> {
        self.read(move |db| {
            let mut found = db.prepare(
                "select call_sid from calls where call_status = 'in-progress' \
                 and created_at_ms > ?1 and (ended_at_ms is null or end_reason = 'interrupted') \
                 and exists (select 1 from streams where call_id = calls.id) \
                 and not exists (select 1 from cloud_recordings where call_id = calls.id \
                   and status not in ('absent', 'failed', 'deleted'))",
            )?;
            let mut rows = found.query([since.get()])?;
            let mut calls = Vec::new();
            while let Some(row) = rows.next()? {
                calls.push(super::read::word(row, 0)?);
            }
            Ok(calls)
        })
        .await
    }

    /// Writes down that Twilio has a recording no more, though it was never fetched.
    pub async fn recording_gone(
        &self,
        recording_sid: RecordingSid,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "update cloud_recordings set status = 'deleted', updated_at_ms = ?1 \
                       where recording_sid = ?2 and path is null returning call_id";
            change_and_follow(tx, sql, &recording_sid, at)
        })
        .await
    }

    /// Writes down that the file of a fetched recording is damaged or gone: it is fetched anew, and
    /// what was made of it is made again.
    pub async fn recording_lost(
        &self,
        recording_sid: RecordingSid,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "update cloud_recordings set path = null, size_bytes = null, sha256 = null, \
                         frames = null, fetched_at_ms = null, split_at_ms = null, updated_at_ms = ?1 \
                       where recording_sid = ?2 and path is not null \
                       and status = 'completed' and twilio_deleted_at_ms is null returning call_id";
            change_and_follow(tx, sql, &recording_sid, at)
        })
        .await
    }

    /// Says of calls that ended longer ago than `within` and of which there is no sound, here or at
    /// Twilio, that there will be none. How long ago it was, is told by the clock that never jumps;
    /// by the wall clock only if that was right then and is now.
    pub async fn settle_unheard(&self, within: Duration, now: Reading) -> Result<u32, StoreError> {
        self.write(move |tx| {
            let mut unheard = tx.prepare(
                "update calls set recording_status = 'failed', last_error = coalesce(last_error, \
                   'neither this box nor Twilio recorded this call') \
                 where recording_status = 'pending' and end_reason in ('completed', 'interrupted') \
                 and parent_call_sid is null \
                 and iif(boot_id = ?1, boot_ms + ended_at_ms - created_at_ms < ?2, \
                   iif(clock_synced and ?4, ended_at_ms < ?3, boot_id is not null and ?2 > 0)) \
                 and not exists (select 1 from tracks where call_id = calls.id) \
                 and not exists (select 1 from cloud_recordings where call_id = calls.id) \
                 returning id",
            )?;
            let within_ms = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
            let since_boot_ms = whole_ms(&now.boot).saturating_sub(within_ms);
            let before = now.at.minus(within).get();
            let told = params![now.boot.boot_id, since_boot_ms, before, now.synchronised];
            let calls = unheard
                .query_map(told, |row| row.get(0).map(CallId))?
                .collect::<Result<Vec<_>, _>>()?;
            for call in &calls {
                follow_recordings(tx, *call, now.at)?;
            }
            Ok(u32::try_from(calls.len()).unwrap_or(u32::MAX))
        })
        .await
    }

    /// Lists the calls of recordings whose call nobody here has heard of.
    pub async fn calls_wanted(&self) -> Result<Vec<CallSid>, StoreError> {
        self.read(|db| {
            let mut wanted =
                db.prepare("select distinct call_sid from cloud_recordings where call_id is null")?;
            let rows = wanted.query_map([], |row| row.get::<_, String>(0))?;
            rows.map(|sid| super::read::parse(&sid?)).collect()
        })
        .await
    }
}

/// Says whether a finished recording of the call is not here yet.
pub(super) fn has_unfetched(tx: &Transaction<'_>, call: CallId) -> Result<bool, StoreError> {
    exists(tx, call, "status = 'completed' and path is null and purged_at_ms is null")
}

/// Says whether a recording that is here has not become the call's own yet.
pub(super) fn has_unsplit(tx: &Transaction<'_>, call: CallId) -> Result<bool, StoreError> {
    exists(tx, call, "path is not null and split_at_ms is null")
}

/// Says whether any recording of the call is here.
pub(super) fn has_any(tx: &Transaction<'_>, call: CallId) -> Result<bool, StoreError> {
    exists(tx, call, "path is not null")
}

fn exists(tx: &Transaction<'_>, call: CallId, what: &str) -> Result<bool, StoreError> {
    let sql =
        format!("select exists (select 1 from cloud_recordings where call_id = ?1 and {what})");
    Ok(tx.query_row(&sql, [call.0], |row| row.get(0))?)
}

/// Changes a recording's row, and its call accordingly if there was anything to change.
fn change_and_follow(
    tx: &Transaction<'_>,
    sql: &str,
    recording_sid: &RecordingSid,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let changed: Option<Option<i64>> = tx
        .query_row(sql, params![at.get(), recording_sid.as_str()], |row| row.get(0))
        .optional()?;
    match changed.flatten() {
        Some(call) => follow_recordings(tx, CallId(call), at),
        None => Ok(()),
    }
}

fn upsert(
    tx: &Transaction<'_>,
    update: &CloudUpdate,
    call: Option<CallId>,
) -> Result<bool, StoreError> {
    let stands: Option<(String, bool)> = tx
        .query_row(
            "select status, (channels is null and ?2 is not null) or (duration_s is null and ?3 is not null) \
             from cloud_recordings where recording_sid = ?1",
            params![update.recording_sid.as_str(), update.channels, update.duration_s],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    if let Some((word, tells_more)) = stands {
        let (stood, told) = (rank(&word), rank(&update.status));
        if told < stood || (told == stood && !(tells_more && word == update.status)) {
            return Ok(false);
        }
    }
    tx.execute(
        "insert into cloud_recordings (call_id, call_sid, recording_sid, status, channels, \
         duration_s, source, track, started_at_ms, error_code, created_at_ms, updated_at_ms) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11) \
         on conflict (recording_sid) do update set status = excluded.status, \
           channels = iif(path is null, coalesce(excluded.channels, channels), channels), \
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

/// What follows for a call from its recordings, whichever of the call's end and the recording's
/// news came first: a finished one is fetched; a call not heard here is being recorded as long as
/// Twilio has, or is making, a copy of it; one that there will be no copy of says so.
pub(super) fn follow_recordings(
    tx: &Transaction<'_>,
    call: CallId,
    now: UnixMillis,
) -> Result<(), StoreError> {
    if has_unfetched(tx, call)? {
        chain::make_due(tx, call, Stage::Fetch, now)?;
    } else if let Some(why) = none_to_come(tx, call)? {
        chain::give_up(tx, call, Stage::Fetch, &why, now)?;
    }
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
    tx.execute(
        "update calls set recording_status = 'completed' where id = ?1 and ended_at_ms is not null \
         and exists (select 1 from cloud_recordings where call_id = calls.id and path is not null)",
        [call.0],
    )?;
    super::finish::settle_soundless(tx, call)?;
    chain::refresh(tx, call)
}

/// Says why no recording of the call will ever come, if that is so.
fn none_to_come(tx: &Transaction<'_>, call: CallId) -> Result<Option<String>, StoreError> {
    let hopeless: Option<(String, Option<String>)> = tx
        .query_row(
            "select status, error_code from cloud_recordings where call_id = ?1 \
             and not exists (select 1 from cloud_recordings where call_id = ?1 \
               and (path is not null or status not in ('absent', 'failed', 'deleted'))) \
             order by id desc limit 1",
            [call.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    Ok(hopeless.map(|(word, code)| {
        let code = code.map(|code| format!(", error {code}")).unwrap_or_default();
        if word == "deleted" {
            "the recording was deleted at Twilio before it could be fetched".to_owned()
        } else {
            format!("Twilio made no recording of this call ({word}{code})")
        }
    }))
}
