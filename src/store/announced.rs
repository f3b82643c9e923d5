//! What people were told before they were recorded, and that they said no.

use rusqlite::{Row, Transaction, params};

use super::read::word;
use super::{CallId, NewCall, Store, StoreError, calls};
use crate::domain::{CallSid, UnixMillis};

/// What is told, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// `said` or `played`.
    pub how: &'static str,
    /// SHA-256 of the text or of the sound file, in hex.
    pub sha256: String,
    /// The language it is said in.
    pub language: Option<String>,
    /// Whose voice says it.
    pub voice: Option<String>,
}

/// That something was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnouncementRow {
    /// When Twilio was told to tell it.
    pub at: UnixMillis,
    /// Where in the call: since the call's row.
    pub place_ms: u64,
    /// Whose ear: Twilio's name of the leg.
    pub leg: CallSid,
    /// `said` or `played`.
    pub how: String,
    /// SHA-256 of the text or of the sound file, in hex.
    pub sha256: String,
    /// The language it was said in.
    pub language: Option<String>,
    /// Whose voice said it.
    pub voice: Option<String>,
}

/// What Twilio is given for a call that asks what to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// The hash of the token of the stream asked for.
    pub token_hash: Option<String>,
    /// What whoever is on the leg is told.
    pub stamp: Option<Stamp>,
}

/// Of a call to whom nothing is told.
impl From<Option<String>> for Given {
    fn from(token_hash: Option<String>) -> Self {
        Self { token_hash, stamp: None }
    }
}

/// Reads what was told in a call, by time.
pub(super) const OF_CALL: &str = "select at_ms, place_ms, leg, how, sha256, language, voice \
    from announcements where call_id = ?1 order by at_ms";

pub(super) fn announcement_row(row: &Row<'_>) -> Result<AnnouncementRow, StoreError> {
    Ok(AnnouncementRow {
        at: UnixMillis::new(row.get(0)?),
        place_ms: row.get(1)?,
        leg: word(row, 2)?,
        how: row.get(3)?,
        sha256: row.get(4)?,
        language: row.get(5)?,
        voice: row.get(6)?,
    })
}

impl Store {
    /// Writes down that whoever is on a call is not to be recorded. No stream's token of it is good
    /// from then on.
    pub async fn declined(&self, call: NewCall) -> Result<(), StoreError> {
        self.write(move |tx| {
            let (id, _) = calls::upsert(tx, &call)?;
            tx.execute(
                "update calls set declined_at_ms = coalesce(declined_at_ms, ?1) where id = ?2",
                params![call.at.get(), id.0],
            )?;
            tx.execute(
                "delete from stream_tokens where call_id = ?1 and spent_at_ms is null",
                [id.0],
            )?;
            Ok(())
        })
        .await
    }
}

pub(super) fn stamp(
    tx: &Transaction<'_>,
    id: CallId,
    call: &NewCall,
    stamp: &Stamp,
) -> Result<(), StoreError> {
    let Stamp { how, sha256, language, voice } = stamp;
    tx.execute(
        "insert into announcements (call_id, at_ms, place_ms, leg, how, sha256, language, voice) \
         select id, ?2, max(?2 - created_at_ms, 0), ?3, ?4, ?5, ?6, ?7 from calls where id = ?1 \
         on conflict do nothing",
        params![id.0, call.at.get(), call.call_sid.as_str(), how, sha256, language, voice],
    )?;
    Ok(())
}
