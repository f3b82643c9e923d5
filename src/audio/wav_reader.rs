//! Reads any WAV that a phone system or a sound card writes, and what is left of a broken one.

use std::io::{self, Read, Seek, SeekFrom};

use hound::Sample as _;

use super::{RATE_HZ_MAX, RATE_HZ_MIN, alaw, ulaw};

/// The most channels a file may have: surround sound, and every recorder's microphones.
pub const CHANNELS_MAX: u16 = 8;

/// Chunks looked at before the search for sound is given up. Studio programs write a dozen.
const CHUNKS_MAX: usize = 1_000;

/// Frames decoded at once: at most 4096 x 8 channels x 8 bytes, whatever a header claims.
const BLOCK_FRAMES: usize = 4_096;

/// The part of a format chunk that says anything.
const FORMAT_BYTES_MAX: usize = 40;

const TAG_PCM: u16 = 1;
const TAG_FLOAT: u16 = 3;
const TAG_ALAW: u16 = 6;
const TAG_ULAW: u16 = 7;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// The end of every sub-format identifier whose first two bytes are a format tag.
const SUB_FORMAT_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// There is not a byte in it.
    #[error("the file is empty")]
    Empty,
    /// It is something else, or cut off before the sound began.
    #[error("not a WAV file: {why}")]
    NotWav {
        /// What is missing.
        why: &'static str,
    },
    /// It is a WAV in which nothing was recorded.
    #[error("the file holds no audio")]
    NoAudio,
    /// The sound is coded in a way nobody here decodes.
    #[error(
        "WAV format {code:#06x} with {bits} bits is not supported: convert the file to PCM, \
         float, mu-law or A-law"
    )]
    UnsupportedFormat {
        /// The format tag.
        code: u16,
        /// The bits per sample.
        bits: u16,
    },
    /// The header claims a rate that no speech is recorded at.
    #[error("{rate_hz} Hz is not a rate of speech: {RATE_HZ_MIN} to {RATE_HZ_MAX} Hz are")]
    AbsurdRate {
        /// The claimed rate.
        rate_hz: u32,
    },
    /// The header claims no channels, or more than are read.
    #[error("{channels} channels are not supported: 1 to {CHANNELS_MAX} are")]
    AbsurdChannels {
        /// The claimed number.
        channels: u16,
    },
    /// The disk did not give the bytes.
    #[error("reading the WAV")]
    Io(#[from] io::Error),
}

/// A WAV being read, front to back, in constant memory.
#[derive(Debug)]
pub struct WavReader<R> {
    source: R,
    format: Format,
    frames: u64,
    frames_left: u64,
    truncated: bool,
    block: Vec<u8>,
}

impl<R: Read + Seek> WavReader<R> {
    /// Finds the sound in `source`, from whose first byte on it reads.
    pub fn new(mut source: R) -> Result<Self, WavError> {
        let len = source.seek(SeekFrom::End(0))?;
        if len == 0 {
            return Err(WavError::Empty);
        }
        source.rewind()?;
        let mut head = [0; 12];
        let got = read_up_to(&mut source, &mut head)?;
        if got < head.len() || &head[..4] != b"RIFF" || &head[8..] != b"WAVE" {
            return Err(WavError::NotWav { why: "it does not begin with RIFF and WAVE" });
        }
        let (format, sound) = find_sound(&mut source, len)?;
        let frames = sound.len / u64::from(format.frame_bytes());
        if frames == 0 {
            return Err(WavError::NoAudio);
        }
        source.seek(SeekFrom::Start(sound.start))?;
        let truncated = sound.truncated;
        Ok(Self { source, format, frames, frames_left: frames, truncated, block: Vec::new() })
    }

    /// Returns the sampling rate.
    pub fn rate_hz(&self) -> u32 {
        self.format.rate_hz
    }

    /// Returns how many channels there are, one at least.
    pub fn channels(&self) -> u16 {
        self.format.channels
    }

    /// Returns the length in samples of one channel, by what is there and not by what the header
    /// promises.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Says whether the header promises more than is there, or was never finished: the file was
    /// cut off, or its writer could not go back to it (a pipe).
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Passes over `frames` samples of each channel without reading them.
    pub fn skip(&mut self, frames: u64) -> Result<(), WavError> {
        let frames = frames.min(self.frames_left);
        let bytes = frames * u64::from(self.format.frame_bytes());
        self.source.seek(SeekFrom::Current(i64::try_from(bytes).unwrap_or(i64::MAX)))?;
        self.frames_left -= frames;
        Ok(())
    }

