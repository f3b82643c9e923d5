//! Who is who, put right by a person.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};
use crate::domain::{CallSid, UnixMillis};

impl Store {
    /// Exchanges a call's two parties wherever they are named, and remembers it: rows stay as
    /// recorded and are read exchanged. Returns whether they are exchanged now; none if there is
    /// no such call.
    pub async fn swap_parties(
        &self,
        call_sid: CallSid,
        actor: String,
        at: UnixMillis,
    ) -> Result<Option<bool>, StoreError> {
        self.write(move |tx| {
            let swapped: Option<bool> = tx
                .query_row(
                    "update calls set parties_swapped = 1 - parties_swapped where call_sid = ?1 \
                     returning parties_swapped",
                    [call_sid.as_str()],
                    |row| row.get(0),
                )
                .optional()?;
            if swapped.is_some() {
                tx.execute(
                    "insert into audit (at_ms, actor, action, call_sid) values (?1, ?2, 'swap', ?3)",
                    params![at.get(), actor, call_sid.as_str()],
                )?;
            }
            Ok(swapped)
        })
        .await
    }
}
