//! Calls that a person holds: they are protected from every deletion until they are released.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{CallId, Store, StoreError};
use crate::domain::{CallSid, UnixMillis};

/// The longest note that is kept with a hold.
const NOTE_CHARS_MAX: usize = 200;

/// What asking for a hold, or its end, did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It is so now, and was not before.
    Changed,
    /// It was so already.
    AsBefore,
    /// The call is being erased: it is too late for a hold.
    Erasing,
    /// There is no such call.
    UnknownCall,
}

impl Store {
    /// Holds a call: nothing of it is deleted anywhere while that is so.
    pub async fn hold(
        &self,
        call_sid: CallSid,
        note: Option<String>,
        actor: String,
        at: UnixMillis,
    ) -> Result<Held, StoreError> {
        let note = note.map(|note| note.chars().take(NOTE_CHARS_MAX).collect::<String>());
        self.write(move |tx| set(tx, &call_sid, (true, note.as_deref()), &actor, at)).await
    }

    /// Releases a call.
    pub async fn release(
        &self,
        call_sid: CallSid,
        actor: String,
        at: UnixMillis,
    ) -> Result<Held, StoreError> {
        self.write(move |tx| set(tx, &call_sid, (false, None), &actor, at)).await
    }
}

/// Says whether a call is held.
pub(super) fn is_held(tx: &Transaction<'_>, call: CallId) -> Result<bool, StoreError> {
    let held = tx.query_row("select hold from calls where id = ?1", [call.0], |row| row.get(0));
    Ok(held.optional()?.unwrap_or(false))
}

fn set(
    tx: &Transaction<'_>,
    call_sid: &CallSid,
    (hold, note): (bool, Option<&str>),
    actor: &str,
    at: UnixMillis,
) -> Result<Held, StoreError> {
    let known: Option<(bool, bool)> = tx
        .query_row(
            "select hold, erasing is not null from calls where call_sid = ?1",
            [call_sid.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match known {
        None => return Ok(Held::UnknownCall),
        Some((_, true)) if hold => return Ok(Held::Erasing),
        Some((stood, _)) if stood == hold => return Ok(Held::AsBefore),
        Some(_) => {}
    }
    tx.execute(
        "update calls set hold = ?1, hold_note = ?2 where call_sid = ?3",
        params![hold, note, call_sid.as_str()],
    )?;
    tx.execute(
        "insert into audit (at_ms, actor, action, call_sid, detail) values (?1, ?2, ?3, ?4, ?5)",
        params![at.get(), actor, if hold { "hold" } else { "release" }, call_sid.as_str(), note],
    )?;
    Ok(Held::Changed)
}
