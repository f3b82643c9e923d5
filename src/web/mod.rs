//! The front door: everything that speaks HTTP, and the only room that knows status codes.
//!
//! Three doors, three routers, never mixed: Twilio's listener ([`door`]), the office's page and
//! API ([`lan`]), and the command line's socket ([`admin`]). [`serve`] takes their connections, encrypted as [`tls`] says.
//!
//! Invariant: what one door serves, no other does, and no door leads past its own checks.
//! Not here: SQL, files but for reading sealed sound, and what a call means.

pub mod admin;
pub mod door;
pub mod lan;
pub mod serve;
pub mod tls;

pub use axum::Router;
