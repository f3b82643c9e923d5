//! Capabilities of the whole program, one module each.
#![cfg(test)]
#![allow(missing_docs, reason = "these are tests")]

mod cli;
mod degraded;
mod house;
mod media_stream;
mod recording;
mod shutdown;
#[cfg(feature = "whisper")]
mod speech;
mod support;
mod webhook;
mod wer;
