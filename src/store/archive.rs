//! What the archive holds, and what is gone at Twilio.

use rusqlite::{Transaction, params};

use super::streams::sql_count;
use super::{CallId, Store, StoreError};
use crate::domain::{CallSid, RecordingSid, UnixMillis};

/// An object that the archive has shown back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveObject {
    /// Its key below the archive's prefix.
    pub key: String,
    /// The file it is a copy of, relative to the data folder; none for what is made (a manifest).
    pub path: Option<String>,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// The archive's own mark of it, when it was proven.
    pub etag: Option<String>,
}

impl Store {
    /// Lists what the archive has shown back of a call.
    pub async fn archive_objects(
        &self,
        call_sid: &CallSid,
    ) -> Result<Vec<ArchiveObject>, StoreError> {
        let call_sid = call_sid.clone();
        self.read(move |db| {
            let mut objects = db.prepare(
                "select object_key, path, size_bytes, sha256, etag from archive_objects \
                 where call_id = (select id from calls where call_sid = ?1) order by object_key",
            )?;
            let rows = objects.query_map([call_sid.as_str()], |row| {
                Ok(ArchiveObject {
                    key: row.get(0)?,
                    path: row.get(1)?,
                    size_bytes: row.get(2)?,
                    sha256: row.get(3)?,
                    etag: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Writes down that a recording is gone at Twilio, with what was proved before, in one.
    pub async fn recording_deleted(
        &self,
        recording_sid: RecordingSid,
        proof: String,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let marked = tx.execute(
                "update cloud_recordings set twilio_deleted_at_ms = ?1, updated_at_ms = ?1 \
                 where recording_sid = ?2 and twilio_deleted_at_ms is null",
                params![at.get(), recording_sid.as_str()],
            )?;
            if marked > 0 {
                tx.execute(
                    "insert into audit (at_ms, actor, action, call_sid, detail) \
                     select ?1, 'fieldtape', 'delete-at-twilio', call_sid, ?2 \
                     from cloud_recordings where recording_sid = ?3",
                    params![at.get(), proof, recording_sid.as_str()],
                )?;
            }
            Ok(())
        })
        .await
    }
}

/// Writes down what the archive holds of a call now, in place of what it held.
pub(super) fn write(
    tx: &Transaction<'_>,
    call: CallId,
    objects: &[ArchiveObject],
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute("delete from archive_objects where call_id = ?1", [call.0])?;
    for object in objects {
        tx.execute(
            "insert into archive_objects (call_id, object_key, path, size_bytes, sha256, etag, \
             proven_at_ms) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                call.0,
                object.key,
                object.path,
                sql_count(object.size_bytes),
                object.sha256,
                object.etag,
                now.get()
            ],
        )?;
    }
    Ok(())
}
