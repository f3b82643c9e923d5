//! The client of Twilio's REST API, version 2010-04-01.
//!
//! Duty: ask for calls and recordings, start and delete recordings, fetch their sound; set up a
//! number and place a call for who sets the box up; and say
//! of everything that goes wrong what the caller can do about it.
//!
//! Invariants: credentials go to the configured origin and nowhere else, because requests that
//! carry them are built from checked identifiers or from a page's link that has been looked at,
//! and redirects are followed without them or not at all. No URL out of an answer or a callback
//! is followed but those two. Every answer is bounded, in time or by the next byte. No secret
//! and no telephone number is in an error's text.
//!
//! Not here: when to ask, when to ask again, and what is done with the answers.

mod client;
mod error;
mod hop;
mod line;
mod media;
mod numbers;
mod origin;
mod pages;
mod resources;
mod target;
mod world;

pub use client::{Client, Dated, Deletion, NoClient};
pub use error::RestError;
pub use line::{BadCredentials, Credentials, Timeouts};
pub use media::{Channels, Extent, Media};
pub use numbers::{AccountResource, CallOrder, NumberResource, NumberSettings};
pub use origin::{BadOrigin, Origin};
pub use pages::Pages;
pub use resources::{CallResource, RecordingResource};

#[cfg(test)]
mod tests;
