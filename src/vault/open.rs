//! A track being written.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::names::PART_SUFFIX;
use super::{Error, Fault, Folder, RelPath, TrackName, Vault, disk};
use crate::audio::{WAV_DATA_BYTES_MAX, WAV_HEADER_BYTES, wav_header};
use crate::domain::RateHz;

impl Vault {
    /// Begins a track: from now on `<name>.part` is there, durably, and holds no sample.
    pub fn open_track(&self, folder: &Folder, name: TrackName) -> Result<OpenTrack, Error> {
        let sealed_path = self.absolute(&folder.track(name));
        let path = part_path(&sealed_path);
        if sealed_path.exists() {
            return Err(Error::Exists { path: sealed_path });
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(disk::FILE_MODE)
            .open(&path)
            .map_err(|source| Error::disk("creating", &path, source))?;
        if let Err(error) = begin(&file, &path, name.rate) {
            // It holds no sound yet; if even this fails, the next part number is free.
            let _removed = std::fs::remove_file(&path);
            return Err(error);
        }
        let file = Arc::new(TrackFile::new(file, path, folder.clone(), name));
        let id = self.inner.ticks.add(Arc::clone(&file));
        let mut track = OpenTrack {
            vault: self.clone(),
            id,
            file,
            torn: false,
            aside: Aside::default(),
            bytes: Vec::new(),
        };
        track.set_room_aside(WAV_HEADER_BYTES);
        Ok(track)
    }
}

fn begin(file: &File, path: &Path, rate: RateHz) -> Result<(), Error> {
    let begun = || {
        // Tells a salvage in another process that somebody writes here. A file system without
        // locks is no reason not to record.
        let _locked = file.try_lock();
        file.write_all_at(&wav_header(rate, 1, 0), 0)?;
        file.sync_all()
    };
    begun().map_err(|source| Error::disk("beginning", path, source))?;
    disk::fsync_folder(path.parent().unwrap_or(Path::new("/")))
}

/// Returns where a track is while it is being written.
pub(super) fn part_path(sealed_path: &Path) -> PathBuf {
    let mut path = sealed_path.as_os_str().to_owned();
    path.push(PART_SUFFIX);
    path.into()
}

/// A track being written, by one owner. Dropped unsealed, it leaves its sound in the `.part`, as
/// a crash does, for [`Vault::salvage`].
#[derive(Debug)]
#[must_use = "dropping a track leaves it unsealed"]
pub struct OpenTrack {
    vault: Vault,
    id: u64,
    file: Arc<TrackFile>,
    /// A write failed in the middle: there may be bytes after the last sample.
    torn: bool,
    aside: Aside,
    bytes: Vec<u8>,
}

/// What is set aside on the disk for a track that grows, so that one who fills the disk takes
/// nothing from a call that is live.
#[derive(Debug, Default)]
struct Aside {
    /// Up to which byte of the file.
    to: u64,
    /// No more is asked for before the file has grown to this.
    again_at: u64,
}

/// For how long ahead room is set aside.
const ASIDE_S: u64 = 60;

/// When so little of that is left, more is.
const ASIDE_LEAST_S: u64 = 30;

impl OpenTrack {
    /// Appends samples. They survive the end of the process from here on, and a power cut from
    /// the next tick on. This never waits for a tick.
    ///
    /// Nothing is appended where an error is returned: the same samples may be tried again, in
    /// this file if the disk was full, else in the next part.
    pub fn append(&mut self, samples: &[i16]) -> Result<(), Error> {
        if let Some(fault) = self.file.fault() {
            return Err(Error::Faulted { path: self.file.path.clone(), fault });
        }
        let appended = self.file.appended.load(Ordering::Relaxed);
        let end = appended + 2 * samples.len() as u64;
        self.set_room_aside(WAV_HEADER_BYTES + end);
        if end > WAV_DATA_BYTES_MAX {
            return Err(Error::TooLong { path: self.file.path.clone() });
        }
        self.bytes.clear();
        self.bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        if let Err(source) = self.file.file.write_all_at(&self.bytes, WAV_HEADER_BYTES + appended) {
            self.torn = true;
            return Err(Error::disk("appending to", &self.file.path, source));
        }
        self.file.appended.store(end, Ordering::Release);
        Ok(())
    }

    /// Sees to it that there is room on the disk for what comes after `end`. Where there is none,
    /// or a file system that sets none aside, the sound is written all the same.
    fn set_room_aside(&mut self, end: u64) {
        let second = 2 * u64::from(self.file.name.rate.get());
        if end + ASIDE_LEAST_S * second <= self.aside.to || end < self.aside.again_at {
            return;
        }
        let to = end + ASIDE_S * second;
        self.aside.again_at = end + second;
        if super::space::set_aside_room(&self.file.file, self.aside.to.max(end), to).is_ok() {
            self.aside.to = to;
        }
    }

    /// Returns how many samples were appended.
    pub fn samples(&self) -> u64 {
        self.file.appended.load(Ordering::Relaxed) / 2
    }

