//! A second home for what is kept here, the proof that Twilio's copy may go, and erasing in both
//! what a person has had erased here.
//!
//! Invariants: nothing counts as archived that the archive has not shown back, by size and
//! checksum; Twilio's copy is deleted only when everything that makes it superfluous has been
//! proved at that moment, and a row says what was proved.
//!
//! Not here: when work is due (pipeline), and how long anything is kept here (retention).

mod deletion;
mod eraser;
mod error;
mod evidence;
mod fingerprint;
mod keep;
mod manifest;
mod place;
mod proof;
mod remote;
mod removal;
mod wire;
mod witness;
mod work;

#[cfg(test)]
mod tests;

pub use deletion::{DeleteWork, DeleteWorkOptions};
pub use eraser::{Eraser, EraserOptions};
pub use error::Error;
pub use place::{BadPlace, PlaceOptions, SecretKey};
pub use remote::Remote;
pub use witness::{Testimony, Witness};
pub use work::{ArchiveWork, ArchiveWorkOptions, Render, Rendered};
