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
mod fill;
mod live;
mod plan;
mod split;

#[cfg(test)]
mod sound_tests;

pub use align::{AlignOrder, Alignment, align};
pub use copy::SoundError;
pub use fill::{FillOrder, Filled, FilledFile, FilledSpan, fill};
pub use live::{Gap, StreamPart};
pub use split::{CloudTrack, Split, SplitOrder, split};
