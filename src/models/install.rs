//! A model on its way into its folder: `.part`, hash, fsync, rename.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};
use sha2::{Digest as _, Sha256};

use super::error::FetchError;

/// Read and hashed at once.
const BLOCK_BYTES: usize = 1 << 20;

/// How much may wait in memory before it is made durable. A live call's recording is made durable
/// once a second and would have to wait behind this much: a quarter of a second on a slow card.
const UNSYNCED_BYTES_MAX: u64 = 4 << 20;

/// Where a model is put, and what must stay free there.
#[derive(Debug, Clone)]
pub struct Put {
    /// The folder.
    pub dir: PathBuf,
    /// Bytes that recordings need there.
    pub keep_free: u64,
}

/// A model that is not whole yet. Dropped unfinished, it leaves what has come.
pub(super) struct Part {
    put: Put,
    path: PathBuf,
    file: File,
    len: u64,
    synced: u64,
    hash: Sha256,
}

impl Part {
    /// Begins a file of this name, or goes on with one that was interrupted: then [`Part::len`]
    /// says where. Of what is longer than `bytes_max` nothing is kept.
    pub(super) fn open(put: &Put, name: &str, bytes_max: u64) -> Result<Self, FetchError> {
        make_folder(&put.dir)?;
        let path = put.dir.join(format!("{name}.part"));
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(&path);
        let file = opened.map_err(disk("opening", &path))?;
        // A file system without locks is no reason not to fetch.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(FetchError::Busy { path });
        }
        let mut part =
            Self { put: put.clone(), path, file, len: 0, synced: 0, hash: Sha256::new() };
        part.len = part.file.metadata().map_err(part.failed("reading"))?.len();
        if part.len > bytes_max {
            part.restart()?;
        }
        part.hash_again()?;
        Ok(part)
    }

    /// Returns how many bytes have come.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Throws away what has come.
    pub(super) fn restart(&mut self) -> Result<(), FetchError> {
        self.file.set_len(0).map_err(self.failed("emptying"))?;
        io::Seek::rewind(&mut self.file).map_err(self.failed("emptying"))?;
        (self.len, self.synced, self.hash) = (0, 0, Sha256::new());
        Ok(())
    }

    /// Makes sure that there is room for a file of `bytes`.
    pub(super) fn room_for(&self, bytes: u64) -> Result<(), FetchError> {
        let needed = bytes.saturating_sub(self.len);
        let free = free_bytes(&self.put.dir)?;
        if free < needed.saturating_add(self.put.keep_free) {
            return Err(self.no_room(needed, free));
        }
        Ok(())
    }

    /// Appends what came.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        if let Err(error) = self.file.write_all(bytes) {
            // What did get written of it is cut off again, or found by the hash.
            let _cut = self.file.set_len(self.len);
            let _back = io::Seek::seek(&mut self.file, io::SeekFrom::Start(self.len));
            if error.kind() == io::ErrorKind::StorageFull {
                let free = free_bytes(&self.put.dir)?;
                return Err(self.no_room(bytes.len() as u64, free));
            }
            return Err(self.failed("writing")(error));
        }
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        if self.len - self.synced >= UNSYNCED_BYTES_MAX {
            self.file.sync_data().map_err(self.failed("writing"))?;
            self.synced = self.len;
        }
        Ok(())
    }

    /// Returns the hash of what has come.
    pub(super) fn sha256(&self) -> String {
        format!("{:x}", self.hash.clone().finalize())
    }

    /// Gives it the model's name, durably.
    pub(super) fn finish(self, name: &str) -> Result<PathBuf, FetchError> {
        let path = self.put.dir.join(name);
        as_owner_of(&self.put.dir, &self.file);
        self.file.sync_all().map_err(self.failed("writing"))?;
        std::fs::rename(&self.path, &path).map_err(self.failed("renaming"))?;
        File::open(&self.put.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(disk("making durable", &self.put.dir))?;
        Ok(path)
    }

    /// Gives up what has come.
    pub(super) fn discard(self) -> Result<(), FetchError> {
        std::fs::remove_file(&self.path).map_err(self.failed("removing"))
    }

    fn hash_again(&mut self) -> Result<(), FetchError> {
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            match self.file.read(&mut block).map_err(self.failed("reading"))? {
                0 => return Ok(()),
                count => self.hash.update(block.get(..count).unwrap_or_default()),
            }
        }
    }

    fn failed(&self, what: &'static str) -> impl FnOnce(io::Error) -> FetchError + use<> {
        disk(what, &self.path)
    }

    fn no_room(&self, needed: u64, free: u64) -> FetchError {
        FetchError::NoRoom {
            dir: self.put.dir.clone(),
            needed: size(needed),
            free: size(free),
            kept: size(self.put.keep_free),
        }
    }
}

