//! Twilio's copy taken apart: a file for each party.

use super::copy::{CloudCopy, SoundError};
use crate::audio::{Resampler, Upsampler, WavReader, pcm16};
use crate::domain::{Party, PartyMap, RateHz, StreamTrack};
use crate::vault::{CloudTrackName, PartNo, RelPath, Rewrite, Rewritten, Vault};

/// Frames taken at once: a second of a telephone's sound.
const BLOCK_FRAMES: usize = 8_000;

/// What is to be taken apart.
#[derive(Debug, Clone)]
pub struct SplitOrder<'a> {
    /// Twilio's copy.
    pub recording: &'a RelPath,
    /// Which of the call's recordings it is, for the names of its files.
    pub recording_no: PartNo,
    /// Who is heard on which channel: the inbound track is channel 1.
    pub parties: PartyMap,
    /// Whether files of 16 kHz are wanted beside those of 8 kHz.
    pub wide: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// Both parties are in one channel, which stays as it is.
    Mono,
    /// A file for each party and rate, all of one length.
    Tracks(Vec<CloudTrack>),
}

/// One party's channel of Twilio's copy, whole and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudTrack {
    /// Who speaks.
    pub party: Party,
    /// The file.
    pub file: Rewritten,
}

/// Takes a copy of two channels apart, in constant memory. Asked again, it writes the same files
/// again.
pub fn split(vault: &Vault, order: &SplitOrder<'_>) -> Result<Split, SoundError> {
    let path = order.recording;
    let unreadable = |source| SoundError::unreadable(path, source);
    vault.sweep_rewrites(path.folder())?;
    if CloudCopy::open(vault, path)?.channels() != 2 {
        return Ok(Split::Mono);
    }
    let file = std::io::BufReader::new(vault.open_read(path)?);
    let mut reader = WavReader::new(file).map_err(unreadable)?;
    let mut lanes = Vec::new();
    for track in [StreamTrack::Inbound, StreamTrack::Outbound] {
        lanes.push(Lane::open(vault, order, order.parties.party(track), reader.rate_hz())?);
    }
    let mut channels = [Vec::new(), Vec::new()];
    while reader.read(&mut channels, BLOCK_FRAMES).map_err(unreadable)? > 0 {
        for (lane, channel) in lanes.iter_mut().zip(&mut channels) {
            lane.push(channel)?;
            channel.clear();
        }
    }
    let mut tracks = Vec::new();
    for lane in lanes {
        tracks.extend(lane.seal()?);
    }
    Ok(Split::Tracks(tracks))
}

/// One party's files being written.
struct Lane {
    party: Party,
    resampler: Resampler,
    narrow: Rewrite,
    wide: Option<(Rewrite, Upsampler)>,
    resampled: Vec<f32>,
}

impl Lane {
    fn open(
        vault: &Vault,
        order: &SplitOrder<'_>,
        party: Party,
        rate_hz: u32,
    ) -> Result<Self, SoundError> {
        let open = |rate| {
            let name = CloudTrackName { recording_no: order.recording_no, party, rate };
            vault.rewrite(&order.recording.folder().cloud_track(name), rate)
        };
        let resampler = Resampler::new(rate_hz, RateHz::Hz8000).map_err(|_| {
            SoundError::unreadable(order.recording, crate::audio::WavError::AbsurdRate { rate_hz })
        })?;
        let narrow = open(RateHz::Hz8000)?;
        let wide = if order.wide { Some((open(RateHz::Hz16000)?, Upsampler::new())) } else { None };
        Ok(Self { party, resampler, narrow, wide, resampled: Vec::new() })
    }

    fn push(&mut self, samples: &[f32]) -> Result<(), SoundError> {
        self.resampled.clear();
        self.resampler.push(samples, &mut self.resampled);
        self.append()
    }

    fn append(&mut self) -> Result<(), SoundError> {
        let narrow: Vec<i16> = self.resampled.iter().map(|sample| pcm16(*sample)).collect();
        self.narrow.append(&narrow)?;
        if let Some((file, upsampler)) = &mut self.wide {
            let mut wide = Vec::with_capacity(2 * narrow.len());
            upsampler.push(&narrow, &mut wide);
            file.append(&wide)?;
        }
        Ok(())
    }

    fn seal(mut self) -> Result<Vec<CloudTrack>, SoundError> {
        self.resampled.clear();
        self.resampler.finish(&mut self.resampled);
        self.append()?;
        let party = self.party;
        let mut tracks = vec![CloudTrack { party, file: self.narrow.seal()? }];
        if let Some((mut file, mut upsampler)) = self.wide {
            let mut rest = Vec::new();
            upsampler.finish(&mut rest);
            file.append(&rest)?;
            tracks.push(CloudTrack { party, file: file.seal()? });
        }
        Ok(tracks)
    }
}
