//! What is undone, item by item.

use super::{Store, StoreError, read};
use crate::domain::{CallSid, Stage, StageStatus, UnixMillis, WaitingFor};

/// A stage that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueItem {
    /// Of which call.
    pub call_sid: CallSid,
    /// When that call began.
    pub began_at: UnixMillis,
    /// Which stage.
    pub stage: Stage,
    /// How far.
    pub status: StageStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// What it waits for.
    pub waiting_for: Option<WaitingFor>,
    /// Not before this.
    pub next_attempt_at: UnixMillis,
}

/// How quickly a stage gets done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Which stage.
    pub stage: Stage,
    /// How many were done since the moment asked for.
    pub completed: u64,
    /// When the first of them was done.
    pub first_at: UnixMillis,
}

/// One part for each status, so that each has its index and what is done is not looked at.
pub(super) fn queue_sql() -> String {
    let of = |status: StageStatus| {
        format!(
            "select call_sid, coalesce(started_at_ms, created_at_ms) as began, stage, status, \
             attempts, stages.last_error, stages.waiting_for, next_attempt_at_ms, call_id, \
             instr('fetch split transcript summary archive delete', stage) as step \
             from stages cross join calls on calls.id = call_id where status = '{status}'"
        )
    };
    format!(
        "{} union all {} union all {} order by began, call_id, step limit ?1",
        of(StageStatus::Pending),
        of(StageStatus::Processing),
        of(StageStatus::Failed)
    )
}

/// The statement behind [`Store::pace`].
pub(super) const PACE_SQL: &str = "select stage, count(*), min(updated_at_ms) from stages \
    where status = 'completed' and updated_at_ms >= ?1 group by stage";

impl Store {
    /// Lists what is undone, the oldest call first, at most `limit`.
    pub async fn queue(&self, limit: u32) -> Result<Vec<QueueItem>, StoreError> {
        self.read(move |db| {
            let mut found = db.prepare_cached(&queue_sql())?;
            let mut rows = found.query([limit])?;
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                items.push(QueueItem {
                    call_sid: read::word(row, 0)?,
                    began_at: UnixMillis::new(row.get(1)?),
                    stage: read::word(row, 2)?,
                    status: read::word(row, 3)?,
                    attempts: row.get(4)?,
                    last_error: row.get(5)?,
                    waiting_for: read::optional_word(row, 6)?,
                    next_attempt_at: UnixMillis::new(row.get(7)?),
                });
            }
            Ok(items)
        })
        .await
    }

    /// Counts what was done since `since`, per stage, to tell how long the rest will take.
    pub async fn pace(&self, since: UnixMillis) -> Result<Vec<Pace>, StoreError> {
        self.read(move |db| {
            let mut counts = db.prepare_cached(PACE_SQL)?;
            let mut rows = counts.query([since.get()])?;
            let mut pace = Vec::new();
            while let Some(row) = rows.next()? {
                pace.push(Pace {
                    stage: read::word(row, 0)?,
                    completed: row.get(1)?,
                    first_at: UnixMillis::new(row.get(2)?),
                });
            }
            Ok(pace)
        })
        .await
    }
}
