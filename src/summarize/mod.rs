//! The stage `summary`: what a call came to, and what somebody said would be done.
//!
//! Invariants: nothing is said of a call that its words do not bear out, and every statement carries
//! the places it rests on; what a summary was made from is told (`covers`), never silently less than
//! all; a call without words gets a line that is true of it. The summary made on the box stands
//! until a better one has come, and whenever none comes.
//!
//! Not here: the words themselves (the room `transcribe` writes them), and when it is whose turn
//! (the pipeline's).

mod actions;
mod borne_out;
mod coverage;
mod dates;
mod extract;
mod facts;
mod line;
mod sentences;
mod server;
mod tokens;
mod tongue;
mod work;

pub use server::{Address, ApiKey, BadAddress, Server, ServerOptions, Timeouts};
pub use work::{LookedAt, SummaryWork, SummaryWorkOptions};

#[cfg(test)]
mod tests;
