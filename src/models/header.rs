//! What a ggml file says about itself in its first bytes.

use std::fmt;
use std::io::{self, Read};

/// How a ggml file begins.
const MAGIC: [u8; 4] = *b"lmgg";

/// The magic and eleven numbers of 32 bits.
const HEADER_BYTES: usize = 48;

/// A model with fewer words than this knows only English; this many, and 99 languages.
const MULTILINGUAL_WORDS: i32 = 51_865;

/// More than any of these numbers is in a Whisper model.
const PLAUSIBLE_MAX: i32 = 100_000;

/// Why a file is no Whisper model.
#[derive(Debug, thiserror::Error)]
pub enum NotAModel {
    /// It cannot be read, or ends too early.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is something else.
    #[error("it is not a ggml file")]
    NotGgml,
    /// It is a ggml file of another kind.
    #[error("it is a ggml file, but no Whisper model")]
    NotWhisper,
}

/// How large a model is, from the fastest to the truest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// 39 million weights.
    Tiny,
    /// 74 million.
    Base,
    /// 244 million.
    Small,
    /// 769 million.
    Medium,
    /// 809 million: large ears, a quick hand.
    Turbo,
    /// 1550 million.
    Large,
}

/// How a model's weights are written, from the roughest to the finest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weights {
    /// In some way of its own.
    Other,
    /// 4 bits each.
    Bits4,
    /// 5 bits.
    Bits5,
    /// 8 bits.
    Bits8,
    /// 16 bits, as published by its makers.
    Bits16,
    /// 32 bits.
    Bits32,
}

impl fmt::Display for Weights {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Other => "other",
            Self::Bits4 => "4-bit",
            Self::Bits5 => "5-bit",
            Self::Bits8 => "8-bit",
            Self::Bits16 => "16-bit",
            Self::Bits32 => "32-bit",
        })
    }
}

/// What a Whisper model says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    words: i32,
    audio_layers: i32,
    text_layers: i32,
    file_type: i32,
}

impl Header {
    /// Reads it from the beginning of a file.
    pub fn read(file: &mut impl Read) -> Result<Self, NotAModel> {
        let mut bytes = [0; HEADER_BYTES];
        let (magic, numbers) = bytes.split_at_mut(MAGIC.len());
        file.read_exact(magic)?;
        if magic != MAGIC {
            return Err(NotAModel::NotGgml);
        }
        file.read_exact(numbers)?;
        let mut numbers = numbers.chunks_exact(4).map(|four| {
            let four = four.first_chunk().copied().unwrap_or_default();
            i32::from_le_bytes(four)
        });
        let mut next = || numbers.next().unwrap_or_default();
        // words, audio context, state, head, layers, text context, state, head, layers, mels, type
        let (words, _, _, _, audio_layers) = (next(), next(), next(), next(), next());
        let (_, _, _, text_layers, mels, file_type) =
            (next(), next(), next(), next(), next(), next());
        let plausible = |number: i32| (1..PLAUSIBLE_MAX).contains(&number);
        let whisper = [words, audio_layers, text_layers, mels].into_iter().all(plausible);
        if !whisper || words < MULTILINGUAL_WORDS - 1 {
            return Err(NotAModel::NotWhisper);
        }
        Ok(Self { words, audio_layers, text_layers, file_type })
    }

    /// Says whether it knows only English.
    pub fn english_only(&self) -> bool {
        self.words < MULTILINGUAL_WORDS
    }

    /// Returns how large it is.
    pub fn class(&self) -> Class {
        match (self.audio_layers, self.text_layers) {
            (..=4, _) => Class::Tiny,
            (5..=6, _) => Class::Base,
            (7..=12, _) => Class::Small,
            (13..=24, _) => Class::Medium,
            (_, ..=4) => Class::Turbo,
            _ => Class::Large,
        }
    }

    /// Returns how its weights are written.
    pub fn weights(&self) -> Weights {
        // In thousands stands the version of the way of writing.
        match self.file_type % 1000 {
            0 => Weights::Bits32,
            1 => Weights::Bits16,
            2 | 3 => Weights::Bits4,
            7 => Weights::Bits8,
            8 | 9 => Weights::Bits5,
            _ => Weights::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(magic: &[u8], numbers: [i32; 11]) -> Vec<u8> {
        magic.iter().copied().chain(numbers.into_iter().flat_map(i32::to_le_bytes)).collect()
    }

    #[test]
    fn the_bundled_model_is_a_tiny_english_one_of_8_bits() {
        let mut file = std::fs::File::open("models/ggml-tiny.en-q8_0.bin").unwrap();
        let header = Header::read(&mut file).unwrap();
        assert!(header.english_only());
        assert_eq!((header.class(), header.weights()), (Class::Tiny, Weights::Bits8));
    }

    #[test]
    fn large_models_of_many_languages_are_told_apart() {
        for (words, audio, text, class) in [
            (51_865, 6, 6, Class::Base),
            (51_865, 12, 12, Class::Small),
            (51_865, 24, 24, Class::Medium),
            (51_866, 32, 4, Class::Turbo),
            (51_866, 32, 32, Class::Large),
        ] {
            let numbers = [words, 1500, 512, 8, audio, 448, 512, 8, text, 80, 2008];
            let header = Header::read(&mut &header(b"lmgg", numbers)[..]).unwrap();
            assert_eq!((header.english_only(), header.class()), (false, class));
            assert_eq!(header.weights(), Weights::Bits5);
        }
    }

    #[test]
    fn other_files_are_refused_by_what_they_are() {
        let mut detector = std::fs::File::open("models/ggml-silero-v6.2.3.bin").unwrap();
        assert!(matches!(Header::read(&mut detector), Err(NotAModel::NotWhisper)));
        assert!(matches!(Header::read(&mut &b"<html>404</html>"[..]), Err(NotAModel::NotGgml)));
        assert!(matches!(Header::read(&mut &b"lmgg"[..]), Err(NotAModel::Unreadable(_))));
        let nonsense = header(b"lmgg", [-1; 11]);
        assert!(matches!(Header::read(&mut &nonsense[..]), Err(NotAModel::NotWhisper)));
    }
}
