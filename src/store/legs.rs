//! Legs: what a call's `<Dial>` rings. Whatever is told of a leg belongs to the call that dialled it.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::calls::rank;
use super::read::{moment, word};
use super::{CallId, NewCall, StatusUpdate, StoreError, erasures};
use crate::domain::{CallSid, UnixMillis};

/// A leg of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegRow {
    /// Twilio's name of it.
    pub call_sid: CallSid,
    /// Whom it rings.
    pub to_number: String,
    /// Twilio's word for how far it is.
    pub call_status: String,
    /// When it was first told of.
    pub began_at: UnixMillis,
    /// When somebody took it.
    pub answered_at: Option<UnixMillis>,
    /// Its length in seconds, once over.
    pub duration_s: Option<u32>,
}

/// Reads the legs of a call, the first rung first.
pub(super) const OF_CALL: &str = "select call_sid, to_number, call_status, began_at_ms, \
    answered_at_ms, duration_s from legs where call_id = ?1 order by began_at_ms, call_sid";

pub(super) fn leg_row(row: &Row<'_>) -> Result<LegRow, StoreError> {
    Ok(LegRow {
        call_sid: word(row, 0)?,
        to_number: row.get(1)?,
        call_status: row.get(2)?,
        began_at: UnixMillis::new(row.get(3)?),
        answered_at: moment(row, 4)?,
        duration_s: row.get(5)?,
    })
}

/// Returns the call that a name is of: its own, or that of one of its legs.
pub(super) fn call_named(
    tx: &Transaction<'_>,
    call_sid: &CallSid,
) -> Result<Option<CallId>, StoreError> {
    let found = tx.query_row(
        "select id from calls where call_sid = ?1 union all \
         select call_id from legs where call_sid = ?1 and call_id is not null limit 1",
        [call_sid.as_str()],
        |row| row.get(0).map(CallId),
    );
    Ok(found.optional()?)
}

/// Returns Twilio's names of a call's legs, also of those told of before their call was.
pub(super) fn names(
    tx: &Transaction<'_>,
    call: CallId,
    call_sid: &CallSid,
) -> Result<Vec<String>, StoreError> {
    let mut known = tx.prepare_cached(
        "select call_sid from legs where call_id = ?1 or parent_call_sid = ?2 order by call_sid",
    )?;
    let names = known.query_map(params![call.0, call_sid.as_str()], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Forgets a call's legs, and that they were erased with it.
pub(super) fn erase(
    tx: &Transaction<'_>,
    (call, call_sid): (CallId, &CallSid),
    erasure: &str,
    at: UnixMillis,
) -> Result<(), StoreError> {
    for leg in names(tx, call, call_sid)? {
        tx.execute("delete from legs where call_sid = ?1", [leg.as_str()])?;
        tx.execute(
            "insert or ignore into erased_calls (call_sid, erasure_id, erased_at_ms) \
             values (?1, ?2, ?3)",
            params![leg, erasure, at.get()],
        )?;
    }
    Ok(())
}

/// Writes a leg down, or how far it has come; says whether that is news. Of a call that was erased
/// nothing is written.
pub(super) fn upsert(
    tx: &Transaction<'_>,
    leg: &NewCall,
    parent: &CallSid,
) -> Result<bool, StoreError> {
    let erased = [parent, &leg.call_sid].map(|sid| erasures::erased_by(tx, sid));
    for erasure in erased {
        if erasure?.is_some() {
            return Ok(false);
        }
    }
    let stands: Option<String> = tx
        .query_row(
            "select call_status from legs where call_sid = ?1",
            [leg.call_sid.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    if stands.is_some_and(|stands| rank(&leg.call_status) <= rank(&stands)) {
        return Ok(false);
    }
    let answered = matches!(leg.call_status.as_str(), "in-progress" | "answered");
    tx.execute(
        "insert into legs (call_sid, parent_call_sid, call_id, from_number, to_number, call_status, \
         began_at_ms, answered_at_ms) \
         values (?1, ?2, (select id from calls where call_sid = ?2), ?3, ?4, ?5, ?6, ?7) \
         on conflict (call_sid) do update set call_status = excluded.call_status, \
           began_at_ms = min(began_at_ms, excluded.began_at_ms), \
           answered_at_ms = coalesce(answered_at_ms, excluded.answered_at_ms)",
        params![
            leg.call_sid.as_str(),
            parent.as_str(),
            leg.from_number,
            leg.to_number,
            leg.call_status,
            leg.at.get(),
            answered.then(|| leg.at.get()),
        ],
    )?;
    Ok(true)
}

/// Applies what a status callback, or Twilio's list, says of a leg. Its end is not the call's, nor is
/// its length.
pub(super) fn advance(
    tx: &Transaction<'_>,
    update: &StatusUpdate,
    parent: &CallSid,
) -> Result<bool, StoreError> {
    let mut changed = upsert(tx, &update.call, parent)?;
    if update.end.is_some() {
        let ended_at = update.ended_at.unwrap_or(update.call.at);
        changed |= tx.execute(
            "update legs set ended_at_ms = coalesce(ended_at_ms, ?1), \
             duration_s = coalesce(nullif(?2, 0), duration_s) where call_sid = ?3 \
             and (ended_at_ms is null or (duration_s is null and nullif(?2, 0) is not null))",
            params![ended_at.get(), update.duration_s, update.call.call_sid.as_str()],
        )? > 0;
    }
    Ok(changed)
}

/// Gives a new call the legs that were told of before it.
pub(super) fn adopt(tx: &Transaction<'_>, call: CallId, sid: &CallSid) -> Result<(), StoreError> {
    tx.execute(
        "update legs set call_id = ?1 where parent_call_sid = ?2 and call_id is null",
        params![call.0, sid.as_str()],
    )?;
    tx.execute(
        "update cloud_recordings set call_id = ?1 where call_id is null \
         and call_sid in (select call_sid from legs where call_id = ?1)",
        [call.0],
    )?;
    Ok(())
}
