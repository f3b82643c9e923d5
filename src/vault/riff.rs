//! Where the sound of a foreign WAV lies, and the lengths its header ought to claim.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Chunks looked at before the search for sound is given up, as a reader of WAVs does.
const CHUNKS_MAX: usize = 1_000;

/// The first chunk stands behind `RIFF`, a length and `WAVE`.
const FIRST_CHUNK_AT: u64 = 12;

/// The length of a chunk's name and length.
const CHUNK_HEAD_BYTES: u64 = 8;

/// The sound of a file, by what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where the sound begins.
    start: u64,
    /// How long it is, in whole frames.
    data_bytes: u64,
    frame_bytes: u64,
    /// How long the file is without the piece of a frame that may stand at its end.
    file_bytes: u64,
    /// The header claims a length, and more than is there.
    promises_more: bool,
}

struct Chunk {
    id: [u8; 4],
    start: u64,
    len: u32,
}

impl Chunk {
    fn read(file: &File, at: u64, file_bytes: u64) -> io::Result<Option<Self>> {
        if at + CHUNK_HEAD_BYTES > file_bytes {
            return Ok(None);
        }
        let mut head = [0; 8];
        file.read_exact_at(&mut head, at)?;
        let [a, b, c, d, len @ ..] = head;
        let len = u32::from_le_bytes(len);
        Ok(Some(Self { id: [a, b, c, d], start: at + CHUNK_HEAD_BYTES, len }))
    }

    fn end(&self) -> u64 {
        self.start + u64::from(self.len)
    }

    /// Chunks begin at even places.
    fn next(&self) -> u64 {
        self.end() + u64::from(self.len % 2)
    }
}

impl Layout {
    /// Finds the sound of a RIFF file; none if there is no format or no sound in it.
    pub(super) fn find(file: &File) -> io::Result<Option<Self>> {
        let file_bytes = file.metadata()?.len();
        let mut frame_bytes = None;
        let mut at = FIRST_CHUNK_AT;
        for _ in 0..CHUNKS_MAX {
            let Some(chunk) = Chunk::read(file, at, file_bytes)? else { break };
            match (&chunk.id, frame_bytes) {
                (b"fmt ", _) if chunk.start + 14 <= file_bytes => {
                    let mut bytes = [0; 2];
                    file.read_exact_at(&mut bytes, chunk.start + 12)?;
                    frame_bytes = Some(u64::from(u16::from_le_bytes(bytes)).max(1));
                }
                (b"data", Some(frame_bytes)) => {
                    return Self::of(file, &chunk, frame_bytes, file_bytes).map(Some);
                }
                _ => {}
            }
            at = chunk.next();
        }
        Ok(None)
    }

    fn of(file: &File, data: &Chunk, frame_bytes: u64, file_bytes: u64) -> io::Result<Self> {
        let there = file_bytes - data.start;
        let claimed = u64::from(data.len);
        let start = data.start;
        let may_be = claimed <= there && claimed % frame_bytes == 0;
        if may_be && only_chunks_follow(file, data, file_bytes)? {
            let (data_bytes, promises_more) = (claimed, false);
            return Ok(Self { start, data_bytes, frame_bytes, file_bytes, promises_more });
        }
        let data_bytes = there - there % frame_bytes;
        // Who writes into a pipe claims the largest length there is, which says nothing.
        let promises_more = claimed > there && data.len != u32::MAX;
        let file_bytes = start + data_bytes;
        Ok(Self { start, data_bytes, frame_bytes, file_bytes, promises_more })
    }

    /// Returns how many samples of each channel there are.
    pub(super) fn frames(&self) -> u64 {
        self.data_bytes / self.frame_bytes
    }

    /// Says whether the header promises more than is there.
    pub(super) fn promises_more(&self) -> bool {
        self.promises_more
    }

    /// Makes the header claim what is there; `None` if that is more than a header can claim.
    pub(super) fn repair(&self, file: &File) -> io::Result<Option<()>> {
        let lengths = (u32::try_from(self.file_bytes - 8), u32::try_from(self.data_bytes));
        let (Ok(riff_bytes), Ok(data_bytes)) = lengths else { return Ok(None) };
        if file.metadata()?.len() != self.file_bytes {
            file.set_len(self.file_bytes)?;
        }
        for (at, length) in [(4, riff_bytes), (self.start - 4, data_bytes)] {
            let mut claimed = [0; 4];
            file.read_exact_at(&mut claimed, at)?;
            if claimed != length.to_le_bytes() {
                file.write_all_at(&length.to_le_bytes(), at)?;
            }
        }
        Ok(Some(()))
    }
}

/// Says whether the claimed end of the sound is the end of the file, or chunks follow that end
/// where the file does. Sound that a header too short left out cannot pass for that.
fn only_chunks_follow(file: &File, data: &Chunk, file_bytes: u64) -> io::Result<bool> {
    let mut last = data.end();
    let mut at = data.next();
    for _ in 0..CHUNKS_MAX {
        if last == file_bytes || at == file_bytes {
            return Ok(true);
        }
        match Chunk::read(file, at, file_bytes)? {
            Some(chunk) if chunk.id.iter().all(|byte| matches!(byte, b' '..=b'~')) => {
                (last, at) = (chunk.end(), chunk.next());
            }
            _ => return Ok(false),
        }
    }
    Ok(false)
}
