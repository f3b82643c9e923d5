//! What came of a call.

use std::time::Duration;

use crate::domain::{CallSid, RecordingSid, Samples8k, StreamSid, StreamTrack};

/// What was sent, what was withheld, and how the appliance took it.
#[derive(Debug, Clone)]
pub struct Report {
    /// The call.
    pub call_sid: CallSid,
    /// Its streams, one more for every time the first was cut.
    pub streams: Vec<StreamSid>,
    /// Twilio's own recording of it, if the answer asked for one.
    pub recording_sid: Option<RecordingSid>,
    /// How much of the sound the call lasted for.
    pub length: Samples8k,
    /// Different frames sent of the inbound track.
    pub inbound_frames: u64,
    /// Different frames sent of the outbound track.
    pub outbound_frames: u64,
    /// The stretches of that length that were not sent.
    pub dropped: Vec<Dropped>,
    /// Frames that were sent behind a later one of their stream.
    pub reordered: u64,
    /// Frames that were sent again.
    pub duplicated: u64,
    /// Every webhook, in the order in which they were answered.
    pub webhooks: Vec<Webhook>,
    /// Whatever Twilio would have complained of.
    pub troubles: Vec<Trouble>,
}

/// A stretch of one track that was not sent, in samples of the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Whose.
    pub track: StreamTrack,
    /// Its first sample.
    pub start: Samples8k,
    /// The first sample behind it.
    pub end: Samples8k,
}

/// One webhook and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its path at the appliance.
    pub path: String,
    /// The event it told (`ringing`, `stream-started`, …).
    pub event: String,
    /// The HTTP status of the last attempt, `None` if there was no answer.
    pub status: Option<u16>,
    /// How often it was sent.
    pub attempts: u32,
    /// How long the last attempt took.
    pub latency: Duration,
}

/// Something that went wrong in a call that went on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing to record live.
    #[error("the answer has no <Stream>: the appliance may be degraded; the call goes on without")]
    NoStream,
    /// An address that leads elsewhere.
    #[error("{url} is not below the public_url {public_url}: is it the same here and there?")]
    StrayUrl {
        /// The address.
        url: String,
        /// Ours.
        public_url: String,
    },
    /// No WebSocket.
    #[error("the appliance answered the stream with HTTP {status} instead of a WebSocket (31920)")]
    StreamRefused {
        /// What it said.
        status: u16,
    },
    /// Not even an answer.
    #[error("the stream found nobody: {why} (31902)")]
    StreamUnreachable {
        /// What happened instead.
        why: String,
    },
    /// The appliance wants no more.
    #[error("the appliance closed the stream with {code} {reason:?}{}", meaning(*.code))]
    StreamClosed {
        /// The WebSocket's close code.
        code: u16,
        /// What it said with it.
        reason: String,
    },
    /// The socket is gone.
    #[error("the stream broke: {why}")]
    StreamBroken {
        /// How.
        why: String,
    },
    /// A callback that the appliance did not take.
    #[error("the appliance answered {path} ({event}) with HTTP {status} (11200)")]
    CallbackRefused {
        /// Which.
        path: String,
        /// What it told.
        event: String,
        /// What it said.
        status: u16,
    },
    /// A callback that reached nobody.
    #[error("{path} ({event}) reached nobody: {why} (11200)")]
    CallbackLost {
        /// Which.
        path: String,
        /// What it told.
        event: String,
        /// What happened instead.
        why: String,
    },
    /// After a cut there was no second stream.
    #[error("the stream did not come back: {why}")]
    NotResumed {
        /// What the second request met.
        why: String,
    },
}

fn meaning(code: u16) -> &'static str {
    match code {
        1001 => ": it is going down",
        1008 => ": it did not accept the stream's token or account",
        1009 => ": a frame was too large for it",
        1011 => ": it failed inside",
        _ => "",
    }
}

/// Which frames left, kept while the call runs.
pub(super) struct Heard {
    sent: [Vec<bool>; 2],
    last_sequence: u64,
    pub(super) reordered: u64,
    pub(super) duplicated: u64,
}

impl Heard {
    pub(super) fn new(frames: u64) -> Self {
        let frames = usize::try_from(frames).unwrap_or(usize::MAX);
        let sent = [vec![false; frames], vec![false; frames]];
        Self { sent, last_sequence: 0, reordered: 0, duplicated: 0 }
    }

    /// Begins another stream, whose messages are counted anew.
    pub(super) fn next_stream(&mut self) {
        self.last_sequence = 0;
    }

    /// Notes a frame that has left.
    pub(super) fn note(&mut self, track: StreamTrack, frame: u64, sequence: u64) {
        let place = usize::try_from(frame).ok();
        let Some(sent) = place.and_then(|place| self.sent[side(track)].get_mut(place)) else {
            return;
        };
        if *sent {
            self.duplicated += 1;
        } else if sequence < self.last_sequence {
            self.reordered += 1;
        }
        *sent = true;
        self.last_sequence = self.last_sequence.max(sequence);
    }

    /// Returns how many different frames left of a track.
    pub(super) fn count(&self, track: StreamTrack) -> u64 {
        self.sent[side(track)].iter().filter(|sent| **sent).count() as u64
    }

    /// Returns what did not leave of the first `frames` frames.
    pub(super) fn dropped(&self, frames: u64, frame_bytes: u64) -> Vec<Dropped> {
        let mut dropped = Vec::new();
        for track in StreamTrack::ALL.iter().copied() {
            let mut start = 0;
            let frames = usize::try_from(frames).unwrap_or(usize::MAX);
            let sent = &self.sent[side(track)];
            for run in sent[..frames.min(sent.len())].chunk_by(|a, b| a == b) {
                let end = start + run.len() as u64 * frame_bytes;
                if run.first() == Some(&false) {
                    let (start, end) = (Samples8k::new(start), Samples8k::new(end));
                    dropped.push(Dropped { track, start, end });
                }
                start = end;
            }
        }
        dropped
    }
}

fn side(track: StreamTrack) -> usize {
    match track {
        StreamTrack::Inbound => 0,
        StreamTrack::Outbound => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_leave_is_told_in_samples() {
        let mut heard = Heard::new(6);
        for (frame, sequence) in [(0, 2), (1, 4), (4, 10), (3, 8), (3, 8)] {
            heard.note(StreamTrack::Inbound, frame, sequence);
        }
        let stretch = |track, start, end| Dropped {
            track,
            start: Samples8k::new(start),
            end: Samples8k::new(end),
        };
        let expected =
            [stretch(StreamTrack::Inbound, 320, 480), stretch(StreamTrack::Outbound, 0, 800)];
        assert_eq!(heard.dropped(5, 160), expected);
        assert_eq!((heard.reordered, heard.duplicated), (1, 1));
        assert_eq!(heard.count(StreamTrack::Inbound), 4);
    }
}
