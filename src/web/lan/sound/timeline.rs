//! A WAV that is on the disk in pieces, or not at all: a party's parts on the call's timeline
//! with silence between, or both parties summed. Made as it is read, in constant memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::audio::{WAV_HEADER_BYTES, wav_header};
use crate::domain::RateHz;

const BYTES_PER_SAMPLE: u64 = 2;

/// A sealed file and its place on the timeline, in samples of the timeline's rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) path: PathBuf,
    pub(super) origin: u64,
    /// Samples at the file's beginning that have no place on the timeline.
    pub(super) skip: u64,
    /// Samples behind those.
    pub(super) samples: u64,
}

impl Piece {
    fn end(&self) -> u64 {
        self.origin.saturating_add(self.samples)
    }

    /// Returns what of it lies between two places of the timeline.
    pub(super) fn within(self, start: u64, end: u64) -> Self {
        let (from, to) = (start.clamp(self.origin, self.end()), end.clamp(self.origin, self.end()));
        let skip = self.skip + from - self.origin;
        Self { origin: from, skip, samples: to.saturating_sub(from), ..self }
    }
}

/// The WAV, open for reading.
#[derive(Debug)]
pub(super) struct Timeline {
    header: [u8; 44],
    pieces: Vec<(File, Piece)>,
    samples: u64,
}

impl Timeline {
    /// Opens every piece, and makes sure that it is as long as the ledger says.
    pub(super) fn open(rate: RateHz, pieces: Vec<Piece>) -> io::Result<Self> {
        let samples = pieces.iter().map(Piece::end).max().unwrap_or(0);
        let pieces: io::Result<Vec<(File, Piece)>> = pieces
            .into_iter()
            .map(|piece| {
                let file = File::open(&piece.path)?;
                let needed_bytes =
                    WAV_HEADER_BYTES + (piece.skip + piece.samples) * BYTES_PER_SAMPLE;
                if file.metadata()?.len() < needed_bytes {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok((file, piece))
            })
            .collect();
        let header = wav_header(rate, 1, samples * BYTES_PER_SAMPLE);
        Ok(Self { header, pieces: pieces?, samples })
    }

    /// Returns its length, header and all.
    pub(super) fn len_bytes(&self) -> u64 {
        WAV_HEADER_BYTES + self.samples * BYTES_PER_SAMPLE
    }

    /// Returns the bytes from `start` up to `end`, both of which lie within the WAV.
    pub(super) fn read(&self, start: u64, end: u64) -> io::Result<Vec<u8>> {
        let in_header = |at: u64| usize::try_from(at.min(WAV_HEADER_BYTES)).unwrap_or(44);
        let mut out = self.header[in_header(start)..in_header(end)].to_vec();
        let start = start.saturating_sub(WAV_HEADER_BYTES);
        let end = end.saturating_sub(WAV_HEADER_BYTES);
        if start < end {
            let first = start / BYTES_PER_SAMPLE;
            let sound = self.sound(first, end.div_ceil(BYTES_PER_SAMPLE))?;
            let skip = usize::from(!start.is_multiple_of(BYTES_PER_SAMPLE));
            let count = usize::try_from(end - start).unwrap_or(usize::MAX);
            out.extend(sound.into_iter().flat_map(i16::to_le_bytes).skip(skip).take(count));
        }
        Ok(out)
    }

    /// Returns the samples from `first` up to `end`: silence, and every piece added to it. The
    /// pieces of one party do not overlap, so what is silence elsewhere is left as it is.
    fn sound(&self, first: u64, end: u64) -> io::Result<Vec<i16>> {
        let mut sound = vec![0_i16; usize::try_from(end - first).unwrap_or(0)];
        for (file, piece) in &self.pieces {
            let (from, to) = (first.max(piece.origin), end.min(piece.end()));
            if from >= to {
                continue;
            }
            let (place, count) = (index(from - first), index(to - from));
            let mut bytes = vec![0; count * 2];
            let offset = WAV_HEADER_BYTES + (piece.skip + from - piece.origin) * BYTES_PER_SAMPLE;
            file.read_exact_at(&mut bytes, offset)?;
            for (sum, pair) in sound[place..place + count].iter_mut().zip(bytes.chunks_exact(2)) {
                *sum = sum.saturating_add(i16::from_le_bytes([pair[0], pair[1]]));
            }
        }
        Ok(sound)
    }
}

/// A place within a read's buffer, which is in memory and so fits.
fn index(samples: u64) -> usize {
    usize::try_from(samples).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(folder: &tempfile::TempDir, origin: u64, samples: &[i16]) -> Piece {
        let count = std::fs::read_dir(folder).unwrap().count();
        let path = folder.path().join(format!("{count}.wav"));
        let mut bytes = wav_header(RateHz::Hz8000, 1, samples.len() as u64 * 2).to_vec();
        bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        std::fs::write(&path, bytes).unwrap();
        Piece { path, origin, skip: 0, samples: samples.len() as u64 }
    }

    #[test]
    fn one_piece_from_the_start_is_the_file_itself() {
        let folder = tempfile::tempdir().unwrap();
        let piece = piece(&folder, 0, &[1, -2, 300]);
        let file = std::fs::read(&piece.path).unwrap();
        let wav = Timeline::open(RateHz::Hz8000, vec![piece]).unwrap();
        assert_eq!(wav.len_bytes(), file.len() as u64);
        assert_eq!(wav.read(0, wav.len_bytes()).unwrap(), file);
    }

    #[test]
    fn parts_lie_on_the_timeline_with_silence_between_and_parties_are_summed() {
        let folder = tempfile::tempdir().unwrap();
        let pieces = vec![
            piece(&folder, 1, &[10, 20]),
            piece(&folder, 5, &[30_000]),
            piece(&folder, 0, &[1, 1, 1, 1, 1, 30_000, -1]),
        ];
        let wav = Timeline::open(RateHz::Hz8000, pieces).unwrap();
        let bytes = wav.read(WAV_HEADER_BYTES, wav.len_bytes()).unwrap();
        let samples: Vec<i16> =
            bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        assert_eq!(samples, [1, 11, 21, 1, 1, i16::MAX, -1]);
    }

    #[test]
    fn a_stretch_of_a_piece_stays_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut early = piece(&folder, 10, &[90, 1, 2, 3, 4, 5]);
        (early.skip, early.samples) = (1, 5);
        let stretch = |start, end| {
            let Piece { origin, skip, samples, .. } = early.clone().within(start, end);
            (origin, skip, samples)
        };
        assert_eq!(stretch(12, 14), (12, 3, 2));
        assert_eq!(stretch(0, 12), (10, 1, 2));
        assert_eq!(stretch(14, 99), (14, 5, 1));
        assert_eq!(stretch(20, 99).2, 0);
        assert_eq!(stretch(0, 3).2, 0);
    }

