//! Where a call's frames belong in time. Pure: events in, effects out; no clock, no file, no task.
//!
//! The rule is that of the contract's section 4. A frame of a track whose timestamp is less than
//! 20 ms from where the track stands, with nothing missing before it, is jitter and is appended.
//! Any other is placed at its timestamp: silence fills the hole and is told as a gap, what
//! overlaps is dropped. When it arrived is never asked.
//!
//! One refinement: timestamps wander by a few milliseconds around multiples of the frame length,
//! so after a loss the hole is taken as whole frames when it is within [`WANDER`] of that. The
//! sound after a lost frame then lies on the very sample where it would have lain without the
//! loss, and a thousand losses shift it no further than one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{GapReason, Samples8k, StreamTrack};

/// A deviation below this is jitter: 20 ms.
const JITTER: u64 = 160;

/// How far timestamps were seen to wander around multiples of the frame length: 5 ms.
const WANDER: u64 = 40;

/// Messages held back while one before them is missing: 100 ms of a call's two tracks
/// (2 x 50 frames/s x 0.1 s). What a crash could cost stays below the promised 200 ms.
const HELD_MAX: usize = 10;

/// How long a message is held back for one before it, whatever else comes.
const HELD_FOR: Duration = Duration::from_millis(150);

/// How far ahead of the call's own age a frame may claim to be: a burst after a stall is never
/// ahead, so this only stops a hostile timestamp from filling the disk with silence.
const AHEAD_MAX: Duration = Duration::from_mins(1);

/// One frame of sound as it came off the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its track.
    pub track: StreamTrack,
    /// Its place among all messages of the stream.
    pub sequence: u64,
    /// Milliseconds since the stream's own beginning.
    pub timestamp_ms: u64,
    /// Mu-law at 8 kHz; one byte is one sample.
    pub ulaw: Vec<u8>,
}

/// What happens to a call's stream. Each comes with the time since boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A stream opened, the first or a later one; a stream still open gives way to it.
    Opened,
    /// A frame arrived.
    Frame(Frame),
    /// A message without sound arrived; it counts in the sequence.
    Other {
        /// Its place among all messages of the stream.
        sequence: u64,
    },
    /// Time passed.
    Tick,
    /// The stream ended, by its own word or by its socket.
    Closed,
    /// The call is over: nothing follows.
    End,
}

/// What is to be done about it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The call's first sound is here; sample 0 was heard this long ago.
    Began {
        /// Before now.
        ago: Duration,
    },
    /// Where the open stream's first sound lies.
    StreamBegan {
        /// On the call's timeline.
        origin: Samples8k,
    },
    /// Write sound; silence fills what lies between the track's end and `at`.
    Write {
        /// Its track.
        track: StreamTrack,
        /// Its first sample's place; never before the track's end.
        at: Samples8k,
        /// The sound.
        ulaw: Vec<u8>,
    },
    /// A stretch of a track is silence that nobody spoke.
    Gap {
        /// Its track.
        track: StreamTrack,
        /// From here.
        start: Samples8k,
        /// To here.
        end: Samples8k,
        /// Why.
        reason: GapReason,
    },
    /// A frame was not used.
    Skipped(Skip),
    /// Both tracks end here; the shorter is padded with silence.
    Finished {
        /// The length of every file of the call.
        end: Samples8k,
    },
}

/// Why a frame was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// Its place was taken: it came twice, or after it had been given up as lost.
    Late,
    /// It claims a time that the call has not reached by far.
    TooFarAhead,
    /// No stream is open.
    NoStream,
}

/// A call's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    inbound_end: Samples8k,
    outbound_end: Samples8k,
    /// When sample 0 was heard, by the time since boot.
    began: Option<Duration>,
    stream: Option<Stream>,
}

/// The stream that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stream {
    /// The first sequence number not yet used.
    next: u64,
    held: BTreeMap<u64, (Duration, Option<Frame>)>,
    /// Its first timestamp and the place of that on the call's timeline.
    origin: Option<(u64, Samples8k)>,
    /// Whether a message is missing since the last frame of a track.
    hole_inbound: bool,
    hole_outbound: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            inbound_end: Samples8k::ZERO,
            outbound_end: Samples8k::ZERO,
            began: None,
            stream: None,
        }
    }
}

