//! The ledger as it was before an upgrade: kept beside it, and put back when the older program is.
//!
//! Three are kept, named by a running number and the version they have, because the clock of a box
//! may be wrong. A name means that the copy is whole, checked and durable.

use std::ffi::c_int;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{StoreError, outside, schema};

/// Told again and again while the ledger is copied, checked and changed: it takes long, but it goes
/// on.
pub type SignOfLife = Arc<dyn Fn() + Send + Sync>;

/// The folder beside the ledger that holds them.
const FOLDER: &str = "before-upgrade";

/// Ledgers that are kept of each kind.
const KEPT_MAX: usize = 3;

/// The room that an upgrade needs, in sizes of the ledger: its copy, the changed pages, and as much
/// again for the calls that come meanwhile.
const ROOM_SIZES: u64 = 3;

/// What is copied between two signs of life: 1 MiB of 4 KiB pages.
const COPY_PAGES: c_int = 256;

/// Steps of SQLite's machine between two signs of life: some milliseconds.
const LIFE_STEPS: c_int = 100_000;

/// What a file of the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A ledger as it was before an upgrade.
    Before,
    /// A newer ledger that made room for one of those.
    Newer,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Before => "ledger-",
            Self::Newer => "newer-",
        }
    }
}

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    path: PathBuf,
    number: u32,
    version: u32,
}

/// What putting a ledger back came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutBack {
    /// The copy that is the ledger again.
    pub from: PathBuf,
    /// Where the newer one is now.
    pub newer: PathBuf,
}

/// Has a connection give signs of life while it works.
pub(super) fn watch(connection: &Connection, alive: &SignOfLife) -> Result<(), StoreError> {
    let alive = Arc::clone(alive);
    let go_on = move || {
        alive();
        false
    };
    Ok(connection.progress_handler(LIFE_STEPS, Some(go_on))?)
}

/// Ends that.
pub(super) fn unwatch(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.progress_handler(0, None::<fn() -> bool>)?)
}

/// Keeps a copy of a ledger that is about to be changed, once it is known to be sound.
pub(super) fn keep(
    connection: &Connection,
    version: u32,
    alive: &SignOfLife,
) -> Result<(), StoreError> {
    // One in memory has nothing to lose.
    let Some(ledger) = connection.path().filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return Ok(());
    };
    let folder = folder_of(&ledger);
    let unkept = |source| StoreError::Unkept { path: folder.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(unkept)?;
    enough_room(connection, &folder)?;
    let to = next(&folder, Kind::Before, version).map_err(unkept)?;
    let coming = coming(&to);
    remove(&coming).map_err(unkept)?;
    let kept = copy(connection, &coming, alive)
        .and_then(|()| sound(&coming, alive))
        .and_then(|()| name(&coming, &to).map_err(unkept));
    if kept.is_err() {
        // Its name says that it is not whole if it cannot be removed.
        let _ = remove(&coming);
    }
    kept?;
    forget_old(&folder, Kind::Before).map_err(unkept)?;
    tracing::info!(
        event = "upgrade.ledger-kept",
        "the ledger is kept as {} before it is upgraded",
        to.display()
    );
    Ok(())
}

fn enough_room(connection: &Connection, folder: &Path) -> Result<(), StoreError> {
    let pages: u64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let page_bytes: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let needed_bytes = pages * page_bytes * ROOM_SIZES;
    let room = rustix::fs::statvfs(folder)
        .map_err(|errno| StoreError::Unkept { path: folder.to_owned(), source: errno.into() })?;
    let free_bytes = room.f_bavail.saturating_mul(room.f_frsize);
    if free_bytes < needed_bytes {
        return Err(StoreError::NoRoom { needed_bytes, free_bytes });
    }
    Ok(())
}

/// Copies it by SQLite's backup API. Nobody else writes before the ledger is open.
fn copy(source: &Connection, to: &Path, alive: &SignOfLife) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut copy = Connection::open_with_flags(to, flags)?;
    let backup = Backup::new(source, &mut copy)?;
    loop {
        match backup.step(COPY_PAGES)? {
            StepResult::Done => break,
            StepResult::More => alive(),
            // The connection has waited for it already.
            _ => return Err(StoreError::InUse),
        }
    }
    drop(backup);
    // One file, with nothing beside it.
    copy.pragma_update(None, "journal_mode", "delete")?;
    copy.close().map_err(|(_, error)| error.into())
}

