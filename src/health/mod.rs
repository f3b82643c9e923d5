//! How the appliance is: what is looked at, what was seen, and what to do about it.
//!
//! Invariants: a check says what was seen, and what is wrong says what to do; what could not be
//! found out is [`CheckState::Unknown`] and never well; a look changes nothing but a file of its
//! own that is gone afterwards.
//!
//! Not here: when to look and whom to tell (the daemon, the command line), and the questions to
//! rooms on the same step: their answers are handed in.

mod check;
mod disk;
mod facts;
mod kernel;
mod outside;
mod program;
mod setup;

pub use check::{Check, CheckState, Health, Tally};
pub use disk::{Pace, free_bytes, integrity, space, speed, writable};
pub use kernel::{Kernel, temperature};
pub use outside::{Kept, Reach, archive, backup, clock, is_example, link, public_url, twilio};
pub use program::{SpeechTried, Wanted, daemon, model, speech};
pub use setup::{
    Account, Configuration, Secret, SecretPlace, account, configuration, consent, credentials,
    signatures,
};
