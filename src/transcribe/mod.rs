//! Speech to text: a track in, what was said and when out.
//!
//! [`Speech`] is the daemon's handle; behind it a child process ([`worker`]) runs the engine,
//! window by window, so that the worst it can do costs one window of one track and a live track
//! waits for one window at most. [`Schedule`] says whose turn it is. [`Transcriber`] does the same
//! for files in this process.
//!
//! Invariant: a segment's times lie within the speech it belongs to, on the timeline of its
//! track, and silence gives no text. The worker opens nothing; what it hears comes to it as an
//! open file.
//!
//! Not here: which call a track belongs to, retries and back-off (the pipeline's), and the ledger.

mod board;
mod child;
mod clean;
mod conversation;
mod echo;
#[cfg(feature = "whisper")]
mod engine;
#[cfg(not(feature = "whisper"))]
#[path = "engine_absent.rs"]
mod engine;
mod file;
mod formats;
mod heard;
mod hearing;
mod job;
mod live;
mod look;
mod machine;
#[cfg(feature = "whisper")]
mod memory;
mod models;
mod orphan;
mod parts;
mod place;
mod queue;
mod scan;
mod schedule;
mod segment;
mod spans;
mod speech;
mod step;
mod swift;
#[cfg(feature = "whisper")]
mod timing;
mod track;
mod vocabulary;
mod window;
mod wire;
mod work;
pub mod worker;

pub use board::{LiveBoard, LiveEvent, LiveSegment, LiveView};
pub use conversation::{Said, Turn, merge, turns};
pub use file::{FileError, FileJob, FileText, Hearing, LivePace, Progress, Transcriber};
pub use formats::{BadFormat, Format, Transcript, written};
pub use job::{IDLE, LiveJob, Options, PATIENCE, SpeechError, TrackJob};
pub use live::{LiveSource, LiveTrackSource, LiveWriter};
pub use machine::Machine;
pub use models::{ModelError, ModelFiles};
pub use schedule::{LiveCalls, Schedule};
pub use segment::{LiveText, Segment, SpokenWord, WindowText};
pub use speech::{Proved, Speech, prove};
pub use work::{TranscriptWork, TranscriptWorkOptions};

/// More threads than these are never used, whoever asks: a window has no more work to share.
const THREADS_MAX: u32 = 16;

/// Returns how many threads somebody may have who is waited for: `wanted`, or for 0 as many as
/// there are to be had.
fn threads(wanted: u32) -> u32 {
    threads_of(wanted, Machine::this().threads_at_once())
}

fn threads_of(wanted: u32, to_be_had: usize) -> u32 {
    let to_be_had = u32::try_from(to_be_had).unwrap_or(THREADS_MAX);
    if wanted == 0 { to_be_had } else { wanted }.clamp(1, THREADS_MAX)
}
