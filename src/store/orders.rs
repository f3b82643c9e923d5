//! Calls that the office asks Twilio to place: a row first, Twilio's name for it when it is known.
//!
//! Twilio may have placed a call and never have said so. What it tells of that call carries the
//! order's key, and what its lists tell is matched by the two numbers and the time; either way the
//! row that is there takes Twilio's name, and no second one is made.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::clock::whole_ms;
use super::{CallId, NewCall, Store, StoreError, calls};
use crate::clock::{BootMoment, Reading};
use crate::domain::{CallSid, EndReason, Origin, UnixMillis};

/// How far from the order a call of Twilio's lists may lie to be taken for it. Within it the same
/// number is not rung a second time.
const ORDER_SPAN: Duration = Duration::from_mins(2);

/// An order, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// The call's name: Twilio's if that is known.
    pub call_sid: CallSid,
    /// Whether Twilio's name of it is known.
    pub is_placed: bool,
}

/// What became of writing an order down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ordered {
    /// It is in the ledger.
    Now,
    /// The same number is being rung already, in this call.
    Before(CallSid),
}

impl Store {
    /// Writes down a call that is about to be ordered; nothing if the same number is being rung.
    pub async fn order_call(
        &self,
        call: NewCall,
        order_key: String,
        boot: BootMoment,
    ) -> Result<Ordered, StoreError> {
        self.write(move |tx| {
            if let Some(other) = being_rung(tx, &call)? {
                return Ok(Ordered::Before(other));
            }
            let (id, _) = calls::upsert(tx, &call)?;
            tx.execute(
                "insert into orders (call_id, first_sid, order_key, fate, asked_at_ms, boot_id, \
                 boot_ms) values (?1, ?2, ?3, 'asked', ?4, ?5, ?6)",
                params![
                    id.0,
                    call.call_sid.as_str(),
                    order_key,
                    call.at.get(),
                    boot.boot_id,
                    whole_ms(&boot)
                ],
            )?;
            Ok(Ordered::Now)
        })
        .await
    }

    /// Returns how far an order has come; none if there is no such order.
    pub async fn order(&self, order_key: String) -> Result<Option<OrderRow>, StoreError> {
        self.read(move |db| {
            let found = db
                .query_row(
                    "select call_sid, fate = 'placed' from orders join calls on calls.id = call_id \
                     where order_key = ?1",
                    [order_key],
                    |row| Ok((row.get::<_, String>(0)?, row.get(1)?)),
                )
                .optional()?;
            found
                .map(|(sid, is_placed)| {
                    Ok(OrderRow { call_sid: super::read::parse(&sid)?, is_placed })
                })
                .transpose()
        })
        .await
    }

    /// Says what Twilio calls an ordered call. The first name stands; telling it twice is telling it
    /// once. Without such an order nothing is done.
    pub async fn order_placed(
        &self,
        order_key: String,
        call_sid: CallSid,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let order: Option<i64> = tx
                .query_row(
                    "select call_id from orders where order_key = ?1 and fate <> 'placed'",
                    [order_key],
                    |row| row.get(0),
                )
                .optional()?;
            order.map_or(Ok(()), |order| place(tx, CallId(order), &call_sid).map(drop))
        })
        .await
    }

    /// Says that it is not known whether an ordered call rang.
    pub async fn order_unanswered(&self, order_key: String, why: String) -> Result<(), StoreError> {
        self.write(move |tx| {
            let call: Option<i64> = tx
                .query_row(
                    "update orders set fate = 'unanswered' where order_key = ?1 and fate = 'asked' \
                     returning call_id",
                    [order_key],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(call) = call {
                let sql = "update calls set last_error = ?1 where id = ?2";
                tx.execute(sql, params![why, call])?;
            }
            Ok(())
        })
        .await
    }

    /// Says that an ordered call rang nobody, unless Twilio has told of it meanwhile.
    pub async fn order_failed(
        &self,
        order_key: String,
        why: String,
        now: Reading,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let order: Option<i64> = tx
                .query_row(
                    "select call_id from orders where order_key = ?1 and fate <> 'placed'",
                    [order_key],
                    |row| row.get(0),
                )
                .optional()?;
            order.map_or(Ok(()), |order| fail(tx, CallId(order), &why, &now))
        })
        .await
    }

    /// Says that nobody was rung of orders whose fate is not known and which are too old for Twilio not
    /// to have listed their calls. Only whoever has just read those lists may say so. Returns how many.
    pub async fn settle_orders(&self, now: Reading) -> Result<u32, StoreError> {
        self.write(move |tx| {
            let span_ms = i64::try_from(ORDER_SPAN.as_millis()).unwrap_or(i64::MAX);
            let mut open = tx.prepare(
                "select call_id from orders where fate in ('asked', 'unanswered') \
                 and (boot_id is not ?1 or boot_ms < ?2)",
            )?;
            let ids = open
                .query_map(params![now.boot.boot_id, whole_ms(&now.boot) - span_ms], |row| {
                    row.get(0).map(CallId)
                })?
                .collect::<Result<Vec<_>, _>>()?;
            for id in &ids {
                let why = "Twilio never said whether it took this call, and has none like it: nobody was rung";
                fail(tx, *id, why, &now)?;
            }
            Ok(u32::try_from(ids.len()).unwrap_or(u32::MAX))
        })
        .await
    }
}

