//! Lists of calls and counts of what is undone.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::read::{CALL_COLUMNS, call_row, optional_word, word};
use super::{Backlog, CallFilter, CallPage, Cursor, Store, StoreError, search};
use crate::domain::{Stage, StageStatus, UnixMillis};

/// With so many calls at a stage's status, at most, these are gathered and put in order. With more,
/// calls are looked through in their order: some that fit are soon found.
const GATHERED_MAX: u32 = 10_000;

impl Store {
    /// Lists calls, newest first, child legs left out.
    pub async fn calls(
        &self,
        filter: CallFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<CallPage, StoreError> {
        self.read(move |db| list(db, &filter, after, limit)).await
    }

    /// Returns when the first call came that is kept here.
    pub async fn first_call_at(&self) -> Result<Option<UnixMillis>, StoreError> {
        self.read(first_call_at).await
    }

    /// Counts what is undone, per stage.
    pub async fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.read(backlog).await
    }
}

/// One statement for each status, so that each has its index and what is done is not looked at.
pub(super) fn backlog_sql() -> String {
    let of = |status: StageStatus| {
        format!(
            "select stage, '{status}' as status, count(*) as count, \
             min(coalesce(started_at_ms, created_at_ms)) as oldest, \
             min(next_attempt_at_ms) as next_at from stages cross join calls on calls.id = call_id where status = '{status}' group by stage"
        )
    };
    format!(
        "select stage, sum(count) filter (where status = 'pending'), \
         sum(count) filter (where status = 'processing'), \
         sum(count) filter (where status = 'failed'), \
         min(iif(status = 'failed', null, oldest)), \
         min(next_at) filter (where status = 'pending'), \
         (select waiting_for from stages as first where first.stage = undone.stage \
           and first.status = 'pending' order by next_attempt_at_ms, call_id limit 1) \
         from ({} union all {} union all {}) as undone group by stage",
        of(StageStatus::Pending),
        of(StageStatus::Processing),
        of(StageStatus::Failed)
    )
}

fn backlog(db: &Connection) -> Result<Vec<Backlog>, StoreError> {
    let mut counts = db.prepare_cached(&backlog_sql())?;
    let mut rows = counts.query([])?;
    let mut backlog = Vec::new();
    let count = |count: Option<u64>| count.unwrap_or(0);
    while let Some(row) = rows.next()? {
        backlog.push(Backlog {
            stage: word(row, 0)?,
            pending: count(row.get(1)?),
            processing: count(row.get(2)?),
            failed: count(row.get(3)?),
            oldest: row.get::<_, Option<i64>>(4)?.map(UnixMillis::new),
            next_attempt_at: row.get::<_, Option<i64>>(5)?.map(UnixMillis::new),
            waiting_for: optional_word(row, 6)?,
        });
    }
    Ok(backlog)
}

/// A statement that lists calls, and the values in it.
pub(super) struct Listing {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

/// What is asked of a call, piece by piece.
#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" and ");
        self.sql.push_str(sql);
        self.values.extend(values);
    }
}

impl Listing {
    /// Makes the statement for a filter. What is not asked for does not stand in it, so that each
    /// has an index.
    pub(super) fn new(
        db: &Connection,
        filter: &CallFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Option<Self>, StoreError> {
        let mut asked = Conditions::default();
        if let Some(cursor) = after {
            let place = [cursor.created_at.get(), cursor.id.0].map(Value::Integer);
            asked.add("(created_at_ms, id) < (?, ?)", place);
        }
        if let Some(status) = filter.recording_status {
            asked.add("recording_status = ?", [text(status.as_str())]);
        }
        if let Some(from) = filter.from {
            asked.add("created_at_ms >= ?", [Value::Integer(from.get())]);
        }
        if let Some(to) = filter.to {
            asked.add("created_at_ms < ?", [Value::Integer(to.get())]);
        }
        if let Some(status) = filter.stage_status {
            at_status(db, &mut asked, status, filter.stage)?;
        }
        if let Some(words) = &filter.words {
            let Some((found, values)) = search::rows_of(db, words)? else { return Ok(None) };
            asked.add(&format!("calls.id in ({found})"), values);
        }
        Ok(Some(Self::of(asked, filter.number.as_deref(), limit)))
    }

    fn of(asked: Conditions, number: Option<&str>, limit: u32) -> Self {
        let Conditions { sql: asked, values } = asked;
        let base = format!("select {CALL_COLUMNS} from calls where parent_call_sid is null{asked}");
        let order = "order by created_at_ms desc, id desc limit ?";
        let limit = Value::Integer(i64::from(limit) + 1);
        let Some(number) = number else {
            let values = values.into_iter().chain([limit]).collect();
            return Self { sql: format!("{base} {order}"), values };
        };
        // Each end of a call has its index; of each the newest are enough.
        let end = |column: &str| format!("select * from ({base} and {column} = ? {order})");
        let sql = format!("{} union {} {order}", end("from_number"), end("to_number"));
        let one = || values.iter().cloned().chain([text(number), limit.clone()]);
        Self { values: one().chain(one()).chain([limit.clone()]).collect(), sql }
    }
}

fn text(word: &str) -> Value {
    Value::Text(word.to_owned())
}

/// Asks for calls one of whose stages has a status.
fn at_status(
    db: &Connection,
    asked: &mut Conditions,
    status: StageStatus,
    stage: Option<Stage>,
) -> Result<(), StoreError> {
    // The word stands in the statement itself: only then its index is thought of.
    let of_stage = if stage.is_some() { " and stage = ?" } else { "" };
    let such = format!("from stages where status = '{status}'{of_stage}");
    let value = || stage.map(|stage| text(stage.as_str()));
    let indexed = !matches!(status, StageStatus::Completed | StageStatus::Skipped);
    if indexed {
        let sql = format!("select count(*) from (select 1 {such} limit {})", GATHERED_MAX + 1);
        let count: u32 = db.query_row(&sql, params_from_iter(value()), |row| row.get(0))?;
        if count <= GATHERED_MAX {
            asked.add(&format!("calls.id in (select call_id {such})"), value());
            return Ok(());
        }
    }
    let of_stage = if stage.is_some() { " and stages.stage = ?" } else { "" };
    let has = format!(
        "exists (select 1 from stages where call_id = calls.id and +status = '{status}'{of_stage})"
    );
    asked.add(&has, value());
    Ok(())
}

pub(super) fn first_call_at(db: &Connection) -> Result<Option<UnixMillis>, StoreError> {
    let sql = "select created_at_ms from calls order by id limit 1";
    let first: Option<i64> = db.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(first.map(UnixMillis::new))
}

fn list(
    db: &Connection,
    filter: &CallFilter,
    after: Option<Cursor>,
    limit: u32,
) -> Result<CallPage, StoreError> {
    let Some(Listing { sql, values }) = Listing::new(db, filter, after, limit)? else {
        return Ok(CallPage { calls: Vec::new(), next: None });
    };
    let mut found = db.prepare_cached(&sql)?;
    let mut rows = found.query(params_from_iter(values))?;
    let mut calls = Vec::new();
    while let Some(row) = rows.next()? {
        calls.push(call_row(row)?);
    }
    let more = calls.len() > limit as usize;
    calls.truncate(limit as usize);
    let next = calls
        .last()
        .filter(|_| more)
        .map(|call| Cursor { created_at: call.created_at, id: call.id });
    Ok(CallPage { calls, next })
}
