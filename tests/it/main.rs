//! Capabilities of the whole program, one module each.
#![cfg(test)]
#![allow(missing_docs, reason = "these are tests")]
#![cfg_attr(
    not(feature = "whisper"),
    allow(dead_code, unused_imports, reason = "the modules that use the rest need the engine")
)]

mod backup;
mod calling;
mod care;
mod cli;
mod clock;
#[cfg(feature = "whisper")]
mod cloud_kills;
#[cfg(feature = "whisper")]
mod cloud_recordings;
mod contract;
#[cfg(feature = "whisper")]
mod crash;
mod degraded;
mod doctor;
mod encrypted;
#[cfg(feature = "whisper")]
mod find;
mod house;
mod keeping;
#[cfg(feature = "whisper")]
mod kept;
#[cfg(feature = "whisper")]
mod load;
mod media_stream;
#[cfg(feature = "mic")]
mod microphone;
mod offline;
mod people;
#[cfg(feature = "whisper")]
mod pipeline_e2e;
mod proxies;
mod recording;
mod reload;
mod setup;
mod shutdown;
mod small_disk;
#[cfg(feature = "whisper")]
mod speech;
mod support;
mod support_bundle;
mod webhook;
mod wer;
#[cfg(feature = "whisper")]
mod written_down;
