//! Folders that survive a power cut, and work done to many files at once.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::Digest as _;

use super::Error;

/// What the owner, and nobody else, may do with a folder.
const FOLDER_MODE: u32 = 0o700;

/// What the owner, and nobody else, may do with a file.
pub(super) const FILE_MODE: u32 = 0o600;

/// Files worked on at once: 16 calls x 2 parties x 2 rates. The file system commits what waits at
/// the same time as one, so with all of them waiting a tick costs the card two or three flushes
/// and not two for each file.
const AT_ONCE_MAX: usize = 64;

/// How much of a long file may wait in memory before it is made durable. The file system commits
/// what waits together, so a live call's tick may have to wait behind this much: a quarter of a
/// second on a slow card.
pub(super) const UNSYNCED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Enough for a few system calls and a log line.
const STACK_BYTES: usize = 256 * 1024;

/// Makes a folder that only the owner may enter; one that is there is fine.
pub(super) fn make_folder(path: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.map_err(|source| Error::disk("making the folder", path, source)),
    }
}

/// Makes a folder and those above it, durably.
pub(super) fn make_path(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let above = above(path);
    make_path(above)?;
    make_folder(path)?;
    fsync_folder(above)
}

/// Makes the folders between `top`, which exists, and `path`, durably, even if an earlier run made
/// them and was killed before it could say so to the disk.
pub(super) fn make_path_below(top: &Path, path: &Path) -> Result<(), Error> {
    let above = above(path);
    if above != top {
        make_path_below(top, above)?;
    }
    make_folder(path)?;
    fsync_folder(above)
}

fn above(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => Path::new("/"),
    }
}

/// Makes the names in a folder durable.
pub(super) fn fsync_folder(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::disk("making durable the folder", path, source))
}

/// Takes away from others what they may do with a folder; says whether there was anything.
pub(super) fn narrow(path: &Path) -> Result<bool, Error> {
    let asked = |source| Error::disk("closing to others the folder", path, source);
    let mode = std::fs::metadata(path).map_err(asked)?.permissions().mode();
    // A sticky folder is everybody's by intent, such as /tmp: closing it would break the machine.
    let (for_others, sticky) = (mode & 0o077, mode & 0o1000);
    if for_others == 0 || sticky != 0 {
        return Ok(false);
    }
    std::fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE)).map_err(asked)?;
    Ok(true)
}

/// Writes a small file durably and removes it.
pub(super) fn probe(path: &Path) -> Result<(), Error> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(path)?;
        file.write_all(b"probe")?;
        file.sync_data()
    };
    let written = write();
    let removed = match std::fs::remove_file(path) {
        // Somebody else probes at the same time.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    written.and(removed).map_err(|source| Error::disk("probing with", path, source))
}

/// Locks a file that its writer holds for as long as he writes, and makes sure that it still has
/// that name: while this waited, the writer may have given it another.
pub(super) fn hold(file: &File, path: &Path) -> Result<(), Error> {
    // A file system without locks is no reason not to write.
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Err(Error::Busy { path: path.to_owned() });
    }
    let own = file.metadata().map_err(|source| Error::disk("opening", path, source))?.ino();
    match std::fs::symlink_metadata(path) {
        Ok(named) if named.ino() == own => Ok(()),
        _ => Err(Error::Busy { path: path.to_owned() }),
    }
}

/// Reads to the end and returns the SHA-256 in 64 lower-case hex digits.
pub(super) fn sha256(mut source: impl Read) -> io::Result<String> {
    const BLOCK_BYTES: usize = 64 * 1024;
    let mut block = vec![0; BLOCK_BYTES];
    let mut hasher = sha2::Sha256::new();
    loop {
        match source.read(&mut block) {
            Ok(0) => return Ok(format!("{:x}", hasher.finalize())),
            Ok(count) => hasher.update(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Does `work` to all items at once, in threads of their own, and returns the results in order.
pub(super) fn in_parallel<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = items.len().min(AT_ONCE_MAX);
    let queue = Mutex::new(items.into_iter().enumerate());
    let results = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let next = lock(&queue).next();
            let Some((place, item)) = next else { break };
            let result = work(item);
            lock(&results).push((place, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            // With fewer threads, or none but this one, it takes longer and that is all.
            if thread.name("vault-disk".to_owned()).spawn_scoped(scope, worker).is_err() {
                break;
            }
        }
        worker();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Locks; what a panicking thread left behind is whole, for nothing here is changed in two steps.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