impl Session {
    /// Takes one event that happened at `now` (time since boot) to the next state.
    #[must_use]
    pub fn step(mut self, event: Event, now: Duration) -> (Self, Vec<Effect>) {
        let mut effects = Vec::new();
        match event {
            Event::Opened => {
                self.release(now, Hold::Nothing, &mut effects);
                self.stream = Some(Stream::new());
            }
            Event::Frame(frame) => self.take(frame.sequence, Some(frame), now, &mut effects),
            Event::Other { sequence } => self.take(sequence, None, now, &mut effects),
            Event::Tick => self.release(now, Hold::Recent, &mut effects),
            Event::Closed => {
                self.release(now, Hold::Nothing, &mut effects);
                self.stream = None;
            }
            Event::End => {
                self.release(now, Hold::Nothing, &mut effects);
                self.stream = None;
                self.finish(&mut effects);
            }
        }
        (self, effects)
    }

    /// Returns how long the call's sound is so far.
    pub fn length(&self) -> Samples8k {
        self.inbound_end.max(self.outbound_end)
    }

    /// Says whether a stream is open.
    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Says whether anything has been heard.
    pub fn has_begun(&self) -> bool {
        self.began.is_some()
    }

    fn take(&mut self, sequence: u64, frame: Option<Frame>, now: Duration, out: &mut Vec<Effect>) {
        let Some(stream) = &mut self.stream else {
            out.extend(frame.map(|_| Effect::Skipped(Skip::NoStream)));
            return;
        };
        if sequence < stream.next || stream.held.contains_key(&sequence) {
            out.extend(frame.map(|_| Effect::Skipped(Skip::Late)));
            return;
        }
        stream.held.insert(sequence, (now, frame));
        self.release(now, Hold::Recent, out);
    }

    /// Uses what is held, as far as it may be.
    fn release(&mut self, now: Duration, hold: Hold, out: &mut Vec<Effect>) {
        while let Some((frame, came, hole)) = self.stream.as_mut().and_then(|s| s.pop(now, hold)) {
            if hole && let Some(stream) = &mut self.stream {
                stream.hole_inbound = true;
                stream.hole_outbound = true;
            }
            if frame.is_some() && self.began.is_none() {
                self.began = Some(came);
                out.push(Effect::Began { ago: now.saturating_sub(came) });
            }
            if let Some(frame) = frame {
                self.place(frame, now, out);
            }
        }
    }

    fn place(&mut self, frame: Frame, now: Duration, out: &mut Vec<Effect>) {
        let Some(target) = self.target(&frame, now, out) else {
            out.push(Effect::Skipped(Skip::TooFarAhead));
            return;
        };
        let hole = self.stream.as_mut().is_some_and(|s| std::mem::take(s.hole(frame.track)));
        let end = *self.end(frame.track);
        let ahead = target.since(end);
        let behind = end.since(target);
        let (at, overlap) = if ahead.max(behind) < JITTER && !hole {
            (end, 0)
        } else if ahead > 0 {
            (end.plus(whole_frames(ahead, frame.ulaw.len())), 0)
        } else if behind <= WANDER {
            (end, 0)
        } else {
            (end, usize::try_from(behind).unwrap_or(usize::MAX))
        };
        if overlap >= frame.ulaw.len() {
            out.push(Effect::Skipped(Skip::Late));
            return;
        }
        if at > end {
            out.push(Effect::Gap {
                track: frame.track,
                start: end,
                end: at,
                reason: GapReason::Lost,
            });
        }
        let ulaw = if overlap == 0 { frame.ulaw } else { frame.ulaw[overlap..].to_vec() };
        *self.end(frame.track) = at.plus(ulaw.len() as u64);
        out.push(Effect::Write { track: frame.track, at, ulaw });
    }

    /// Where the frame's timestamp lies on the call's timeline; none when it is refused.
    fn target(&mut self, frame: &Frame, now: Duration, out: &mut Vec<Effect>) -> Option<Samples8k> {
        let age = now.saturating_sub(self.began.unwrap_or(now));
        let limit = Samples8k::from_millis(millis(age + AHEAD_MAX));
        let length = self.length();
        let stream = self.stream.as_mut()?;
        let Some((first_ms, base)) = stream.origin else {
            return Some(self.begin_stream(frame, age, length, out));
        };
        let target = if frame.timestamp_ms >= first_ms {
            base.plus(Samples8k::from_millis(frame.timestamp_ms - first_ms).get())
        } else {
            // Before the stream's own beginning: there is no room, it overlaps what is there.
            let before = Samples8k::from_millis(first_ms - frame.timestamp_ms).get();
            Samples8k::new(base.get().saturating_sub(before))
        };
        (target <= limit).then_some(target)
    }

