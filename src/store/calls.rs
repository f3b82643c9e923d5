//! Calls as Twilio tells of them: webhooks and status callbacks, in any order, any number of times.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::clock::{in_scale, put_right_by_twilio, whole_ms};
use super::{CallId, Store, StoreError};
use crate::clock::{BootMoment, Reading};
use crate::domain::{CallSid, Direction, EndReason, Origin, UnixMillis};

/// A call as a webhook or stream announces it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCall {
    /// Twilio's name of it.
    pub call_sid: CallSid,
    /// The leg that dialled it, if it is a child.
    pub parent_call_sid: Option<CallSid>,
    /// Who rang whom.
    pub direction: Direction,
    /// What began it.
    pub origin: Origin,
    /// The caller.
    pub from_number: String,
    /// The called.
    pub to_number: String,
    /// Twilio's word for how far it is.
    pub call_status: String,
    /// When this is told of it.
    pub at: UnixMillis,
    /// The same by the clock that never jumps; none if the time is Twilio's.
    pub boot: Option<BootMoment>,
    /// Whether the clock that tells it is right.
    pub clock_synced: bool,
    /// Whether a stream is asked for.
    pub live_copy: bool,
}

impl NewCall {
    /// Describes a call of which nothing but its name is known: its stream or its folder came
    /// before any webhook, and most calls come in from a telephone.
    pub fn unknown(call_sid: CallSid, now: Reading) -> Self {
        Self {
            call_sid,
            parent_call_sid: None,
            direction: Direction::Inbound,
            origin: Origin::Number,
            from_number: String::new(),
            to_number: String::new(),
            call_status: "in-progress".to_owned(),
            at: now.at,
            boot: Some(now.boot),
            clock_synced: now.synchronised,
            live_copy: true,
        }
    }
}

/// What a status callback says.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusUpdate {
    /// The call, as far as the callback describes it, should it be unknown here.
    pub call: NewCall,
    /// The end, when the status is a terminal one.
    pub end: Option<EndReason>,
    /// When that was, if it is known to the second; else it is the callback's own time.
    pub ended_at: Option<UnixMillis>,
    /// Twilio's `CallDuration`, in seconds.
    pub duration_s: Option<u32>,
    /// Now.
    pub now: UnixMillis,
}

/// What a status callback changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusOutcome {
    /// Whether it made the call known.
    pub created: bool,
    /// Whether anything is different now.
    pub changed: bool,
    /// Whether it ended the call.
    pub ended: bool,
}

/// How far along a status word is: it may only be replaced by one further along.
fn rank(call_status: &str) -> u8 {
    match call_status {
        "queued" => 0,
        "initiated" => 1,
        "ringing" => 2,
        "in-progress" | "answered" => 3,
        "completed" | "busy" | "failed" | "no-answer" | "canceled" => 5,
        // Unknown words come after the ones we know, so that news is shown, but end nothing.
        _ => 4,
    }
}

impl Store {
    /// Writes down a call that a webhook announced; `token_hash` is that of the stream asked for.
    pub async fn announce_call(
        &self,
        call: NewCall,
        token_hash: Option<String>,
    ) -> Result<CallId, StoreError> {
        self.write(move |tx| {
            let (id, _) = upsert(tx, &call)?;
            if let Some(hash) = token_hash {
                let boot = call.boot.as_ref();
                tx.execute(
                    "insert into stream_tokens (token_hash, call_id, issued_at_ms, boot_id, boot_ms) \
                     values (?1, ?2, ?3, ?4, ?5)",
                    params![
                        hash,
                        id.0,
                        call.at.get(),
                        boot.and_then(|boot| boot.boot_id.as_ref()),
                        boot.map(whole_ms)
                    ],
                )?;
            }
            Ok(id)
        })
        .await
    }

    /// Applies a status callback; one that is late, repeated or out of order changes nothing
    /// that is already true, and one of a call that was erased nothing at all.
    pub async fn call_status(&self, update: StatusUpdate) -> Result<StatusOutcome, StoreError> {
        self.write(move |tx| {
            if super::erasures::erased_by(tx, &update.call.call_sid)?.is_some() {
                return Ok(StatusOutcome { created: false, changed: false, ended: false });
            }
            let (call, created) = upsert(tx, &update.call)?;
            if update.call.boot.is_none() && update.call.clock_synced {
                put_right_by_twilio(tx, call, update.call.at, update.now)?;
            }
            let moved = advance(tx, call, &update.call.call_status)?;
            let mut outcome = StatusOutcome { created, changed: created || moved, ended: false };
            if let Some(reason) = update.end {
                let ended = match update.ended_at {
                    Some(by_twilio) => (by_twilio, None),
                    None => (update.call.at, update.call.boot.as_ref()),
                };
                outcome.ended = end(tx, call, reason, ended)?;
                let timed = set_twilio_duration(tx, call, update.duration_s)?;
                outcome.changed |= outcome.ended || timed;
            }
            Ok(outcome)
        })
        .await
    }

