//! Whose turn it is within a stage, where that is not merely the oldest call's.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::pauses::GOES_ON;
use super::{Claim, Store, StoreError, chain, read};
use crate::domain::{CallSid, Stage, UnixMillis};

/// The words for a stage of a call being due at `?2`. A row written in what is the future now was
/// written by a clock that was wrong: it is due.
pub(super) const IS_DUE: &str =
    "status = 'pending' and (next_attempt_at_ms <= ?2 or updated_at_ms > ?2 + 60000)";

impl Store {
    /// Returns the newest of `calls` whose stage is due.
    pub async fn due_among(
        &self,
        stage: Stage,
        calls: &[CallSid],
        now: UnixMillis,
    ) -> Result<Option<CallSid>, StoreError> {
        let names = as_json(calls);
        self.read(move |db| {
            let sid: Option<String> = db
                .query_row(
                    &format!(
                        "select call_sid from stages join calls on calls.id = call_id \
                         where stage = ?1 and erasing is null and {IS_DUE} and {GOES_ON} \
                         and call_sid in (select value from json_each(?3)) \
                         order by coalesce(started_at_ms, created_at_ms) desc, call_id desc limit 1"
                    ),
                    params![stage.as_str(), now.get(), names],
                    |row| row.get(0),
                )
                .optional()?;
            sid.map(|sid| read::parse(&sid)).transpose()
        })
        .await
    }
}

/// Puts a claim back as it was before: the attempt is given back, and it is due.
pub(super) fn give_back(
    tx: &Transaction<'_>,
    claim: &Claim,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "update stages set status = 'pending', attempts = attempts - 1, \
         next_attempt_at_ms = ?1, updated_at_ms = ?1 \
         where call_id = ?2 and stage = ?3 and status = 'processing'",
        params![now.get(), claim.call().0, claim.stage().as_str()],
    )?;
    chain::use_what_came(tx, claim.call(), claim.stage(), now)
}

/// Writes names the way a statement can look them up in.
pub(super) fn as_json(calls: &[CallSid]) -> String {
    // A name is two letters and digits: nothing in it needs escaping.
    let names: Vec<String> = calls.iter().map(|sid| format!("\"{sid}\"")).collect();
    format!("[{}]", names.join(","))
}
