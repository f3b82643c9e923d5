//! The models that are known by their hash.

/// A model whose bytes are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its name, such as "base-q5_1"; its file is `ggml-<name>.bin`.
    pub name: &'static str,
    /// The length of its file.
    pub bytes: u64,
    /// Of its file, in 64 lower-case hex digits.
    pub sha256: &'static str,
}

impl Known {
    /// Returns the name of its file.
    pub fn file_name(&self) -> String {
        file_name(self.name)
    }

    /// Finds what is published under this name.
    pub fn published(name: &str) -> Option<&'static Self> {
        CATALOGUE.iter().find(|known| known.name == name)
    }

    /// Finds what is known by this name: what is published, else what comes with the program,
    /// which a mirror may have.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|known| known.name == name)
    }

    /// Says whether a file of this hash is this model: the one known by it, or another of the same
    /// name and length.
    pub fn is(&self, sha256: &str) -> bool {
        let same = |other: &&Self| other.name == self.name && other.bytes == self.bytes;
        self.sha256 == sha256 || Self::all().filter(same).any(|other| other.sha256 == sha256)
    }

    /// Lists everything known: what is published, and what comes with the program.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        CATALOGUE.iter().chain([&BUNDLED, &DETECTOR])
    }
}

/// Returns the name of a model's file.
pub fn file_name(name: &str) -> String {
    format!("ggml-{name}.bin")
}

/// The model that comes with the program. It holds the weights of the published one of this name
/// in another tensor order, so it has a hash of its own.
pub const BUNDLED: Known = known(
    "tiny.en-q8_0",
    43_550_795,
    "61e9a0e72b4561f999906d79ed8f98e1e724c86130bb429a4f9fd9cb562d0b78",
);

/// The voice detector that comes with the program, without which no model is of use.
pub const DETECTOR: Known = known(
    "silero-v6.2.3",
    885_098,
    "7589faf6fa057724488dfafa9766da709383d40126c2a45e3caef904cdf4a8c3",
);

/// What is published at `huggingface.co/ggerganov/whisper.cpp`, by size. Each length and hash is
/// the one in that store's own records, held against a second list made by others.
#[rustfmt::skip]
pub const CATALOGUE: [Known; 33] = [
    known("tiny-q5_1", 32_152_673, "818710568da3ca15689e31a743197b520007872ff9576237bda97bd1b469c3d7"),
    known("tiny.en-q5_1", 32_166_155, "c77c5766f1cef09b6b7d47f21b546cbddd4157886b3b5d6d4f709e91e66c7c2b"),
    known("tiny-q8_0", 43_537_433, "c2085835d3f50733e2ff6e4b41ae8a2b8d8110461e18821b09a15c40c42d1cca"),
    known("tiny.en-q8_0", 43_550_795, "5bc2b3860aa151a4c6e7bb095e1fcce7cf12c7b020ca08dcec0c6d018bb7dd94"),
    known("base-q5_1", 59_707_625, "422f1ae452ade6f30a004d7e5c6a43195e4433bc370bf23fac9cc591f01a8898"),
    known("base.en-q5_1", 59_721_011, "4baf70dd0d7c4247ba2b81fafd9c01005ac77c2f9ef064e00dcf195d0e2fdd2f"),
    known("tiny", 77_691_713, "be07e048e1e599ad46341c8d2a135645097a538221678b7acdd1b1919c6e1b21"),
    known("tiny.en", 77_704_715, "921e4cf8686fdd993dcd081a5da5b6c365bfde1162e72b08d75ac75289920b1f"),
    known("base-q8_0", 81_768_585, "c577b9a86e7e048a0b7eada054f4dd79a56bbfa911fbdacf900ac5b567cbb7d9"),
    known("base.en-q8_0", 81_781_811, "a4d4a0768075e13cfd7e19df3ae2dbc4a68d37d36a7dad45e8410c9a34f8c87e"),
    known("base", 147_951_465, "60ed5bc3dd14eea856493d334349b405782ddcaf0028d4b5df4088345fba2efe"),
    known("base.en", 147_964_211, "a03779c86df3323075f5e796cb2ce5029f00ec8869eee3fdfb897afe36c6d002"),
    known("small-q5_1", 190_085_487, "ae85e4a935d7a567bd102fe55afc16bb595bdb618e11b2fc7591bc08120411bb"),
    known("small.en-q5_1", 190_098_681, "bfdff4894dcb76bbf647d56263ea2a96645423f1669176f4844a1bf8e478ad30"),
    known("small-q8_0", 264_464_607, "49c8fb02b65e6049d5fa6c04f81f53b867b5ec9540406812c643f177317f779f"),
    known("small.en-q8_0", 264_477_561, "67a179f608ea6114bd3fdb9060e762b588a3fb3bd00c4387971be4d177958067"),
    known("small", 487_601_967, "1be3a9b2063867b937e64e2ec7483364a79917e157fa98c5d94b5c1fffea987b"),
    known("small.en", 487_614_201, "c6138d6d58ecc8322097e0f987c32f1be8bb0a18532a3f88f734d1bbf9c41e5d"),
    known("medium-q5_0", 539_212_467, "19fea4b380c3a618ec4723c3eef2eb785ffba0d0538cf43f8f235e7b3b34220f"),
    known("medium.en-q5_0", 539_225_533, "76733e26ad8fe1c7a5bf7531a9d41917b2adc0f20f2e4f5531688a8c6cd88eb0"),
    known("large-v3-turbo-q5_0", 574_041_195, "394221709cd5ad1f40c46e6031ca61bce88931e6e088c188294c6d5a55ffa7e2"),
    known("medium-q8_0", 823_369_779, "42a1ffcbe4167d224232443396968db4d02d4e8e87e213d3ee2e03095dea6502"),
    known("medium.en-q8_0", 823_382_461, "43fa2cd084de5a04399a896a9a7a786064e221365c01700cea4666005218f11c"),
    known("large-v3-turbo-q8_0", 874_188_075, "317eb69c11673c9de1e1f0d459b253999804ec71ac4c23c17ecf5fbe24e259a1"),
    known("large-v2-q5_0", 1_080_732_091, "3a214837221e4530dbc1fe8d734f302af393eb30bd0ed046042ebf4baf70f6f2"),
    known("large-v3-q5_0", 1_081_140_203, "d75795ecff3f83b5faa89d1900604ad8c780abd5739fae406de19f23ecd98ad1"),
    known("medium", 1_533_763_059, "6c14d5adee5f86394037b4e4e8b59f1673b6cee10e3cf0b11bbdbee79c156208"),
    known("medium.en", 1_533_774_781, "cc37e93478338ec7700281a7ac30a10128929eb8f427dda2e865faa8f6da4356"),
    known("large-v3-turbo", 1_624_555_275, "1fc70f774d38eb169993ac391eea357ef47c88757ef72ee5943879b7e8e2bc69"),
    known("large-v2-q8_0", 1_656_129_691, "fef54e6d898246a65c8285bfa83bd1807e27fadf54d5d4e81754c47634737e8c"),
    known("large-v1", 3_094_623_691, "7d99f41a10525d0206bddadd86760181fa920438b6b33237e3118ff6c83bb53d"),
    known("large-v2", 3_094_623_691, "9a423fe4d40c82774b6af34115b8b935f34152246eb19e80e376071d3f999487"),
    known("large-v3", 3_095_033_483, "64d182b440b98d5203c4f9bd541544d84c605196c4f7b845dfa11fb23594d1e2"),
];

