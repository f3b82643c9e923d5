//! What a call came to, and what somebody said would be done.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{CallDetail, CallId, Store, StoreError, TranscriptRow, read};
use crate::domain::{CallSid, EndedBy, Outcome, Party, UnixMillis};

/// A stretch of a call that a statement rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// From here on the call's timeline.
    pub start_ms: u64,
    /// To here.
    pub end_ms: u64,
}

/// A statement of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Who said it, if it is one party's own words.
    pub party: Option<Party>,
    /// The words.
    pub text: String,
    /// Where it was said.
    pub places: Vec<Stretch>,
}

/// Something that somebody said would be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionItem {
    /// Its row; none before it is written down.
    pub id: Option<i64>,
    /// What.
    pub text: String,
    /// By whom; empty when that was not said.
    pub who: Vec<Party>,
    /// When, in the words it was said in.
    pub due: Option<String>,
    /// Where it was said.
    pub places: Vec<Stretch>,
    /// When somebody marked it as done; none while it is open.
    pub done_at: Option<UnixMillis>,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryRow {
    /// What made it: `extractive` or `openai`.
    pub engine: String,
    /// The server's model, as it names it; none for `extractive`.
    pub model: Option<String>,
    /// In a word.
    pub outcome: Outcome,
    /// By whom it ended, where that can be known.
    pub ended_by: Option<EndedBy>,
    /// In a few sentences.
    pub text: String,
    /// How much of the call it was made from, 0 to 1.
    pub covers: f64,
    /// Statements that the words of the call did not bear out, and that are therefore not here.
    pub left_out: u32,
    /// Each statement, with where it was said.
    pub statements: Vec<Statement>,
    /// What is to be done.
    pub actions: Vec<ActionItem>,
    /// Which words it was made from; none when there were none.
    pub words_at: Option<UnixMillis>,
}

/// A call and its words as they stand at one moment, as people see them.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The call.
    pub detail: CallDetail,
    /// What was said; none when nothing was written down.
    pub transcript: Option<TranscriptRow>,
    /// Since when the words are these.
    pub words_at: Option<UnixMillis>,
}

impl Store {
    /// Returns a call with its words, both of the same moment.
    pub async fn told(&self, call_sid: &CallSid) -> Result<Option<Told>, StoreError> {
        let call_sid = call_sid.clone();
        self.read(move |db| {
            let moment = db.unchecked_transaction()?;
            let Some(detail) = read::detail_of(&moment, &call_sid)? else { return Ok(None) };
            let transcript = read::transcript_of(&moment, &call_sid)?;
            let words_at = words_at(&moment, detail.call.id)?;
            Ok(Some(Told { detail, transcript, words_at }))
        })
        .await
    }

    /// Puts a summary in place of the one before it, while a better one is still being made.
    pub async fn keep_summary(
        &self,
        call: CallId,
        summary: SummaryRow,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |tx| write(tx, call, &summary, now)).await
    }

    /// Marks something that was to be done as done, or as open again. Says whether the call has
    /// such an item.
    pub async fn mark_action(
        &self,
        (call_sid, item): (CallSid, i64),
        done: bool,
        actor: String,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let marked = tx.execute(
                "update action_items set done_at_ms = iif(?1, coalesce(done_at_ms, ?2), null), \
                 done_by = iif(?1, coalesce(done_by, ?3), null) \
                 where id = ?4 and call_id = (select id from calls where call_sid = ?5)",
                params![done, now.get(), actor, item, call_sid.as_str()],
            )?;
            if marked > 0 {
                let detail = format!("item {item} is {}", if done { "done" } else { "open" });
                tx.execute(
                    "insert into audit (at_ms, actor, action, call_sid, detail) \
                     values (?1, ?2, 'action-item', ?3, ?4)",
                    params![now.get(), actor, call_sid.as_str(), detail],
                )?;
            }
            Ok(marked > 0)
        })
        .await
    }
}

/// Since when a call's words are as they are; none when it has none.
pub(super) fn words_at(db: &Connection, call: CallId) -> Result<Option<UnixMillis>, StoreError> {
    let sql = "select coalesce(changed_at_ms, created_at_ms) from transcripts where call_id = ?1";
    let at: Option<i64> = db.query_row(sql, [call.0], |row| row.get(0)).optional()?;
    Ok(at.map(UnixMillis::new))
}

/// Notes that a call's words, or who said them, have changed.
pub(super) fn words_changed(
    tx: &Transaction<'_>,
    call: CallId,
    now: UnixMillis,
) -> Result<(), StoreError> {
    // By one at least: two changes within a millisecond are two.
    tx.execute(
        "update transcripts set changed_at_ms = \
           max(?1, coalesce(changed_at_ms, created_at_ms) + 1) where call_id = ?2",
        params![now.get(), call.0],
    )?;
    Ok(())
}

/// Takes what was made from the words, and quotes them, along with the words.
pub(super) fn go_with_the_words(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    for quoting in ["summaries", "action_items", "corrections"] {
        tx.execute(&format!("delete from {quoting} where call_id = ?1"), [call.0])?;
    }
    Ok(())
}

/// Says whether the summary that stands was made from other words than stand now. Where the words
/// were let go there is none to be made.
pub(super) fn is_stale(tx: &Transaction<'_>, call: CallId) -> Result<bool, StoreError> {
    Ok(tx.query_row(
        "select not exists (select 1 from summaries where call_id = ?1 and words_at_ms is \
           (select coalesce(changed_at_ms, created_at_ms) from transcripts where call_id = ?1)) \
         and not exists (select 1 from calls where id = ?1 and words_purged_at_ms is not null)",
        [call.0],
        |row| row.get(0),
    )?)
}

