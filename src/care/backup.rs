//! A copy of everything that cannot be made again, in a folder elsewhere.

use std::collections::HashSet;
use std::path::Path;

use super::files::{self, Content};
use super::manifest::{Entry, Manifest};
use super::{CareError, LEDGER, Progress, trace};
use crate::domain::UnixMillis;
use crate::store::{self, Inventory, KeptFile};
use crate::vault::RelPath;

/// Ledgers that a backup keeps: the newest, and those of the times before.
const LEDGERS_MAX: usize = 3;

/// What a backup came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// Files it holds, the ledger included.
    pub files: u64,
    /// Their size.
    pub size_bytes: u64,
    /// Files that were copied now; the others were there from the time before.
    pub copied: u64,
    /// Files here that are not what the ledger says. Good copies from before are kept.
    pub damaged: Vec<String>,
}

/// Brings a backup in the folder `to` up to date. The appliance may run meanwhile: the ledger is
/// copied as it stands at one moment, and what was recorded up to then with it. Stopped anywhere,
/// the backup is what it was before.
pub fn back_up(
    data_dir: &Path,
    to: &Path,
    made_at: UnixMillis,
    progress: Progress<'_>,
) -> Result<Saved, CareError> {
    files::make_folder(to)?;
    let before = Manifest::read(to)?;
    let ledger = ledger(data_dir, to, made_at)?;
    let inventory = store::inventory(&to.join(&ledger.path))?;
    let ledger_now = ledger.path.clone();
    let mut saved = Saved { files: 1, size_bytes: ledger.size_bytes, copied: 1, damaged: vec![] };
    let mut entries = Vec::new();
    let under_way = under_way(data_dir, &inventory)?;
    let total = (inventory.files.len() + under_way.len()) as u64;
    let known = before.as_ref().map(Manifest::by_path).unwrap_or_default();
    for kept in &inventory.files {
        progress(entries.len() as u64, total);
        let old = known.get(kept.path.as_str()).copied();
        let entry = match old.filter(|old| is_still_it(to, old, kept)) {
            Some(old) => old.clone(),
            None => match save(data_dir, to, kept)? {
                Ok(content) => {
                    saved.copied += 1;
                    Entry::new(kept.path.clone(), content)
                }
                Err(why) if is_still_wanted(data_dir, kept)? => {
                    saved.damaged.push(format!("{} of {} {why}", kept.path, kept.call_sid));
                    let Some(old) = old else { continue };
                    old.clone()
                }
                // It was deleted or made anew meanwhile, by the rules.
                Err(_) => continue,
            },
        };
        entries.push(entry);
    }
    for path in under_way {
        if let Ok(coming) = files::copy(&data_dir.join(&path), &to.join(&path)) {
            saved.copied += 1;
            entries.push(Entry::new(path, coming.keep()?));
        }
    }
    progress(total, total);
    saved.files += entries.len() as u64;
    saved.size_bytes += entries.iter().map(|entry| entry.size_bytes).sum::<u64>();
    Manifest::new(made_at.get(), ledger, entries).write(to)?;
    forget_old_ledgers(to)?;
    forget_erased(to, &ledger_now)?;
    trace::leave(data_dir, made_at);
    Ok(saved)
}

/// Lists the sound of calls that are live: it is as safe there as it is here. A file may have been
/// sealed since the ledger was copied, which then does not know it.
fn under_way(data_dir: &Path, inventory: &Inventory) -> Result<Vec<String>, CareError> {
    let known = inventory.files.iter().map(|kept| kept.path.as_str());
    let known: HashSet<&str> = known.chain(inventory.garbage.iter().map(String::as_str)).collect();
    let mut found = files::walk(data_dir, "recordings")?;
    found.retain(|path| {
        let is_sound = files::ends_in(path, "wav") || files::ends_in(path, "part");
        is_sound && !known.contains(path.as_str()) && path.parse::<RelPath>().is_ok()
    });
    Ok(found)
}

/// Copies the ledger under a name of its own, so that the one before stands until the manifest
/// names the new one.
fn ledger(data_dir: &Path, to: &Path, made_at: UnixMillis) -> Result<Entry, CareError> {
    let from = data_dir.join(LEDGER);
    if !from.exists() {
        let why = format!("there is no {LEDGER}: is server.data_dir right?");
        return Err(CareError::NoBackup { path: data_dir.to_owned(), why });
    }
    let name = format!("ledger-{:013}.db", made_at.get());
    let coming = files::coming(&to.join(&name), |part| {
        store::copy_ledger(&from, part)?;
        let faults = store::ledger_faults(part)?;
        if !faults.is_empty() {
            return Err(CareError::Damaged { path: from.clone(), faults });
        }
        let synced = std::fs::File::open(part).and_then(|file| file.sync_all());
        synced.map_err(CareError::disk(part))?;
        files::content(part)
    })?;
    Ok(Entry::new(name, coming.keep()?))
}

