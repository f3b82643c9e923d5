//! What may go wrong between Twilio and the appliance.

use std::time::Duration;

use super::Error;

/// How far captured timestamps wander around 20 ms steps.
const CAPTURED_JITTER_MS: u64 = 3;

/// The most that a timestamp may wander: two frames must never change places by it.
const JITTER_MS_MAX: u64 = 9;

/// For how long a cut stream stays away unless told otherwise.
const AWAY: Duration = Duration::from_secs(2);

/// What goes wrong on the way. Ratios are of all frames but a stream's first of each track,
/// lengths are in the call's own time.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// The share of frames that never arrive.
    pub drop_ratio: f64,
    /// The share of frames that arrive behind later ones.
    pub reorder_ratio: f64,
    /// The share of frames that arrive twice.
    pub duplicate_ratio: f64,
    /// Every few seconds nothing arrives for so long, then all of it at once; 0 for never.
    pub stall_ms: u64,
    /// How far timestamps wander around their 20 ms steps.
    pub jitter_ms: u64,
    /// When the socket breaks, without a `stop`; the call then asks for its `TwiML` again and a
    /// new stream takes up the sound where it is by then.
    pub cut_after: Option<Duration>,
    /// For how long no stream is connected after that.
    pub cut_away: Duration,
    /// How a stream ends.
    pub ending: Ending,
    /// What decides which frames these are.
    pub seed: u64,
}

/// How a stream ends with its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By a `stop` message, then the socket closes.
    Stop,
    /// Not at all: nothing more comes and the socket stays open until the callbacks are done,
    /// as behind a tunnel that does not notice.
    Silence,
}

impl Faults {
    /// A line without faults, with timestamps that wander as on any.
    pub const fn none(seed: u64) -> Self {
        Self {
            drop_ratio: 0.0,
            reorder_ratio: 0.0,
            duplicate_ratio: 0.0,
            stall_ms: 0,
            jitter_ms: CAPTURED_JITTER_MS,
            cut_after: None,
            cut_away: AWAY,
            ending: Ending::Stop,
            seed,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let ratios = [
            ("drop ratio", self.drop_ratio),
            ("reorder ratio", self.reorder_ratio),
            ("duplicate ratio", self.duplicate_ratio),
        ];
        if let Some((option, _)) = ratios.iter().find(|(_, ratio)| !(0.0..=1.0).contains(ratio)) {
            return Err(Error::BadOption { option, must: "from 0 to 1" });
        }
        if self.jitter_ms > JITTER_MS_MAX {
            return Err(Error::BadOption { option: "jitter", must: "at most 9 ms" });
        }
        Ok(())
    }
}
