//! Twilio's copy of a call: asked for, found again after an outage, fetched, proved, and made the
//! call's own.
//!
//! Invariants: a recording is fetched from our own account by its name, whatever a callback said;
//! a file under its final name is whole, is sound and has a hash; what is missing here is found by
//! asking, so that no callback is needed for anything.
//!
//! Not here: Twilio's wire (twilio), when work is due (pipeline), and whether Twilio's copy may go
//! (archive).

mod align;
mod copy;
mod correlate;
mod failure;
mod fetch;
mod fill;
mod live;
mod news;
mod own;
mod plan;
mod reconcile;
mod split;
mod start;
mod transfer;

#[cfg(test)]
mod sound_tests;

pub use align::{AlignOrder, Alignment, Place, align};
pub use copy::SoundError;
pub use fetch::{FetchOptions, FetchWork};
pub use fill::{FillOrder, Filled, FilledFile, FilledSpan, fill};
pub use live::{Gap, StreamPart};
pub use own::{SplitOptions, SplitWork};
pub use reconcile::{Found, Hangup, ReconcileError, ReconcileOptions, Reconciler};
pub use split::{CloudTrack, Split, SplitOrder, split};
pub use start::{StartOptions, Starter};
