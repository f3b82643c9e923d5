//! What follows from what: which stage is due when another is settled, and the call's columns that
//! are derived from its stages.

use rusqlite::{Transaction, params};

use super::{CallId, Store, StoreError, summaries};
use crate::domain::{Stage, UnixMillis};

/// The words for what a stage waits for from the moment it is due: the network, while that is
/// known to be away.
pub(super) const WAITS_FOR: &str = "iif(?2 in ('fetch', 'archive', 'delete') \
    and exists (select 1 from outages where to_ms is null), 'network', null)";

/// Makes a stage due now, whatever it was before: there is something new to work on.
pub(super) fn make_due(
    tx: &Transaction<'_>,
    call: CallId,
    stage: Stage,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        &format!(
            "insert into stages (call_id, stage, status, waiting_for, next_attempt_at_ms, updated_at_ms) \
             values (?1, ?2, 'pending', {WAITS_FOR}, ?3, ?3) on conflict (call_id, stage) do update \
             set status = 'pending', waiting_for = excluded.waiting_for, last_error = null, \
             attempts = iif(status in ('completed', 'skipped'), 0, attempts), \
             next_attempt_at_ms = excluded.next_attempt_at_ms, updated_at_ms = excluded.updated_at_ms \
             where status <> 'processing'"
        ),
        params![call.0, stage.as_str(), now.get()],
    )?;
    Ok(())
}

/// Makes a stage due again that was done: what it worked on has changed.
pub(super) fn again_if_done(
    tx: &Transaction<'_>,
    call: CallId,
    stage: Stage,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let done: bool = tx.query_row(
        "select exists (select 1 from stages \
         where call_id = ?1 and stage = ?2 and status = 'completed')",
        params![call.0, stage.as_str()],
        |row| row.get(0),
    )?;
    if done {
        make_due(tx, call, stage, now)?;
        refresh(tx, call)?;
    }
    Ok(())
}

/// Gives a stage up before anybody has tried it: there is nothing to be had.
pub(super) fn give_up(
    tx: &Transaction<'_>,
    call: CallId,
    stage: Stage,
    why: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "insert into stages (call_id, stage, status, last_error, next_attempt_at_ms, updated_at_ms) \
         values (?1, ?2, 'failed', ?3, ?4, ?4) on conflict (call_id, stage) do update \
         set status = 'failed', last_error = excluded.last_error, waiting_for = null, \
         updated_at_ms = excluded.updated_at_ms where status in ('pending', 'skipped')",
        params![call.0, stage.as_str(), why, now.get()],
    )?;
    Ok(())
}

/// Makes due what follows from a stage that was just settled. The archive waits until nothing more
/// is on its way, so that a call is not uploaded twice; deletion waits for the archive.
pub(super) fn advance(
    tx: &Transaction<'_>,
    call: CallId,
    settled: Stage,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let completed: bool = tx.query_row(
        "select exists (select 1 from stages where call_id = ?1 and stage = ?2 and status = 'completed')",
        params![call.0, settled.as_str()],
        |row| row.get(0),
    )?;
    use_what_came(tx, call, settled, now)?;
    match settled {
        Stage::Split if completed => make_due(tx, call, Stage::Transcript, now)?,
        Stage::Archive => {
            if has_copy_at_twilio(tx, call)? {
                make_due(tx, call, Stage::Delete, now)?;
            }
            return Ok(());
        }
        Stage::Summary | Stage::Delete => return Ok(()),
        Stage::Transcript => sum_up(tx, call, now)?,
        Stage::Fetch | Stage::Split => {}
    }
    if is_ripe(tx, call)? && (completed || !has_row(tx, call, Stage::Archive)?) {
        make_due(tx, call, Stage::Archive, now)?;
    }
    Ok(())
}

/// Makes the summary due where the transcript is settled and the one that stands is of other words.
/// While words are missing that could still be had, there is nothing to sum up.
fn sum_up(tx: &Transaction<'_>, call: CallId, now: UnixMillis) -> Result<(), StoreError> {
    let settled: bool = tx.query_row(
        "select exists (select 1 from stages where call_id = ?1 and stage = 'transcript' \
         and status in ('completed', 'skipped'))",
        [call.0],
        |row| row.get(0),
    )?;
    if settled && summaries::is_stale(tx, call)? {
        make_due(tx, call, Stage::Summary, now)?;
    }
    Ok(())
}

/// Makes the summary of a call due whose words, or who said them, a person has put right.
pub(super) fn sum_up_again(
    tx: &Transaction<'_>,
    call: CallId,
    now: UnixMillis,
) -> Result<(), StoreError> {
    summaries::words_changed(tx, call, now)?;
    sum_up(tx, call, now)?;
    refresh(tx, call)
}

/// Recordings that came are used, whatever became of the others of the same call.
pub(super) fn use_what_came(
    tx: &Transaction<'_>,
    call: CallId,
    settled: Stage,
    now: UnixMillis,
) -> Result<(), StoreError> {
    if settled == Stage::Fetch && super::cloud::has_unsplit(tx, call)? {
        make_due(tx, call, Stage::Split, now)?;
    }
    Ok(())
}

