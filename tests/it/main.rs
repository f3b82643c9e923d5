//! Capabilities of the whole program, one module each.
#![cfg(test)]
#![allow(missing_docs, reason = "these are tests")]
#![cfg_attr(
    not(feature = "whisper"),
    allow(dead_code, unused_imports, reason = "the modules that use the rest need the engine")
)]

mod backup;
mod care;
mod cli;
#[cfg(feature = "whisper")]
mod cloud_kills;
#[cfg(feature = "whisper")]
mod cloud_recordings;
mod contract;
#[cfg(feature = "whisper")]
mod crash;
mod degraded;
#[cfg(feature = "whisper")]
mod find;
mod house;
#[cfg(feature = "whisper")]
mod kept;
#[cfg(feature = "whisper")]
mod load;
mod media_stream;
mod offline;
mod people;
#[cfg(feature = "whisper")]
mod pipeline_e2e;
mod recording;
mod shutdown;
#[cfg(feature = "whisper")]
mod speech;
mod support;
mod webhook;
mod wer;
#[cfg(feature = "whisper")]
mod written_down;
