//! Whether what was fetched is a recording, and the one that Twilio speaks of.

use std::fs::File;

use super::riff::Layout;
use crate::audio::{WavError, WavReader};

/// What Twilio says of a recording. What it does not say is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// Whole seconds.
    pub duration_s: Option<u32>,
    /// One or two.
    pub channels: Option<u32>,
}

/// What is wrong with a file that ought to be a recording.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    /// It is something else, such as an error page.
    #[error(transparent)]
    NotWav(WavError),
    /// It has another number of channels.
    #[error("it has {found} channels")]
    Channels {
        /// As many as are there.
        found: u16,
    },
    /// It is another length than Twilio says.
    #[error("it lasts {} s and Twilio says {expected_s} s", found_ms / 1000)]
    Duration {
        /// What is there.
        found_ms: u64,
        /// What Twilio says.
        expected_s: u32,
    },
    /// Its header promises more than is there, and nobody says how long it ought to be.
    #[error("its header promises more sound than is there")]
    Unfinished,
    /// It is longer than a WAV can be.
    #[error("it is longer than a WAV can be")]
    TooLong,
}

/// The sound in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sound {
    pub(super) channels: u16,
    pub(super) rate_hz: u32,
    pub(super) layout: Layout,
}

/// Why a file is not taken.
pub(super) enum Flaw {
    /// More of it may make it whole.
    Cut(Unsound),
    /// More of it would not help.
    Wrong(Unsound),
    Io(std::io::Error),
}

impl From<Unsound> for Flaw {
    fn from(why: Unsound) -> Self {
        Self::Wrong(why)
    }
}

impl Sound {
    pub(super) fn find(file: &File) -> Result<Self, Flaw> {
        let reader = WavReader::new(file).map_err(|error| match error {
            WavError::Io(source) => Flaw::Io(source),
            other => Unsound::NotWav(other).into(),
        })?;
        let (channels, rate_hz) = (reader.channels(), reader.rate_hz());
        if !(1..=2).contains(&channels) {
            return Err(Unsound::Channels { found: channels }.into());
        }
        let no_audio = || Flaw::Wrong(Unsound::NotWav(WavError::NoAudio));
        let layout = Layout::find(file).map_err(Flaw::Io)?.ok_or_else(no_audio)?;
        Ok(Self { channels, rate_hz, layout })
    }

    /// Finds the sound also where the header denies that there is any, by putting that right.
    pub(super) fn find_despite_length(file: &File) -> Result<Self, Flaw> {
        let found = Self::find(file);
        let Err(Flaw::Wrong(Unsound::NotWav(WavError::NoAudio))) = &found else { return found };
        match Layout::find(file).map_err(Flaw::Io)? {
            Some(layout) if layout.frames() > 0 => {
                layout.repair(file).map_err(Flaw::Io)?;
                Self::find(file)
            }
            _ => found,
        }
    }

    /// Checks against what Twilio says. Its seconds are whole, and they are the better witness of
    /// the length than a header that promises more than is there.
    pub(super) fn meets(self, expect: Expect) -> Result<Self, Flaw> {
        if expect.channels.is_some_and(|channels| channels != u32::from(self.channels)) {
            return Err(Unsound::Channels { found: self.channels }.into());
        }
        let found_ms = self.layout.frames().saturating_mul(1000) / u64::from(self.rate_hz);
        let Some(expected_s) = expect.duration_s else {
            let cut = self.layout.promises_more();
            return if cut { Err(Flaw::Cut(Unsound::Unfinished)) } else { Ok(self) };
        };
        let due_ms = u64::from(expected_s) * 1000;
        let why = Unsound::Duration { found_ms, expected_s };
        if found_ms + tolerance_ms(due_ms) < due_ms {
            Err(Flaw::Cut(why))
        } else if found_ms > due_ms + tolerance_ms(due_ms) {
            Err(why.into())
        } else {
            Ok(self)
        }
    }
}

/// How far a length may be from Twilio's: 2 s, for its seconds are whole and begin when they
/// like, and 1 % of a long one.
fn tolerance_ms(due_ms: u64) -> u64 {
    2_000 + due_ms / 100
}
