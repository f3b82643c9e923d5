//! A data folder made again from a backup, and the drill that shows that it could be.

use std::path::Path;

use super::files::{self, Content};
use super::manifest::{Entry, Manifest};
use super::{CareError, LEDGER, Progress, trace};
use crate::domain::UnixMillis;
use crate::store;

/// What a restore came to, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was made, by that machine's clock.
    pub made_at: UnixMillis,
    /// Files that are good, the ledger included.
    pub files: u64,
    /// Their size.
    pub size_bytes: u64,
    /// Files that are not what the manifest says, or are gone.
    pub damaged: Vec<String>,
}

/// Reads a backup through as a restore would, and writes nothing.
pub fn drill(backup: &Path, progress: Progress<'_>) -> Result<Restored, CareError> {
    walk(backup, progress, |entry| files::content(&backup.join(&entry.path)))
}

/// Makes the data folder again. It must hold no ledger; recordings that are there already and are
/// the same are left. The ledger comes last, so that a restore that was stopped is begun again.
pub fn restore(
    backup: &Path,
    data_dir: &Path,
    progress: Progress<'_>,
) -> Result<Restored, CareError> {
    let ledger = data_dir.join(LEDGER);
    if ledger.symlink_metadata().is_ok() {
        return Err(CareError::Exists { path: ledger });
    }
    files::make_folder(data_dir)?;
    let restored = walk(backup, progress, |entry| {
        let is_ledger = !entry.path.contains('/');
        let from = backup.join(&entry.path);
        let to = data_dir.join(if is_ledger { LEDGER } else { entry.path.as_str() });
        if to.symlink_metadata().is_ok() {
            let there = files::content(&to)?;
            if entry.is(&there) {
                return Ok(there);
            }
            return Err(CareError::Exists { path: to });
        }
        let coming = files::copy(&from, &to)?;
        // A file that is not what it should be is not given a name that says so.
        if entry.is(&coming.content) { coming.keep() } else { Ok(coming.content.clone()) }
    })?;
    trace::leave(data_dir, restored.made_at);
    Ok(restored)
}

/// Does something with each file of a backup, the ledger last, and compares what comes of it with
/// the manifest.
fn walk(
    backup: &Path,
    progress: Progress<'_>,
    mut act: impl FnMut(&Entry) -> Result<Content, CareError>,
) -> Result<Restored, CareError> {
    let no_backup =
        |why: &str| CareError::NoBackup { path: backup.to_owned(), why: why.to_owned() };
    let manifest = Manifest::read(backup)?.ok_or_else(|| {
        no_backup("there is no manifest.json: it is no backup, or an unfinished one")
    })?;
    let ledger = backup.join(&manifest.ledger.path);
    let faults = match files::content(&ledger) {
        Ok(content) if manifest.ledger.is(&content) => store::ledger_faults(&ledger)?,
        Ok(_) => vec!["it is not what the manifest says".to_owned()],
        Err(error) => vec![error.to_string()],
    };
    if !faults.is_empty() {
        return Err(no_backup(&format!(
            "its ledger cannot be used ({}); an older one may be beside it: name that in manifest.json, with its size and SHA-256",
            faults.join("; ")
        )));
    }
    let total = manifest.files.len() as u64 + 1;
    let mut restored = Restored {
        made_at: UnixMillis::new(manifest.made_at_ms),
        files: 0,
        size_bytes: 0,
        damaged: vec![],
    };
    for entry in manifest.files.iter().chain([&manifest.ledger]) {
        progress(restored.files, total);
        match act(entry) {
            Ok(content) if entry.is(&content) => {
                restored.files += 1;
                restored.size_bytes += content.size_bytes;
            }
            Ok(_) => restored.damaged.push(format!("{} is not what was saved", entry.path)),
            Err(CareError::Disk { path, source }) if path.starts_with(backup) => {
                restored.damaged.push(format!("{}: {source}", entry.path));
            }
            Err(error) => return Err(error),
        }
    }
    progress(total, total);
    Ok(restored)
}
