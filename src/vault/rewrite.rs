//! A whole file that takes its name, and with it the place of a file that may have had it before.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::names::NEW_SUFFIX;
use super::seal::rename_durably;
use super::{Error, Folder, RelPath, Vault, disk};
use crate::audio::{WAV_DATA_BYTES_MAX, WAV_HEADER_BYTES, wav_header};
use crate::domain::RateHz;

/// A mono file that was written beside its name and now has it, whole and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    path: RelPath,
    rate: RateHz,
    samples: u64,
}

impl Rewritten {
    /// Returns where it is.
    pub fn path(&self) -> &RelPath {
        &self.path
    }

    /// Returns how many samples a second it has.
    pub fn rate(&self) -> RateHz {
        self.rate
    }

    /// Returns how many samples it holds.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Returns the length of the file.
    pub fn bytes(&self) -> u64 {
        WAV_HEADER_BYTES + 2 * self.samples
    }
}

impl Vault {
    /// Begins a file that will be `path`: until it is sealed, whoever opens `path` finds what was
    /// there before, to the bit.
    pub fn rewrite(&self, path: &RelPath, rate: RateHz) -> Result<Rewrite, Error> {
        let sealed_path = self.absolute(path);
        let new_path = new_path(&sealed_path);
        remove_stale(&new_path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(disk::FILE_MODE)
            .open(&new_path)
            .map_err(|source| Error::disk("creating", &new_path, source))?;
        disk::hold(&file, &new_path)?;
        let (path, bytes) = (path.clone(), Vec::new());
        Ok(Rewrite { file, path, sealed_path, new_path, rate, written: 0, synced: 0, bytes })
    }

    /// Removes what rewrites that were interrupted have left in a folder, and says how many files
    /// that were. They held nothing that is not elsewhere too.
    pub fn sweep_rewrites(&self, folder: &Folder) -> Result<u32, Error> {
        let path = self.folder_path(folder);
        let unread = |source| Error::disk("reading the folder", &path, source);
        let mut swept = 0;
        for entry in std::fs::read_dir(&path).map_err(unread)? {
            let entry = entry.map_err(unread)?;
            let name = entry.file_name();
            let sealed_name = name.to_str().and_then(|name| name.strip_suffix(NEW_SUFFIX));
            if sealed_name.is_none_or(|name| folder.file(name).is_err()) {
                continue;
            }
            match remove_stale(&entry.path()) {
                Ok(()) => swept += 1,
                // It is no remainder: somebody is at it.
                Err(Error::Busy { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(swept)
    }
}

/// Removes what an interrupted rewrite left, unless somebody is at it.
fn remove_stale(new_path: &Path) -> Result<(), Error> {
    match File::open(new_path) {
        Ok(file) => disk::hold(&file, new_path)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        // Nobody can read it, so nobody writes it; whether it goes decides what follows.
        Err(_) => {}
    }
    std::fs::remove_file(new_path).map_err(|source| Error::disk("removing", new_path, source))
}

fn new_path(sealed_path: &Path) -> PathBuf {
    let mut path = sealed_path.as_os_str().to_owned();
    path.push(NEW_SUFFIX);
    path.into()
}

/// A file being written to take a name. Dropped unsealed it is gone, and the name stays with the
/// file that had it.
#[derive(Debug)]
#[must_use = "dropping a rewrite undoes it"]
pub struct Rewrite {
    file: File,
    path: RelPath,
    sealed_path: PathBuf,
    new_path: PathBuf,
    rate: RateHz,
    /// Bytes of sound written, and of these made durable.
    written: u64,
    synced: u64,
    bytes: Vec<u8>,
}

impl Rewrite {
    /// Appends samples.
    pub fn append(&mut self, samples: &[i16]) -> Result<(), Error> {
        let end = self.written + 2 * samples.len() as u64;
        if end > WAV_DATA_BYTES_MAX {
            return Err(Error::TooLong { path: self.new_path.clone() });
        }
        self.bytes.clear();
        self.bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        let appended = self.file.write_all_at(&self.bytes, WAV_HEADER_BYTES + self.written);
        appended.map_err(|source| Error::disk("appending to", &self.new_path, source))?;
        self.written = end;
        if self.written - self.synced >= disk::UNSYNCED_BYTES_MAX {
            self.synced = self.written;
            self.file.sync_data().map_err(|source| self.unsynced(source))?;
        }
        Ok(())
    }

    /// Returns how many samples were appended.
    pub fn samples(&self) -> u64 {
        self.written / 2
    }

    /// Gives the file its name, durably. It is made durable first, so whenever the power goes the
    /// name stands for the old file or for the new one, and for all of it.
    pub fn seal(self) -> Result<Rewritten, Error> {
        let finished = || {
            self.file.write_all_at(&wav_header(self.rate, 1, self.written), 0)?;
            self.file.sync_all()
        };
        finished().map_err(|source| self.unsynced(source))?;
        rename_durably(&self.new_path, &self.sealed_path)?;
        Ok(Rewritten { path: self.path.clone(), rate: self.rate, samples: self.samples() })
    }

    fn unsynced(&self, source: std::io::Error) -> Error {
        Error::disk("making durable", &self.new_path, source)
    }
}

impl Drop for Rewrite {
    fn drop(&mut self) {
        // Sealed, it has another name by now. What cannot be removed is swept later.
        let _removed = std::fs::remove_file(&self.new_path);
    }
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
