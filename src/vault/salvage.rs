//! What a crash left behind, made whole.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::names::{PART_SUFFIX, RECORDINGS};
use super::seal::rename_durably;
use super::{Error, Folder, PartNo, SealFailed, SealedTrack, TrackName, Vault, disk, open};
use crate::audio::{WAV_HEADER_BYTES, wav_header};
use crate::domain::{RateHz, Samples8k, UnixMillis};

/// What a call's folder holds after its salvage.
#[derive(Debug)]
pub struct Salvage {
    /// All sealed tracks, those that were sealed before included.
    pub tracks: Vec<SealedTrack>,
    /// Parts that could not be sealed; they stay where they are.
    pub failed: Vec<SealFailed>,
}

/// A track's file as a folder lists it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: TrackName,
    is_part: bool,
    data_bytes: u64,
    written_at: Option<SystemTime>,
}

/// The folder of a day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(PathBuf);

/// How long a track is on the call's timeline; half a sample of 8 kHz counts whole.
fn length(rate: RateHz, data_bytes: u64) -> Samples8k {
    let samples = data_bytes / 2;
    Samples8k::new(match rate {
        RateHz::Hz8000 => samples,
        RateHz::Hz16000 => samples.div_ceil(2),
    })
}

/// The sound in a file of that length, in whole samples.
fn data_bytes(file_bytes: u64) -> u64 {
    file_bytes.saturating_sub(WAV_HEADER_BYTES) & !1
}

impl Vault {
    /// Seals what a crash left unsealed in a call's folder. Asking again is harmless, and so is a
    /// crash on the way.
    ///
    /// A part's true length is its file's, not its header's. Tracks of one part number were heard
    /// side by side, so they are padded with silence to the longest of them, and 16 kHz tracks
    /// have exactly twice the samples of 8 kHz ones. A part that ends within its header held no
    /// sound; it becomes a file of silence like the others, or of no samples, since a salvage
    /// deletes nothing and somebody may have been told that it exists. Parts that are being
    /// written, here or in another process, are left alone together with their number.
    pub fn salvage(&self, folder: &Folder) -> Result<Salvage, Error> {
        let mut groups: BTreeMap<PartNo, Vec<Found>> = BTreeMap::new();
        for found in self.tracks_in(folder)? {
            groups.entry(found.name.part_no).or_default().push(found);
        }
        // Whoever sealed one may have been killed before the folder knew it durably.
        disk::fsync_folder(&self.folder_path(folder))?;
        let mut salvage = Salvage { tracks: Vec::new(), failed: Vec::new() };
        for group in groups.into_values() {
            let listed = group.iter().map(|found| length(found.name.rate, found.data_bytes)).max();
            let (parts, sealed): (Vec<_>, Vec<_>) =
                group.into_iter().partition(|found| found.is_part);
            salvage.tracks.extend(
                sealed
                    .into_iter()
                    .map(|found| SealedTrack::new(folder, found.name, found.data_bytes, false)),
            );
            let Some(held) = self.hold(folder, parts, &mut salvage.failed) else { continue };
            let held_longest =
                held.iter().map(|part| length(part.name.rate, part.data_bytes)).max();
            let longest = listed.max(held_longest).unwrap_or(Samples8k::ZERO);
            for result in disk::in_parallel(held, |part| self.finish_part(folder, part, longest)) {
                match result {
                    Ok(track) => salvage.tracks.push(track),
                    Err(failed) => salvage.failed.push(failed),
                }
            }
        }
        salvage.tracks.sort_unstable_by_key(SealedTrack::name);
        Ok(salvage)
    }

    /// Finds the folders in which a crash left a part, those with an open track excepted.
    ///
    /// Only names are read, never files, so this takes milliseconds for thousands of calls. A
    /// folder that cannot be read is told to the log and does not hide the others.
    pub fn stray_parts(&self) -> Result<Vec<Folder>, Error> {
        let mut strays = Vec::new();
        for day in self.days()? {
            let parts = |folder: &Folder| holds_part(&self.folder_path(folder));
            strays.extend(self.folders_of(&day).into_iter().filter(parts));
        }
        strays.sort_unstable();
        Ok(strays)
    }

    /// Lists the days that have folders of calls.
    pub fn days(&self) -> Result<Vec<Day>, Error> {
        let mut days = Vec::new();
        for year in folders_in(&self.inner.root.join(RECORDINGS))? {
            for month in folders_or_none(&year) {
                days.extend(folders_or_none(&month).into_iter().map(Day));
            }
        }
        days.sort_unstable();
        Ok(days)
    }

    /// Lists the folders of a day's calls, those with an open track excepted.
    pub fn folders_of(&self, Day(day): &Day) -> Vec<Folder> {
        let in_use = self.inner.ticks.folders_in_use();
        let folders = folders_or_none(day).into_iter().filter_map(|path| self.as_folder(&path));
        folders.filter(|folder| !in_use.contains(folder)).collect()
    }

    /// Says when the last of a call's tracks was written to, by the wall clock of that time.
    pub fn last_written(&self, folder: &Folder) -> Option<UnixMillis> {
        let tracks = self.tracks_in(folder).ok()?;
        let newest = tracks.into_iter().filter_map(|found| found.written_at).max()?;
        let since = newest.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok().map(UnixMillis::new)
    }

    fn as_folder(&self, path: &Path) -> Option<Folder> {
        path.strip_prefix(&self.inner.root).ok()?.to_str()?.parse().ok()
    }

