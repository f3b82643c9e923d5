//! Live sound, from a stream's frames and the agent's own microphone to sealed tracks and a
//! finished call.
//!
//! Invariants: whoever hands sound over never waits for the disk or the ledger; a call's
//! [`Session`] alone decides where Twilio's sound belongs and when the call began, and every other
//! source is fitted to that; a call's scribe thread alone writes its files; all that was heard while
//! the call was live is written or told as a gap.
//!
//! Not here: sockets and webhooks (web's), sound cards (the microphone's), the order of writes that
//! a power cut survives (the vault's), and what is made of the sound afterwards.

mod call;
mod desk;
mod fit;
mod live;
mod ready;
mod recorder;
mod salvage;
mod scribe;
mod session;

pub use fit::AgentSound;
pub use live::{LiveCall, LiveTrack};
pub use recorder::{Limits, Options, Recorder, Refused, StreamLink, StreamOpening};
pub use salvage::{Salvaged, salvage_open_calls, salvage_strays};
pub use session::{Effect, Event, Frame, Session, Skip};
