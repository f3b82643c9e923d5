//! What was said, found again.
//!
//! The index has a document for each call that is over; triggers keep it in step with the ledger.
//! It says which calls have what is looked for, the newest first; where in them it stands is then
//! read from the calls' own words.

mod locate;
mod query;
mod tokens;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, params, params_from_iter};

use self::locate::{Spoken, locate};
use super::{CallId, Cursor, Store, StoreError, contacts, notes, read};
use crate::domain::{CallSid, Direction, Party, UnixMillis};

pub use locate::Snippet;
pub use query::{SearchQuery, TERMS_MAX};

/// Places shown of one call, at most; how many more there are is told.
const PLACES_SHOWN: usize = 3;

/// Whether something was deleted whose words still stand in the index.
const FORGETS: &str = "search_forgets";

/// Pages of the index written anew in one change to the ledger: it is held up for tens of
/// milliseconds.
const PAGES_AT_ONCE: i64 = 64;

/// Where the index has not come to yet.
const INDEXED_DOWN_TO: &str = "search_indexed_down_to";

/// A call in which something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The call.
    pub call_sid: CallSid,
    /// Whose the number of the other side is, if that is known.
    pub name: Option<String>,
    /// Who rang whom.
    pub direction: Direction,
    /// The caller.
    pub from_number: String,
    /// The called.
    pub to_number: String,
    /// When it began.
    pub began_at: UnixMillis,
    /// Where it was found; empty when only the number is what was looked for.
    pub places: Vec<HitPlace>,
    /// How many more places there are.
    pub more: usize,
}

/// A place at which something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitPlace {
    /// Who said it, and from when to when on the call's timeline; none for what stands in a note.
    pub said: Option<SaidAt>,
    /// The words.
    pub snippet: Snippet,
}

/// Who said something, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaidAt {
    /// Who.
    pub party: Party,
    /// From here on the call's timeline.
    pub start_ms: u64,
    /// To here.
    pub end_ms: u64,
}

/// A page of what was found, the newest call first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitPage {
    /// The calls.
    pub hits: Vec<Hit>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
    /// Calls that are not in the index yet.
    pub unindexed: u64,
}

