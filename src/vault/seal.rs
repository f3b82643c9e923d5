//! From a track being written to one that is whole for good.

use std::path::Path;

use super::{Error, Folder, OpenTrack, PartNo, RelPath, TrackName, Vault, disk, open};
use crate::audio::WAV_HEADER_BYTES;
use crate::domain::{Party, RateHz};

/// A file that is whole, exact and durable. Only [`OpenTrack::seal`] and [`Vault::salvage`] make
/// one, and only one of these may become a row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedTrack {
    path: RelPath,
    name: TrackName,
    data_bytes: u64,
    salvaged: bool,
}

impl SealedTrack {
    pub(super) fn new(folder: &Folder, name: TrackName, data_bytes: u64, salvaged: bool) -> Self {
        Self { path: folder.track(name), name, data_bytes, salvaged }
    }

    /// Returns the folder it is in.
    pub fn folder(&self) -> &Folder {
        self.path.folder()
    }

    /// Returns where it is.
    pub fn path(&self) -> &RelPath {
        &self.path
    }

    /// Returns which track it is.
    pub fn name(&self) -> TrackName {
        self.name
    }

    /// Returns who speaks.
    pub fn party(&self) -> Party {
        self.name.party
    }

    /// Returns how many samples a second it has.
    pub fn rate(&self) -> RateHz {
        self.name.rate
    }

    /// Returns which file of the track it is.
    pub fn part_no(&self) -> PartNo {
        self.name.part_no
    }

    /// Returns how many samples it holds.
    pub fn samples(&self) -> u64 {
        self.data_bytes / 2
    }

    /// Returns the length of the file.
    pub fn bytes(&self) -> u64 {
        WAV_HEADER_BYTES + self.data_bytes
    }

    /// Says whether this salvage sealed it, because its writer could not.
    pub fn salvaged(&self) -> bool {
        self.salvaged
    }
}

/// A track that could not be sealed. What was heard stays in its `.part`, where a later
/// [`Vault::salvage`] finds it.
#[derive(Debug, thiserror::Error)]
#[error("{} is not sealed: its sound waits in its part file", path)]
pub struct SealFailed {
    pub(super) path: RelPath,
    #[source]
    pub(super) error: Error,
}

impl SealFailed {
    /// Returns the path it would have had.
    pub fn path(&self) -> &RelPath {
        &self.path
    }

    /// Returns what stood in the way.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl OpenTrack {
    /// Makes the file whole and final. When this returns, no power cut can take anything of it.
    pub fn seal(self) -> Result<SealedTrack, SealFailed> {
        let sealed = || {
            self.finish()?;
            let sealed_path = self.vault().absolute(&self.sealed_path());
            rename_durably(&open::part_path(&sealed_path), &sealed_path)
        };
        match sealed() {
            Ok(()) => {
                let data_bytes = 2 * self.samples();
                Ok(SealedTrack::new(self.folder(), self.name(), data_bytes, false))
            }
            Err(error) => Err(SealFailed { path: self.sealed_path(), error }),
        }
    }
}

impl Vault {
    /// Seals many tracks at once, which takes hardly longer than one; the results are in order.
    pub fn seal_all(&self, tracks: Vec<OpenTrack>) -> Vec<Result<SealedTrack, SealFailed>> {
        disk::in_parallel(tracks, OpenTrack::seal)
    }
}

/// Gives a durable file its final name, durably.
pub(super) fn rename_durably(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::rename(from, to).map_err(|source| Error::disk("sealing", from, source))?;
    disk::fsync_folder(to.parent().unwrap_or(Path::new("/")))
}
