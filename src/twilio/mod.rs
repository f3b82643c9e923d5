//! Twilio's wire: what it sends us taken apart, what we answer it put together.
//!
//! Duty: request signatures, forms, webhooks, `TwiML` and media stream messages, as pure
//! functions from bytes to types and back; in [`rest`] the client of the REST API; and in
//! [`round_trip`] our own public address, called as Twilio calls it.
//!
//! Invariants: whatever bytes come in, the answer is a value or an error that names the field;
//! nothing here panics, allocates without a bound, or puts a secret, a number or a spoken word
//! into an error's text. Credentials reach the configured origin and no other.
//!
//! Not here: listening sockets, clocks, and any decision what to do about a message or when to
//! ask again.

pub mod door;
pub mod form;
pub mod media;
mod moment;
pub mod rest;
pub mod round_trip;
pub mod signature;
pub mod twiml;
pub mod webhook;
