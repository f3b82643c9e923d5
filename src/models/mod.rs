//! Speech models as files: which there are in the world, which are here, and how others come.
//!
//! Invariant: a file gets a model's name only after its SHA-256 was that of the model, and all of
//! it was durable; until then it is a `.part`, which a later attempt goes on with. What comes over
//! the network or from a stick is trusted for its hash and for nothing else.
//!
//! Not here: what a model hears (the room `transcribe`), and which one is used (the configuration).

mod catalogue;
mod error;
mod fetch;
mod header;
mod import;
mod install;
mod language;
mod measured;
mod mirror;
mod shelf;

pub use catalogue::{BUNDLED, CATALOGUE, DETECTOR, Known, file_name, near_misses};
pub use error::FetchError;
pub use fetch::{Fetch, Step};
pub use header::{Class, Header, NotAModel, Weights};
pub use import::{Offer, offers};
pub use install::Put;
pub use language::{BadLanguage, Language};
pub use measured::{Measured, Measurements};
pub use mirror::{BadMirror, Mirror};
pub use shelf::{Found, Shelf, english_only, is_whole, model_dirs};