    #[test]
    fn what_lies_before_the_timeline_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut early = piece(&folder, 0, &[90, 91, 1, 2, 3]);
        (early.skip, early.samples) = (2, 3);
        let wav = Timeline::open(RateHz::Hz8000, vec![early]).unwrap();
        let whole = wav.read(0, wav.len_bytes()).unwrap();
        assert_eq!(whole[44..], [1, 0, 2, 0, 3, 0]);
        assert_eq!(wav.read(46, 50).unwrap(), whole[46..50]);
    }

    #[test]
    fn every_piece_of_it_is_a_piece_of_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let pieces = vec![piece(&folder, 2, &[7, 8, 9]), piece(&folder, 0, &[0x0102, 3])];
        let wav = Timeline::open(RateHz::Hz8000, pieces).unwrap();
        let whole = wav.read(0, wav.len_bytes()).unwrap();
        assert_eq!(whole.len(), 44 + 10);
        for start in 0..=whole.len() {
            for end in start..=whole.len() {
                let part = wav.read(start as u64, end as u64).unwrap();
                assert_eq!(part, whole[start..end], "{start}..{end}");
            }
        }
    }

    #[test]
    fn a_file_shorter_than_the_ledger_says_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let mut piece = piece(&folder, 0, &[1, 2]);
        piece.samples = 3;
        assert!(Timeline::open(RateHz::Hz8000, vec![piece]).is_err());
    }
}
