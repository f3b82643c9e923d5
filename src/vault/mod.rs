//! Recordings on disk: the only room that creates, seals or removes a sound file.
//!
//! Invariant: a file named `.wav` is whole, exact and durable, name and all; what is still being
//! written is named `.wav.part`, and its header never claims a sample that a completed
//! `fdatasync` did not cover. Whatever moment the power goes, all but the last
//! [`sync_every`](Options::sync_every) of every open track is there and [`Vault::salvage`]
//! makes a whole file of it. Nothing here deletes sound unasked.
//!
//! The order of steps is the design; each was measured against the tempting ones, which lose
//! sound:
//!
//! ```text
//! open    create .part -> header that claims nothing -> fsync file -> fsync folder
//! tick    header that claims what the last fdatasync covered -> fdatasync, all files at once
//! seal    fdatasync -> final header -> fsync -> rename to .wav -> fsync folder
//! ```
//!
//! A sealed file may be replaced by a better one, never written to: the better one grows under
//! `.wav.new` and takes the name by a rename. What is fetched from Twilio grows under `.wav.part`
//! too; it gets its name only as sound that is whole.
//!
//! After a failed `fdatasync` the kernel forgets which pages it lost, so that file is never
//! trusted again: its sound is written anew, under the same name, before it is sealed.
//!
//! Not here: what the ledger knows (store), which samples belong where (capture), and when a file
//! may go (retention).

mod disk;
mod download;
mod error;
mod names;
mod open;
mod rewrite;
mod riff;
mod salvage;
mod seal;
mod sound;
mod space;
mod texts;
mod tick;

#[cfg(test)]
mod download_tests;
#[cfg(test)]
mod salvage_tests;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::SharedClock;
use crate::domain::{CallSid, Party, UnixMillis};

pub use download::{Download, DownloadError, SealedDownload};
pub use error::{Error, Fault};
pub use names::{BadPath, CloudTrackName, Folder, PartNo, RelPath, TrackName, VoiceCopy};
pub use open::OpenTrack;
pub use rewrite::{Rewrite, Rewritten};
pub use salvage::{Day, Salvage};
pub use seal::{SealFailed, SealedTrack};
pub use sound::{Expect, Unsound};
pub use space::{Mark, Space};
pub use tick::{SLOW_TICK, SyncHealth};

/// What a vault needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder; recordings live in its folder `recordings`.
    pub root: PathBuf,
    /// How often open tracks are made durable: the most sound a power cut may cost.
    pub sync_every: Duration,
}

/// The recordings of one data folder. A clone is another handle to the same.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    ticks: Arc<tick::Ticks>,
    /// The folder of a day whose whole path is known to be durable: most calls need one new
    /// entry, not four.
    durable_day: Mutex<Option<PathBuf>>,
    /// Parts whose file the disk has refused to make durable.
    suspects: Mutex<HashSet<PathBuf>>,
    /// How the room on the disk is.
    mark: space::SharedMark,
    /// Ends when the last handle and the last open track are gone.
    ticker: tick::Ticker,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Vault({})", self.inner.root.display())
    }
}

impl Vault {
    /// Opens the recordings under `options.root`, making the folders that are not there, and
    /// begins to tick. Nobody but the owner may look into them from then on.
    pub fn open(options: Options, clock: SharedClock) -> Result<Self, Error> {
        let Options { root, sync_every } = options;
        let recordings = root.join(names::RECORDINGS);
        disk::make_path(&root)?;
        disk::make_folder(&recordings)?;
        disk::fsync_folder(&root)?;
        let narrowed = [disk::narrow(&root)?, disk::narrow(&recordings)?];
        if narrowed.contains(&true) {
            tracing::warn!(folder = %root.display(), "others could look into the data folder: closed it");
        }
        let ticks = Arc::new(tick::Ticks::new(clock));
        let ticker = tick::Ticker::start(&ticks, sync_every)
            .map_err(|source| Error::disk("starting the sync thread for", &root, source))?;
        let (durable_day, suspects, mark) = Default::default();
        Ok(Self { inner: Arc::new(Inner { root, ticks, durable_day, suspects, mark, ticker }) })
    }