/// Returns the SHA-256 of a file from where it stands to its end.
pub(super) fn sha256(file: &mut impl Read, progress: &mut dyn FnMut(u64)) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK_BYTES];
    let mut done = 0;
    loop {
        let count = match file.read(&mut block) {
            Ok(0) => return Ok(format!("{:x}", hash.finalize())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(block.get(..count).unwrap_or_default());
        done += count as u64;
        progress(done);
    }
}

/// Copies a file's bytes behind what has come.
pub(super) fn copy(
    from: &mut File,
    from_path: &Path,
    part: &mut Part,
    progress: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match from.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(count) => part.append(block.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(disk("reading", from_path)(error)),
        }
        progress(part.len());
    }
}

pub(super) fn disk(
    what: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> FetchError + use<> {
    let path = path.to_owned();
    move |source| FetchError::Disk { what, path, source }
}

/// Makes the folder and those above it. Models are nobody's secret.
fn make_folder(dir: &Path) -> Result<(), FetchError> {
    if dir.is_dir() {
        return Ok(());
    }
    let made = disk("making the folder", dir);
    DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(made)?;
    if let (Some(above), Ok(folder)) = (dir.parent(), File::open(dir)) {
        as_owner_of(above, &folder);
    }
    Ok(())
}

/// Gives what root made to whom the folder above it belongs: the daemon runs as somebody else.
fn as_owner_of(above: &Path, made: &File) {
    let Ok(owner) = above.metadata() else { return };
    // Who is not root made it as the owner, or may not change it: it can be read all the same.
    let _ = rustix::fs::fchown(
        made,
        Some(Uid::from_raw(owner.uid())),
        Some(Gid::from_raw(owner.gid())),
    );
}

fn free_bytes(dir: &Path) -> Result<u64, FetchError> {
    let stat = rustix::fs::statvfs(dir).map_err(|error| disk("looking at", dir)(error.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Writes a size as people read it.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dir: &Path) -> Put {
        Put { dir: dir.join("models"), keep_free: 0 }
    }

    #[test]
    fn what_was_interrupted_goes_on_and_hashes_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let put = put(dir.path());
        let mut part = Part::open(&put, "ggml-x.bin", 100).unwrap();
        part.append(b"hello ").unwrap();
        drop(part);
        let mut part = Part::open(&put, "ggml-x.bin", 100).unwrap();
        assert_eq!(part.len(), 6);
        part.append(b"world").unwrap();
        let whole = sha256(&mut &b"hello world"[..], &mut |_| {}).unwrap();
        assert_eq!(part.sha256(), whole);
        let path = part.finish("ggml-x.bin").unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"hello world");
        assert!(!put.dir.join("ggml-x.bin.part").exists());
    }

    #[test]
    fn of_what_is_too_long_nothing_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let put = put(dir.path());
        Part::open(&put, "ggml-x.bin", 100).unwrap().append(&[7; 50]).unwrap();
        let part = Part::open(&put, "ggml-x.bin", 49).unwrap();
        assert_eq!((part.len(), part.sha256()), (0, sha256(&mut &b""[..], &mut |_| {}).unwrap()));
    }

    #[test]
    fn two_do_not_fetch_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let put = put(dir.path());
        let _first = Part::open(&put, "ggml-x.bin", 100).unwrap();
        let second = Part::open(&put, "ggml-x.bin", 100);
        assert!(matches!(second.err(), Some(FetchError::Busy { .. })));
    }

    #[test]
    fn recordings_keep_their_room() {
        let dir = tempfile::tempdir().unwrap();
        let put = Put { keep_free: u64::MAX / 2, ..put(dir.path()) };
        let part = Part::open(&put, "ggml-x.bin", 100).unwrap();
        let message = part.room_for(100).unwrap_err().to_string();
        assert!(message.contains("100 bytes more") && message.contains("min_free"), "{message}");
    }
}