impl Store {
    /// Looks for something, from behind `after` on, in `limit` calls at most.
    pub async fn search(
        &self,
        query: SearchQuery,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<HitPage, StoreError> {
        self.read(move |db| search(db, &query, after, limit)).await
    }

    /// Takes the words of deleted calls out of the index's own pages, a piece of it at a time; says
    /// whether there is more to do.
    pub async fn forget_some(&self) -> Result<bool, StoreError> {
        let sql = "select exists (select 1 from meta where key = ?1)";
        let wanted = self.read(move |db| Ok(db.query_row(sql, [FORGETS], |row| row.get(0))?));
        if wanted.await? { self.write(forget).await } else { Ok(false) }
    }

    /// Puts calls into the index that were over before there was one, at most `limit`. Says how
    /// many are left.
    pub async fn index_some(&self, limit: u32) -> Result<u64, StoreError> {
        if self.read(unindexed).await? == 0 {
            return Ok(0);
        }
        self.write(move |tx| {
            let mark = indexed_down_to(tx)?;
            tx.execute(
                "insert or replace into call_search (rowid, agent, technician, numbers, notes) \
                 select id, agent, technician, numbers, notes from call_documents where id in \
                   (select id from calls where id < ?1 order by id desc limit ?2) \
                 and ended_at_ms is not null and parent_call_sid is null",
                params![mark, limit],
            )?;
            tx.execute(
                "update meta set value = coalesce((select min(id) from \
                   (select id from calls where id < ?1 order by id desc limit ?2)), 0) where key = ?3",
                params![mark, limit, INDEXED_DOWN_TO],
            )?;
            unindexed(tx)
        })
        .await
    }
}

/// Puts a piece of the index together anew, without what was deleted from it; says whether there is
/// more to do.
fn forget(tx: &Transaction<'_>) -> Result<bool, StoreError> {
    let before = tx.total_changes();
    // Below zero: all of it becomes one piece, even where little was deleted.
    let merge = "insert into call_search (call_search, rank) values ('merge', ?1)";
    tx.execute(merge, [-PAGES_AT_ONCE])?;
    // By this SQLite tells that it found nothing to do: the statement itself is one change.
    let more = tx.total_changes().saturating_sub(before) >= 2;
    if !more {
        tx.execute("delete from meta where key = ?1", [FORGETS])?;
    }
    Ok(more)
}

fn indexed_down_to(db: &Connection) -> Result<i64, StoreError> {
    let sql = "select cast(value as integer) from meta where key = ?1";
    Ok(db.query_row(sql, [INDEXED_DOWN_TO], |row| row.get(0)).optional()?.unwrap_or(0))
}

fn unindexed(db: &Connection) -> Result<u64, StoreError> {
    let mark = indexed_down_to(db)?;
    Ok(db.query_row("select count(*) from calls where id < ?1", [mark], |row| row.get(0))?)
}

/// The words and values that leave out the calls that do not have what is looked for, for a
/// statement whose calls are those of `call_search`; none when nothing is looked for.
fn condition(
    db: &Connection,
    query: &SearchQuery,
) -> Result<Option<(String, Vec<Value>)>, StoreError> {
    let named = query.names().map(|name| contacts::numbers_of(db, &name));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let Some(wanted) = query.as_match(&named) else { return Ok(None) };
    let (mut sql, mut values) = ("call_search match ?".to_owned(), vec![Value::Text(wanted)]);
    if query.from.is_some() || query.to.is_some() {
        // Rows are mostly in order of time: the index is looked at only where these days are.
        let (from, to) = (query.from.map(UnixMillis::get), query.to.map(UnixMillis::get));
        let (first, last): (Option<i64>, Option<i64>) = db.query_row(
            "select min(id), max(id) from calls where parent_call_sid is null \
             and created_at_ms >= ?1 and created_at_ms < ?2",
            params![from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        sql.push_str(
            " and call_search.rowid between ? and ? \
             and calls.created_at_ms >= ? and calls.created_at_ms < ?",
        );
        values.extend([first.unwrap_or(0), last.unwrap_or(-1)].map(Value::Integer));
        values.extend([from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX)].map(Value::Integer));
    }
    Ok(Some((sql, values)))
}

/// Makes a statement for the rows of the calls that have what is looked for; none when nothing is.
pub(super) fn rows_of(
    db: &Connection,
    query: &SearchQuery,
) -> Result<Option<(String, Vec<Value>)>, StoreError> {
    let found = condition(db, query)?;
    Ok(found.map(|(condition, values)| {
        let sql = format!(
            "select call_search.rowid from call_search \
             cross join calls as found on found.id = call_search.rowid where {}",
            condition.replace("calls.", "found.")
        );
        (sql, values)
    }))
}

fn search(
    db: &Connection,
    query: &SearchQuery,
    after: Option<Cursor>,
    limit: u32,
) -> Result<HitPage, StoreError> {
    let moment = db.unchecked_transaction()?;
    let unindexed = unindexed(&moment)?;
    let Some((condition, mut values)) = condition(&moment, query)? else {
        return Ok(HitPage { hits: Vec::new(), next: None, unindexed });
    };
    // The index goes first, whatever the planner thinks of it: it has the order wanted.
    let sql = format!(
        "select id, call_sid, direction, from_number, to_number, \
         coalesce(started_at_ms, created_at_ms), parties_swapped, created_at_ms, \
         (select name from contacts where number = calls.other_number) \
         from call_search cross join calls on calls.id = call_search.rowid \
         where {condition} and call_search.rowid < ? order by call_search.rowid desc limit ?"
    );
    values.push(Value::Integer(after.map_or(i64::MAX, |after| after.id.0)));
    values.push(Value::Integer(i64::from(limit) + 1));
    let mut calls = moment.prepare_cached(&sql)?;
    let mut rows = calls.query(params_from_iter(values))?;
    let (mut hits, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        if hits.len() >= limit as usize {
            return Ok(HitPage { hits, next: last, unindexed });
        }
        let call = CallId(row.get(0)?);
        let name: Option<String> = row.get(8)?;
        let (places, more) = places(&moment, (call, row.get(6)?), name.as_deref(), query)?;
        last = Some(Cursor { created_at: UnixMillis::new(row.get(7)?), id: call });
        hits.push(Hit {
            call_sid: read::word(row, 1)?,
            name,
            direction: read::word(row, 2)?,
            from_number: row.get(3)?,
            to_number: row.get(4)?,
            began_at: UnixMillis::new(row.get(5)?),
            places,
            more,
        });
    }
    Ok(HitPage { hits, next: None, unindexed })
}

/// Reads where in a call it stands, and how many more such places there are.
fn places(
    db: &Connection,
    (call, swapped): (CallId, bool),
    name: Option<&str>,
    query: &SearchQuery,
) -> Result<(Vec<HitPlace>, usize), StoreError> {
    let mut segments = db.prepare_cached(
        "select party, start_ms, end_ms, text from segments where call_id = ?1 order by start_ms, id",
    )?;
    let mut rows = segments.query([call.0])?;
    let mut spoken = Vec::new();
    while let Some(row) = rows.next()? {
        let party: Party = read::word(row, 0)?;
        let party = if swapped { party.other() } else { party };
        let said = SaidAt { party, start_ms: row.get(1)?, end_ms: row.get(2)? };
        spoken.push(Spoken { said: Some(said), text: row.get(3)? });
    }
    let notes = notes::notes(db, call)?;
    spoken.extend(notes.into_iter().map(|note| Spoken { said: None, text: note.text }));
    let located = locate(query, &spoken, name);
    let more = located.len().saturating_sub(PLACES_SHOWN);
    let shown = located.into_iter().take(PLACES_SHOWN).filter_map(|place| {
        let said = spoken.get(place.segment)?;
        Some(HitPlace { said: said.said, snippet: place.snippet })
    });
    Ok((shown.collect(), more))
}
