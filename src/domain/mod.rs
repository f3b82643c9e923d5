//! The words of the trade: identifiers, statuses, moments and lengths.
//!
//! Invariant: a value of these types is well formed; whoever holds a [`CallSid`] need not check
//! it again. Not here: anything that reads a clock, a file or the network, and anything that
//! knows JSON, SQL or HTTP.

mod parties;
mod sid;
mod time;
mod words;

pub use parties::PartyMap;
pub use sid::{AccountSid, BadSid, CallSid, NumberSid, RecordingSid, StreamSid};
pub use time::{RateHz, Samples8k, UnixMillis, lasting};
pub use words::{
    BadWord, Direction, DurationSource, EndReason, EndedBy, GapReason, Origin, Outcome, Party,
    PieceKind, RecordingStatus, Role, Stage, StageStatus, StreamTrack, TrackSource, WaitingFor,
};

/// Shortens a phone number or address to what a log may show: its last four characters.
pub fn last_four(address: &str) -> String {
    let count = address.chars().count();
    let tail: String = address.chars().skip(count.saturating_sub(4)).collect();
    if count > 4 { format!("…{tail}") } else { tail }
}
