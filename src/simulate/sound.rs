//! What the two parties say.

use std::sync::Arc;

use crate::domain::{Party, Samples8k};

/// Bytes of one frame, which are 20 ms of mu-law.
pub(super) const FRAME_BYTES: usize = 160;

/// Milliseconds of one frame.
pub(super) const FRAME_MS: u64 = 20;

/// Mu-law's silence.
const SILENCE: u8 = 0xff;

/// Two channels of 8 kHz mu-law of the same whole number of frames. Cheap to clone.
#[derive(Clone)]
pub struct Sound {
    left: Arc<[u8]>,
    right: Arc<[u8]>,
}

impl Sound {
    /// Takes the agent on the left and the technician on the right, and fills the shorter one,
    /// and the last frame, with silence.
    pub fn stereo(left: Vec<u8>, right: Vec<u8>) -> Self {
        let bytes = left.len().max(right.len()).next_multiple_of(FRAME_BYTES);
        let filled = |mut channel: Vec<u8>| -> Arc<[u8]> {
            channel.resize(bytes, SILENCE);
            channel.into()
        };
        Self { left: filled(left), right: filled(right) }
    }

    /// Takes a technician who talks to a silent agent.
    pub fn mono(technician: Vec<u8>) -> Self {
        Self::stereo(Vec::new(), technician)
    }

    /// Returns exactly what will be sent of one party.
    pub fn of(&self, party: Party) -> &[u8] {
        match party {
            Party::Agent => &self.left,
            Party::Technician => &self.right,
        }
    }

    /// Returns the sound's length.
    pub fn length(&self) -> Samples8k {
        Samples8k::new(self.left.len() as u64)
    }

    pub(super) fn frames(&self) -> u64 {
        (self.left.len() / FRAME_BYTES) as u64
    }

    /// Returns one frame of one party, empty behind the end.
    pub(super) fn frame(&self, party: Party, frame: u64) -> &[u8] {
        let start = usize::try_from(frame).unwrap_or(usize::MAX).saturating_mul(FRAME_BYTES);
        self.of(party).get(start..start.saturating_add(FRAME_BYTES)).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_channels_are_whole_frames_of_one_length() {
        let sound = Sound::stereo(vec![1; 161], vec![2; 10]);
        assert_eq!((sound.frames(), sound.length()), (2, Samples8k::new(320)));
        assert_eq!(sound.of(Party::Agent)[..162], [&[1; 161][..], &[SILENCE]].concat());
        assert_eq!(sound.frame(Party::Technician, 0)[9..11], [2, SILENCE]);
        assert!(sound.frame(Party::Agent, 2).is_empty());
        assert_eq!(Sound::mono(vec![3; 160]).of(Party::Agent), [SILENCE; 160]);
        assert_eq!(Sound::mono(Vec::new()).frames(), 0);
    }
}
