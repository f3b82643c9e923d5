//! What a backup says of itself.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{self, Content};
use super::{CareError, LEDGER};

/// The manifest's name in a backup.
pub(super) const MANIFEST: &str = "manifest.json";

/// The version of its form.
const FORM: u32 = 1;

/// The manifest of a backup.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    form: u32,
    fieldtape: String,
    /// When it was made, by that machine's clock.
    pub(super) made_at_ms: i64,
    pub(super) ledger: Entry,
    pub(super) files: Vec<Entry>,
}

/// One file of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) size_bytes: u64,
    pub(super) sha256: String,
}

impl Entry {
    pub(super) fn new(path: String, content: Content) -> Self {
        Self { path, size_bytes: content.size_bytes, sha256: content.sha256 }
    }

    pub(super) fn is(&self, content: &Content) -> bool {
        self.size_bytes == content.size_bytes && self.sha256 == content.sha256
    }
}

impl Manifest {
    pub(super) fn new(made_at_ms: i64, ledger: Entry, files: Vec<Entry>) -> Self {
        let fieldtape = env!("CARGO_PKG_VERSION").to_owned();
        Self { form: FORM, fieldtape, made_at_ms, ledger, files }
    }

    /// Reads a backup's manifest; none if the folder has none.
    pub(super) fn read(backup: &Path) -> Result<Option<Self>, CareError> {
        let path = backup.join(MANIFEST);
        let no_backup = |why: String| CareError::NoBackup { path: backup.to_owned(), why };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CareError::disk(&path)(error)),
        };
        let manifest: Self = serde_json::from_str(&text)
            .map_err(|error| no_backup(format!("{MANIFEST} cannot be read: {error}")))?;
        if manifest.form > FORM {
            return Err(no_backup(format!(
                "it was made by fieldtape {}, which is newer than this: install that one",
                manifest.fieldtape
            )));
        }
        // A path is used to write below the data folder: only ours are taken.
        let is_ours = |path: &str| path.parse::<crate::vault::RelPath>().is_ok();
        if let Some(strange) = manifest.files.iter().find(|entry| !is_ours(&entry.path)) {
            return Err(no_backup(format!(
                "{MANIFEST} names {:?}, which is no recording",
                strange.path
            )));
        }
        let name = &manifest.ledger.path;
        if name.contains('/') || !name.starts_with("ledger-") {
            return Err(no_backup(format!("{MANIFEST} names {name:?}, which is no {LEDGER}")));
        }
        Ok(Some(manifest))
    }

    /// Writes it, which makes the backup what it says.
    pub(super) fn write(&self, backup: &Path) -> Result<(), CareError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| CareError::NoBackup {
            path: backup.to_owned(),
            why: error.to_string(),
        })?;
        files::write(&format!("{text}\n"), &backup.join(MANIFEST))?.keep()?;
        Ok(())
    }

    pub(super) fn by_path(&self) -> BTreeMap<&str, &Entry> {
        self.files.iter().map(|entry| (entry.path.as_str(), entry)).collect()
    }
}
