//! What people add to a call: notes, and words put right.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::streams::sql_count;
use super::{CallId, Store, StoreError, chain, read};
use crate::domain::{CallSid, Party, Stage, UnixMillis};

/// How far a segment may have moved, written down anew, for a correction to be meant for it.
const SAME_PLACE_MS: u64 = 2_000;

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteRow {
    /// Its row.
    pub id: i64,
    /// When it was written.
    pub at: UnixMillis,
    /// By whom: a user, a token, or `local`.
    pub author: String,
    /// The words.
    pub text: String,
}

/// Words that somebody put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectionRow {
    /// Who spoke, after a swap by a person.
    pub party: Party,
    /// Where the segment begins on the call's timeline.
    pub start_ms: u64,
    /// What was heard.
    pub original: String,
    /// What was said.
    pub text: String,
    /// By whom it was put right.
    pub author: String,
    /// When.
    pub at: UnixMillis,
}

/// What became of putting words right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corrected {
    /// They stand now.
    Done,
    /// They stood so already.
    AsItWas,
    /// Nothing of the call begins there.
    NoSuchSegment,
}

/// Words to be put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCorrection {
    /// Of which call.
    pub call_sid: CallSid,
    /// Who spoke, after a swap by a person.
    pub party: Party,
    /// Where the segment begins on the call's timeline.
    pub start_ms: u64,
    /// What was said.
    pub text: String,
    /// By whom.
    pub author: String,
    /// Now.
    pub at: UnixMillis,
}

impl Store {
    /// Adds a note to a call. Says whether there is such a call.
    pub async fn add_note(
        &self,
        call_sid: CallSid,
        text: String,
        author: String,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let Some((call, _)) = row_of(tx, &call_sid)? else { return Ok(false) };
            tx.execute(
                "insert into notes (call_id, at_ms, author, text) values (?1, ?2, ?3, ?4)",
                params![call.0, at.get(), author, text],
            )?;
            tell(tx, at, &author, "note", &call_sid)?;
            Ok(true)
        })
        .await
    }

    /// Puts words right. What was heard is kept, and the summary is made anew.
    pub async fn correct(&self, new: NewCorrection) -> Result<Corrected, StoreError> {
        self.write(move |tx| correct(tx, &new)).await
    }
}

fn row_of(tx: &Transaction<'_>, call_sid: &CallSid) -> Result<Option<(CallId, bool)>, StoreError> {
    let sql = "select id, parties_swapped from calls where call_sid = ?1";
    let found =
        tx.query_row(sql, [call_sid.as_str()], |row| Ok((CallId(row.get(0)?), row.get(1)?)));
    Ok(found.optional()?)
}

fn tell(
    tx: &Transaction<'_>,
    at: UnixMillis,
    actor: &str,
    action: &str,
    call_sid: &CallSid,
) -> Result<(), StoreError> {
    tx.execute(
        "insert into audit (at_ms, actor, action, call_sid) values (?1, ?2, ?3, ?4)",
        params![at.get(), actor, action, call_sid.as_str()],
    )?;
    Ok(())
}

fn correct(tx: &Transaction<'_>, new: &NewCorrection) -> Result<Corrected, StoreError> {
    let Some((call, swapped)) = row_of(tx, &new.call_sid)? else {
        return Ok(Corrected::NoSuchSegment);
    };
    let recorded = if swapped { new.party.other() } else { new.party };
    let segment: Option<(i64, String, String)> = tx
        .query_row(
            "select id, text, coalesce(original, text) from segments \
             where call_id = ?1 and start_ms = ?2 and party = ?3 order by id limit 1",
            params![call.0, sql_count(new.start_ms), recorded.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((segment, stands, original)) = segment else { return Ok(Corrected::NoSuchSegment) };
    if stands == new.text {
        return Ok(Corrected::AsItWas);
    }
    tx.execute(
        "insert into corrections (call_id, party, start_ms, original, text, author, at_ms) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            call.0,
            recorded.as_str(),
            sql_count(new.start_ms),
            original,
            new.text,
            new.author,
            new.at.get()
        ],
    )?;
    put_right(tx, segment, &original, &new.text)?;
    chain::sum_up_again(tx, call, new.at)?;
    // The archive has the words as they were heard.
    chain::again_if_done(tx, call, Stage::Archive, new.at)?;
    tell(tx, new.at, &new.author, "correct", &new.call_sid)?;
    Ok(Corrected::Done)
}

fn put_right(
    tx: &Transaction<'_>,
    segment: i64,
    original: &str,
    text: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "update segments set text = ?1, original = nullif(?2, ?1) where id = ?3",
        params![text, original, segment],
    )?;
    Ok(())
}

/// Puts right again what somebody had put right in an earlier transcript of the call, where the
/// same was heard at the same place.
pub(super) fn correct_again(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    let mut found = tx.prepare_cached(
        "select segments.id, corrections.original, corrections.text from corrections \
         join segments on segments.call_id = corrections.call_id \
           and segments.party = corrections.party \
           and segments.text = corrections.original \
           and abs(segments.start_ms - corrections.start_ms) <= ?2 \
         where corrections.call_id = ?1 order by corrections.id",
    )?;
    let rows = found
        .query_map(params![call.0, sql_count(SAME_PLACE_MS)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<Vec<(i64, String, String)>, _>>()?;
    // The last word on a place is the one that counts.
    for (segment, original, text) in rows {
        put_right(tx, segment, &original, &text)?;
    }
    Ok(())
}

/// Reads the notes of a call, the first one first.
pub(super) fn notes(db: &Connection, call: CallId) -> Result<Vec<NoteRow>, StoreError> {
    let mut found = db.prepare_cached(
        "select id, at_ms, author, text from notes where call_id = ?1 order by id",
    )?;
    let rows = found.query_map([call.0], |row| {
        Ok(NoteRow {
            id: row.get(0)?,
            at: UnixMillis::new(row.get(1)?),
            author: row.get(2)?,
            text: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Reads what was put right in a call, the first time first.
pub(super) fn corrections(
    db: &Connection,
    call: CallId,
    swapped: bool,
) -> Result<Vec<CorrectionRow>, StoreError> {
    let mut found = db.prepare_cached(
        "select party, start_ms, original, text, author, at_ms from corrections \
         where call_id = ?1 order by id",
    )?;
    let mut rows = found.query([call.0])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let party: Party = read::word(row, 0)?;
        out.push(CorrectionRow {
            party: if swapped { party.other() } else { party },
            start_ms: row.get(1)?,
            original: row.get(2)?,
            text: row.get(3)?,
            author: row.get(4)?,
            at: UnixMillis::new(row.get(5)?),
        });
    }
    Ok(out)
}
