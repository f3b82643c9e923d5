//! Trying again, because a person says so.

use rusqlite::{OptionalExtension, Transaction, params};

use super::chain::refresh;
use super::{CallId, Store, StoreError, read};
use crate::domain::{CallSid, Stage, UnixMillis};

/// What asking for a retry did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// These are due now.
    Queued(Vec<Stage>),
    /// The call has no failed stage (or not the one asked for).
    NothingFailed,
    /// There is no such call.
    UnknownCall,
}

impl Store {
    /// Makes a call's failed stages due again: all of them, or the one named. A pending one that
    /// waits for its next attempt is tried now.
    pub async fn retry(
        &self,
        call_sid: CallSid,
        stage: Option<Stage>,
        now: UnixMillis,
    ) -> Result<Retried, StoreError> {
        self.write(move |tx| {
            let known: Option<i64> = tx
                .query_row("select id from calls where call_sid = ?1", [call_sid.as_str()], |row| {
                    row.get(0)
                })
                .optional()?;
            match known {
                Some(call) => retry_call(tx, CallId(call), stage, now),
                None => Ok(Retried::UnknownCall),
            }
        })
        .await
    }

    /// Makes every failed stage of every call due again; returns which.
    pub async fn retry_all_failed(
        &self,
        now: UnixMillis,
    ) -> Result<Vec<(CallSid, Stage)>, StoreError> {
        self.write(move |tx| {
            let mut failed = tx.prepare(
                "select id, call_sid from calls where id in \
                 (select call_id from stages where status = 'failed') order by id",
            )?;
            let calls = failed
                .query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?
                .collect::<Result<Vec<(i64, String)>, _>>()?;
            let mut again = Vec::new();
            for (id, sid) in calls {
                let sid: CallSid = read::parse(&sid)?;
                for stage in failed_stages(tx, CallId(id))? {
                    retry_call(tx, CallId(id), Some(stage), now)?;
                    again.push((sid.clone(), stage));
                }
            }
            Ok(again)
        })
        .await
    }

    /// Makes everything that waits for its next attempt due now; returns how much.
    pub async fn hurry(&self, now: UnixMillis) -> Result<u32, StoreError> {
        self.write(move |tx| {
            let hurried = tx.execute(
                "update stages set next_attempt_at_ms = ?1 \
                 where status = 'pending' and next_attempt_at_ms > ?1",
                [now.get()],
            )?;
            Ok(u32::try_from(hurried).unwrap_or(u32::MAX))
        })
        .await
    }
}

fn failed_stages(tx: &Transaction<'_>, call: CallId) -> Result<Vec<Stage>, StoreError> {
    let mut failed =
        tx.prepare("select stage from stages where call_id = ?1 and status = 'failed'")?;
    let words = failed.query_map([call.0], |row| row.get::<_, String>(0))?;
    words.map(|word| read::parse(&word?)).collect()
}

fn retry_call(
    tx: &Transaction<'_>,
    call: CallId,
    stage: Option<Stage>,
    now: UnixMillis,
) -> Result<Retried, StoreError> {
    let mut again = tx.prepare(
        "update stages set status = 'pending', next_attempt_at_ms = ?1, updated_at_ms = ?1, \
         waiting_for = iif(stage in ('fetch', 'archive', 'delete') \
           and exists (select 1 from outages where to_ms is null), 'network', null) \
         where call_id = ?2 and (?3 is null or stage = ?3) \
         and (status = 'failed' or (status = 'pending' and next_attempt_at_ms > ?1)) \
         returning stage",
    )?;
    let queued = again
        .query_map(params![now.get(), call.0, stage.map(Stage::as_str)], |row| {
            row.get::<_, String>(0)
        })?
        .map(|word| read::parse(&word?))
        .collect::<Result<Vec<Stage>, StoreError>>()?;
    refresh(tx, call)?;
    Ok(if queued.is_empty() { Retried::NothingFailed } else { Retried::Queued(queued) })
}
