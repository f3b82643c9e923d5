//! Twilio's copy of a call on its way into the call's folder.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use super::seal::rename_durably;
use super::sound::{Expect, Flaw, Sound, Unsound};
use super::{Error, Fault, Folder, RelPath, Vault, disk, open};
use crate::domain::RecordingSid;

/// The longest file that can be a WAV: its header counts in 32 bits.
const DOWNLOAD_BYTES_MAX: u64 = u32::MAX as u64 + 8;

/// A recording of Twilio's that is here, whole, sound and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedDownload {
    /// Where it is.
    pub path: RelPath,
    /// The length of the file.
    pub size_bytes: u64,
    /// Of the file, in 64 lower-case hex digits.
    pub sha256: String,
    /// One or two.
    pub channels: u16,
    /// Samples a second.
    pub rate_hz: u32,
    /// Samples of each channel.
    pub frames: u64,
}

/// Why a download did not become a recording.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// It ends too early. What is here is kept: go on from there, or begin anew.
    #[error("{path} is not whole: what is here of it is kept to go on from")]
    Cut {
        /// The name it would have had.
        path: RelPath,
        /// What is missing.
        #[source]
        why: Unsound,
    },
    /// It is not the recording, and more of it would not make it that. A part file is gone; a
    /// sealed one was left alone.
    #[error("{path} is not the recording")]
    NotSound {
        /// The name it would have had, or has.
        path: RelPath,
        /// What is wrong.
        #[source]
        why: Unsound,
    },
    /// The disk, or somebody else, stands in the way.
    #[error(transparent)]
    Vault(#[from] Error),
}

impl Vault {
    /// Begins the download of a recording, or goes on with one that was interrupted: then
    /// [`Download::len`] says where. The folder is made if the call has none yet.
    pub fn open_download(
        &self,
        folder: &Folder,
        recording_sid: &RecordingSid,
    ) -> Result<Download, Error> {
        self.make_folder(folder)?;
        let path = folder.download(recording_sid);
        let sealed_path = self.absolute(&path);
        let part_path = open::part_path(&sealed_path);
        let opened = |source| Error::disk("opening", &part_path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(disk::FILE_MODE)
            .open(&part_path)
            .map_err(opened)?;
        disk::hold(&file, &part_path)?;
        if sealed_path.exists() {
            // Nothing that a fetched recording needs can be in a part beside it.
            let _removed = std::fs::remove_file(&part_path);
            return Err(Error::Exists { path: sealed_path });
        }
        let len = file.metadata().map_err(opened)?.len();
        disk::fsync_folder(&self.folder_path(folder))?;
        Ok(Download { vault: self.clone(), path, part_path, file, len, synced: 0, fault: None })
    }

    /// Looks for a recording that was fetched before, reads it through and hashes it: a crash may
    /// have come between its name and the ledger.
    pub fn found_download(
        &self,
        folder: &Folder,
        recording_sid: &RecordingSid,
    ) -> Result<Option<SealedDownload>, DownloadError> {
        let path = folder.download(recording_sid);
        let file = match self.open_read(&path) {
            Ok(file) => file,
            Err(Error::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Whoever named it may have been killed before the folder knew it durably.
        disk::fsync_folder(&self.folder_path(folder))?;
        let looked_at = Sound::find(&file).and_then(|sound| {
            let whole = !sound.layout.promises_more();
            if whole { Ok(sound) } else { Err(Unsound::Unfinished.into()) }
        });
        let sound = looked_at.map_err(|flaw| flaw.at(self, &path))?;
        self.describe(path, &file, &sound).map(Some)
    }

    fn describe(
        &self,
        path: RelPath,
        file: &File,
        sound: &Sound,
    ) -> Result<SealedDownload, DownloadError> {
        let read = || {
            std::io::Seek::rewind(&mut &*file)?;
            Ok((file.metadata()?.len(), disk::sha256(file)?))
        };
        let (size_bytes, sha256) =
            read().map_err(|source| Error::disk("reading", &self.absolute(&path), source))?;
        let Sound { channels, rate_hz, layout } = *sound;
        Ok(SealedDownload { path, size_bytes, sha256, channels, rate_hz, frames: layout.frames() })
    }
}

/// A recording being fetched, by one owner. Dropped unfinished, it leaves what has come in the
/// `.part`, and the next [`Vault::open_download`] goes on from there.
#[derive(Debug)]
#[must_use = "dropping a download leaves it unfinished"]
pub struct Download {
    vault: Vault,
    path: RelPath,
    part_path: PathBuf,
    file: File,
    len: u64,
    /// How much of it is known to be durable.
    synced: u64,
    fault: Option<Fault>,
}

impl Download {
    /// Returns how many bytes have come so far, in this attempt and those before.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Says whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the last `bytes_max` bytes, or all if there are fewer. Whoever goes on with a
    /// download asks for these once more and compares: only then is it the same recording, and
    /// only then did a power cut leave its end as it came.
    pub fn tail(&self, bytes_max: usize) -> Result<Vec<u8>, Error> {
        let count = self.len.min(bytes_max as u64);
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(bytes_max)];
        self.file
            .read_exact_at(&mut bytes, self.len - count)
            .map_err(|source| Error::disk("reading", &self.part_path, source))?;
        Ok(bytes)
    }

    /// Throws away what has come and begins at the first byte.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.file.set_len(0).map_err(|source| Error::disk("emptying", &self.part_path, source))?;
        (self.len, self.synced) = (0, 0);
        Ok(())
    }

    /// Appends what came. Where an error is returned, nothing was appended.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.trusted()?;
        let end = self.len + bytes.len() as u64;
        if end > DOWNLOAD_BYTES_MAX {
            return Err(Error::TooLong { path: self.part_path.clone() });
        }
        if let Err(source) = self.file.write_all_at(bytes, self.len) {
            // If this fails too, what did get written is right as far as it goes.
            let _cut = self.file.set_len(self.len);
            return Err(Error::disk("appending to", &self.part_path, source));
        }
        self.len = end;
        if self.len.saturating_sub(self.synced) >= disk::UNSYNCED_BYTES_MAX {
            self.sync(File::sync_data)?;
        }
        Ok(())
    }

