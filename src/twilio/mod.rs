//! Twilio's wire: what it sends us taken apart, what we answer it put together.
//!
//! Duty: request signatures, forms, webhooks, `TwiML` and media stream messages, as pure
//! functions from bytes to types and back.
//!
//! Invariant: whatever bytes come in, the answer is a value or an error that names the field;
//! nothing here panics, allocates without a bound, or puts a secret, a number or a spoken word
//! into an error's text.
//!
//! Not here: sockets, HTTP, clocks, and any decision what to do about a message.

pub mod door;
pub mod form;
pub mod media;
pub mod signature;
pub mod twiml;
pub mod webhook;
