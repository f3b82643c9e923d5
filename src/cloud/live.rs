//! What was heard live, as far as Twilio's copy has to do with it.

use std::fs::File;
use std::io::BufReader;

use super::copy::{SoundError, index};
use crate::audio::{WavReader, pcm16};
use crate::domain::{GapReason, Party, RateHz, Samples8k};
use crate::vault::{RelPath, Vault};

/// One sealed file of a party, as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPart {
    /// Who speaks.
    pub party: Party,
    /// Samples a second.
    pub rate: RateHz,
    /// Where its first sample lies on the call's timeline.
    pub origin: Samples8k,
    /// How many samples the ledger says it holds. What the file has beyond that an interrupted
    /// work left there, and it counts for nothing.
    pub samples: u64,
    /// Where it is.
    pub path: RelPath,
    /// Whether it is from the party's own microphone: Twilio's copy has nothing for it, but it ends
    /// with the others.
    pub is_own: bool,
}

impl StreamPart {
    /// Samples of this file to one of 8 kHz.
    pub(super) fn times(&self) -> u64 {
        u64::from(self.rate.get() / RateHz::Hz8000.get())
    }

    /// Where it ends on the call's timeline; half a sample counts whole.
    pub(super) fn end(&self) -> u64 {
        self.origin.get() + self.samples.div_ceil(self.times())
    }
}

/// A stretch of a party's timeline that is silence nobody spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Whose.
    pub party: Party,
    /// From here.
    pub start: Samples8k,
    /// To here.
    pub end: Samples8k,
    /// Why. What was paused was not to be recorded.
    pub reason: GapReason,
}

/// A part being read, front to back. After its end there is silence.
#[derive(Debug)]
pub(super) struct PartReader {
    path: RelPath,
    /// None if the part has no sample.
    reader: Option<WavReader<BufReader<File>>>,
    left: u64,
    /// What was looked at and not taken.
    peeked: Option<f32>,
}

impl PartReader {
    pub(super) fn open(vault: &Vault, part: &StreamPart) -> Result<Self, SoundError> {
        let (path, left) = (part.path.clone(), part.samples);
        if left == 0 {
            return Ok(Self { path, reader: None, left, peeked: None });
        }
        let file = BufReader::new(vault.open_read(&path)?);
        let reader =
            WavReader::new(file).map_err(|source| SoundError::unreadable(&path, source))?;
        let found = reader.frames();
        if found < left {
            return Err(SoundError::Short { path, found, expected: left });
        }
        Ok(Self { path, reader: Some(reader), left, peeked: None })
    }

    /// Appends exactly `count` samples.
    pub(super) fn take(&mut self, count: u64, out: &mut Vec<i16>) -> Result<(), SoundError> {
        let mut samples = Vec::new();
        self.read(count, &mut samples)?;
        samples.resize(index(count), 0.0);
        out.extend(samples.into_iter().map(pcm16));
        Ok(())
    }

    /// Returns the next sample and leaves it there.
    pub(super) fn peek(&mut self) -> Result<i16, SoundError> {
        if self.peeked.is_none() {
            let mut next = Vec::new();
            self.read(1, &mut next)?;
            self.peeked = next.first().copied();
        }
        Ok(self.peeked.map_or(0, pcm16))
    }

    /// Appends up to `count` samples, fewer at the end.
    pub(super) fn read(&mut self, count: u64, out: &mut Vec<f32>) -> Result<(), SoundError> {
        let mut count = count;
        if count > 0
            && let Some(sample) = self.peeked.take()
        {
            out.push(sample);
            count -= 1;
        }
        let here = count.min(self.left);
        self.left -= here;
        if let Some(reader) = &mut self.reader {
            reader
                .read(std::slice::from_mut(out), index(here))
                .map_err(|source| SoundError::unreadable(&self.path, source))?;
        }
        Ok(())
    }

    /// Passes over `count` samples.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), SoundError> {
        let mut count = count;
        if count > 0 && self.peeked.take().is_some() {
            count -= 1;
        }
        let here = count.min(self.left);
        self.left -= here;
        if let Some(reader) = &mut self.reader {
            reader.skip(here).map_err(|source| SoundError::unreadable(&self.path, source))?;
        }
        Ok(())
    }
}
