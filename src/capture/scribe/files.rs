//! One lane's files: the same sound at both rates, side by side.

use crate::audio::{Downsampler, Upsampler, ulaw};
use crate::domain::{RateHz, Samples8k};
use crate::vault::{self, Folder, OpenTrack, PartNo, TrackName};

use super::ScribeOptions;
use super::lane::{Lane, Sound};

/// Silence is written in pieces of this many samples of the timeline: a second.
const SILENCE_STEP: u64 = 8000;

/// The files of a lane under way.
pub(super) struct Files {
    pub(super) origin: Samples8k,
    narrow: OpenTrack,
    wide: Option<OpenTrack>,
    other_rate: OtherRate,
    pcm: Vec<i16>,
    converted: Vec<i16>,
}

/// How the files at the rate that is not the source's come about.
enum OtherRate {
    /// Twilio's sound is narrow.
    Up(Upsampler),
    /// A microphone's is wide.
    Down(Downsampler),
}

impl Files {
    /// Makes a lane's files of this part, or else of the next one that is free; their first sample
    /// lies at `origin`.
    pub(super) fn open(
        options: &ScribeOptions,
        folder: &Folder,
        lane: Lane,
        (part_no, origin): (Option<PartNo>, Samples8k),
    ) -> Result<Self, vault::Error> {
        options.vault.make_folder(folder)?;
        let part_no = match part_no {
            Some(part_no) => part_no,
            None => options.vault.next_part_no(folder, lane.party)?,
        };
        let Lane { party, copy, is_wide, .. } = lane;
        let open =
            |rate| options.vault.open_track(folder, TrackName { part_no, party, copy, rate });
        let narrow = open(RateHz::Hz8000)?;
        let wide = options.rates.contains(&RateHz::Hz16000).then(|| open(RateHz::Hz16000));
        let other_rate = if is_wide {
            OtherRate::Down(Downsampler::new())
        } else {
            OtherRate::Up(Upsampler::new())
        };
        let (pcm, converted) = Default::default();
        Ok(Self { origin, narrow, wide: wide.transpose()?, other_rate, pcm, converted })
    }

    /// Returns the one with the most in it.
    pub(super) fn widest(&self) -> &OpenTrack {
        self.wide.as_ref().unwrap_or(&self.narrow)
    }

    pub(super) fn silence(&mut self, mut samples: u64) -> Result<(), vault::Error> {
        while samples > 0 {
            let step = samples.min(SILENCE_STEP);
            let zeros = vec![0; usize::try_from(2 * step).unwrap_or(0)];
            match self.other_rate {
                OtherRate::Up(_) => self.append_narrow(&zeros[..zeros.len() / 2])?,
                OtherRate::Down(_) => self.append_wide(&zeros)?,
            }
            samples -= step;
        }
        Ok(())
    }

    pub(super) fn append(&mut self, sound: &Sound) -> Result<(), vault::Error> {
        match sound {
            Sound::Wide(pcm) => self.append_wide(pcm),
            Sound::Ulaw(codes) => {
                let mut pcm = std::mem::take(&mut self.pcm);
                pcm.clear();
                ulaw::decode_into(codes, &mut pcm);
                let appended = self.append_narrow(&pcm);
                self.pcm = pcm;
                appended
            }
        }
    }

    fn append_narrow(&mut self, pcm: &[i16]) -> Result<(), vault::Error> {
        self.narrow.append(pcm)?;
        if let (Some(wide), OtherRate::Up(upsampler)) = (&mut self.wide, &mut self.other_rate) {
            self.converted.clear();
            upsampler.push(pcm, &mut self.converted);
            wide.append(&self.converted)?;
        }
        Ok(())
    }

    fn append_wide(&mut self, pcm: &[i16]) -> Result<(), vault::Error> {
        if let Some(wide) = &mut self.wide {
            wide.append(pcm)?;
        }
        if let OtherRate::Down(downsampler) = &mut self.other_rate {
            self.converted.clear();
            downsampler.push(pcm, &mut self.converted);
            self.narrow.append(&self.converted)?;
        }
        Ok(())
    }

    /// Writes what is still inside the filter.
    pub(super) fn flush(&mut self) -> Result<(), vault::Error> {
        self.converted.clear();
        match (&mut self.wide, &mut self.other_rate) {
            (Some(wide), OtherRate::Up(upsampler)) => {
                upsampler.finish(&mut self.converted);
                wide.append(&self.converted)
            }
            (None, OtherRate::Up(_)) => Ok(()),
            (_, OtherRate::Down(downsampler)) => {
                downsampler.finish(&mut self.converted);
                self.narrow.append(&self.converted)
            }
        }
    }

    pub(super) fn into_tracks(self) -> Vec<OpenTrack> {
        std::iter::once(self.narrow).chain(self.wide).collect()
    }
}
