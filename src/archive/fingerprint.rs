//! What a file is known by: its size, its SHA-256, and the mark an S3 store gives to it.

use std::io::Read;

use md5::{Digest as _, Md5};
use sha2::Sha256;

/// The size of a part. What is larger goes in parts of this size: S3 takes none under 5 MiB and
/// not more than 10,000, which is 78 GiB; the longest WAV has 4.
pub(super) const PART_BYTES: usize = 8 * 1024 * 1024;

/// Read at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// What a file or an object is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// Its size.
    pub(super) size_bytes: u64,
    /// SHA-256 in 64 lower-case hex digits.
    pub(super) sha256: String,
    /// The `ETag` of an object uploaded by us, in most stores: MD5, or for an object of several
    /// parts the MD5 of their MD5s and their number. It has no quotes.
    pub(super) etag: String,
}

impl Fingerprint {
    /// Reads to the end.
    pub(super) fn read(mut from: impl Read) -> std::io::Result<Self> {
        let mut taker = Taker::default();
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            match from.read(&mut block) {
                Ok(0) => return Ok(taker.finish()),
                Ok(count) => taker.take(block.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the fingerprint of bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut taker = Taker::default();
        taker.take(bytes);
        taker.finish()
    }
}

/// Takes a fingerprint bit by bit, in constant memory.
#[derive(Default)]
pub(super) struct Taker {
    size_bytes: u64,
    whole: Sha256,
    part: Md5,
    in_part: usize,
    /// The MD5s of the full parts so far: the digest over them, and how many.
    parts: Md5,
    parts_full: u32,
}

impl Taker {
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        self.size_bytes += bytes.len() as u64;
        self.whole.update(bytes);
        while !bytes.is_empty() {
            // A part is closed when there is more than it holds: one full part is no multipart.
            if self.in_part == PART_BYTES {
                self.close_part();
            }
            let (now, later) = bytes.split_at(bytes.len().min(PART_BYTES - self.in_part));
            self.part.update(now);
            self.in_part += now.len();
            bytes = later;
        }
    }

    pub(super) fn finish(mut self) -> Fingerprint {
        let etag = if self.parts_full == 0 {
            format!("{:x}", self.part.finalize())
        } else {
            self.close_part();
            format!("{:x}-{}", self.parts.finalize(), self.parts_full)
        };
        let sha256 = format!("{:x}", self.whole.finalize());
        Fingerprint { size_bytes: self.size_bytes, sha256, etag }
    }

    fn close_part(&mut self) {
        self.parts.update(self.part.finalize_reset());
        self.parts_full += 1;
        self.in_part = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_things_are_known_by_their_md5() {
        let empty = Fingerprint::of(b"");
        assert_eq!(empty.etag, "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(&empty.sha256[..8], "e3b0c442");
        assert_eq!(Fingerprint::of(b"abc").etag, "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn large_things_are_known_by_the_md5_of_their_parts_md5s() {
        let bytes: Vec<u8> = (0..=250).cycle().take(PART_BYTES * 2 + 5).collect();
        assert!(!Fingerprint::of(&bytes[..PART_BYTES]).etag.contains('-'), "one full part is one");
        let mut parts = Md5::new();
        for part in bytes.chunks(PART_BYTES) {
            parts.update(Md5::digest(part));
        }
        let known = Fingerprint::of(&bytes);
        assert_eq!(known.etag, format!("{:x}-3", parts.finalize()));
        assert_eq!(known.size_bytes, bytes.len() as u64);
        assert_eq!(Fingerprint::read(bytes.as_slice()).unwrap(), known, "in whatever blocks");
    }
}
