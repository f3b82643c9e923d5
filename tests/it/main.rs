//! Capabilities of the whole program, one module each.
#![cfg(test)]
#![allow(missing_docs, reason = "these are tests")]

mod speech;
mod wer;
