//! The sound of one track as the model wants it: 16 kHz, one channel, from any sample on.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};

use crate::audio::{Resampler, WAV_HEADER_BYTES, WavError, WavReader, wav_header};
use crate::domain::RateHz;

use super::spans::RATE_HZ;

/// Why a track cannot be heard.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrackError {
    /// The file is refused.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// A party's file has one channel.
    #[error("a track has one channel, this file has {channels}")]
    Channels {
        /// As many as there are.
        channels: u16,
    },
    /// It is not the recorder's own file at 16 kHz.
    #[error("not a 16 kHz recording of this program")]
    NotOurs,
}

impl From<std::io::Error> for TrackError {
    fn from(error: std::io::Error) -> Self {
        Self::Wav(WavError::Io(error))
    }
}

/// Sound being read.
pub(crate) enum Track {
    /// A finished file, of any rate.
    Whole(Box<Whole>),
    /// One of our own, still growing.
    Growing(Growing),
}

impl Track {
    /// Opens a finished file, to be read from sample `from` of 16 kHz.
    pub(crate) fn whole(file: File, from: u64) -> Result<Self, TrackError> {
        let mut reader = WavReader::new(BufReader::new(file))?;
        if reader.channels() != 1 {
            return Err(TrackError::Channels { channels: reader.channels() });
        }
        let rate_hz = u64::from(reader.rate_hz());
        let samples = scaled(reader.frames(), RATE_HZ, rate_hz);
        reader.skip(scaled(from, rate_hz, RATE_HZ))?;
        // The reader has refused the rates that a resampler refuses.
        let resampler = Resampler::new(reader.rate_hz(), RateHz::Hz16000)
            .map_err(|_| WavError::AbsurdRate { rate_hz: reader.rate_hz() })?;
        let source = [Vec::new()];
        Ok(Self::Whole(Box::new(Whole { reader, resampler, samples, source, ended: false })))
    }

    /// Opens a file that is being written, to be read from sample `from` up to `to`, whatever
    /// length its header gives: the header is allowed to be behind.
    pub(crate) fn growing(mut file: File, from: u64, to: u64) -> Result<Self, TrackError> {
        file.rewind()?;
        let ours = wav_header(RateHz::Hz16000, 1, 0);
        let mut head = ours;
        file.read_exact(&mut head).map_err(|_| TrackError::NotOurs)?;
        // All but the two lengths, at 4 and at 40.
        if head[..4] != ours[..4] || head[8..40] != ours[8..40] {
            return Err(TrackError::NotOurs);
        }
        file.seek(SeekFrom::Start(WAV_HEADER_BYTES + from * 2))?;
        Ok(Self::Growing(Growing { file, left: to.saturating_sub(from) }))
    }

    /// Returns the track's length, as far as it is to be read.
    pub(crate) fn samples(&self, from: u64) -> u64 {
        match self {
            Self::Whole(whole) => whole.samples,
            Self::Growing(growing) => from + growing.left,
        }
    }

    /// Replaces what is in `out` by about `samples_max` samples; nothing means the end.
    pub(crate) fn read(
        &mut self,
        out: &mut Vec<f32>,
        samples_max: usize,
    ) -> Result<(), TrackError> {
        out.clear();
        match self {
            Self::Whole(whole) => whole.read(out, samples_max),
            Self::Growing(growing) => growing.read(out, samples_max),
        }
    }
}

/// See [`Track::Whole`].
pub(crate) struct Whole {
    reader: WavReader<BufReader<File>>,
    resampler: Resampler,
    samples: u64,
    source: [Vec<f32>; 1],
    ended: bool,
}

impl Whole {
    fn read(&mut self, out: &mut Vec<f32>, samples_max: usize) -> Result<(), TrackError> {
        let wanted = scaled(samples_max as u64, u64::from(self.reader.rate_hz()), RATE_HZ);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).max(1);
        while out.is_empty() && !self.ended {
            self.source.iter_mut().for_each(Vec::clear);
            let got = self.reader.read(&mut self.source, wanted)?;
            self.source.iter().for_each(|mono| self.resampler.push(mono, out));
            if got == 0 {
                self.resampler.finish(out);
                self.ended = true;
            }
        }
        Ok(())
    }
}

/// See [`Track::Growing`].
pub(crate) struct Growing {
    file: File,
    left: u64,
}

impl Growing {
    fn read(&mut self, out: &mut Vec<f32>, samples_max: usize) -> Result<(), TrackError> {
        let wanted = self.left.min(samples_max as u64);
        let mut bytes = Vec::new();
        (&mut self.file).take(wanted * 2).read_to_end(&mut bytes)?;
        let samples = bytes.chunks_exact(2).filter_map(|two| two.try_into().ok());
        out.extend(samples.map(|two| f32::from(i16::from_le_bytes(two)) / 32_768.0));
        self.left -= (out.len() as u64).min(self.left);
        Ok(())
    }
}

/// Returns a count of samples at rate `per` as a count at rate `rate_hz`.
fn scaled(samples: u64, rate_hz: u64, per: u64) -> u64 {
    samples.saturating_mul(rate_hz) / per.max(1)
}