/// Returns the call in which the same number is being rung by order of the office, or may be.
fn being_rung(tx: &Transaction<'_>, call: &NewCall) -> Result<Option<CallSid>, StoreError> {
    let span_ms = i64::try_from(ORDER_SPAN.as_millis()).unwrap_or(i64::MAX);
    let found: Option<String> = tx
        .query_row(
            "select call_sid from orders join calls on calls.id = call_id \
             where to_number = ?1 and ended_at_ms is null and (fate in ('asked', 'unanswered') \
               or (call_status in ('queued', 'initiated', 'ringing') and ?2 - asked_at_ms < ?3)) \
             order by id desc limit 1",
            params![call.to_number, call.at.get(), span_ms],
            |row| row.get(0),
        )
        .optional()?;
    found.map(|sid| super::read::parse(&sid)).transpose()
}

fn fail(tx: &Transaction<'_>, call: CallId, why: &str, now: &Reading) -> Result<(), StoreError> {
    tx.execute("update orders set fate = 'failed' where call_id = ?1", [call.0])?;
    tx.execute(
        "update calls set call_status = 'failed', last_error = ?1, \
         end_reason = iif(end_reason is null, null, 'failed') where id = ?2",
        params![why, call.0],
    )?;
    calls::end(tx, call, EndReason::Failed, (now.at, Some(&now.boot)))?;
    super::finish::settle_soundless(tx, call)?;
    super::chain::refresh(tx, call)
}

/// Returns the call of an order that a call unknown here must be: between the same numbers, at that
/// time, and of no name yet.
pub(super) fn ordered(tx: &Transaction<'_>, call: &NewCall) -> Result<Option<CallId>, StoreError> {
    if call.origin != Origin::Rest {
        return Ok(None);
    }
    let span_ms = i64::try_from(ORDER_SPAN.as_millis()).unwrap_or(i64::MAX);
    let order: Option<i64> = tx
        .query_row(
            "select call_id from orders join calls on calls.id = call_id \
             where fate in ('asked', 'unanswered') and to_number = ?1 and from_number = ?2 \
             and (abs(?3 - asked_at_ms) <= ?4 or not clock_synced) \
             order by abs(?3 - asked_at_ms) limit 1",
            params![call.to_number, call.from_number, call.at.get(), span_ms],
            |row| row.get(0),
        )
        .optional()?;
    order.map(|order| place(tx, CallId(order), &call.call_sid)).transpose()
}

/// Gives an order's call its name at Twilio. If Twilio's news made a row under that name already, that
/// one becomes the order's and the first is taken back: nothing has ever come to it.
fn place(tx: &Transaction<'_>, order: CallId, sid: &CallSid) -> Result<CallId, StoreError> {
    let known: Option<(i64, i64)> = tx
        .query_row(
            "select known.id, min(known.created_at_ms, first.created_at_ms) \
             from calls known, calls first where known.call_sid = ?1 and first.id = ?2",
            params![sid.as_str(), order.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let call = match known {
        Some((known, created_at_ms)) if known != order.0 => {
            tx.execute("update orders set call_id = ?1 where call_id = ?2", [known, order.0])?;
            tx.execute(
                "update calls set created_at_ms = ?1 where id = ?2",
                params![created_at_ms, known],
            )?;
            tx.execute("delete from calls where id = ?1", [order.0])?;
            CallId(known)
        }
        _ => {
            tx.execute(
                "update calls set call_sid = ?1 where id = ?2",
                params![sid.as_str(), order.0],
            )?;
            order
        }
    };
    tx.execute("update orders set fate = 'placed' where call_id = ?1", [call.0])?;
    // It was given up too early, or nobody knew whether it rang: now it is known.
    tx.execute(
        "update calls set last_error = null, ended_at_ms = null, end_reason = null, \
         duration_s = null, duration_source = null, \
         call_status = iif(call_status = 'failed', 'queued', call_status) \
         where id = ?1 and (ended_at_ms is null or end_reason in ('interrupted', 'failed')) \
         and coalesce(duration_source, '') <> 'twilio' \
         and not exists (select 1 from streams where call_id = calls.id)",
        [call.0],
    )?;
    super::chain::unskip(tx, call)?;
    tx.execute(
        "update cloud_recordings set call_id = ?1 where call_sid = ?2 and call_id is null",
        params![call.0, sid.as_str()],
    )?;
    super::legs::adopt(tx, call, sid)?;
    super::chain::refresh(tx, call)?;
    Ok(call)
}

/// When a call was ordered, for who looks for it at Twilio.
pub fn order_window(at: UnixMillis) -> UnixMillis {
    at.minus(ORDER_SPAN)
}
