//! Files to delete: their row goes first, then the file, then the note that it must go. A power
//! cut between any two of these is made good by the next sweep.

use rusqlite::{Transaction, params};

use super::{Store, StoreError};
use crate::domain::UnixMillis;

impl Store {
    /// Lists the files that must go, relative to the data folder.
    pub async fn garbage(&self) -> Result<Vec<String>, StoreError> {
        self.read(|db| {
            let mut paths = db.prepare("select path from garbage order by created_at_ms")?;
            let rows = paths.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Forgets a file that is gone.
    pub async fn forget_garbage(&self, path: String, at: UnixMillis) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("delete from garbage where path = ?1", [path.as_str()])?;
            super::erasure_items::file_gone(tx, &path, at)
        })
        .await
    }
}

/// Turns tracks into garbage.
pub(super) fn throw_away(
    tx: &Transaction<'_>,
    paths: &[String],
    reason: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    for path in paths {
        if tx.execute("delete from tracks where path = ?1", [path])? > 0 {
            add(tx, path, reason, now)?;
        }
    }
    Ok(())
}

/// Notes that a file must go whose row is gone.
pub(super) fn add(
    tx: &Transaction<'_>,
    path: &str,
    reason: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "insert or ignore into garbage (path, reason, created_at_ms) values (?1, ?2, ?3)",
        params![path, reason, now.get()],
    )?;
    Ok(())
}
