//! How far a transcript under way has come: what each window of its tracks brought.

use rusqlite::{Transaction, params};

use super::streams::sql_count;
use super::{CallId, Store, StoreError};

/// One window of a track, heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardWindow {
    /// The track's file, relative to the data folder.
    pub path: String,
    /// The 16 kHz sample it begins at.
    pub from_sample: u64,
    /// The one at which the next begins.
    pub to_sample: u64,
    /// What was found in it, as whoever heard it writes that down.
    pub found: String,
}

impl Store {
    /// Keeps what a window brought. What was heard of the call in another manner is thrown away.
    pub async fn keep_heard(
        &self,
        call: CallId,
        manner: String,
        window: HeardWindow,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute(
                "delete from heard_windows where call_id = ?1 and manner <> ?2",
                params![call.0, manner],
            )?;
            tx.execute(
                "insert or replace into heard_windows \
                 (call_id, path, from_sample, to_sample, manner, found) \
                 values (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    call.0,
                    window.path,
                    sql_count(window.from_sample),
                    sql_count(window.to_sample),
                    manner,
                    window.found
                ],
            )?;
            // An attempt that gets on is no step of a loop: what was cut off goes on as often as
            // it takes.
            tx.execute(
                "update stages set attempts = 1 where call_id = ?1 and stage = 'transcript' \
                 and status = 'processing' and attempts > 1",
                [call.0],
            )?;
            Ok(())
        })
        .await
    }

    /// Returns what was heard of a call's tracks in this manner, each track's windows in order.
    pub async fn heard(
        &self,
        call: CallId,
        manner: String,
    ) -> Result<Vec<HeardWindow>, StoreError> {
        self.read(move |db| {
            let mut found = db.prepare_cached(
                "select path, from_sample, to_sample, found from heard_windows \
                 where call_id = ?1 and manner = ?2 order by path, from_sample",
            )?;
            let mut rows = found.query(params![call.0, manner])?;
            let mut windows = Vec::new();
            while let Some(row) = rows.next()? {
                windows.push(HeardWindow {
                    path: row.get(0)?,
                    from_sample: row.get(1)?,
                    to_sample: row.get(2)?,
                    found: row.get(3)?,
                });
            }
            Ok(windows)
        })
        .await
    }
}

/// Throws away what was heard of a call: it is written down, or there was nothing to write.
pub(super) fn forget(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    tx.execute("delete from heard_windows where call_id = ?1", [call.0])?;
    Ok(())
}
