//! Whether everything that the ledger speaks of is there, and sound.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use super::{CareError, LEDGER, Progress, files};
use crate::audio::WavReader;
use crate::domain::{CallSid, RecordingSid};
use crate::store::{self, KeptFile};

/// How closely is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Names, sizes and headers.
    Sizes,
    /// Every byte, against its hash.
    Bytes,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which file, relative to the data folder.
    pub path: String,
    /// Whose it is, if that is known.
    pub call_sid: Option<CallSid>,
    /// What is wrong, in plain words.
    pub what: String,
    /// The recording that Twilio still has it from: it can be fetched anew.
    pub at_twilio: Option<RecordingSid>,
}

/// What a look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Files looked at.
    pub files: u64,
    /// Their size.
    pub size_bytes: u64,
    /// What is wrong with the ledger itself.
    pub ledger: Vec<String>,
    /// What is wrong with files.
    pub faults: Vec<Fault>,
    /// Files that are being written, or that a stop left behind: a start takes them in.
    pub under_way: Vec<String>,
    /// Damaged files that were set aside.
    pub set_aside: Vec<String>,
}

impl Found {
    /// Says whether all is well.
    pub fn is_sound(&self) -> bool {
        self.ledger.is_empty() && self.faults.is_empty()
    }
}

/// Looks, and changes nothing. The appliance may run meanwhile.
pub fn look(data_dir: &Path, depth: Depth, progress: Progress<'_>) -> Result<Found, CareError> {
    let ledger = data_dir.join(LEDGER);
    if !ledger.exists() {
        let why = format!("there is no {LEDGER}: is server.data_dir right?");
        return Err(CareError::NoBackup { path: data_dir.to_owned(), why });
    }
    let mut found = Found { ledger: store::ledger_faults(&ledger)?, ..Found::default() };
    let inventory = store::inventory(&ledger)?;
    let total = inventory.files.len() as u64;
    for kept in &inventory.files {
        progress(found.files, total);
        found.files += 1;
        found.size_bytes += kept.size_bytes;
        if let Some(what) = wrong(data_dir, kept, depth)
            // It may have been replaced or deleted since the ledger was read.
            && is_still_listed(&ledger, kept)?
        {
            found.faults.push(Fault {
                path: kept.path.clone(),
                call_sid: Some(kept.call_sid.clone()),
                what,
                at_twilio: kept.at_twilio.clone(),
            });
        }
    }
    progress(total, total);
    let known = inventory.files.iter().map(|kept| kept.path.as_str());
    let known: HashSet<&str> = known.chain(inventory.garbage.iter().map(String::as_str)).collect();
    let there = files::walk(data_dir, "recordings")?;
    for path in there.iter().filter(|path| !known.contains(path.as_str())) {
        sort_stray(path, &ledger, &mut found)?;
    }
    Ok(found)
}

/// Says what is wrong with a file; none if nothing is.
fn wrong(data_dir: &Path, kept: &KeptFile, depth: Depth) -> Option<String> {
    let path = data_dir.join(&kept.path);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Some("is gone".to_owned());
        }
        Err(error) => return Some(format!("cannot be opened: {error}")),
    };
    match file.metadata() {
        Ok(meta) if meta.len() != kept.size_bytes => {
            return Some(format!("has {} bytes, not {}", meta.len(), kept.size_bytes));
        }
        Ok(_) => {}
        Err(error) => return Some(format!("cannot be looked at: {error}")),
    }
    match WavReader::new(file) {
        Ok(sound) if sound.truncated() => {
            return Some("is cut off: its header promises more".to_owned());
        }
        Ok(_) => {}
        Err(error) => return Some(format!("is no sound file: {error}")),
    }
    if depth == Depth::Sizes {
        return None;
    }
    match (files::content(&path), &kept.sha256) {
        (Err(error), _) => Some(format!("cannot be read: {error}")),
        (Ok(content), Some(sha256)) if content.sha256 != *sha256 => {
            Some(format!("is altered: its SHA-256 is {}, not {sha256}", content.sha256))
        }
        (Ok(_), _) => None,
    }
}

fn is_still_listed(ledger: &Path, kept: &KeptFile) -> Result<bool, CareError> {
    Ok(store::inventory(ledger)?.files.contains(kept))
}

/// What is there that the ledger does not know.
fn sort_stray(path: &str, ledger: &Path, found: &mut Found) -> Result<(), CareError> {
    if files::ends_in(path, "damaged") {
        found.set_aside.push(path.to_owned());
    } else if !files::ends_in(path, "wav") {
        // A recording, a download or a copy on its way, or what a stop left of one.
        if files::ends_in(path, "part") {
            found.under_way.push(path.to_owned());
        }
    } else if !store::inventory(ledger)?.files.iter().any(|kept| kept.path == path) {
        found.faults.push(Fault {
            path: path.to_owned(),
            call_sid: None,
            what: "is not in the ledger".to_owned(),
            at_twilio: None,
        });
    }
    Ok(())
}
