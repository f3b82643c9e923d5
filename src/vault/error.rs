//! What can go wrong with a recording, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::BadPath;

/// Why the vault did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of that name is there already; the caller takes the next part number.
    #[error("{} exists already: take the next part number", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is no such file or folder.
    #[error("{} is not there", path.display())]
    Missing {
        /// The file or folder.
        path: PathBuf,
    },
    /// Somebody else is writing this file; it works once he is done.
    #[error("{} is being written by somebody else: wait until that is done", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The disk has no room, or the owner's quota is used up; it works again once there is room.
    #[error("no room on the disk for {}: free some", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A WAV cannot hold more; the caller begins the next part.
    #[error("{} is as long as a WAV can be: begin the next part", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The disk has lost what was written to this file; the caller begins the next part.
    #[error("{} can no longer be trusted: begin the next part", path.display())]
    Faulted {
        /// The file.
        path: PathBuf,
        /// What the disk answered.
        #[source]
        fault: Fault,
    },
    /// A text that is no path of ours.
    #[error(transparent)]
    BadPath(#[from] BadPath),
    /// The disk, its mode or its mount forbids it.
    #[error("{what} {}", path.display())]
    Disk {
        /// What was being done.
        what: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Sorts the kernel's answer.
    pub(super) fn disk(what: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path, source }
            }
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            _ => Self::Disk { what, path, source },
        }
    }
}

/// The disk's refusal to make a file durable. From then on nobody knows what of it is on disk.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the disk did not keep what was written")]
pub struct Fault(#[source] Arc<io::Error>);

impl Fault {
    pub(super) fn new(error: io::Error) -> Self {
        Self(Arc::new(error))
    }

    /// Returns what kind of answer the disk gave.
    pub fn kind(&self) -> io::ErrorKind {
        self.0.kind()
    }
}
