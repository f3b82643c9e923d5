//! Speech to text: a track in, what was said and when out.
//!
//! [`Speech`] is the daemon's handle; behind it a child process ([`worker`]) runs the engine,
//! window by window, so that the worst it can do costs one attempt at one track and a live track
//! waits for one window at most. [`transcribe_file`] does the same for one file in this process.
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
#[cfg(feature = "whisper")]
mod engine;
#[cfg(not(feature = "whisper"))]
#[path = "engine_absent.rs"]
mod engine;
mod file;
mod formats;
mod heard;
mod job;
mod live;
mod models;
mod orphan;
mod place;
mod queue;
mod scan;
mod segment;
mod spans;
mod speech;
mod step;
mod swift;
mod track;
mod window;
mod wire;
mod work;
pub mod worker;

pub use board::{LiveBoard, LiveEvent, LiveSegment, LiveView};
pub use conversation::{Said, Turn, merge, turns};
pub use file::{FileError, FileJob, FileText, Progress, transcribe_file};
pub use formats::{BadFormat, Format, Transcript, written};
pub use job::{IDLE, LiveJob, Options, PATIENCE, SpeechError, TrackJob};
pub use live::{LiveSource, LiveTrackSource, LiveWriter};
pub use models::{DETECTOR_FILE, ModelError, ModelFiles, model_dirs};
pub use segment::{LiveText, Segment, TrackText};
pub use speech::Speech;
pub use work::{TranscriptWork, TranscriptWorkOptions};

/// Threads beyond these do not help: a window has no more work to share.
const THREADS_MAX: usize = 16;

/// Returns how many threads the engine is to use: `wanted`, or for 0 one a core.
fn threads(wanted: u32) -> u32 {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if wanted == 0 { cores() } else { usize::try_from(wanted).unwrap_or(1) };
    u32::try_from(threads.min(THREADS_MAX)).unwrap_or(1)
}