    /// Ends every call that has had no word and no stream for `age`; returns how many. How old one
    /// is, is told by the clock that never jumps; by the wall clock only if that was right then and
    /// is now.
    ///
    /// Their terminal callback was lost; when Twilio is asked later, its figures replace these.
    pub async fn end_stale_calls(&self, age: Duration, now: Reading) -> Result<u32, StoreError> {
        self.write(move |tx| {
            let mut stale = tx.prepare(
                "select id from calls where ended_at_ms is null \
                 and iif(boot_id = ?1, boot_ms < ?2, created_at_ms < ?3 and clock_synced and ?4) \
                 and not exists (select 1 from streams \
                   where call_id = calls.id and stopped_at_ms is null)",
            )?;
            let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            let (since_boot_ms, before) = (whole_ms(&now.boot), now.at.minus(age));
            let ids = stale.query_map(
                params![
                    now.boot.boot_id,
                    since_boot_ms.saturating_sub(age_ms),
                    before.get(),
                    now.synchronised
                ],
                |row| row.get(0).map(CallId),
            )?;
            let mut count = 0;
            for id in ids.collect::<Result<Vec<_>, _>>()? {
                count += u32::from(end(tx, id, EndReason::Interrupted, (now.at, Some(&now.boot)))?);
            }
            Ok(count)
        })
        .await
    }
}

/// Makes the call's row if there is none; says whether it did. One that was erased gets none.
pub(super) fn upsert(tx: &Transaction<'_>, call: &NewCall) -> Result<(CallId, bool), StoreError> {
    let known = tx
        .query_row("select id from calls where call_sid = ?1", [call.call_sid.as_str()], |row| {
            row.get(0).map(CallId)
        })
        .optional()?;
    if let Some(id) = known {
        advance(tx, id, &call.call_status)?;
        return Ok((id, false));
    }
    if super::erasures::erased_by(tx, &call.call_sid)?.is_some() {
        return Err(StoreError::Erased);
    }
    let boot = call.boot.as_ref();
    tx.execute(
        "insert into calls (call_sid, parent_call_sid, direction, origin, from_number, to_number, \
         call_status, created_at_ms, clock_synced, live_copy, boot_id, boot_ms) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            call.call_sid.as_str(),
            call.parent_call_sid.as_ref().map(CallSid::as_str),
            call.direction.as_str(),
            call.origin.as_str(),
            call.from_number,
            call.to_number,
            call.call_status,
            call.at.get(),
            call.clock_synced,
            call.live_copy,
            boot.and_then(|boot| boot.boot_id.as_ref()),
            boot.map(whole_ms),
        ],
    )?;
    let id = CallId(tx.last_insert_rowid());
    // A recording callback may have come before anything else of its call.
    tx.execute(
        "update cloud_recordings set call_id = ?1 where call_sid = ?2",
        params![id.0, call.call_sid.as_str()],
    )?;
    super::cloud::follow_recordings(tx, id, call.at)?;
    Ok((id, true))
}

/// Moves the call's status word on; says whether it moved.
fn advance(tx: &Transaction<'_>, call: CallId, call_status: &str) -> Result<bool, StoreError> {
    let stands: String =
        tx.query_row("select call_status from calls where id = ?1", [call.0], |row| row.get(0))?;
    if rank(call_status) <= rank(&stands) {
        return Ok(false);
    }
    tx.execute("update calls set call_status = ?1 where id = ?2", params![call_status, call.0])?;
    Ok(true)
}

/// Ends the call then if it is live; says whether it was.
pub(super) fn end(
    tx: &Transaction<'_>,
    call: CallId,
    reason: EndReason,
    then: (UnixMillis, Option<&BootMoment>),
) -> Result<bool, StoreError> {
    let at = in_scale(tx, call, then)?;
    let ended = tx.execute(
        // A wall clock that was put back must not make a call end before it began.
        "update calls set ended_at_ms = max(?1, coalesce(started_at_ms, created_at_ms)), \
         end_reason = ?2 where id = ?3 and ended_at_ms is null",
        params![at.get(), reason.as_str(), call.0],
    )? > 0;
    if ended {
        estimate_duration(tx, call)?;
        // What is known of Twilio's copies decides now what becomes of a call not heard here.
        super::cloud::follow_recordings(tx, call, at)?;
    }
    Ok(ended)
}

/// Works the duration out from our own clocks, unless Twilio's figure stands.
pub(super) fn estimate_duration(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    tx.execute(
        "update calls set \
           duration_s = max((ended_at_ms - coalesce(started_at_ms, created_at_ms) + 500) / 1000, \
                            started_at_ms is not null), \
           duration_source = iif(started_at_ms is null, 'created_at', 'timestamps') \
         where id = ?1 and ended_at_ms is not null \
           and coalesce(duration_source, '') <> 'twilio'",
        [call.0],
    )?;
    Ok(())
}

/// Takes Twilio's figure, which is right when it is more than zero.
fn set_twilio_duration(
    tx: &Transaction<'_>,
    call: CallId,
    duration_s: Option<u32>,
) -> Result<bool, StoreError> {
    let Some(duration_s) = duration_s.filter(|seconds| *seconds > 0) else {
        return Ok(false);
    };
    let changed = tx.execute(
        "update calls set duration_s = ?1, duration_source = 'twilio' \
         where id = ?2 and (duration_source is not 'twilio' or duration_s <> ?1)",
        params![duration_s, call.0],
    )?;
    Ok(changed > 0)
}