    /// Gives up what has come, for good: the recording is not to be had.
    pub fn discard(self) -> Result<(), Error> {
        std::fs::remove_file(&self.part_path)
            .map_err(|source| Error::disk("removing", &self.part_path, source))
    }

    /// Makes what has come the recording: looks whether it is one, puts right the lengths in its
    /// header, hashes it, and gives it its name, durably.
    pub fn finish(mut self, expect: Expect) -> Result<SealedDownload, DownloadError> {
        self.trusted()?;
        let path = self.path.clone();
        let found = Sound::find_despite_length(&self.file);
        let sound = match found.and_then(|sound| sound.meets(expect)) {
            Ok(sound) => sound,
            Err(flaw) => {
                let error = flaw.at(&self.vault, &path);
                if matches!(error, DownloadError::NotSound { .. }) {
                    self.discard()?;
                }
                return Err(error);
            }
        };
        let repaired = sound.layout.repair(&self.file);
        let repaired =
            repaired.map_err(|source| Error::disk("putting right", &self.part_path, source))?;
        if repaired.is_none() {
            self.discard()?;
            return Err(DownloadError::NotSound { path, why: Unsound::TooLong });
        }
        self.sync(File::sync_all)?;
        let sealed = self.vault.describe(path, &self.file, &sound)?;
        rename_durably(&self.part_path, &self.vault.absolute(&self.path))?;
        Ok(sealed)
    }

    fn trusted(&self) -> Result<(), Error> {
        match &self.fault {
            Some(fault) => {
                Err(Error::Faulted { path: self.part_path.clone(), fault: fault.clone() })
            }
            None => Ok(()),
        }
    }

    /// Makes durable what has come. A file that the disk has failed once is never trusted again,
    /// and Twilio still has its sound, so it goes.
    fn sync(&mut self, sync: fn(&File) -> std::io::Result<()>) -> Result<(), Error> {
        if let Err(error) = sync(&self.file) {
            self.fault = Some(Fault::new(error));
            // If it cannot be removed either, the next attempt compares its end before it goes on.
            let _removed = std::fs::remove_file(&self.part_path);
        }
        self.synced = self.len;
        self.trusted()
    }
}

impl Flaw {
    fn at(self, vault: &Vault, path: &RelPath) -> DownloadError {
        let path = path.clone();
        match self {
            Self::Cut(why) => DownloadError::Cut { path, why },
            Self::Wrong(why) => DownloadError::NotSound { path, why },
            Self::Io(source) => Error::disk("reading", &vault.absolute(&path), source).into(),
        }
    }
}
