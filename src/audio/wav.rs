//! The 44 bytes at the head of a recording.

use crate::domain::RateHz;

/// The length of the header of a 16-bit PCM WAV.
pub const WAV_HEADER_BYTES: u64 = 44;

/// The most sound one WAV can hold: its 32-bit size counts 36 bytes of header too, and ends on a
/// whole sample. That is 37 hours of 16 kHz mono.
pub const WAV_DATA_BYTES_MAX: u64 = (u32::MAX - 36 - 1) as u64;

/// Returns the header of a 16-bit PCM WAV of `data_bytes` bytes of sound; a length beyond what
/// a WAV can say becomes the largest it can.
pub fn wav_header(rate: RateHz, channels: u16, data_bytes: u64) -> [u8; 44] {
    const BYTES_PER_SAMPLE: u16 = 2;
    let data_bytes = u32::try_from(data_bytes.min(WAV_DATA_BYTES_MAX)).unwrap_or(u32::MAX);
    let frame_bytes = BYTES_PER_SAMPLE.saturating_mul(channels);
    let mut header = [0; 44];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        header[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&(data_bytes + 36).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16_u32.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&channels.to_le_bytes());
    put(&rate.get().to_le_bytes());
    put(&(rate.get() * u32::from(frame_bytes)).to_le_bytes());
    put(&frame_bytes.to_le_bytes());
    put(&(BYTES_PER_SAMPLE * 8).to_le_bytes());
    put(b"data");
    put(&data_bytes.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn another_program_reads_the_header_we_write() {
        for (rate, channels) in [(RateHz::Hz8000, 1), (RateHz::Hz16000, 2)] {
            let mut file = wav_header(rate, channels, 8).to_vec();
            file.extend([1, 0, 2, 0, 3, 0, 4, 0]);
            let mut reader = hound::WavReader::new(Cursor::new(file)).unwrap();
            assert_eq!(reader.spec().sample_rate, rate.get());
            assert_eq!(reader.spec().channels, channels);
            let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
            assert_eq!(samples, [1, 2, 3, 4]);
        }
    }

    #[test]
    fn a_length_beyond_riff_becomes_the_largest_that_riff_can_say() {
        for claimed in [WAV_DATA_BYTES_MAX, WAV_DATA_BYTES_MAX + 1, u64::MAX] {
            let header = wav_header(RateHz::Hz8000, 1, claimed);
            assert_eq!(header[4..8], (u32::MAX - 1).to_le_bytes());
            assert_eq!(header[40..44], (u32::MAX - 37).to_le_bytes());
        }
    }
}
