//! A second home for what is kept here, and the proof that Twilio's copy may go.
//!
//! Invariants: nothing counts as archived that the archive has not shown back, by size and
//! checksum; Twilio's copy is deleted only when everything that makes it superfluous has been
//! proved at that moment, and a row says what was proved.
//!
//! Not here: when work is due (pipeline), and how long anything is kept here (retention).

mod erase;
mod error;
mod fingerprint;
mod keep;
mod manifest;
mod place;
mod proof;
mod remote;
mod wire;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use fingerprint::Fingerprint;
pub use keep::{Keeper, Wanted};
pub use manifest::manifest;
pub use place::{BadPlace, PlaceOptions, SecretKey};
pub use proof::{
    ArchiveSays, CLOCKS_APART_MAX, Evidence, Facts, Fetched, Proof, Times, Withheld, may_delete,
};
pub use remote::{Look, Remote, Shown};
pub use wire::Pace;

/// An object that the archive has shown back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveObject {
    /// Its key below the archive's prefix.
    pub key: String,
    /// The file it is a copy of.
    pub path: Option<String>,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// The archive's own mark of it, when it was proven.
    pub etag: Option<String>,
}
