//! Erasing calls: what is to go is written down, the rows go, and everything else is an item that
//! is worked off, here and elsewhere, until nothing is left.

use rusqlite::{OptionalExtension, Transaction, params};

use super::erasure_items::{add, settle, touch};
use super::erasure_rows::{Item, ItemKind, ItemStatus, Place};
use super::{CallId, Store, StoreError, garbage, legs, read};
use crate::domain::{CallSid, UnixMillis, last_four};

/// Calls erased at once by one wish: more than one number ever had.
const CALLS_MAX: u32 = 10_000;

/// What the names of an archive's texts end with, beside those of the files themselves.
const ARCHIVE_TEXTS: [&str; 3] = ["manifest.json", "transcript.json", "transcript.txt"];

/// What is to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasureOf {
    /// One call, with the legs it dialled.
    Call(CallSid),
    /// Every call from or to a number.
    Number(String),
}

/// A wish to erase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewErasure {
    /// The certificate's number, made by whoever asks.
    pub id: String,
    /// What.
    pub of: ErasureOf,
    /// Who asks, as in the audit trail.
    pub actor: String,
    /// Now.
    pub at: UnixMillis,
    /// Whether the wall clock is synchronised now.
    pub clock_synced: bool,
    /// Whether there is an archive to erase in, whatever the ledger knows of it.
    pub has_archive: bool,
}

/// What a wish to erase came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is written down, and as much of it is done as could be done at once.
    Begun,
    /// There is nothing to erase.
    Nothing,
    /// The call is held.
    Held,
    /// The call has not ended, or its files are still being sealed.
    Live,
    /// An erasure has it already.
    Already(String),
}

/// A call that would be erased, and what stands in the way if anything does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasable {
    /// Its row.
    pub call: CallId,
    /// Twilio's name of it.
    pub call_sid: CallSid,
    /// When it began.
    pub began_at: UnixMillis,
    /// Whether a person holds it.
    pub hold: bool,
    /// Whether it has not ended, or its files are still being sealed.
    pub live: bool,
    /// The erasure that has it already.
    pub erasing: Option<String>,
}

impl Erasable {
    /// Says in words why it is not erased, if it is not.
    pub fn kept(&self) -> Option<&'static str> {
        match self {
            Self { hold: true, .. } => Some("a person holds it: release it first"),
            Self { live: true, .. } => Some("it has not ended: ask again when it has"),
            Self { erasing: Some(_), .. } => Some("it is being erased already"),
            _ => None,
        }
    }
}

impl Store {
    /// Lists the calls that an erasure would take.
    pub async fn erasable(&self, of: ErasureOf) -> Result<Vec<Erasable>, StoreError> {
        self.read(move |db| found(db, &of)).await
    }

    /// Writes down that calls are to be erased: from now on nothing of them is begun, and what can
    /// go at once goes.
    pub async fn erase(&self, wish: NewErasure) -> Result<Begun, StoreError> {
        self.write(move |tx| begin(tx, &wish)).await
    }

    /// Takes the rows of calls that are to be erased and on which nothing is worked any more.
    /// Returns how many were taken.
    pub async fn take_erasing(&self, at: UnixMillis, has_archive: bool) -> Result<u32, StoreError> {
        self.write(move |tx| {
            let mut waiting =
                tx.prepare("select id, erasing from calls where erasing is not null")?;
            let calls = waiting
                .query_map([], |row| Ok((CallId(row.get(0)?), row.get(1)?)))?
                .collect::<Result<Vec<(CallId, String)>, _>>()?;
            let mut taken = 0;
            for (call, erasure) in calls {
                taken += u32::from(take(tx, call, &erasure, (at, has_archive))?);
            }
            Ok(taken)
        })
        .await
    }
}

