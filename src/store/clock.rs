//! Times that were written down by a clock that was not right yet.
//!
//! All times of one call, as far as they are by our own clock, are kept in one scale: as far apart
//! as they were by the clock that never jumps. So one shift puts a call right.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{CallId, Store, StoreError, chain, read};
use crate::clock::{BootMoment, Reading};
use crate::domain::{CallSid, Stage, UnixMillis};

/// Twilio tells its times in whole seconds, and its calls begin a moment before we hear of them: a
/// difference below this says nothing about our clock.
const TWILIO_TELLS_MS: u64 = 2000;

/// A call whose times were put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutRight {
    /// The call.
    pub call_sid: CallSid,
    /// By how much they moved.
    pub by_ms: i64,
}

impl Store {
    /// Puts right the times of calls and outages of this boot that were written down before the clock
    /// was; each once. There must be a right clock to read.
    pub async fn put_times_right(&self, now: Reading) -> Result<Vec<PutRight>, StoreError> {
        let boot_id = now.boot.boot_id.clone();
        let Some(boot_id) = boot_id.filter(|_| now.synchronised) else { return Ok(Vec::new()) };
        let wanted = boot_id.clone();
        let is_needed = self.read(move |db| {
            let sql = "select exists (select 1 from calls where clock_synced = 0 and boot_id = ?1) \
                       or exists (select 1 from outages where boot_id = ?1 \
                         and (from_boot_ms is not null or to_boot_ms is not null))";
            Ok(db.query_row(sql, [&wanted], |row| row.get::<_, bool>(0))?)
        });
        if !is_needed.await? {
            return Ok(Vec::new());
        }
        self.write(move |tx| {
            let offset_ms = now.wall(Duration::ZERO).get();
            tx.execute(
                "update outages set from_ms = coalesce(?1 + from_boot_ms, from_ms), \
                   to_ms = coalesce(?1 + to_boot_ms, to_ms), \
                   from_boot_ms = null, to_boot_ms = null where boot_id = ?2",
                params![offset_ms, boot_id],
            )?;
            let mut unsure = tx.prepare(
                "select id, ?1 + boot_ms - created_at_ms from calls \
                 where clock_synced = 0 and boot_id = ?2",
            )?;
            let rows = unsure
                .query_map(params![offset_ms, boot_id], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<(i64, i64)>, _>>()?;
            let shift = |(id, by_ms)| shift(tx, CallId(id), by_ms, "by our own clock", now.at);
            rows.into_iter().map(shift).collect()
        })
        .await
    }

    /// Counts the calls whose times nobody can vouch for any more: those of earlier boots.
    pub async fn calls_unsure(&self, boot: BootMoment) -> Result<u64, StoreError> {
        self.read(move |db| {
            let sql = "select count(*) from calls where clock_synced = 0 and boot_id is not ?1";
            Ok(db.query_row(sql, [boot.boot_id], |row| row.get(0))?)
        })
        .await
    }
}

/// Returns the time to write down for a call: in the scale of its other times, if it can be.
pub(super) fn in_scale(
    tx: &Transaction<'_>,
    call: CallId,
    (at, boot): (UnixMillis, Option<&BootMoment>),
) -> Result<UnixMillis, StoreError> {
    let told = boot.map_or(Ok(None), |boot| told_by_boot(tx, call, boot))?;
    Ok(told.unwrap_or(at))
}

/// Returns a moment in the scale of a call's other times, if they are of the same boot.
pub(super) fn told_by_boot(
    tx: &Transaction<'_>,
    call: CallId,
    moment: &BootMoment,
) -> Result<Option<UnixMillis>, StoreError> {
    let Some(boot_id) = &moment.boot_id else { return Ok(None) };
    let told: Option<i64> = tx
        .query_row(
            "select created_at_ms + ?1 - boot_ms from calls where id = ?2 and boot_id = ?3",
            params![whole_ms(moment), call.0, boot_id],
            |row| row.get(0),
        )
        .optional()?;
    Ok(told.map(UnixMillis::new))
}

/// Puts a call right by the time at which Twilio says that it began, if it needs that.
pub(super) fn put_right_by_twilio(
    tx: &Transaction<'_>,
    call: CallId,
    began_at: UnixMillis,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let unsure: Option<i64> = tx
        .query_row(
            "select ?1 - created_at_ms from calls where id = ?2 and clock_synced = 0",
            params![began_at.get(), call.0],
            |row| row.get(0),
        )
        .optional()?;
    let Some(by_ms) = unsure else { return Ok(()) };
    let by_ms = if by_ms.unsigned_abs() < TWILIO_TELLS_MS { 0 } else { by_ms };
    shift(tx, call, by_ms, "by Twilio's time", now)?;
    Ok(())
}

/// Moves all times of a call that are by our own clock, and says so in the audit trail.
fn shift(
    tx: &Transaction<'_>,
    call: CallId,
    by_ms: i64,
    by: &str,
    now: UnixMillis,
) -> Result<PutRight, StoreError> {
    let call_sid: String = tx.query_row(
        "update calls set created_at_ms = created_at_ms + ?1, \
           started_at_ms = started_at_ms + ?1, ended_at_ms = ended_at_ms + ?1, clock_synced = 1 \
         where id = ?2 returning call_sid",
        params![by_ms, call.0],
        |row| row.get(0),
    )?;
    tx.execute(
        "insert into audit (at_ms, actor, action, call_sid, detail) \
         values (?1, 'local', 'put-times-right', ?2, ?3)",
        params![now.get(), call_sid, format!("moved {by_ms} ms, {by}")],
    )?;
    // The archive tells the times as they were.
    chain::again_if_done(tx, call, Stage::Archive, now)?;
    Ok(PutRight { call_sid: read::parse(&call_sid)?, by_ms })
}

/// How a time since boot is kept.
pub(super) fn whole_ms(boot: &BootMoment) -> i64 {
    i64::try_from(boot.since_boot.as_millis()).unwrap_or(i64::MAX)
}
