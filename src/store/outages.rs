//! When the link to the outside was away, and what was caught up when it came back.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::clock::whole_ms;
use super::{CallId, Store, StoreError, chain};
use crate::clock::Reading;
use crate::domain::UnixMillis;

/// A time without the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// Its row.
    pub id: i64,
    /// From when.
    pub from: UnixMillis,
    /// Until when; none while it lasts.
    pub to: Option<UnixMillis>,
    /// What was seen, for a person to read.
    pub cause: String,
    /// Calls, or ends of calls, that Twilio told of only afterwards.
    pub calls_recovered: u32,
    /// Recordings, likewise.
    pub recordings_recovered: u32,
}

impl Store {
    /// Writes down that the link is away: what needs it waits, and that is no attempt. Says
    /// whether that is news.
    pub async fn link_down(&self, now: Reading, cause: String) -> Result<bool, StoreError> {
        self.write(move |tx| {
            if open(tx)?.is_some() {
                return Ok(false);
            }
            tx.execute(
                "insert into outages (from_ms, cause, boot_id, from_boot_ms) \
                 values (?1, ?2, ?3, ?4)",
                params![now.at.get(), cause, now.boot.boot_id, unsure_ms(&now)],
            )?;
            mark(
                tx,
                "update stages set waiting_for = 'network' where status = 'pending' \
                 and waiting_for is null and stage in ('fetch', 'archive', 'delete') \
                 returning call_id",
            )?;
            Ok(true)
        })
        .await
    }

    /// Writes down that the link is back: what waited for it is due. Returns the outage that
    /// ended, if there was one.
    pub async fn link_up(&self, now: Reading) -> Result<Option<Outage>, StoreError> {
        self.write(move |tx| {
            let Some(outage) = open(tx)? else { return Ok(None) };
            let unsure_ms = unsure_ms(&now);
            // What is of another boot by now cannot be put right with it.
            tx.execute(
                "update outages set from_boot_ms = iif(boot_id is ?1, from_boot_ms, null), \
                   to_boot_ms = ?2, boot_id = ?1 where id = ?3",
                params![now.boot.boot_id, unsure_ms, outage.id],
            )?;
            let by_boot: Option<i64> = tx.query_row(
                "select from_ms + ?1 - from_boot_ms from outages where id = ?2",
                params![whole_ms(&now.boot), outage.id],
                |row| row.get(0),
            )?;
            // A wall clock that was put back must not make an outage end before it began.
            let to = by_boot.map_or(now.at, UnixMillis::new).max(outage.from);
            tx.execute(
                "update outages set to_ms = ?1, \
                   to_boot_ms = iif(from_boot_ms is null, to_boot_ms, ?2) where id = ?3",
                params![to.get(), whole_ms(&now.boot), outage.id],
            )?;
            mark(
                tx,
                "update stages set waiting_for = null where waiting_for = 'network' \
                 returning call_id",
            )?;
            Ok(Some(Outage { to: Some(to), ..outage }))
        })
        .await
    }

    /// Returns the outage that lasts, if one does.
    pub async fn open_outage(&self) -> Result<Option<Outage>, StoreError> {
        self.read(|db| {
            let sql = format!("select {COLUMNS} from outages where to_ms is null limit 1");
            Ok(db.query_row(&sql, [], outage).optional()?)
        })
        .await
    }

    /// Lists outages, newest first.
    pub async fn outages(&self, limit: u32) -> Result<Vec<Outage>, StoreError> {
        self.read(move |db| latest(db, limit)).await
    }

    /// Adds to what was caught up after the last outage that is over, if it ended since `since`.
    pub async fn recovered(
        &self,
        calls: u32,
        recordings: u32,
        since: UnixMillis,
    ) -> Result<Option<Outage>, StoreError> {
        self.write(move |tx| {
            let sql = format!(
                "update outages set calls_recovered = calls_recovered + ?1, \
                   recordings_recovered = recordings_recovered + ?2 \
                 where id = (select max(id) from outages where to_ms >= ?3) returning {COLUMNS}"
            );
            Ok(tx.query_row(&sql, params![calls, recordings, since.get()], outage).optional()?)
        })
        .await
    }

    /// Writes down that the program is alive at `at`, for the next start to know since when it
    /// was not.
    pub async fn note_alive(&self, at: UnixMillis) -> Result<(), StoreError> {
        self.write(move |tx| set(tx, "alive_at_ms", at)).await
    }

