//! Care for what is kept: copies of it elsewhere, and whether it is all there.
//!
//! Invariants: a backup is what its manifest says, and the manifest is written last; a good file
//! in it is never replaced by a damaged one; nothing that is there is overwritten by a restore;
//! a look changes nothing; what is packed for a helper has no secret, no whole number and no word
//! that was spoken in it.
//!
//! Not here: taking in what a crash left (capture), and fetching anew what Twilio still has
//! (cloud).

mod asked;
mod backup;
mod bundle;
mod files;
mod look;
mod manifest;
mod restore;
mod scrub;
mod trace;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

pub use asked::said;
pub use backup::{Saved, back_up};
pub use bundle::Bundle;
pub use look::{Depth, Fault, Found, look};
pub use restore::{Restored, drill, restore};
pub use scrub::Scrub;
pub use trace::last_backup;

/// The ledger's name in a data folder.
pub const LEDGER: &str = "fieldtape.db";

/// Tells how far a long work is: files done, of how many.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Why it was not done at all.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] StoreError),
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The ledger is damaged.
    #[error("{}: the ledger is damaged: {}; the backup made before is left as it is", path.display(), faults.join("; "))]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// What is wrong.
        faults: Vec<String>,
    },
    /// There is something already where it is to go.
    #[error("{} is there already: move it away first", path.display())]
    Exists {
        /// What.
        path: PathBuf,
    },
    /// A folder is no backup.
    #[error("{}: {why}", path.display())]
    NoBackup {
        /// The folder.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

impl CareError {
    fn disk(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { path: path.to_owned(), source }
    }
}