/// Says whether what the backup has under a file's name is what is wanted, by its manifest.
fn is_still_it(to: &Path, old: &Entry, kept: &KeptFile) -> bool {
    let there =
        std::fs::metadata(to.join(&old.path)).is_ok_and(|meta| meta.len() == old.size_bytes);
    // Without a hash in the ledger it may have been made anew at the same length.
    there && old.size_bytes == kept.size_bytes && kept.sha256.as_ref() == Some(&old.sha256)
}

/// Copies a file, or says what is wrong with it.
fn save(data_dir: &Path, to: &Path, kept: &KeptFile) -> Result<Result<Content, String>, CareError> {
    let coming = match files::copy(&data_dir.join(&kept.path), &to.join(&kept.path)) {
        Ok(coming) => coming,
        Err(CareError::Disk { path, source }) if path.starts_with(data_dir) => {
            return Ok(Err(match source.kind() {
                std::io::ErrorKind::NotFound => "is gone".to_owned(),
                _ => format!("cannot be read: {source}"),
            }));
        }
        Err(error) => return Err(error),
    };
    let content = &coming.content;
    if content.size_bytes != kept.size_bytes {
        return Ok(Err(format!("has {} bytes, not {}", content.size_bytes, kept.size_bytes)));
    }
    if kept.sha256.as_ref().is_some_and(|sha256| *sha256 != content.sha256) {
        return Ok(Err(format!("is altered: its SHA-256 is {}", content.sha256)));
    }
    Ok(Ok(coming.keep()?))
}

/// Says whether the ledger of this moment still speaks of a file as it did.
fn is_still_wanted(data_dir: &Path, kept: &KeptFile) -> Result<bool, CareError> {
    let now = store::inventory(&data_dir.join(LEDGER))?;
    let same = |file: &&KeptFile| file.path == kept.path && file.sha256 == kept.sha256;
    Ok(now.files.iter().any(|file| same(&file) && file.size_bytes == kept.size_bytes))
}

/// Takes out of a backup what was erased since: the calls' folders, and ledgers from before.
fn forget_erased(to: &Path, ledger_now: &str) -> Result<(), CareError> {
    let erased = store::erased(&to.join(ledger_now))?;
    let Some(last_at) = erased.iter().map(|(_, at)| *at).max() else { return Ok(()) };
    let sids: HashSet<&str> = erased.iter().map(|(sid, _)| sid.as_str()).collect();
    for path in files::walk(to, "recordings")? {
        let is_erased = path.rsplit('/').nth(1).is_some_and(|folder| sids.contains(folder));
        if is_erased {
            let path = to.join(path);
            std::fs::remove_file(&path).map_err(CareError::disk(&path))?;
        }
    }
    for name in ledgers(to)? {
        let made_at = name.strip_prefix("ledger-").and_then(|name| name.strip_suffix(".db"));
        let made_at = made_at.and_then(|digits| digits.parse().ok()).map(UnixMillis::new);
        if name != ledger_now && made_at.is_none_or(|made_at| made_at <= last_at) {
            let path = to.join(name);
            std::fs::remove_file(&path).map_err(CareError::disk(&path))?;
        }
    }
    Ok(())
}

/// Lists the ledgers of a backup by their names, the oldest first.
fn ledgers(to: &Path) -> Result<Vec<String>, CareError> {
    let entries = std::fs::read_dir(to).map_err(CareError::disk(to))?;
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
    let mut ledgers: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with("ledger-") && files::ends_in(name, "db"))
        .collect();
    ledgers.sort();
    Ok(ledgers)
}

fn forget_old_ledgers(to: &Path) -> Result<(), CareError> {
    let ledgers = ledgers(to)?;
    let too_many = ledgers.len().saturating_sub(LEDGERS_MAX);
    for name in ledgers.iter().take(too_many) {
        let path = to.join(name);
        std::fs::remove_file(&path).map_err(CareError::disk(&path))?;
    }
    Ok(())
}