    /// At start: if the program was not running for `least_ms` or longer, that was an outage too,
    /// for callbacks sent meanwhile are gone. Returns it.
    pub async fn was_off(&self, now: Reading, least_ms: u64) -> Result<Option<Outage>, StoreError> {
        self.write(move |tx| {
            let alive: Option<UnixMillis> = get(tx, "alive_at_ms")?;
            set(tx, "alive_at_ms", now.at)?;
            let Some(from) =
                alive.filter(|at| now.at.since(*at).as_millis() >= u128::from(least_ms))
            else {
                return Ok(None);
            };
            if open(tx)?.is_some() {
                return Ok(None);
            }
            let sql = format!(
                "insert into outages (from_ms, to_ms, cause, boot_id, to_boot_ms) \
                 values (?1, ?2, 'fieldtape was not running', ?3, ?4) returning {COLUMNS}"
            );
            let told = params![from.get(), now.at.get(), now.boot.boot_id, unsure_ms(&now)];
            Ok(Some(tx.query_row(&sql, told, outage)?))
        })
        .await
    }

    /// Returns up to which moment Twilio has been asked what it knows. Before that was ever written
    /// down: since when something may have happened unheard; none if nothing says so.
    pub async fn reconciled_until(&self) -> Result<Option<UnixMillis>, StoreError> {
        self.write(|tx| {
            if let Some(until) = get(tx, "reconciled_until_ms")? {
                return Ok(Some(until));
            }
            let since: Option<i64> = tx.query_row(
                "select min(at) from (select min(created_at_ms) as at from calls \
                   where ended_at_ms is null \
                 union all select min(from_ms) from outages \
                   where id > (select max(id) from outages) - 10)",
                [],
                |row| row.get(0),
            )?;
            Ok(since.map(UnixMillis::new))
        })
        .await
    }

    /// Writes that moment down.
    pub async fn set_reconciled_until(&self, until: UnixMillis) -> Result<(), StoreError> {
        self.write(move |tx| set(tx, "reconciled_until_ms", until)).await
    }
}

/// What a time is put right by later; none if it is right.
fn unsure_ms(now: &Reading) -> Option<i64> {
    (!now.synchronised).then(|| whole_ms(&now.boot))
}

const COLUMNS: &str = "id, from_ms, to_ms, cause, calls_recovered, recordings_recovered";

/// Lists outages, newest first.
pub(super) fn latest(db: &Connection, limit: u32) -> Result<Vec<Outage>, StoreError> {
    let sql = format!("select {COLUMNS} from outages order by id desc limit ?1");
    let mut found = db.prepare(&sql)?;
    let rows = found.query_map([limit], outage)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn outage(row: &Row<'_>) -> Result<Outage, rusqlite::Error> {
    Ok(Outage {
        id: row.get(0)?,
        from: UnixMillis::new(row.get(1)?),
        to: row.get::<_, Option<i64>>(2)?.map(UnixMillis::new),
        cause: row.get(3)?,
        calls_recovered: row.get(4)?,
        recordings_recovered: row.get(5)?,
    })
}

fn open(tx: &Transaction<'_>) -> Result<Option<Outage>, StoreError> {
    let sql = format!("select {COLUMNS} from outages where to_ms is null limit 1");
    Ok(tx.query_row(&sql, [], outage).optional()?)
}

/// Runs an update of stages and derives their calls' columns anew.
fn mark(tx: &Transaction<'_>, update: &str) -> Result<(), StoreError> {
    let mut marked = tx.prepare(update)?;
    let mut calls =
        marked.query_map([], |row| row.get(0).map(CallId))?.collect::<Result<Vec<_>, _>>()?;
    calls.sort_unstable();
    calls.dedup();
    calls.into_iter().try_for_each(|call| chain::refresh(tx, call))
}

fn get(tx: &Transaction<'_>, key: &str) -> Result<Option<UnixMillis>, StoreError> {
    let text: Option<String> = tx
        .query_row("select value from meta where key = ?1", [key], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| text.parse().ok()).map(UnixMillis::new))
}

fn set(tx: &Transaction<'_>, key: &str, at: UnixMillis) -> Result<(), StoreError> {
    tx.execute(
        "insert into meta (key, value) values (?1, ?2) \
         on conflict (key) do update set value = excluded.value",
        params![key, at.get().to_string()],
    )?;
    Ok(())
}
