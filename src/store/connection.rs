//! Connections to the ledger's file: one that writes, a few that read.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use tokio::sync::Semaphore;

use super::StoreError;

/// How long a connection waits for another's lock: a checkpoint on a slow card.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Statements that a reading connection keeps ready: a page asks a few dozen different ones.
const STATEMENTS_KEPT: usize = 64;
/// What is set aside for changes on a disk that others have filled: some four thousand pages, or a
/// thousand changes that could not be folded into the ledger's file.
const JOURNAL_ROOM_BYTES: u64 = 16 * 1024 * 1024;

/// Opens the connection that writes.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", "on")?;
    // What is deleted is overwritten: an erased call is to be found nowhere in the file.
    connection.pragma_update(None, "secure_delete", "on")?;
    Ok(connection)
}

/// Closes the connection that writes; its last act folds the WAL into the file.
pub(super) fn close(connection: Connection) {
    if let Err((_, error)) = connection.close() {
        tracing::warn!(error = %error, "the ledger did not close cleanly; nothing is lost by it");
    }
}

/// Returns where changes are written before they are folded into the ledger's file.
pub(super) fn journal(path: &Path) -> PathBuf {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-wal");
    journal.into()
}

/// Sets room aside for the journal, behind its end. The ledger's own file is not touched: closing
/// it here would take SQLite's locks on it away.
pub(super) fn set_room_aside(journal: &Path) -> std::io::Result<()> {
    let file = match std::fs::OpenOptions::new().write(true).open(journal) {
        Ok(file) => file,
        // It is made with the first change.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, JOURNAL_ROOM_BYTES) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Folds the journal into the ledger's file and cuts it to nothing; says whether nobody stood in
/// the way.
pub(super) fn fold(connection: &Connection) -> Result<bool, StoreError> {
    let busy: i64 =
        connection.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0))?;
    Ok(busy == 0)
}

/// The connections that read.
#[derive(Debug)]
pub(super) struct ReadPool {
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
}

impl ReadPool {
    /// Opens `count` connections.
    pub(super) fn open(path: &Path, count: NonZeroUsize) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let idle = (0..count.get())
            .map(|_| {
                let connection = Connection::open_with_flags(path, flags)?;
                connection.busy_timeout(BUSY_WAIT)?;
                connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
                connection.pragma_update(None, "query_only", "on")?;
                Ok(connection)
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let places = Arc::new(Semaphore::new(idle.len()));
        Ok(Self { idle: Arc::new(Mutex::new(idle)), places })
    }

    /// Runs `question` on a connection of its own, off the async threads.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place =
            Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let idle = Arc::clone(&self.idle);
        let asked = tokio::task::spawn_blocking(move || {
            let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = connection.ok_or(StoreError::Closed)?;
            let answer = question(&connection);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(place);
            answer
        });
        asked.await.map_err(|_panicked| StoreError::Closed)?
    }
}