const fn known(name: &'static str, bytes: u64, sha256: &'static str) -> Known {
    Known { name, bytes, sha256 }
}

/// Names looked up in vain get at most so many others.
const NEAR_MAX: usize = 3;

/// How alike two names must be for one to be taken for the other's slip.
const NEAR_LIKENESS: f64 = 0.75;

/// Lists published names that `name` may have been meant to be, the likeliest first.
pub fn near_misses(name: &str) -> Vec<&'static str> {
    let wanted = name.trim_start_matches("ggml-").trim_end_matches(".bin").to_lowercase();
    let mut near: Vec<(f64, &str)> = CATALOGUE
        .iter()
        .map(|known| (strsim::jaro_winkler(known.name, &wanted), known.name))
        .filter(|(likeness, _)| *likeness >= NEAR_LIKENESS)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(NEAR_MAX).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_entry_has_a_name_and_a_hash_of_its_own() {
        let names: BTreeSet<_> = CATALOGUE.iter().map(|known| known.name).collect();
        let hashes: BTreeSet<_> = Known::all().map(|known| known.sha256).collect();
        assert_eq!((names.len(), hashes.len()), (CATALOGUE.len(), CATALOGUE.len() + 2));
        assert!(CATALOGUE.is_sorted_by_key(|known| known.bytes));
        for known in Known::all() {
            let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            assert!(known.sha256.len() == 64 && known.sha256.bytes().all(hex), "{}", known.name);
        }
    }

    #[test]
    fn a_slip_of_the_pen_finds_the_name_that_was_meant() {
        assert_eq!(near_misses("base-q5-1").first(), Some(&"base-q5_1"));
        assert_eq!(near_misses("ggml-smal.en.bin").first(), Some(&"small.en"));
        assert_eq!(near_misses("TINY").first(), Some(&"tiny"));
        assert!(near_misses("parakeet-0.6b").is_empty());
    }

    /// The shipped files are the ones the program knows.
    #[test]
    fn the_bundled_files_have_the_bytes_they_are_known_by() {
        use sha2::{Digest as _, Sha256};
        for known in [BUNDLED, DETECTOR] {
            let bytes = std::fs::read(format!("models/{}", known.file_name())).unwrap();
            assert_eq!(bytes.len() as u64, known.bytes);
            assert_eq!(format!("{:x}", Sha256::digest(&bytes)), known.sha256);
        }
    }
}