    /// Appends up to `frames_max` samples of each channel, in -1.0 to 1.0, to the vector of that
    /// channel, and returns how many; 0 is the end. Channels beyond `out` are passed over.
    pub fn read(&mut self, out: &mut [Vec<f32>], frames_max: usize) -> Result<usize, WavError> {
        let mut done = 0;
        while done < frames_max && self.frames_left > 0 {
            let left = usize::try_from(self.frames_left).unwrap_or(usize::MAX);
            let wanted = (frames_max - done).min(left).min(BLOCK_FRAMES);
            let frame_bytes = usize::from(self.format.frame_bytes());
            self.block.resize(wanted * frame_bytes, 0);
            let got = read_up_to(&mut self.source, &mut self.block)? / frame_bytes;
            for frame in self.block[..got * frame_bytes].chunks_exact(frame_bytes) {
                let samples = frame.chunks_exact(usize::from(self.format.sample_bytes));
                for (sample, channel) in samples.zip(out.iter_mut()) {
                    channel.push(self.format.coding.decode(sample)?);
                }
            }
            done += got;
            self.frames_left -= got as u64;
            if got < wanted {
                self.truncated = true;
                self.frames_left = 0;
            }
        }
        Ok(done)
    }
}

/// Where the sound is.
struct Sound {
    start: u64,
    len: u64,
    truncated: bool,
}

/// Walks the chunks up to the sound.
fn find_sound<R: Read + Seek>(source: &mut R, len: u64) -> Result<(Format, Sound), WavError> {
    let mut format = None;
    let mut at = 12;
    for _ in 0..CHUNKS_MAX {
        let Some(chunk) = Chunk::read(source, at)? else { break };
        match (&chunk.id, format) {
            (b"fmt ", None) => {
                let mut bytes = [0; FORMAT_BYTES_MAX];
                let claimed = usize::try_from(chunk.len).unwrap_or(usize::MAX);
                let got = read_up_to(source, &mut bytes[..claimed.min(FORMAT_BYTES_MAX)])?;
                format = Some(Format::parse(&bytes[..got])?);
            }
            (b"data", Some(format)) => return Ok((format, chunk.sound(source, len)?)),
            (b"data", None) => {
                return Err(WavError::NotWav { why: "the sound comes before its format" });
            }
            _ => {}
        }
        at = chunk.end();
    }
    match format {
        Some(_) => Err(WavError::NoAudio),
        None => Err(WavError::NotWav { why: "it says no format" }),
    }
}

struct Chunk {
    id: [u8; 4],
    start: u64,
    len: u32,
}

impl Chunk {
    /// Reads the eight bytes at `at`, if there are as many.
    fn read<R: Read + Seek>(source: &mut R, at: u64) -> io::Result<Option<Self>> {
        source.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        if read_up_to(source, &mut head)? < head.len() {
            return Ok(None);
        }
        let [a, b, c, d, len @ ..] = head;
        Ok(Some(Self { id: [a, b, c, d], start: at + 8, len: u32::from_le_bytes(len) }))
    }

    /// Chunks begin at even places.
    fn end(&self) -> u64 {
        self.start + u64::from(self.len) + u64::from(self.len % 2)
    }

    /// Works out how long the sound of this chunk really is, in a file of `file_len` bytes.
    fn sound<R: Read + Seek>(&self, source: &mut R, file_len: u64) -> io::Result<Sound> {
        let there = file_len.saturating_sub(self.start);
        let unfinished = match self.len {
            // A writer that was cut off before it could say; or nothing was recorded, and then
            // either the file ends here or another chunk follows.
            0 => there > 0 && !Self::follows(source, self.start, file_len)?,
            u32::MAX => true,
            claimed => u64::from(claimed) > there,
        };
        let len = if unfinished { there } else { u64::from(self.len) };
        Ok(Sound { start: self.start, len, truncated: unfinished })
    }

    /// Says whether what stands at `at` is a chunk that fits into the file.
    fn follows<R: Read + Seek>(source: &mut R, at: u64, file_len: u64) -> io::Result<bool> {
        let next = Self::read(source, at)?;
        Ok(next.is_some_and(|next| {
            next.id.iter().all(u8::is_ascii_graphic) && next.start + u64::from(next.len) <= file_len
        }))
    }
}

