//! Small texts beside the recordings: written whole, durably, and replaced in one rename.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use super::names::NEW_SUFFIX;
use super::seal::rename_durably;
use super::{Error, Vault, disk};

/// The folder of the data folder that holds what was certified.
const CERTIFICATES: &str = "certificates";

impl Vault {
    /// Keeps the text of a certificate under a plain name, in place of what it said before.
    pub fn keep_certificate(&self, name: &str, text: &str) -> Result<(), Error> {
        let folder = self.inner.root.join(CERTIFICATES);
        disk::make_folder(&folder)?;
        disk::fsync_folder(&self.inner.root)?;
        let path = folder.join(name);
        let new = folder.join(format!("{name}{NEW_SUFFIX}"));
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(disk::FILE_MODE)
                .open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|source| Error::disk("writing", &new, source))?;
        rename_durably(&new, &path)
    }
}
