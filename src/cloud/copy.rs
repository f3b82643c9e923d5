//! Twilio's copy of a call, heard from any place in constant memory.

use std::fs::File;
use std::io::BufReader;

use crate::audio::{Resampler, Upsampler, WavError, WavReader, pcm16};
use crate::domain::{Party, PartyMap, RateHz, StreamTrack};
use crate::vault::{self, RelPath, Vault};

/// What is read before and after a piece, in samples of 8 kHz, so that it is resampled as if the
/// whole had been: twice what the filter looks to either side.
const CONTEXT: u64 = 256;

/// Why a file of sound could not be worked with.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// The disk stands in the way, or the file is gone.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// There is no sound to be had from the file; another attempt would find the same.
    #[error("{path} cannot be read as sound")]
    Unreadable {
        /// The file.
        path: RelPath,
        /// What is wrong with it.
        #[source]
        source: WavError,
    },
    /// The file holds less than the ledger says; it is left as it is.
    #[error("{path} holds {found} samples, and the ledger says {expected}")]
    Short {
        /// The file.
        path: RelPath,
        /// What is there.
        found: u64,
        /// What the ledger says.
        expected: u64,
    },
}

impl SoundError {
    pub(super) fn unreadable(path: &RelPath, source: WavError) -> Self {
        Self::Unreadable { path: path.clone(), source }
    }
}

/// Twilio's copy, counted in samples of 8 kHz whatever its own rate.
#[derive(Debug)]
pub(super) struct CloudCopy {
    file: File,
    path: RelPath,
    rate_hz: u32,
    channels: usize,
    samples: u64,
    upsampler: Upsampler,
}

impl CloudCopy {
    pub(super) fn open(vault: &Vault, path: &RelPath) -> Result<Self, SoundError> {
        let file = vault.open_read(path)?;
        let reader =
            WavReader::new(&file).map_err(|source| SoundError::unreadable(path, source))?;
        let (rate_hz, channels) = (reader.rate_hz(), usize::from(reader.channels()));
        let samples = reader.frames().saturating_mul(8000) / u64::from(rate_hz);
        let (path, upsampler) = (path.clone(), Upsampler::new());
        Ok(Self { file, path, rate_hz, channels, samples, upsampler })
    }

    /// Returns its length.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Returns the channel of a party; none if both are in one.
    pub(super) fn channel_of(&self, party: Party, parties: PartyMap) -> Option<usize> {
        let inbound = parties.party(StreamTrack::Inbound) == party;
        (self.channels == 2).then_some(usize::from(!inbound))
    }

    /// Returns all channels from `start` on, fewer than `count` samples at the end.
    pub(super) fn hear(&self, start: u64, count: u64) -> Result<Vec<Vec<f32>>, SoundError> {
        let count = count.min(self.samples.saturating_sub(start));
        if self.rate_hz == RateHz::Hz8000.get() {
            return self.frames(start, count);
        }
        // A whole second is a whole number of frames at every rate.
        let lead = start - start.saturating_sub(CONTEXT) / 8000 * 8000;
        let rate_hz = u64::from(self.rate_hz);
        let first = (start - lead) / 8000 * rate_hz;
        let frames = self.frames(first, (lead + count + CONTEXT) * rate_hz / 8000)?;
        let (lead, count) = (index(lead), index(count));
        let resampled = frames.iter().map(|channel| {
            let mut resampler = Resampler::new(self.rate_hz, RateHz::Hz8000)
                .map_err(|_| self.unreadable(WavError::AbsurdRate { rate_hz: self.rate_hz }))?;
            let mut out = Vec::new();
            resampler.push(channel, &mut out);
            resampler.finish(&mut out);
            Ok(out.into_iter().skip(lead).take(count).collect())
        });
        resampled.collect()
    }

    /// Returns one channel as it stands in a file of ours of that rate.
    pub(super) fn sound(
        &mut self,
        channel: usize,
        rate: RateHz,
        start: u64,
        count: u64,
    ) -> Result<Vec<i16>, SoundError> {
        let (lead, tail) = match rate {
            RateHz::Hz8000 => (0, 0),
            RateHz::Hz16000 => (CONTEXT.min(start), CONTEXT),
        };
        let heard = self.hear(start - lead, lead + count + tail)?;
        let narrow = heard.get(channel).into_iter().flatten().map(|sample| pcm16(*sample));
        match rate {
            RateHz::Hz8000 => Ok(narrow.take(index(count)).collect()),
            RateHz::Hz16000 => {
                let narrow: Vec<i16> = narrow.collect();
                let mut wide = Vec::with_capacity(2 * narrow.len());
                self.upsampler.push(&narrow, &mut wide);
                self.upsampler.finish(&mut wide);
                Ok(wide.into_iter().skip(index(2 * lead)).take(index(2 * count)).collect())
            }
        }
    }

    fn frames(&self, start: u64, count: u64) -> Result<Vec<Vec<f32>>, SoundError> {
        let read = || {
            let mut reader = WavReader::new(BufReader::new(&self.file))?;
            reader.skip(start)?;
            let mut out = vec![Vec::new(); self.channels];
            reader.read(&mut out, index(count))?;
            Ok(out)
        };
        read().map_err(|source| self.unreadable(source))
    }

    fn unreadable(&self, source: WavError) -> SoundError {
        SoundError::unreadable(&self.path, source)
    }
}

/// A count of samples that fit into memory.
pub(super) fn index(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