    /// Makes the folder of a call that started at `started`, durably. Asking again is harmless.
    pub fn folder(&self, call_sid: &CallSid, started: UnixMillis) -> Result<Folder, Error> {
        let folder = Folder::new(call_sid, started)?;
        self.make_folder(&folder)?;
        Ok(folder)
    }

    /// Makes a call's folder, durably. Asking again is harmless.
    pub fn make_folder(&self, folder: &Folder) -> Result<(), Error> {
        let path = self.inner.root.join(folder.as_str());
        let Some(day) = path.parent() else { return Err(BadPath::new(folder.as_str()).into()) };
        let mut durable_day = disk::lock(&self.inner.durable_day);
        if durable_day.as_deref() != Some(day) || !day.is_dir() {
            *durable_day = None;
            let recordings = self.inner.root.join(names::RECORDINGS);
            disk::make_path_below(&recordings, day)?;
            *durable_day = Some(day.to_owned());
        }
        drop(durable_day);
        disk::make_folder(&path)?;
        disk::fsync_folder(day)
    }

    /// Returns the lowest part number that no file of this party has reached yet.
    pub fn next_part_no(&self, folder: &Folder, party: Party) -> Result<PartNo, Error> {
        let found = self.tracks_in(folder)?.into_iter().map(|found| found.name);
        let taken = found.filter(|name| name.party == party).map(|name| name.part_no).max();
        Ok(taken.map_or(PartNo::FIRST, PartNo::next))
    }

    /// Returns where on this machine a file is.
    pub fn absolute(&self, path: &RelPath) -> PathBuf {
        self.inner.root.join(path.as_str())
    }

    /// Opens a file for reading.
    pub fn open_read(&self, path: &RelPath) -> Result<File, Error> {
        let path = self.absolute(path);
        File::open(&path).map_err(|source| Error::disk("opening", &path, source))
    }

    /// Reads a file through and returns its SHA-256 in 64 lower-case hex digits.
    pub fn hash(&self, path: &RelPath) -> Result<String, Error> {
        let file = self.open_read(path)?;
        disk::sha256(file).map_err(|source| Error::disk("reading", &self.absolute(path), source))
    }

    /// Removes a file for good, and its folder with the last one; one that is not there is fine.
    pub fn remove(&self, path: &RelPath) -> Result<(), Error> {
        let path = self.absolute(path);
        match std::fs::remove_file(&path) {
            Ok(()) => {
                let folder = path.parent().unwrap_or(Path::new("/"));
                disk::fsync_folder(folder)?;
                space::remove_if_empty(folder);
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::disk("removing", &path, error)),
        }
    }

    /// Takes a damaged file out of the way, so that a sound one can take its name. It is kept: what
    /// is left of it may be all there is.
    pub fn set_aside(&self, path: &RelPath) -> Result<(), Error> {
        let path = self.absolute(path);
        let mut aside = path.clone().into_os_string();
        aside.push(".damaged");
        match std::fs::rename(&path, &aside) {
            Ok(()) => disk::fsync_folder(path.parent().unwrap_or(Path::new("/"))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::disk("renaming", &path, error)),
        }
    }

    /// Says whether a file is there and holds so many bytes.
    pub fn has(&self, path: &RelPath, size_bytes: u64) -> bool {
        std::fs::metadata(self.absolute(path)).is_ok_and(|meta| meta.len() == size_bytes)
    }

    /// Finds out whether the disk still takes sound, by writing a small file durably and removing
    /// it. It waits as long as the disk does.
    pub fn probe_writable(&self) -> Result<(), Error> {
        disk::probe(&self.inner.root.join(names::RECORDINGS).join(".probe"))
    }

    /// Makes open tracks durable so often from now on.
    pub fn set_sync_every(&self, sync_every: Duration) {
        self.inner.ticker.set_every(sync_every);
    }

    /// Makes everything appended so far durable, now.
    pub fn sync_now(&self) {
        self.inner.ticks.tick();
    }

    /// Returns how the making durable goes.
    pub fn sync_health(&self) -> SyncHealth {
        self.inner.ticks.health(self.inner.ticker.is_alive())
    }

    fn folder_path(&self, folder: &Folder) -> PathBuf {
        self.inner.root.join(folder.as_str())
    }
}
