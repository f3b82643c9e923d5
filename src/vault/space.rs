//! Room on the disk: how much there is, and what is set aside of it.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::FallocateFlags;

use super::{Error, Folder, Vault, disk};

/// The size of a sector in the kernel's figures of a disk, whatever its own is.
const SECTOR_BYTES: u64 = 512;

/// How the room on the disk is. Who measures it tells it to the vault, and everybody who has one
/// can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// For more than a day.
    Green,
    /// For less than a day: what is made again from what stays here makes room.
    Amber,
    /// For less than an hour at most calls: whatever may go makes room.
    Red,
    /// For what is live, and no new call: those are recorded at Twilio only.
    Black,
    /// Less than the owner wants left free: nothing is written but what is live.
    Spent,
}

impl Mark {
    /// Every mark, the best first.
    pub const ALL: [Self; 5] = [Self::Green, Self::Amber, Self::Red, Self::Black, Self::Spent];

    /// Returns the word used in the API and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Red => "red",
            Self::Black | Self::Spent => "black",
        }
    }
}

/// The mark as it stands, shared.
#[derive(Debug, Default)]
pub(super) struct SharedMark(AtomicU8);

impl SharedMark {
    fn get(&self) -> Mark {
        let at = usize::from(self.0.load(Ordering::Relaxed));
        Mark::ALL.get(at).copied().unwrap_or(Mark::Green)
    }

    fn set(&self, mark: Mark) {
        let at = Mark::ALL.iter().position(|known| *known == mark).unwrap_or(0);
        self.0.store(u8::try_from(at).unwrap_or(0), Ordering::Relaxed);
    }
}

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What it holds, as far as an ordinary user may fill it.
    pub total_bytes: u64,
    /// What is left of that.
    pub free_bytes: u64,
}

impl Vault {
    /// Measures the disk.
    pub fn space(&self) -> Result<Space, Error> {
        let state = rustix::fs::statvfs(&self.inner.root)
            .map_err(|errno| Error::disk("measuring", &self.inner.root, errno.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(state.f_frsize);
        // Blocks kept for the administrator are nobody else's.
        let reserved = state.f_bfree.saturating_sub(state.f_bavail);
        Ok(Space {
            total_bytes: bytes(state.f_blocks.saturating_sub(reserved)),
            free_bytes: bytes(state.f_bavail),
        })
    }

    /// Returns how the room on the disk was when it was last measured.
    pub fn mark(&self) -> Mark {
        self.inner.mark.get()
    }

    /// Tells everybody who has a handle how the room on the disk is.
    pub fn set_mark(&self, mark: Mark) {
        self.inner.mark.set(mark);
    }

    /// Returns how many bytes have been written to the disk since the machine started, by whoever
    /// it was; none where the kernel does not count them.
    pub fn disk_written_bytes(&self) -> Option<u64> {
        let device = std::fs::metadata(&self.inner.root).ok()?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let figures =
            std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
        sectors_written(&figures)?.checked_mul(SECTOR_BYTES)
    }

    /// Removes a call's folder with everything in it, for good; one that is not there is fine.
    /// Returns how many files were left in it.
    pub fn remove_folder(&self, folder: &Folder) -> Result<u32, Error> {
        let path = self.folder_path(folder);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(Error::disk("looking into", &path, error)),
        };
        let mut removed = 0;
        for entry in entries {
            let file = entry.map_err(|error| Error::disk("looking into", &path, error))?.path();
            match std::fs::remove_file(&file) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::disk("removing", &file, error)),
            }
        }
        std::fs::remove_dir(&path).map_err(|error| Error::disk("removing", &path, error))?;
        disk::fsync_folder(path.parent().unwrap_or(Path::new("/")))?;
        Ok(removed)
    }
}

/// Reads the seventh figure: sectors written.
fn sectors_written(figures: &str) -> Option<u64> {
    figures.split_whitespace().nth(6)?.parse().ok()
}

/// Removes a call's folder if nothing is left in it. It is made again if it is needed again.
pub(super) fn remove_if_empty(folder: &Path) {
    // A folder that is not empty, and a disk that does not answer, are no concern here.
    let _left = std::fs::remove_dir(folder);
}

/// Sets room aside behind a file's end, which its length does not show. It is given back when the
/// file is cut to its length.
pub(super) fn set_aside_room(file: &File, from: u64, to: u64) -> std::io::Result<()> {
    rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, to.saturating_sub(from))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_of_a_disk_are_read() {
        let figures = "  149521 31 7023906 45009 220178 178283 6406450 179022 0 79188 224032\n";
        assert_eq!(sectors_written(figures), Some(6_406_450));
        assert_eq!(sectors_written("1 2 3"), None);
    }

    #[test]
    fn a_mark_is_what_it_was_set_to() {
        let shared = SharedMark::default();
        assert_eq!(shared.get(), Mark::Green);
        for mark in Mark::ALL {
            shared.set(mark);
            assert_eq!(shared.get(), mark);
        }
    }
}
