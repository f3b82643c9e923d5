//! Live sound.
mod session;
pub use session::{Effect, Event, Frame, Session, Skip};
