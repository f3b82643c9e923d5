//! The things that an erasure takes, one by one, and what became of each.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::erasure_rows::{Erasure, Item, ItemKind, ItemStatus, PendingErasure, Place, Tried};
use super::streams::sql_count;
use super::{CloudUpdate, Store, StoreError, read};
use crate::domain::{RecordingSid, UnixMillis};

impl Store {
    /// Lists things that are still to go at one place, first those that were asked for first.
    pub async fn erasure_items_due(
        &self,
        place: Place,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Item>, StoreError> {
        self.read(move |db| {
            let mut found = db.prepare(&format!(
                "select {COLUMNS} from erasure_items where status = 'pending' and place = ?1 \
                 and next_attempt_at_ms <= ?2 order by id limit ?3"
            ))?;
            let mut rows = found.query(params![place.as_str(), now.get(), limit])?;
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                items.push(item(row)?);
            }
            Ok(items)
        })
        .await
    }

    /// Writes down what a try to erase a thing came to.
    pub async fn erasure_tried(
        &self,
        item: Item,
        tried: Tried,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let (status, note, next, attempts) = match &tried {
                Tried::Gone { note } => (ItemStatus::Done, note.clone(), None, 1),
                Tried::WasNotThere => (ItemStatus::Absent, None, None, 1),
                Tried::Later { why, at, counted } => {
                    (ItemStatus::Pending, Some(why.clone()), Some(*at), u32::from(*counted))
                }
            };
            tx.execute(
                "update erasure_items set status = ?1, note = coalesce(?2, note), \
                   next_attempt_at_ms = coalesce(?3, next_attempt_at_ms), attempts = attempts + ?4, \
                   done_at_ms = iif(?1 = 'pending', null, ?5) where id = ?6 and status = 'pending'",
                params![
                    status.as_str(),
                    note,
                    next.map(UnixMillis::get),
                    attempts,
                    at.get(),
                    item.id
                ],
            )?;
            touch(tx, &item.erasure, at)
        })
        .await
    }

    /// Makes everything that waits to be erased due now.
    pub async fn hurry_erasures(&self, now: UnixMillis) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute(
                "update erasure_items set next_attempt_at_ms = ?1 \
                 where status = 'pending' and next_attempt_at_ms > ?1",
                [now.get()],
            )?;
            Ok(())
        })
        .await
    }

    /// Writes down that a recording of an erased call was found at Twilio: it is to go too.
    pub async fn erase_recording_too(
        &self,
        of: Item,
        recording_sid: RecordingSid,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let item = Item::of(&of.erasure, &of.call_sid, Place::Twilio, ItemKind::Recording);
            add(tx, &Item { name: recording_sid.to_string(), ..item }, at)?;
            touch(tx, &of.erasure, at)
        })
        .await
    }

    /// Returns an erasure, if there is one of that number.
    pub async fn erasure(&self, id: String) -> Result<Option<Erasure>, StoreError> {
        self.read(move |db| Ok(erasures(db, "where id = ?1", &id, 1)?.pop())).await
    }

    /// Lists erasures, the newest first.
    pub async fn erasures(&self, limit: u32) -> Result<Vec<Erasure>, StoreError> {
        self.read(move |db| erasures(db, "where ?1 = '' order by asked_at_ms desc", "", limit))
            .await
    }

    /// Lists erasures of which something is pending, those that were asked for first before others.
    pub async fn erasures_pending(&self, limit: u32) -> Result<Vec<PendingErasure>, StoreError> {
        self.read(move |db| {
            let mut found = db.prepare(
                "select id, asked_at_ms, what, subject, \
                   (select count(*) from erasure_items where erasure_id = erasures.id \
                     and status = 'pending'), \
                   (select note from erasure_items where erasure_id = erasures.id \
                     and status = 'pending' order by note is null, erasure_items.id limit 1) \
                 from erasures where finished_at_ms is null order by asked_at_ms limit ?1",
            )?;
            let rows = found.query_map([limit], |row| {
                Ok(PendingErasure {
                    id: row.get(0)?,
                    asked_at: UnixMillis::new(row.get(1)?),
                    what: row.get(2)?,
                    subject: row.get(3)?,
                    pending: row.get(4)?,
                    why: row.get(5)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Lists erasures whose certificate is not written as they stand.
    pub async fn erasures_untold(&self) -> Result<Vec<Erasure>, StoreError> {
        self.read(|db| erasures(db, "where ?1 = '' and told_at_ms is null", "", u32::MAX)).await
    }

    /// Writes down that the certificate is written as the erasure stood; one that is finished goes
    /// into the audit trail with it.
    pub async fn erasure_told(
        &self,
        erasure: Erasure,
        certificate: String,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let told = tx.execute(
                "update erasures set told_at_ms = ?1 where id = ?2 and changed_at_ms = ?3 \
                 and told_at_ms is null",
                params![at.get(), erasure.id, erasure.changed_at.get()],
            )?;
            if told > 0 && erasure.finished_at.is_some() {
                let call_sid = (erasure.what == "call").then_some(&erasure.subject);
                tx.execute(
                    "insert into audit (at_ms, actor, action, call_sid, detail) \
                     values (?1, 'fieldtape', 'erased', ?2, ?3)",
                    params![at.get(), call_sid, certificate],
                )?;
            }
            Ok(())
        })
        .await
    }
}

const COLUMNS: &str = "id, erasure_id, call_sid, place, kind, name, size_bytes, sha256, status, \
    note, attempts, next_attempt_at_ms, done_at_ms";

/// Writes a thing down, unless it is known already.
pub(super) fn add(tx: &Transaction<'_>, item: &Item, at: UnixMillis) -> Result<(), StoreError> {
    let done_at = (item.status != ItemStatus::Pending).then_some(at.get());
    tx.execute(
        "insert into erasure_items (erasure_id, call_sid, place, kind, name, size_bytes, sha256, \
           status, note, next_attempt_at_ms, done_at_ms) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
         on conflict (erasure_id, place, kind, name) do nothing",
        params![
            item.erasure,
            item.call_sid.as_str(),
            item.place.as_str(),
            item.kind.as_str(),
            item.name,
            item.size_bytes.map(sql_count),
            item.sha256,
            item.status.as_str(),
            item.note,
            at.get(),
            done_at
        ],
    )?;
    Ok(())
}

/// Writes a recording down that was heard of after its call was erased.
pub(super) fn add_recording(
    tx: &Transaction<'_>,
    erasure: &str,
    update: &CloudUpdate,
) -> Result<(), StoreError> {
    let sql = "select exists (select 1 from erasure_items where kind = 'recording' and name = ?1)";
    let name = update.recording_sid.to_string();
    if tx.query_row(sql, [name.as_str()], |row| row.get::<_, bool>(0))? {
        return Ok(());
    }
    let item = Item::of(erasure, &update.call_sid, Place::Twilio, ItemKind::Recording);
    add(tx, &Item { name, ..item }, update.at)?;
    touch(tx, erasure, update.at)
}

/// Writes down what became of a thing, by its name.
pub(super) fn settle(
    tx: &Transaction<'_>,
    erasure: &str,
    (place, kind, name): (Place, ItemKind, &str),
    status: ItemStatus,
    at: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "update erasure_items set status = ?1, note = null, done_at_ms = ?2 \
         where erasure_id = ?3 and place = ?4 and kind = ?5 and name = ?6 and status = 'pending'",
        params![status.as_str(), at.get(), erasure, place.as_str(), kind.as_str(), name],
    )?;
    Ok(())
}

/// Notes that an erasure has changed, and whether it is finished.
pub(super) fn touch(tx: &Transaction<'_>, erasure: &str, at: UnixMillis) -> Result<(), StoreError> {
    tx.execute(
        // Never the same moment twice: what was told of the one is not what stands at the other.
        "update erasures set changed_at_ms = max(?1, changed_at_ms + 1), told_at_ms = null, \
           finished_at_ms = iif(exists (select 1 from erasure_items \
             where erasure_id = ?2 and status = 'pending'), null, coalesce(finished_at_ms, ?1)) \
         where id = ?2",
        params![at.get(), erasure],
    )?;
    Ok(())
}

/// Notes that a file is gone that an erasure has taken.
pub(super) fn file_gone(
    tx: &Transaction<'_>,
    path: &str,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let erasure: Option<String> = tx
        .query_row(
            "select erasure_id from erasure_items where place = 'here' and kind = 'file' \
             and name = ?1 and status = 'pending'",
            [path],
            |row| row.get(0),
        )
        .optional()?;
    let Some(erasure) = erasure else { return Ok(()) };
    settle(tx, &erasure, (Place::Here, ItemKind::File, path), ItemStatus::Done, at)?;
    touch(tx, &erasure, at)
}

fn erasures(
    db: &rusqlite::Connection,
    condition: &str,
    value: &str,
    limit: u32,
) -> Result<Vec<Erasure>, StoreError> {
    let mut found = db.prepare(&format!(
        "select id, asked_at_ms, clock_synced, actor, what, subject, finished_at_ms, changed_at_ms \
         from erasures {condition} limit ?2"
    ))?;
    let mut rows = found.query(params![value, limit])?;
    let mut erasures = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let items = items_of(db, &id)?;
        erasures.push(Erasure {
            id,
            asked_at: UnixMillis::new(row.get(1)?),
            clock_synced: row.get(2)?,
            actor: row.get(3)?,
            what: row.get(4)?,
            subject: row.get(5)?,
            finished_at: row.get::<_, Option<i64>>(6)?.map(UnixMillis::new),
            changed_at: UnixMillis::new(row.get(7)?),
            items,
        });
    }
    Ok(erasures)
}

fn items_of(db: &rusqlite::Connection, erasure: &str) -> Result<Vec<Item>, StoreError> {
    let mut found = db.prepare_cached(&format!(
        "select {COLUMNS} from erasure_items where erasure_id = ?1 order by id"
    ))?;
    let mut rows = found.query([erasure])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(item(row)?);
    }
    Ok(items)
}

fn item(row: &Row<'_>) -> Result<Item, StoreError> {
    Ok(Item {
        id: row.get(0)?,
        erasure: row.get(1)?,
        call_sid: read::word(row, 2)?,
        place: read::word(row, 3)?,
        kind: read::word(row, 4)?,
        name: row.get(5)?,
        size_bytes: row.get(6)?,
        sha256: row.get(7)?,
        status: read::word(row, 8)?,
        note: row.get(9)?,
        attempts: row.get(10)?,
        next_attempt_at: UnixMillis::new(row.get(11)?),
        done_at: row.get::<_, Option<i64>>(12)?.map(UnixMillis::new),
    })
}
