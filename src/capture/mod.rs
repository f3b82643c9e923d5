//! Live sound, from a stream's frames to sealed tracks and a finished call.
//!
//! Invariants: whoever hands frames over never waits for the disk or the ledger; a call's
//! [`Session`] alone decides where sound belongs and when the call began; a call's scribe thread
//! alone writes its files; every frame heard is written or told as a gap.
//!
//! Not here: sockets and webhooks (web's), the order of writes that a power cut survives (the
//! vault's), and what is made of the sound afterwards.

mod call;
mod recorder;
mod salvage;
mod scribe;
mod session;

pub use recorder::{
    Limits, LiveCall, LiveTrack, Options, Recorder, Refused, StreamLink, StreamOpening,
};
pub use salvage::{Salvaged, salvage_open_calls, salvage_strays};
pub use session::{Effect, Event, Frame, Session, Skip};