#[derive(Debug, Clone, Copy)]
struct Format {
    rate_hz: u32,
    channels: u16,
    sample_bytes: u16,
    coding: Coding,
}

impl Format {
    /// Understands a format chunk, or refuses it by name.
    fn parse(bytes: &[u8]) -> Result<Self, WavError> {
        let word = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        let fixed = || Some((word(0)?, word(2)?, word(4)?, word(6)?, word(12)?, word(14)?));
        let Some((tag, channels, rate_low, rate_high, frame_bytes, bits)) = fixed() else {
            return Err(WavError::NotWav { why: "its format is cut off" });
        };
        let rate_hz = u32::from(rate_high) << 16 | u32::from(rate_low);
        if !(1..=CHANNELS_MAX).contains(&channels) {
            return Err(WavError::AbsurdChannels { channels });
        }
        if !(RATE_HZ_MIN..=RATE_HZ_MAX).contains(&rate_hz) {
            return Err(WavError::AbsurdRate { rate_hz });
        }
        let extensible = tag == TAG_EXTENSIBLE;
        let tag = match bytes.get(24..40) {
            Some([low, high, tail @ ..]) if extensible && tail == SUB_FORMAT_TAIL => {
                u16::from_le_bytes([*low, *high])
            }
            _ => tag,
        };
        // A sample may stand in more bytes than it needs; a frame size that cannot be is ignored.
        let needed = bits.div_ceil(8);
        let given = frame_bytes / channels;
        let fits = frame_bytes % channels == 0 && (needed..=8).contains(&given);
        let sample_bytes = if fits { given } else { needed };
        let coding = Coding::new(tag, sample_bytes, bits, extensible)
            .ok_or(WavError::UnsupportedFormat { code: tag, bits })?;
        Ok(Self { rate_hz, channels, sample_bytes, coding })
    }

    fn frame_bytes(&self) -> u16 {
        self.channels * self.sample_bytes
    }
}

/// How a sample is written.
#[derive(Debug, Clone, Copy)]
enum Coding {
    Int { bytes: u16, bits: u16, scale: f32 },
    Float32,
    Float64,
    Ulaw,
    Alaw,
}

impl Coding {
    fn new(tag: u16, bytes: u16, bits: u16, extensible: bool) -> Option<Self> {
        let int = |bits: u16, scale| Some(Self::Int { bytes, bits, scale });
        match (tag, bytes) {
            (TAG_PCM, 1) => int(8, 128.0),
            (TAG_PCM, 2) => int(16, 32_768.0),
            (TAG_PCM, 3) => int(24, 8_388_608.0),
            // Plain PCM puts 24 bits at the low end of four bytes, the extensible one at the
            // high end, where they are simply 32 bits.
            (TAG_PCM, 4) if bits == 24 && !extensible => int(24, 8_388_608.0),
            (TAG_PCM, 4) => int(32, 2_147_483_648.0),
            (TAG_FLOAT, 4) => Some(Self::Float32),
            (TAG_FLOAT, 8) => Some(Self::Float64),
            (TAG_ULAW, 1) => Some(Self::Ulaw),
            (TAG_ALAW, 1) => Some(Self::Alaw),
            _ => None,
        }
    }

    /// Decodes one sample; what is no number is silence.
    fn decode(self, sample: &[u8]) -> Result<f32, WavError> {
        let value = match (self, sample) {
            (Self::Ulaw, [code, ..]) => f32::from(ulaw::decode(*code)) / 32_768.0,
            (Self::Alaw, [code, ..]) => f32::from(alaw::decode(*code)) / 32_768.0,
            (Self::Float64, sample) => {
                sample.first_chunk().map_or(0.0, |bytes| narrow(f64::from_le_bytes(*bytes)))
            }
            (Self::Float32, mut sample) => {
                f32::read(&mut sample, hound::SampleFormat::Float, 4, 32).map_err(undecoded)?
            }
            (Self::Int { bytes, bits, scale }, mut sample) => {
                let value = i32::read(&mut sample, hound::SampleFormat::Int, bytes, bits)
                    .map_err(undecoded)?;
                narrow(f64::from(value)) / scale
            }
            _ => 0.0,
        };
        Ok(if value.is_finite() { value } else { 0.0 })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "24 bits of a sample are plenty")]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn undecoded(error: hound::Error) -> WavError {
    WavError::Io(io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads until `buffer` is full or the source ends; returns how much there was.
fn read_up_to<R: Read>(source: &mut R, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
#[path = "wav_reader_tests.rs"]
mod tests;
