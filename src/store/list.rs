//! Lists of calls and counts of what is undone.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::read::{CALL_COLUMNS, call_row, word};
use super::{Backlog, CallFilter, CallPage, Cursor, Store, StoreError};
use crate::domain::{RecordingStatus, Stage, StageStatus, UnixMillis};

impl Store {
    /// Lists calls, newest first, child legs left out.
    pub async fn calls(
        &self,
        filter: CallFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<CallPage, StoreError> {
        self.read(move |db| list(db, &filter, after, limit)).await
    }

    /// Returns when the first call came that is kept here.
    pub async fn first_call_at(&self) -> Result<Option<UnixMillis>, StoreError> {
        self.read(first_call_at).await
    }

    /// Counts what is undone, per stage.
    pub async fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.read(|db| {
            let mut counts = db.prepare(
                "select stage, count(*) filter (where status = 'pending'), \
                 count(*) filter (where status = 'processing'), \
                 count(*) filter (where status = 'failed'), \
                 min(iif(status in ('pending', 'processing'), coalesce(started_at_ms, created_at_ms), null)), \
                 min(next_attempt_at_ms) filter (where status = 'pending'), \
                 (select waiting_for from stages as first where first.stage = stages.stage \
                   and first.status = 'pending' order by next_attempt_at_ms, call_id limit 1) \
                 from stages join calls on calls.id = call_id \
                 where status in ('pending', 'processing', 'failed') group by stage",
            )?;
            let mut rows = counts.query([])?;
            let mut backlog = Vec::new();
            while let Some(row) = rows.next()? {
                backlog.push(Backlog {
                    stage: word(row, 0)?,
                    pending: row.get(1)?,
                    processing: row.get(2)?,
                    failed: row.get(3)?,
                    oldest: row.get::<_, Option<i64>>(4)?.map(UnixMillis::new),
                    next_attempt_at: row.get::<_, Option<i64>>(5)?.map(UnixMillis::new),
                    waiting_for: super::read::optional_word(row, 6)?,
                });
            }
            Ok(backlog)
        })
        .await
    }
}

pub(super) fn first_call_at(db: &Connection) -> Result<Option<UnixMillis>, StoreError> {
    let sql = "select created_at_ms from calls order by id limit 1";
    let first: Option<i64> = db.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(first.map(UnixMillis::new))
}

fn list(
    db: &Connection,
    filter: &CallFilter,
    after: Option<Cursor>,
    limit: u32,
) -> Result<CallPage, StoreError> {
    let sql = format!(
        "select {CALL_COLUMNS} from calls where parent_call_sid is null \
         and (?1 is null or (created_at_ms, id) < (?1, ?2)) \
         and (?3 is null or recording_status = ?3) \
         and (?4 is null or exists (select 1 from stages where call_id = calls.id \
              and status = ?4 and (?5 is null or stage = ?5))) \
         and (?6 is null or from_number = ?6 or to_number = ?6) \
         and (?7 is null or created_at_ms >= ?7) and (?8 is null or created_at_ms < ?8) \
         order by created_at_ms desc, id desc limit ?9"
    );
    let mut found = db.prepare(&sql)?;
    let mut rows = found.query(params![
        after.map(|cursor| cursor.created_at.get()),
        after.map(|cursor| cursor.id.0),
        filter.recording_status.map(RecordingStatus::as_str),
        filter.stage_status.map(StageStatus::as_str),
        filter.stage.map(Stage::as_str),
        filter.number,
        filter.from.map(UnixMillis::get),
        filter.to.map(UnixMillis::get),
        i64::from(limit) + 1,
    ])?;
    let mut calls = Vec::new();
    while let Some(row) = rows.next()? {
        calls.push(call_row(row)?);
    }
    let more = calls.len() > limit as usize;
    calls.truncate(limit as usize);
    let next = calls
        .last()
        .filter(|_| more)
        .map(|call| Cursor { created_at: call.created_at, id: call.id });
    Ok(CallPage { calls, next })
}
