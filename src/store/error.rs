//! What can go wrong with the ledger, by what the caller can do about it.

use std::path::PathBuf;

/// A ledger that did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A newer program wrote the file and does not allow this one to use it.
    #[error(
        "{path} has schema version {found} and needs a program that knows version {needed}; \
         this one knows {known}: install the newer fieldtape again"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The oldest version it allows.
        needed: u32,
        /// The version of this program.
        known: u32,
    },
    /// It could not be copied before an upgrade, or put back after one.
    #[error("{}: {source}; the ledger is left as it is", path.display())]
    Unkept {
        /// Where the copies are.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no room to upgrade it.
    #[error(
        "an upgrade of the ledger needs {needed_bytes} bytes of room and there are {free_bytes}: free the disk"
    )]
    NoRoom {
        /// What it needs.
        needed_bytes: u64,
        /// What there is.
        free_bytes: u64,
    },
    /// It is damaged, and an upgrade would build on that.
    #[error("the ledger is damaged and cannot be upgraded: {}; restore a backup", faults.join("; "))]
    Damaged {
        /// What is wrong.
        faults: Vec<String>,
    },
    /// Another program has it.
    #[error("another program uses the ledger: stop that first")]
    InUse,
    /// No copy is there that this program can open.
    #[error("there is no ledger in {} that this program can open", path.display())]
    NothingKept {
        /// Where the copies are.
        path: PathBuf,
    },
    /// The inbox is full: the disk is slower than the calls.
    #[error("the ledger is more than {} changes behind", super::INBOX_MAX)]
    Overloaded,
    /// The ledger has been closed.
    #[error("the ledger is closed")]
    Closed,
    /// Its thread could not be started.
    #[error("the ledger's thread could not be started")]
    Thread(#[source] std::io::Error),
    /// No room could be set aside for it.
    #[error("no room can be set aside for the ledger: {0}")]
    Room(#[source] std::io::Error),
    /// The call was erased: it is not made known again.
    #[error("the call was erased")]
    Erased,
    /// A row holds something that no version of this program wrote.
    #[error("the ledger holds {what}")]
    BadRow {
        /// What it holds.
        what: String,
    },
    /// A migration did not run.
    #[error("the ledger could not be brought to this version: {0}")]
    Migration(#[from] rusqlite_migration::Error),
    /// SQLite's own answer: a full or failing disk, a lock, a fault in a statement.
    #[error("the ledger's file: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl StoreError {
    /// Says whether the disk has no room left.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Sqlite(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}
