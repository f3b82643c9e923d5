#![doc = include_str!("ARCHITECTURE.md")]

pub mod audio;
pub mod capture;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod pipeline;
pub mod retention;
pub mod simulate;
pub mod store;
pub mod telemetry;
pub mod transcribe;
pub mod twilio;
pub mod vault;
pub mod web;