fn begin(tx: &Transaction<'_>, wish: &NewErasure) -> Result<Begun, StoreError> {
    let calls = found(tx, &wish.of)?;
    if let ErasureOf::Call(_) = wish.of {
        // One call is erased with its legs, or not at all.
        for call in &calls {
            match call {
                Erasable { hold: true, .. } => return Ok(Begun::Held),
                Erasable { live: true, .. } => return Ok(Begun::Live),
                Erasable { erasing: Some(id), .. } => return Ok(Begun::Already(id.clone())),
                _ => {}
            }
        }
    }
    let (kept, going): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.kept().is_some());
    if going.is_empty() && kept.is_empty() {
        return Ok(Begun::Nothing);
    }
    let (what, subject) = match &wish.of {
        ErasureOf::Call(sid) => ("call", sid.to_string()),
        ErasureOf::Number(number) => ("number", last_four(number)),
    };
    tx.execute(
        "insert into erasures (id, asked_at_ms, clock_synced, actor, what, subject, changed_at_ms) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?2)",
        params![wish.id, wish.at.get(), wish.clock_synced, wish.actor, what, subject],
    )?;
    for call in kept {
        let item = Item::of(&wish.id, &call.call_sid, Place::Here, ItemKind::Call);
        let note = call.kept().map(str::to_owned);
        add(tx, &Item { status: ItemStatus::Kept, note, ..item }, wish.at)?;
    }
    for call in going {
        audit(tx, wish, &call.call_sid)?;
        tx.execute("update calls set erasing = ?1 where id = ?2", params![wish.id, call.call.0])?;
        let item = Item::of(&wish.id, &call.call_sid, Place::Here, ItemKind::Call);
        let note = Some("work on it is still under way".to_owned());
        add(tx, &Item { note, ..item }, wish.at)?;
        take(tx, call.call, &wish.id, (wish.at, wish.has_archive))?;
    }
    touch(tx, &wish.id, wish.at)?;
    Ok(Begun::Begun)
}

fn audit(tx: &Transaction<'_>, wish: &NewErasure, call_sid: &CallSid) -> Result<(), StoreError> {
    tx.execute(
        "insert into audit (at_ms, actor, action, call_sid, detail) \
         values (?1, ?2, 'erase', ?3, ?4)",
        params![wish.at.get(), wish.actor, call_sid.as_str(), format!("certificate {}", wish.id)],
    )?;
    Ok(())
}

/// Finds the calls of a wish: each with the leg that dialled it and those it dialled, for they are
/// one conversation.
fn found(db: &rusqlite::Connection, of: &ErasureOf) -> Result<Vec<Erasable>, StoreError> {
    let (condition, value) = match of {
        ErasureOf::Call(sid) => ("call_sid = ?1", sid.as_str()),
        ErasureOf::Number(number) => ("from_number = ?1 or to_number = ?1", number.as_str()),
    };
    let sql = format!(
        "with named as (select call_sid, parent_call_sid from calls where {condition}), \
           heads as (select coalesce(parent_call_sid, call_sid) as sid from named) \
         select id, call_sid, coalesce(started_at_ms, created_at_ms), hold, \
           ended_at_ms is null \
             or exists (select 1 from streams where call_id = calls.id and stopped_at_ms is null) \
             or (recording_status = 'recording' and folder is not null \
               and exists (select 1 from streams where call_id = calls.id) \
               and not exists (select 1 from tracks where call_id = calls.id)), \
           erasing \
         from calls where call_sid in (select sid from heads) \
           or parent_call_sid in (select sid from heads) order by id limit {CALLS_MAX}"
    );
    let mut found = db.prepare(&sql)?;
    let mut rows = found.query([value])?;
    let mut calls = Vec::new();
    while let Some(row) = rows.next()? {
        calls.push(Erasable {
            call: CallId(row.get(0)?),
            call_sid: read::word(row, 1)?,
            began_at: UnixMillis::new(row.get(2)?),
            hold: row.get(3)?,
            live: row.get(4)?,
            erasing: row.get(5)?,
        });
    }
    Ok(calls)
}