fn has_row(tx: &Transaction<'_>, call: CallId, stage: Stage) -> Result<bool, StoreError> {
    let sql = "select exists (select 1 from stages where call_id = ?1 and stage = ?2)";
    Ok(tx.query_row(sql, params![call.0, stage.as_str()], |row| row.get(0))?)
}

/// Says whether a call is over, left sound, and has nothing more on its way.
fn is_ripe(tx: &Transaction<'_>, call: CallId) -> Result<bool, StoreError> {
    Ok(tx.query_row(
        "select ended_at_ms is not null and recording_status = 'completed' and not exists ( \
           select 1 from stages where call_id = calls.id and status in ('pending', 'processing') \
           and stage in ('fetch', 'split', 'transcript')) from calls where id = ?1",
        [call.0],
        |row| row.get(0),
    )?)
}

fn has_copy_at_twilio(tx: &Transaction<'_>, call: CallId) -> Result<bool, StoreError> {
    Ok(tx.query_row(
        "select exists (select 1 from cloud_recordings where call_id = ?1 \
         and path is not null and twilio_deleted_at_ms is null)",
        [call.0],
        |row| row.get(0),
    )?)
}

impl Store {
    /// Makes due what an earlier configuration skipped: the archive, or deletion at Twilio, is
    /// asked for now. Returns how many calls it concerns.
    pub async fn take_up(&self, stage: Stage, now: UnixMillis) -> Result<u32, StoreError> {
        self.write(move |tx| {
            let mut skipped = tx.prepare(
                "select id from calls where ended_at_ms is not null \
                 and recording_status = 'completed' and not exists (select 1 from stages \
                   where call_id = calls.id and stage = ?1 and status <> 'skipped')",
            )?;
            let calls = skipped
                .query_map([stage.as_str()], |row| row.get(0).map(CallId))?
                .collect::<Result<Vec<_>, _>>()?;
            let mut count = 0;
            for call in calls {
                let ready = match stage {
                    Stage::Delete => has_copy_at_twilio(tx, call)?,
                    _ => is_ripe(tx, call)?,
                };
                if ready {
                    make_due(tx, call, stage, now)?;
                    refresh(tx, call)?;
                    count += 1;
                }
            }
            Ok(count)
        })
        .await
    }
}

/// Says that a stage has nothing to do, unless it has a row already.
pub(super) fn skip(tx: &Transaction<'_>, call: CallId, stage: Stage) -> Result<(), StoreError> {
    tx.execute(
        "insert into stages (call_id, stage, status, next_attempt_at_ms, updated_at_ms) \
         select id, ?2, 'skipped', ended_at_ms, ended_at_ms from calls where id = ?1 \
         on conflict do nothing",
        params![call.0, stage.as_str()],
    )?;
    Ok(())
}

/// Makes a stage due since the call's end, unless it has a row already.
pub(super) fn due_at_end(
    tx: &Transaction<'_>,
    call: CallId,
    stage: Stage,
) -> Result<(), StoreError> {
    tx.execute(
        "insert into stages (call_id, stage, status, next_attempt_at_ms, updated_at_ms) \
         select id, ?2, 'pending', ended_at_ms, ended_at_ms from calls where id = ?1 \
         on conflict do nothing",
        params![call.0, stage.as_str()],
    )?;
    Ok(())
}

/// Takes back that there is nothing to do: there may be sound after all.
pub(super) fn unskip(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    tx.execute("delete from stages where call_id = ?1 and status = 'skipped'", [call.0])?;
    Ok(())
}

/// Derives the call's columns from its stages.
pub(super) fn refresh(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    for (stage, column) in [
        (Stage::Transcript, "transcript_status"),
        (Stage::Summary, "summary_status"),
        (Stage::Archive, "archive_status"),
    ] {
        tx.execute(
            &format!(
                "update calls set {column} = coalesce((select status from stages \
                 where call_id = ?1 and stage = ?2), 'pending') where id = ?1"
            ),
            params![call.0, stage.as_str()],
        )?;
    }
    // An attempt that is under way has not failed yet, so it is no retry yet. What merely waits for
    // the network comes last: it goes on by itself, and what a person can do something about must
    // not hide behind it. Behind that is only a summary whose turn it is.
    tx.execute(
        "update calls set (last_error, retry_count, waiting_for) = ( \
           select coalesce(max(s.last_error), iif(calls.recording_status = 'failed' or calls.end_reason = 'failed', calls.last_error, null)), \
                  coalesce(max(s.attempts - (s.status = 'processing')), 0), max(s.waiting_for) \
           from (select * from stages where call_id = ?1 and status not in ('completed', 'skipped') \
             order by iif(stage = 'summary' and waiting_for is null and last_error is null, 2, \
               waiting_for is 'network'), \
               instr('fetch split transcript summary archive delete', stage) limit 1) s) \
         where id = ?1",
        [call.0],
    )?;
    Ok(())
}
