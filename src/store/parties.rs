//! Who is who, put right by a person.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{CallId, Store, StoreError, chain};
use crate::domain::{CallSid, Stage, UnixMillis};

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
            let swapped: Option<(i64, bool)> = tx
                .query_row(
                    "update calls set parties_swapped = 1 - parties_swapped where call_sid = ?1 \
                     returning id, parties_swapped",
                    [call_sid.as_str()],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            if let Some((call, _)) = swapped {
                // Where a party's own microphone was heard, the words are not merely under the other
                // name: who is heard in which file is another.
                if has_own_source(tx, call)? {
                    chain::again_if_done(tx, CallId(call), Stage::Transcript, at)?;
                }
                chain::sum_up_again(tx, CallId(call), at)?;
                // The archive has the words under the other names.
                chain::again_if_done(tx, CallId(call), Stage::Archive, at)?;
                tx.execute(
                    "insert into audit (at_ms, actor, action, call_sid) values (?1, ?2, 'swap', ?3)",
                    params![at.get(), actor, call_sid.as_str()],
                )?;
            }
            Ok(swapped.map(|(_, swapped)| swapped))
        })
        .await
    }
}

fn has_own_source(tx: &Transaction<'_>, call: i64) -> Result<bool, StoreError> {
    Ok(tx.query_row(
        "select exists (select 1 from tracks where call_id = ?1 \
         and source in ('microphone', 'browser'))",
        [call],
        |row| row.get(0),
    )?)
}