/// Takes a call's rows, unless something is under way that would bring new files or objects.
fn take(
    tx: &Transaction<'_>,
    call: CallId,
    erasure: &str,
    (at, has_archive): (UnixMillis, bool),
) -> Result<bool, StoreError> {
    let busy: bool = tx.query_row(
        "select exists (select 1 from stages where call_id = ?1 and status = 'processing' \
         and stage in ('fetch', 'split', 'archive'))",
        [call.0],
        |row| row.get(0),
    )?;
    if busy {
        return Ok(false);
    }
    let (sid, folder): (String, Option<String>) =
        tx.query_row("select call_sid, folder from calls where id = ?1", [call.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let sid: CallSid = read::parse(&sid)?;
    let item = |place, kind| Item::of(erasure, &sid, place, kind);
    let files = files(tx, call)?;
    let archived = list_here(tx, call, &files, (folder.as_deref(), has_archive), &item, at)?;
    for object in &archived {
        add(tx, object, at)?;
    }
    list_at_twilio(tx, (call, &sid), &item, at)?;
    forget(tx, call, &sid, erasure, at)?;
    for (path, ..) in &files {
        garbage::add(tx, path, "erased", at)?;
    }
    settle(tx, erasure, (Place::Here, ItemKind::Call, sid.as_str()), ItemStatus::Done, at)?;
    touch(tx, erasure, at)?;
    Ok(true)
}

/// A file: its path, size and hash.
type File = (String, Option<u64>, Option<String>);

fn files(tx: &Transaction<'_>, call: CallId) -> Result<Vec<File>, StoreError> {
    let mut found = tx.prepare(
        "select path, size_bytes, sha256 from tracks where call_id = ?1 union all \
         select path, size_bytes, sha256 from cloud_recordings \
         where call_id = ?1 and path is not null order by path",
    )?;
    let rows = found.query_map([call.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes down what goes here; returns what goes in the archive: whatever it has shown, and what it
/// may hold although nobody lived to write that down.
fn list_here(
    tx: &Transaction<'_>,
    call: CallId,
    files: &[File],
    (folder, has_archive): (Option<&str>, bool),
    item: &dyn Fn(Place, ItemKind) -> Item,
    at: UnixMillis,
) -> Result<Vec<Item>, StoreError> {
    for (path, size_bytes, sha256) in files {
        let (name, size_bytes, sha256) = (path.clone(), *size_bytes, sha256.clone());
        let file = item(Place::Here, ItemKind::File);
        add(tx, &Item { name, size_bytes, sha256, ..file }, at)?;
    }
    let said: u64 =
        tx.query_row("select count(*) from segments where call_id = ?1", [call.0], |row| {
            row.get(0)
        })?;
    if said > 0 {
        let words = item(Place::Here, ItemKind::Transcript);
        let note = Some(format!("{said} segments"));
        add(tx, &Item { note, status: ItemStatus::Done, ..words }, at)?;
    }
    if let Some(folder) = folder {
        let name = folder.to_owned();
        add(tx, &Item { name, ..item(Place::Here, ItemKind::Folder) }, at)?;
    }
    let name = "fieldtape.db".to_owned();
    add(tx, &Item { name, ..item(Place::Here, ItemKind::Journal) }, at)?;
    let mut known = tx
        .prepare("select object_key, size_bytes, sha256 from archive_objects where call_id = ?1")?;
    let rows = known
        .query_map([call.0], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
    let mut objects = Vec::new();
    for row in rows {
        let (name, size_bytes, sha256) = row?;
        let object = item(Place::Archive, ItemKind::Object);
        objects.push(Item { name, size_bytes: Some(size_bytes), sha256: Some(sha256), ..object });
    }
    if has_archive {
        let texts = ARCHIVE_TEXTS.iter().filter_map(|text| Some(format!("{}/{text}", folder?)));
        for name in files.iter().map(|(path, ..)| path.clone()).chain(texts) {
            objects.push(Item { name, ..item(Place::Archive, ItemKind::Object) });
        }
    }
    Ok(objects)
}

fn list_at_twilio(
    tx: &Transaction<'_>,
    (call, sid): (CallId, &CallSid),
    item: &dyn Fn(Place, ItemKind) -> Item,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let mut known = tx.prepare(
        "select recording_sid, twilio_deleted_at_ms from cloud_recordings where call_sid = ?1",
    )?;
    let rows = known.query_map([sid.as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
    })?;
    for row in rows {
        let (name, deleted_at) = row?;
        let recording = item(Place::Twilio, ItemKind::Recording);
        let status = if deleted_at.is_some() { ItemStatus::Absent } else { ItemStatus::Pending };
        let note = deleted_at.map(|_| "it was deleted there before".to_owned());
        add(tx, &Item { name, status, note, ..recording }, at)?;
    }
    add(tx, &item(Place::Twilio, ItemKind::Call), at)?;
    for leg in legs::names(tx, call, sid)? {
        let call_sid = read::parse(&leg)?;
        add(tx, &Item { call_sid, name: leg, ..item(Place::Twilio, ItemKind::Call) }, at)?;
    }
    Ok(())
}

/// Takes the rows. What points at what goes before that.
fn forget(
    tx: &Transaction<'_>,
    call: CallId,
    sid: &CallSid,
    erasure: &str,
    at: UnixMillis,
) -> Result<(), StoreError> {
    legs::erase(tx, (call, sid), erasure, at)?;
    tx.execute("delete from fills where call_id = ?1", [call.0])?;
    tx.execute("delete from cloud_recordings where call_sid = ?1", [sid.as_str()])?;
    tx.execute("delete from calls where id = ?1", [call.0])?;
    tx.execute(
        "insert or ignore into erased_calls (call_sid, erasure_id, erased_at_ms) values (?1, ?2, ?3)",
        params![sid.as_str(), erasure, at.get()],
    )?;
    Ok(())
}

/// Returns the erasure that took a call, if one did.
pub(super) fn erased_by(
    tx: &Transaction<'_>,
    call_sid: &CallSid,
) -> Result<Option<String>, StoreError> {
    let sql = "select erasure_id from erased_calls where call_sid = ?1";
    Ok(tx.query_row(sql, [call_sid.as_str()], |row| row.get(0)).optional()?)
}
