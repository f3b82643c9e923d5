//! A call's lanes: whose voice, by which way, into which files.

use crate::domain::{Party, Samples8k, TrackSource};
use crate::vault::VoiceCopy;

/// A piece of sound and its place.
#[derive(Debug)]
pub(in crate::capture) struct Write {
    pub(in crate::capture) party: Party,
    pub(in crate::capture) source: TrackSource,
    pub(in crate::capture) at: Samples8k,
    pub(in crate::capture) sound: Sound,
}

/// Sound as it comes.
#[derive(Debug)]
pub(in crate::capture) enum Sound {
    /// As Twilio sends it.
    Ulaw(Vec<u8>),
    /// Samples of 16 kHz, two for each of the timeline.
    Wide(Vec<i16>),
}

impl Write {
    /// Returns where it ends.
    pub(in crate::capture) fn end(&self) -> Samples8k {
        let samples = match &self.sound {
            Sound::Ulaw(codes) => codes.len(),
            Sound::Wide(pcm) => pcm.len() / 2,
        };
        self.at.plus(samples as u64)
    }
}

/// One copy of a party's voice, and what its files are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::capture) struct Lane {
    pub(in crate::capture) party: Party,
    pub(in crate::capture) source: TrackSource,
    pub(in crate::capture) copy: VoiceCopy,
    /// Whether it comes at 16 kHz.
    pub(in crate::capture) is_wide: bool,
}

impl Lane {
    /// Lists a call's lanes, of which one more is the agent's from a source of its own, if there is
    /// one. Then what Twilio brings of the agent is the second copy.
    pub(in crate::capture) fn of_a_call(agent: Option<TrackSource>) -> Vec<Self> {
        let stream = Party::ALL.iter().map(|party| {
            let is_second = *party == Party::Agent && agent.is_some();
            let copy = if is_second { VoiceCopy::Line } else { VoiceCopy::First };
            Self { party: *party, source: TrackSource::Stream, copy, is_wide: false }
        });
        let (party, copy) = (Party::Agent, VoiceCopy::First);
        let own = agent.map(|source| Self { party, source, copy, is_wide: true });
        own.into_iter().chain(stream).collect()
    }
}