/// Takes back what was said of a call without words: there may be some after all.
pub(super) fn forget_line(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    for step in [
        "delete from stages where call_id = ?1 and stage = 'summary' \
         and status in ('pending', 'completed', 'skipped') \
         and not exists (select 1 from transcripts where call_id = ?1)",
        "delete from summaries where call_id = ?1 and words_at_ms is null \
         and not exists (select 1 from transcripts where call_id = ?1)",
    ] {
        tx.execute(step, [call.0])?;
    }
    Ok(())
}

/// Puts a summary in place of the one before it. What was marked as done stays so where the same
/// thing is to be done still.
pub(super) fn write(
    tx: &Transaction<'_>,
    call: CallId,
    summary: &SummaryRow,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "insert or replace into summaries (call_id, engine, model, outcome, ended_by, text, covers, \
         left_out, statements, words_at_ms, made_at_ms) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            call.0,
            summary.engine,
            summary.model,
            summary.outcome.as_str(),
            summary.ended_by.map(EndedBy::as_str),
            summary.text,
            summary.covers.clamp(0.0, 1.0),
            summary.left_out,
            statements_json(&summary.statements),
            summary.words_at.map(UnixMillis::get),
            now.get(),
        ],
    )?;
    write_actions(tx, call, &summary.actions)
}

fn write_actions(
    tx: &Transaction<'_>,
    call: CallId,
    actions: &[ActionItem],
) -> Result<(), StoreError> {
    let mut found = tx.prepare_cached(
        "delete from action_items where call_id = ?1 returning text, done_at_ms, done_by",
    )?;
    let before = found
        .query_map([call.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<(String, Option<i64>, Option<String>)>, _>>()?;
    let mut insert = tx.prepare_cached(
        "insert into action_items (call_id, text, who, due, places, done_at_ms, done_by) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for action in actions {
        let who: Vec<&str> = action.who.iter().map(|party| party.as_str()).collect();
        let same = before.iter().find(|(text, ..)| *text == action.text);
        let (done_at, done_by) = same.map_or((None, None), |(_, at, by)| (*at, by.as_deref()));
        let places = places_json(&action.places);
        insert.execute(params![
            call.0,
            action.text,
            who.join(" "),
            action.due,
            places,
            done_at,
            done_by
        ])?;
    }
    Ok(())
}

/// Reads the summary of a call, if there is one.
pub(super) fn of(db: &Connection, call: CallId) -> Result<Option<SummaryRow>, StoreError> {
    let mut found = db.prepare_cached(
        "select engine, model, outcome, ended_by, text, covers, left_out, statements, words_at_ms \
         from summaries where call_id = ?1",
    )?;
    let mut rows = found.query([call.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(SummaryRow {
        engine: row.get(0)?,
        model: row.get(1)?,
        outcome: read::word(row, 2)?,
        ended_by: read::optional_word(row, 3)?,
        text: row.get(4)?,
        covers: row.get(5)?,
        left_out: row.get(6)?,
        statements: statements(&row.get::<_, String>(7)?)?,
        actions: actions(db, call)?,
        words_at: row.get::<_, Option<i64>>(8)?.map(UnixMillis::new),
    }))
}

fn actions(db: &Connection, call: CallId) -> Result<Vec<ActionItem>, StoreError> {
    let mut found = db.prepare_cached(
        "select id, text, who, due, places, done_at_ms from action_items where call_id = ?1 order by id",
    )?;
    let mut rows = found.query([call.0])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(action(row)?);
    }
    Ok(items)
}

/// Reads `id, text, who, due, places, done_at_ms`.
pub(super) fn action(row: &Row<'_>) -> Result<ActionItem, StoreError> {
    let who: String = row.get(2)?;
    Ok(ActionItem {
        id: row.get(0)?,
        text: row.get(1)?,
        who: who.split_whitespace().map(read::parse).collect::<Result<_, _>>()?,
        due: row.get(3)?,
        places: places(&row.get::<_, String>(4)?)?,
        done_at: row.get::<_, Option<i64>>(5)?.map(UnixMillis::new),
    })
}

/// Places as they lie in a column: `[[420,3100]]`.
type Stretches = Vec<(u64, u64)>;

fn stretches(places: &[Stretch]) -> Stretches {
    places.iter().map(|place| (place.start_ms, place.end_ms)).collect()
}

fn from_stretches(stretches: Stretches) -> Vec<Stretch> {
    stretches.into_iter().map(|(start_ms, end_ms)| Stretch { start_ms, end_ms }).collect()
}

fn places_json(places: &[Stretch]) -> String {
    // Whole numbers always become JSON.
    serde_json::to_string(&stretches(places)).unwrap_or_default()
}

fn places(json: &str) -> Result<Vec<Stretch>, StoreError> {
    from_json::<Stretches>("places", json).map(from_stretches)
}

/// Writes statements as `[["technician","It hums.",[[420,3100]]]]`.
fn statements_json(statements: &[Statement]) -> String {
    let rows: Vec<_> = statements
        .iter()
        .map(|said| (said.party.map(Party::as_str), &said.text, stretches(&said.places)))
        .collect();
    // Text and whole numbers always become JSON.
    serde_json::to_string(&rows).unwrap_or_default()
}

fn statements(json: &str) -> Result<Vec<Statement>, StoreError> {
    let rows: Vec<(Option<String>, String, Stretches)> = from_json("statements", json)?;
    let statement = |(party, text, at): (Option<String>, String, Stretches)| {
        let party = party.map(|party| read::parse(&party)).transpose()?;
        Ok(Statement { party, text, places: from_stretches(at) })
    };
    rows.into_iter().map(statement).collect()
}

fn from_json<T: serde::de::DeserializeOwned>(what: &str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json)
        .map_err(|error| StoreError::BadRow { what: format!("{what}: {error}") })
}
