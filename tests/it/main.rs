//! Capabilities of the whole program, one module each.
#![cfg(test)]
#![allow(missing_docs, reason = "these are tests")]

mod house;
#[cfg(feature = "whisper")]
mod speech;
mod wer;
