//! Speech.

mod board;

pub use board::{LiveBoard, LiveEvent, LiveSegment, LiveView};