    /// Fixes where the open stream's first timestamp lies: at 0 for a call's first stream, and for
    /// a later one as far on as time has passed, behind all that is there.
    fn begin_stream(
        &mut self,
        frame: &Frame,
        age: Duration,
        length: Samples8k,
        out: &mut Vec<Effect>,
    ) -> Samples8k {
        let base = if length == Samples8k::ZERO {
            Samples8k::ZERO
        } else {
            Samples8k::from_millis(millis(age)).max(length)
        };
        // Of the first frames of both tracks the earlier timestamp is the origin.
        let earliest_held = self.stream.iter().flat_map(|s| s.held.values()).filter_map(|held| {
            held.1.as_ref().filter(|other| other.track != frame.track).map(|f| f.timestamp_ms)
        });
        let first_ms = earliest_held.min().unwrap_or(frame.timestamp_ms).min(frame.timestamp_ms);
        for track in StreamTrack::ALL {
            let end = *self.end(*track);
            if length > Samples8k::ZERO && base > end {
                *self.end(*track) = base;
                out.push(Effect::Gap {
                    track: *track,
                    start: end,
                    end: base,
                    reason: GapReason::Disconnected,
                });
            }
        }
        if let Some(stream) = &mut self.stream {
            stream.origin = Some((first_ms, base));
        }
        out.push(Effect::StreamBegan { origin: base });
        base.plus(Samples8k::from_millis(frame.timestamp_ms - first_ms).get())
    }

    fn finish(&mut self, out: &mut Vec<Effect>) {
        let end = self.length();
        for track in StreamTrack::ALL {
            let start = *self.end(*track);
            if end.since(start) > JITTER {
                out.push(Effect::Gap { track: *track, start, end, reason: GapReason::Lost });
            }
            *self.end(*track) = end;
        }
        out.push(Effect::Finished { end });
    }

    fn end(&mut self, track: StreamTrack) -> &mut Samples8k {
        match track {
            StreamTrack::Inbound => &mut self.inbound_end,
            StreamTrack::Outbound => &mut self.outbound_end,
        }
    }
}

/// What may stay held.
#[derive(Debug, Clone, Copy)]
enum Hold {
    /// What waits for a message that may still come.
    Recent,
    /// Nothing: no more will come.
    Nothing,
}

impl Stream {
    fn new() -> Self {
        Self {
            // `start` is message 1.
            next: 2,
            held: BTreeMap::new(),
            origin: None,
            hole_inbound: false,
            hole_outbound: false,
        }
    }

    /// Takes the next message that may be used, when it came, and whether one before it is
    /// missing.
    fn pop(&mut self, now: Duration, hold: Hold) -> Option<(Option<Frame>, Duration, bool)> {
        let (&sequence, &(since, _)) = self.held.first_key_value()?;
        let missing = sequence > self.next;
        let patient = match hold {
            Hold::Nothing => false,
            Hold::Recent => self.held.len() < HELD_MAX && now.saturating_sub(since) < HELD_FOR,
        };
        if patient && (missing || self.awaits_the_other_track()) {
            return None;
        }
        self.next = sequence + 1;
        self.held.pop_first().map(|(_, (came, frame))| (frame, came, missing))
    }

    /// The origin is the smaller of both tracks' first timestamps, so the first frame waits a
    /// moment for the other track's.
    fn awaits_the_other_track(&self) -> bool {
        let has = |track| {
            self.held.values().any(|(_, frame)| frame.as_ref().is_some_and(|f| f.track == track))
        };
        self.origin.is_none() && !(has(StreamTrack::Inbound) && has(StreamTrack::Outbound))
    }

    fn hole(&mut self, track: StreamTrack) -> &mut bool {
        match track {
            StreamTrack::Inbound => &mut self.hole_inbound,
            StreamTrack::Outbound => &mut self.hole_outbound,
        }
    }
}

/// A hole of `samples` before a frame of `frame` samples: whole frames if it is nearly that.
fn whole_frames(samples: u64, frame: usize) -> u64 {
    let frame = (frame as u64).max(1);
    let whole = (samples + frame / 2) / frame * frame;
    if whole.abs_diff(samples) <= WANDER { whole } else { samples }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
