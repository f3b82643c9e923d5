//! The ledger without the program that owns it: copied, checked and listed from outside, also
//! while that program writes.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use super::{StoreError, list, read};
use crate::domain::{CallSid, RecordingSid, UnixMillis};

/// How long another program's lock is waited for.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(30);

/// What is waited before a copy that found the ledger locked is tried again.
const COPY_AGAIN: Duration = Duration::from_millis(250);

/// The faults of a damaged ledger that are told; the first ones say enough.
const FAULTS_MAX: u32 = 20;

/// A file that the ledger says is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// Relative to the data folder.
    pub path: String,
    /// Whose it is.
    pub call_sid: CallSid,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 in hex, once known.
    pub sha256: Option<String>,
    /// The recording that Twilio has it from, while Twilio has it.
    pub at_twilio: Option<RecordingSid>,
}

/// Every file that a ledger speaks of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// What is to be there.
    pub files: Vec<KeptFile>,
    /// What is to be deleted, and may be gone already.
    pub garbage: Vec<String>,
}

/// Copies a ledger as it stands at one moment, by SQLite's backup API. A program that writes to it
/// meanwhile is not held up. There must be no file at `to`.
pub fn copy_ledger(from: &Path, to: &Path) -> Result<(), StoreError> {
    let source = open(from)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut copy = Connection::open_with_flags(to, flags)?;
    // All pages in one step: after a smaller one, a change by another would have it begin anew.
    Backup::new(&source, &mut copy)?.run_to_completion(i32::MAX, COPY_AGAIN, None)?;
    // One file, with nothing beside it.
    copy.pragma_update(None, "journal_mode", "delete")?;
    copy.close().map_err(|(_, error)| error.into())
}

/// Says what is damaged in a ledger's file; nothing if its pages are whole. Much quicker than
/// [`ledger_faults`].
pub fn ledger_damage(path: &Path) -> Result<Vec<String>, StoreError> {
    damage(&open(path)?, "quick_check")
}

/// Returns when the first call came that a ledger knows.
pub fn first_call_at(path: &Path) -> Result<Option<UnixMillis>, StoreError> {
    list::first_call_at(&open(path)?)
}

/// Says what is wrong with a ledger's file; nothing if it is sound.
pub fn ledger_faults(path: &Path) -> Result<Vec<String>, StoreError> {
    faults(path, |_| Ok(()))
}

/// The same, after a look of the caller's own at the connection.
pub(super) fn faults(
    path: &Path,
    first: impl FnOnce(&Connection) -> Result<(), StoreError>,
) -> Result<Vec<String>, StoreError> {
    let db = open(path)?;
    first(&db)?;
    let mut faults = damage(&db, "integrity_check")?;
    let mut orphans = db.prepare("pragma foreign_key_check")?;
    let orphans = orphans.query_map([], |row| {
        Ok(format!(
            "a row of {} belongs to none of {}",
            row.get::<_, String>(0)?,
            row.get::<_, String>(2)?
        ))
    })?;
    for orphan in orphans.take(FAULTS_MAX as usize) {
        faults.push(orphan?);
    }
    Ok(faults)
}

fn damage(db: &Connection, check: &str) -> Result<Vec<String>, StoreError> {
    let mut check = db.prepare(&format!("pragma {check}({FAULTS_MAX})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    let lines = lines.filter(|line| line.as_ref().map_or(true, |line| line != "ok"));
    Ok(lines.collect::<Result<_, _>>()?)
}

/// Lists every file that a ledger speaks of.
pub fn inventory(path: &Path) -> Result<Inventory, StoreError> {
    let db = open(path)?;
    let mut found = db.prepare(
        "select path, call_sid, size_bytes, sha256, null from tracks \
           join calls on calls.id = call_id \
         union all select path, call_sid, size_bytes, sha256, \
           iif(status = 'completed' and twilio_deleted_at_ms is null, recording_sid, null) \
           from cloud_recordings where path is not null \
         order by path",
    )?;
    let mut rows = found.query([])?;
    let mut inventory = Inventory::default();
    while let Some(row) = rows.next()? {
        let at_twilio: Option<String> = row.get(4)?;
        inventory.files.push(KeptFile {
            path: row.get(0)?,
            call_sid: read::word(row, 1)?,
            size_bytes: row.get(2)?,
            sha256: row.get(3)?,
            at_twilio: at_twilio.map(|sid| read::parse(&sid)).transpose()?,
        });
    }
    let mut garbage = db.prepare("select path from garbage")?;
    for path in garbage.query_map([], |row| row.get(0))? {
        inventory.garbage.push(path?);
    }
    Ok(inventory)
}

/// Lists the calls that a ledger knows to be erased, and when.
pub fn erased(path: &Path) -> Result<Vec<(CallSid, UnixMillis)>, StoreError> {
    let db = open(path)?;
    // A ledger that an earlier program left knows of none.
    let sql = "select exists (select 1 from sqlite_schema where name = 'erased_calls')";
    if !db.query_row(sql, [], |row| row.get::<_, bool>(0))? {
        return Ok(Vec::new());
    }
    let mut found = db.prepare("select call_sid, erased_at_ms from erased_calls")?;
    let mut rows = found.query([])?;
    let mut erased = Vec::new();
    while let Some(row) = rows.next()? {
        erased.push((read::word(row, 0)?, UnixMillis::new(row.get(1)?)));
    }
    Ok(erased)
}

pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(BUSY_WAIT)?;
    Ok(db)
}
