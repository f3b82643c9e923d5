//! Bringing one object to the archive: looked at here, looked for there, put, and looked at again.

use super::Error;
use super::fingerprint::Fingerprint;
use super::remote::{Look, Remote, Shown};
use crate::domain::{RecordingSid, UnixMillis};
use crate::store::{ArchiveObject, Store};
use crate::vault::{self, RelPath, Vault};

/// A file of a call, as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Where it is, relative to the data folder; also its key in the archive.
    pub(super) path: String,
    /// Its size.
    pub(super) size_bytes: u64,
    /// SHA-256 in hex, once known.
    pub(super) sha256: Option<String>,
    /// The recording at Twilio that it is the copy of, while it is there.
    pub(super) recording_sid: Option<RecordingSid>,
}

/// Reads a file through, off the async threads. None when it is not there.
pub(super) async fn look_here(vault: &Vault, path: &str) -> Result<Option<Fingerprint>, Error> {
    let unreadable = |why: String| Error::Unreadable { why };
    let read = tokio::task::spawn_blocking({
        let (vault, path) = (vault.clone(), path.to_owned());
        move || match open(&vault, &path)? {
            Some(file) => Fingerprint::read(file).map(Some).map_err(|error| error.to_string()),
            None => Ok(None),
        }
    });
    read.await.map_err(|broken| unreadable(broken.to_string()))?.map_err(unreadable)
}

/// Has one of Twilio's copies fetched anew whose file here is no good, while Twilio has it.
pub(super) async fn fetch_anew(
    (store, vault): (&Store, &Vault),
    recording_sid: &RecordingSid,
    path: &str,
    now: UnixMillis,
) -> Result<(), Error> {
    let unreadable = |why: String| Error::Unreadable { why };
    let path: RelPath =
        path.parse().map_err(|error: vault::BadPath| unreadable(error.to_string()))?;
    let vault = vault.clone();
    let moved = tokio::task::spawn_blocking(move || vault.set_aside(&path)).await;
    moved
        .map_err(|broken| unreadable(broken.to_string()))?
        .map_err(|error| unreadable(error.to_string()))?;
    let written = store.recording_lost(recording_sid.clone(), now).await;
    written.map_err(|error| unreadable(format!("the ledger: {error}")))
}

fn open(vault: &Vault, path: &str) -> Result<Option<std::fs::File>, String> {
    let path: RelPath = path.parse().map_err(|error: vault::BadPath| error.to_string())?;
    match vault.open_read(&path) {
        Ok(file) => Ok(Some(file)),
        Err(vault::Error::Missing { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Brings a call's things to the archive, one by one.
#[derive(Clone, Copy)]
pub(super) struct Keeper<'a> {
    /// The archive.
    pub(super) remote: &'a Remote,
    /// The files.
    pub(super) vault: &'a Vault,
    /// What the archive has shown of this call before.
    pub(super) known: &'a [ArchiveObject],
    /// How closely it is looked at.
    pub(super) look: Look,
}

impl Keeper<'_> {
    /// Sees to it that the archive holds a file, and returns what it showed of it. A file that is
    /// not what the ledger says goes nowhere, and takes the place of nothing.
    pub(super) async fn file(&self, wanted: &Wanted) -> Result<ArchiveObject, Error> {
        let path = &wanted.path;
        let altered = |what: String| Error::Altered { path: path.clone(), what };
        let gone = || altered("it is gone".to_owned());
        let here = look_here(self.vault, path).await?.ok_or_else(gone)?;
        if here.size_bytes != wanted.size_bytes {
            return Err(altered(format!("{} bytes, not {}", here.size_bytes, wanted.size_bytes)));
        }
        if let Some(sha256) = wanted.sha256.as_ref().filter(|sha256| **sha256 != here.sha256) {
            return Err(altered(format!("SHA-256 {}, not {sha256}", here.sha256)));
        }
        let mut shown = self.ask(path, &here).await?;
        if !matches!(shown, Shown::Confirmed { .. }) {
            let file = open(self.vault, path).map_err(|why| Error::Unreadable { why })?;
            self.remote.put(path, file.ok_or_else(gone)?, &here).await?;
            shown = self.ask(path, &here).await?;
        }
        kept(path, Some(path), here, shown)
    }

    /// Looks whether the archive still holds what is not here any more, and returns what it showed.
    pub(super) async fn kept(&self, object: &ArchiveObject) -> Result<ArchiveObject, Error> {
        let expected = Fingerprint {
            size_bytes: object.size_bytes,
            sha256: object.sha256.clone(),
            etag: object.etag.clone().unwrap_or_default(),
        };
        let etag = object.etag.as_deref();
        let shown = self.remote.confirm(&object.key, &expected, etag, self.look).await?;
        kept(&object.key, object.path.as_deref(), expected, shown)
    }

    /// Sees to it that the archive holds what was made here, and returns what it showed of it.
    pub(super) async fn bytes(&self, key: &str, bytes: Vec<u8>) -> Result<ArchiveObject, Error> {
        let here = Fingerprint::of(&bytes);
        let mut shown = self.ask(key, &here).await?;
        if !matches!(shown, Shown::Confirmed { .. }) {
            self.remote.put_bytes(key, bytes).await?;
            shown = self.ask(key, &here).await?;
        }
        kept(key, None, here, shown)
    }

    async fn ask(&self, key: &str, here: &Fingerprint) -> Result<Shown, Error> {
        let etag = etag_of(self.known, key, here);
        self.remote.confirm(key, here, etag, self.look).await
    }
}

/// Returns the mark the archive gave to an object when it was last proved to be this.
fn etag_of<'a>(known: &'a [ArchiveObject], key: &str, here: &Fingerprint) -> Option<&'a str> {
    let same = |object: &&ArchiveObject| {
        object.key == key && object.sha256 == here.sha256 && object.size_bytes == here.size_bytes
    };
    known.iter().find(same)?.etag.as_deref()
}

fn kept(
    key: &str,
    path: Option<&str>,
    here: Fingerprint,
    shown: Shown,
) -> Result<ArchiveObject, Error> {
    let not_shown = |why: String| Error::NotShown { key: key.to_owned(), why };
    match shown {
        Shown::Confirmed { etag } => Ok(ArchiveObject {
            key: key.to_owned(),
            path: path.map(str::to_owned),
            size_bytes: here.size_bytes,
            sha256: here.sha256,
            etag,
        }),
        Shown::Differs { why } => Err(not_shown(why)),
        Shown::Missing => Err(not_shown("it says that there is no such object".to_owned())),
    }
}