fn sound(path: &Path, alive: &SignOfLife) -> Result<(), StoreError> {
    let faults = outside::faults(path, |db| watch(db, alive))?;
    if faults.is_empty() { Ok(()) } else { Err(StoreError::Damaged { faults }) }
}

/// Puts back the newest ledger that this program can open; the newer one stays, in the folder.
/// Nothing may have the ledger open. Stopped anywhere, it can be asked again.
pub fn put_back(ledger: &Path) -> Result<PutBack, StoreError> {
    let folder = folder_of(ledger);
    let unkept = |source| StoreError::Unkept { path: folder.clone(), source };
    let mut kept = list(&folder, Kind::Before).map_err(unkept)?;
    let from = loop {
        let Some(newest) = kept.pop() else {
            return Err(StoreError::NothingKept { path: folder });
        };
        match outside::faults(&newest.path, schema::check_reader) {
            Ok(faults) if faults.is_empty() => break newest.path,
            Ok(_) | Err(_) => tracing::warn!(
                "{} cannot be put back; the one before it is looked at",
                newest.path.display()
            ),
        }
    };
    let coming = coming(ledger);
    let copied = std::fs::copy(&from, &coming).and_then(|_| File::open(&coming)?.sync_all());
    copied.map_err(unkept)?;
    let version = fold(ledger)?;
    let newer = next(&folder, Kind::Newer, version).map_err(unkept)?;
    // Both names first, for a moment without a ledger would be the moment the power goes.
    let linked = std::fs::hard_link(ledger, &newer);
    linked.or_else(|_| std::fs::copy(ledger, &newer).map(drop)).map_err(unkept)?;
    File::open(&newer).and_then(|file| file.sync_all()).map_err(unkept)?;
    sync_folder(&newer).map_err(unkept)?;
    name(&coming, ledger).map_err(unkept)?;
    forget_old(&folder, Kind::Newer).map_err(unkept)?;
    Ok(PutBack { from, newer })
}

/// Makes one file of a ledger and returns its version: what lies beside it would be read into the
/// one that takes its name.
fn fold(ledger: &Path) -> Result<u32, StoreError> {
    let db = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(outside::BUSY_WAIT)?;
    let version = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    db.pragma_update(None, "journal_mode", "delete")?;
    db.close().map_err(|(_, error)| error)?;
    Ok(version)
}

fn folder_of(ledger: &Path) -> PathBuf {
    ledger.with_file_name(FOLDER)
}

/// Lists what is kept, oldest first.
fn list(folder: &Path, kind: Kind) -> io::Result<Vec<Kept>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| {
            let (number, version) =
                name.strip_prefix(kind.prefix())?.strip_suffix(".db")?.split_once("-v")?;
            Some((number.parse().ok()?, version.parse().ok()?))
        });
        if let Some((number, version)) = name {
            found.push(Kept { path, number, version });
        }
    }
    found.sort_by_key(|kept| kept.number);
    Ok(found)
}

fn next(folder: &Path, kind: Kind, version: u32) -> io::Result<PathBuf> {
    let last = list(folder, kind)?.pop().map_or(0, |kept| kept.number);
    Ok(folder.join(format!("{}{:06}-v{version}.db", kind.prefix(), last + 1)))
}

fn forget_old(folder: &Path, kind: Kind) -> io::Result<()> {
    let kept = list(folder, kind)?;
    let too_many = kept.len().saturating_sub(KEPT_MAX);
    kept.iter().take(too_many).try_for_each(|kept| remove(&kept.path))
}

fn coming(path: &Path) -> PathBuf {
    let mut coming = path.as_os_str().to_owned();
    coming.push(".coming");
    coming.into()
}

/// Gives a file its name, durably.
fn name(coming: &Path, to: &Path) -> io::Result<()> {
    File::open(coming)?.sync_all()?;
    std::fs::rename(coming, to)?;
    sync_folder(to)
}

fn sync_folder(of: &Path) -> io::Result<()> {
    File::open(of.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
