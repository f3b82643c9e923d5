//! A second home for what is kept here, and the proof that Twilio's copy may go.
//!
//! Invariants: nothing counts as archived that the archive has not shown back, by size and
//! checksum; Twilio's copy is deleted only when everything that makes it superfluous has been
//! proved at that moment, and a row says what was proved.
//!
//! Not here: when work is due (pipeline), and how long anything is kept here (retention).

mod error;
mod fingerprint;
mod place;
mod remote;
mod wire;

pub use error::Error;
pub use fingerprint::Fingerprint;
pub use place::{BadPlace, PlaceOptions, SecretKey};
pub use remote::{Look, Remote, Shown};
pub use wire::Pace;