    /// Returns which track it is.
    pub fn name(&self) -> TrackName {
        self.file.name
    }

    /// Returns the folder it is in.
    pub fn folder(&self) -> &Folder {
        &self.file.folder
    }

    /// Returns the path it will have once sealed.
    pub fn sealed_path(&self) -> RelPath {
        self.file.folder.track(self.file.name)
    }

    /// Returns where it is while it grows. Its samples begin behind the header.
    pub fn part_path(&self) -> PathBuf {
        self.file.path.clone()
    }

    /// Returns why the disk can no longer be trusted with this file, if so. The owner then drops
    /// or seals it and begins the next part.
    pub fn fault(&self) -> Option<Fault> {
        self.file.fault()
    }

    /// Makes the file whole, durable and final up to its rename, in the measured order.
    pub(super) fn finish(&self) -> Result<(), Error> {
        let track = &*self.file;
        track.close_to_ticks();
        if let Some(fault) = track.fault() {
            return Err(Error::Faulted { path: track.path.clone(), fault });
        }
        let appended = track.appended.load(Ordering::Acquire);
        if self.torn || self.aside.to > WAV_HEADER_BYTES + appended {
            // Takes off a torn end, and gives back what was set aside.
            track.file.set_len(WAV_HEADER_BYTES + appended).map_err(|e| track.refused(e))?;
        }
        track.file.sync_data().map_err(|e| track.refused(e))?;
        let header = wav_header(track.name.rate, 1, appended);
        track.file.write_all_at(&header, 0).map_err(|e| track.refused(e))?;
        track.file.sync_all().map_err(|e| track.refused(e))
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }
}

impl Drop for OpenTrack {
    fn drop(&mut self) {
        self.file.close_to_ticks();
        self.vault.inner.ticks.remove(self.id);
        if self.file.fault().is_some() {
            disk::lock(&self.vault.inner.suspects).insert(self.file.path.clone());
        }
        // A tick may hold the file a little longer; salvage need not wait for that.
        let _unlocked = self.file.file.unlock();
    }
}

/// The file of an open track, as its owner and the tick share it.
#[derive(Debug)]
pub(super) struct TrackFile {
    file: File,
    path: PathBuf,
    folder: Folder,
    name: TrackName,
    /// Bytes of sound written; only the owner moves it.
    appended: AtomicU64,
    /// Bytes of sound that a completed `fdatasync` covered; only the tick moves it.
    durable: AtomicU64,
    header: Mutex<Header>,
    fault: OnceLock<Fault>,
}

#[derive(Debug, Default)]
struct Header {
    /// Bytes of sound that the header on disk claims.
    claimed: u64,
    /// The owner is done with the tick: it writes the last header itself, or none.
    closed: bool,
}

impl TrackFile {
    pub(super) fn new(file: File, path: PathBuf, folder: Folder, name: TrackName) -> Self {
        let (appended, durable, header, fault) = Default::default();
        Self { file, path, folder, name, appended, durable, header, fault }
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Says whether a tick has anything to do: sound to make durable, or a claim to bring up to
    /// what is. A file in which nothing happens costs the card nothing.
    pub(super) fn has_news(&self) -> bool {
        let durable = self.durable.load(Ordering::Acquire);
        let header = disk::lock(&self.header);
        let behind = header.claimed < durable || durable < self.appended.load(Ordering::Acquire);
        behind && !header.closed && self.fault.get().is_none()
    }

    /// One tick of this file. The lock is for the header alone and is never held while the disk
    /// is waited for.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        let appended = self.appended.load(Ordering::Acquire);
        let synced = self.claim_durable().and_then(|open| {
            if open {
                self.file.sync_data()?;
                self.durable.store(appended, Ordering::Release);
            }
            Ok(())
        });
        synced.map_err(|error| {
            tracing::error!(
                call.sid = %self.folder.call_sid(),
                track = %self.name.file_name(),
                error = %error,
                "the disk did not keep a recording: it goes on in a new file"
            );
            self.fault.get_or_init(|| Fault::new(error)).clone()
        })
    }

    /// Lets the header claim what an earlier `fdatasync` covered; says whether the file is still
    /// the tick's business.
    fn claim_durable(&self) -> io::Result<bool> {
        let mut header = disk::lock(&self.header);
        let durable = self.durable.load(Ordering::Acquire);
        if header.claimed < durable && !header.closed {
            self.file.write_all_at(&wav_header(self.name.rate, 1, durable), 0)?;
            header.claimed = durable;
        }
        Ok(!header.closed)
    }

    /// From here on no tick writes to the file.
    fn close_to_ticks(&self) {
        disk::lock(&self.header).closed = true;
    }

    fn fault(&self) -> Option<Fault> {
        self.fault.get().cloned()
    }

    /// Remembers that the disk has refused to make the file durable.
    fn refused(&self, error: io::Error) -> Error {
        let fault = self.fault.get_or_init(|| Fault::new(error)).clone();
        Error::Faulted { path: self.path.clone(), fault }
    }
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
