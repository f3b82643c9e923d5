//! A ledger seen from outside, for whoever helps: counts and errors, and of no call who spoke or
//! what was said.

use std::path::Path;

use rusqlite::{Connection, Row};

use super::outages::{self, Outage};
use super::outside::open;
use super::{StoreError, read};
use crate::domain::{CallSid, Stage, StageStatus, UnixMillis, WaitingFor};

/// Stages with an error that are told, the latest first; the rest is counted.
const TROUBLES_MAX: u32 = 500;

/// Outages that are told, the latest first.
const OUTAGES_MAX: u32 = 200;

/// How many there are of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Of what, such as `tracks` or `transcript failed`.
    pub what: String,
    /// How many.
    pub count: u64,
}

/// A stage that has an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Whose.
    pub call_sid: CallSid,
    /// Which.
    pub stage: Stage,
    /// How it stands.
    pub status: StageStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong.
    pub last_error: String,
    /// What it waits for.
    pub waiting_for: Option<WaitingFor>,
    /// When it is tried again.
    pub next_attempt_at: UnixMillis,
}

/// What a ledger looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Its version.
    pub version: u32,
    /// Its tables, as they were made.
    pub schema: String,
    /// Rows in each table.
    pub tables: Vec<Count>,
    /// Calls by how they ended.
    pub calls: Vec<Count>,
    /// Stages by how they stand.
    pub stages: Vec<Count>,
    /// Stages with an error, the latest first.
    pub troubles: Vec<Trouble>,
    /// Times without the outside, the latest first.
    pub outages: Vec<Outage>,
}

/// Surveys a ledger. The appliance may run meanwhile.
pub fn survey(path: &Path) -> Result<Survey, StoreError> {
    let db = open(path)?;
    let version = db.query_row("pragma user_version", [], |row| row.get(0))?;
    let tables =
        "from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name";
    let names: Vec<String> = column(&db, &format!("select name {tables}"))?;
    let schema: Vec<String> = column(&db, &format!("select sql {tables}"))?;
    let tables = names.into_iter().map(|name| {
        // The name is the ledger's own.
        let sql = format!("select count(*) from \"{name}\"");
        let count = db.query_row(&sql, [], |row| row.get(0))?;
        Ok(Count { what: name, count })
    });
    Ok(Survey {
        version,
        schema: schema.join(";\n\n"),
        tables: tables.collect::<Result<_, StoreError>>()?,
        calls: counts(
            &db,
            "select coalesce(end_reason, 'live') || ', recording ' || recording_status, count(*) \
             from calls group by 1 order by 1",
        )?,
        stages: counts(
            &db,
            "select stage || ' ' || status, count(*) from stages group by 1 order by 1",
        )?,
        troubles: troubles(&db)?,
        outages: outages::latest(&db, OUTAGES_MAX)?,
    })
}

/// Lists every address of a person that a ledger knows, to take them out of texts.
pub fn addresses(path: &Path) -> Result<Vec<String>, StoreError> {
    column(&open(path)?, "select from_number from calls union select to_number from calls")
}

fn troubles(db: &Connection) -> Result<Vec<Trouble>, StoreError> {
    let mut found = db.prepare(
        "select call_sid, stage, status, attempts, stages.last_error, stages.waiting_for, \
           next_attempt_at_ms \
         from stages join calls on calls.id = call_id where stages.last_error is not null \
         order by updated_at_ms desc limit ?1",
    )?;
    let mut rows = found.query([TROUBLES_MAX])?;
    let mut troubles = Vec::new();
    while let Some(row) = rows.next()? {
        let waiting_for: Option<String> = row.get(5)?;
        troubles.push(Trouble {
            call_sid: read::word(row, 0)?,
            stage: read::word(row, 1)?,
            status: read::word(row, 2)?,
            attempts: row.get(3)?,
            last_error: row.get(4)?,
            waiting_for: waiting_for.map(|word| read::parse(&word)).transpose()?,
            next_attempt_at: UnixMillis::new(row.get(6)?),
        });
    }
    Ok(troubles)
}

fn counts(db: &Connection, sql: &str) -> Result<Vec<Count>, StoreError> {
    let count = |row: &Row<'_>| Ok(Count { what: row.get(0)?, count: row.get(1)? });
    let mut found = db.prepare(sql)?;
    let rows = found.query_map([], count)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn column(db: &Connection, sql: &str) -> Result<Vec<String>, StoreError> {
    let mut found = db.prepare(sql)?;
    let rows = found.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