    /// Lists the tracks of a folder; files that are no tracks are none of a salvage's business.
    pub(super) fn tracks_in(&self, folder: &Folder) -> Result<Vec<Found>, Error> {
        let path = self.folder_path(folder);
        let unread = |source| Error::disk("reading the folder", &path, source);
        let mut tracks = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(unread)? {
            let entry = entry.map_err(unread)?;
            let file_name = entry.file_name();
            let Some(file_name) = file_name.to_str() else { continue };
            let (sealed_name, is_part) = match file_name.strip_suffix(PART_SUFFIX) {
                Some(sealed_name) => (sealed_name, true),
                None => (file_name, false),
            };
            let Some(name) = TrackName::from_file_name(sealed_name) else { continue };
            let (data_bytes, written_at) = match entry.metadata() {
                Ok(metadata) => (data_bytes(metadata.len()), metadata.modified().ok()),
                // Sealed or removed since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unread(error)),
            };
            tracks.push(Found { name, is_part, data_bytes, written_at });
        }
        Ok(tracks)
    }

    /// Opens and locks the parts of one number; `None` if one of them is being written.
    fn hold(
        &self,
        folder: &Folder,
        parts: Vec<Found>,
        failed: &mut Vec<SealFailed>,
    ) -> Option<Vec<Held>> {
        let mut held = Vec::new();
        for Found { name, .. } in parts {
            let path = open::part_path(&self.absolute(&folder.track(name)));
            match self.hold_one(name, path) {
                Ok(Some(part)) => held.push(part),
                Ok(None) => return None,
                Err(error) => failed.push(SealFailed { path: folder.track(name), error }),
            }
        }
        Some(held)
    }

    /// Locks a part, and only then takes its length: whoever wrote it may have gone on until now.
    fn hold_one(&self, name: TrackName, path: PathBuf) -> Result<Option<Held>, Error> {
        let opened = |source| Error::disk("opening", &path, source);
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(opened)?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Ok(None);
        }
        if disk::lock(&self.inner.suspects).contains(&path) {
            file = write_anew(&mut file, &path)?;
            disk::lock(&self.inner.suspects).remove(&path);
        }
        let data_bytes = data_bytes(file.metadata().map_err(opened)?.len());
        Ok(Some(Held { name, path, file, data_bytes }))
    }

    /// Gives a part its true length, header and name, in the order in which tracks are sealed.
    fn finish_part(
        &self,
        folder: &Folder,
        part: Held,
        length: Samples8k,
    ) -> Result<SealedTrack, SealFailed> {
        let Held { name, path, file, data_bytes: heard_bytes } = part;
        let data_bytes = 2 * length.at(name.rate);
        let finished = || {
            // Cut first, for half a sample must not become half of a sample of silence.
            file.set_len(WAV_HEADER_BYTES + heard_bytes)?;
            file.set_len(WAV_HEADER_BYTES + data_bytes)?;
            file.sync_data()?;
            file.write_all_at(&wav_header(name.rate, 1, data_bytes), 0)?;
            file.sync_all()
        };
        let finished = finished().map_err(|source| Error::disk("salvaging", &path, source));
        let name = self.free_name(folder, name);
        finished
            .and_then(|()| rename_durably(&path, &self.absolute(&folder.track(name))))
            .map(|()| {
                // What an interrupted attempt to write it anew may have left.
                let _removed = std::fs::remove_file(copy_path(&path));
                SealedTrack::new(folder, name, data_bytes, true)
            })
            .map_err(|error| SealFailed { path: folder.track(name), error })
    }

    /// Returns the name a part is sealed under: its own, unless somebody has put a file there,
    /// for neither may be lost.
    fn free_name(&self, folder: &Folder, own: TrackName) -> TrackName {
        let mut name = own;
        loop {
            let sealed_path = self.absolute(&folder.track(name));
            let part_is_own = name == own || !open::part_path(&sealed_path).exists();
            if part_is_own && !sealed_path.exists() {
                return name;
            }
            name.part_no = name.part_no.next();
        }
    }
}

/// A part that nobody else writes to while this is held.
struct Held {
    name: TrackName,
    path: PathBuf,
    file: File,
    data_bytes: u64,
}

/// Replaces a file that the disk has failed by a copy: the kernel still shows what was written,
/// but a later fsync of the same file would call it durable when it is not.
fn write_anew(file: &mut File, path: &Path) -> Result<File, Error> {
    const BLOCK_BYTES: usize = 64 * 1024;
    let copy_path = copy_path(path);
    let mut copied = || {
        let mut copy = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(disk::FILE_MODE)
            .open(&copy_path)?;
        let _locked = copy.try_lock();
        let mut block = vec![0; BLOCK_BYTES];
        // By hand: the kernel's own ways to copy may share the very blocks that failed.
        loop {
            match file.read(&mut block)? {
                0 => break,
                count => copy.write_all(&block[..count])?,
            }
        }
        copy.sync_all()?;
        Ok(copy)
    };
    let copied = copied().map_err(|source| Error::disk("writing anew", path, source))?;
    rename_durably(&copy_path, path)?;
    Ok(copied)
}

fn copy_path(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".copy");
    path.into()
}

/// Says whether a folder holds a part of a track. A download under way is no call cut off.
fn holds_part(path: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(path) else { return unread(path) };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let sealed_name = name.to_str().and_then(|name| name.strip_suffix(PART_SUFFIX));
        sealed_name.and_then(TrackName::from_file_name).is_some()
    })
}

fn unread(path: &Path) -> bool {
    tracing::warn!(folder = %path.display(), "a folder of recordings cannot be read");
    false
}

fn folders_or_none(path: &Path) -> Vec<PathBuf> {
    folders_in(path).unwrap_or_else(|_| {
        unread(path);
        Vec::new()
    })
}

/// Lists the folders in a folder, by what the listing itself says they are.
fn folders_in(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(path)
        .map_err(|source| Error::disk("reading the folder", path, source))?;
    let is_folder = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(entries.flatten().filter(is_folder).map(|entry| entry.path()).collect())
}
