//! Telephone numbers written one way, and lists of whose they are.
//!
//! Invariant: what comes out of here is E.164, as Twilio sends it, so that a number compares equal
//! however somebody wrote it.
//!
//! Not here: where names are kept (the ledger), and where files lie.

mod file;
mod number;

pub use file::{Entry, Listed, NoList, read};
pub use number::{BadCountry, BadNumber, Country, Number};
