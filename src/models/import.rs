//! Models from a file or a folder: a stick that somebody brought.

use std::fs::File;
use std::io::Seek as _;
use std::path::{Path, PathBuf};

use super::catalogue::{DETECTOR, Known};
use super::error::FetchError;
use super::header::Header;
use super::install::{Part, Put, copy, disk, sha256};
use super::shelf::files;

/// A file that may be a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The model's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
    /// The hashes it may have.
    hashes: Vec<String>,
}

/// Lists what is at `path`, a file or a folder, that is known by name and length; only `name` if
/// one is given. A file of any name is known by its length. With `sha256` anything is offered
/// that is a Whisper model; whether it has that hash is seen when it is put.
pub fn offers(
    path: &Path,
    name: Option<&str>,
    sha256: Option<&str>,
) -> Result<Vec<Offer>, FetchError> {
    let metadata = path.metadata().map_err(disk("looking at", path))?;
    let found: Vec<Offer> = if metadata.is_dir() {
        files(path)
            .into_iter()
            .filter(|(own, _)| name.is_none_or(|name| name == own))
            .filter_map(|(own, path)| offer(&own, path, sha256))
            .collect()
    } else {
        one_file(path, metadata.len(), name, sha256).into_iter().collect()
    };
    if found.is_empty() {
        let why = match name {
            Some(name) => format!("looked for ggml-{name}.bin of the published length"),
            None => "looked for ggml-NAME.bin of the published lengths; for a model of your own \
                     give its hash with --sha256"
                .to_owned(),
        };
        return Err(FetchError::NothingKnown { path: path.to_owned(), why });
    }
    Ok(found)
}

fn offer(name: &str, path: PathBuf, sha256: Option<&str>) -> Option<Offer> {
    let bytes = path.metadata().ok()?.len();
    let hashes: Vec<String> = match sha256 {
        Some(own) => {
            Header::read(&mut File::open(&path).ok()?).ok()?;
            vec![own.to_lowercase()]
        }
        None => Known::all()
            .filter(|known| known.name == name && known.bytes == bytes)
            .map(|known| known.sha256.to_owned())
            .collect(),
    };
    (!hashes.is_empty()).then(|| Offer { name: name.to_owned(), path, bytes, hashes })
}

fn one_file(path: &Path, bytes: u64, name: Option<&str>, sha256: Option<&str>) -> Option<Offer> {
    let stem = path.file_stem()?.to_str()?;
    let own = stem.strip_prefix("ggml-").unwrap_or(stem);
    if sha256.is_some() {
        return offer(name.unwrap_or(own), path.to_owned(), sha256);
    }
    let of_length = Known::all().filter(|known| known.bytes == bytes);
    let mut candidates: Vec<&Known> =
        of_length.filter(|known| name.is_none_or(|name| name == known.name)).collect();
    // Two models may have one length; then the file's own name says which it is.
    if candidates.iter().any(|known| known.name == own) {
        candidates.retain(|known| known.name == own);
    }
    let name = candidates.first()?.name;
    candidates.retain(|known| known.name == name);
    let hashes = candidates.iter().map(|known| known.sha256.to_owned()).collect();
    Some(Offer { name: name.to_owned(), path: path.to_owned(), bytes, hashes })
}

impl Offer {
    /// Says whether it is the voice detector.
    pub fn is_detector(&self) -> bool {
        self.name == DETECTOR.name
    }

    /// Copies it to where models are put, if its hash is right, and returns where it is now.
    pub fn put(&self, put: &Put, tell: &mut dyn FnMut(u64)) -> Result<PathBuf, FetchError> {
        let mut file = File::open(&self.path).map_err(disk("reading", &self.path))?;
        let name = format!("ggml-{}.bin", self.name);
        let mut part = Part::open(put, &name, self.bytes)?;
        // A stick is quick, and what an interrupted download left stays if this is not the model.
        if part.len() > 0 {
            let got = sha256(&mut file, &mut |_| {}).map_err(disk("reading", &self.path))?;
            if !self.hashes.contains(&got) {
                return Err(self.wrong(got));
            }
            file.rewind().map_err(disk("reading", &self.path))?;
            part.restart()?;
        }
        part.room_for(self.bytes)?;
        copy(&mut file, &self.path, &mut part, tell)?;
        let got = part.sha256();
        if !self.hashes.contains(&got) {
            part.discard()?;
            return Err(self.wrong(got));
        }
        part.finish(&name)
    }

    fn wrong(&self, got: String) -> FetchError {
        FetchError::WrongBytes {
            name: self.name.clone(),
            from: self.path.display().to_string(),
            got,
            expected: self.hashes.join(" or "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::BUNDLED;
    use super::*;

    /// A folder with what comes with the program, as on a stick.
    fn stick() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for known in [BUNDLED, DETECTOR] {
            let name = known.file_name();
            std::fs::copy(format!("models/{name}"), dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("ggml-base.bin"), "cut").unwrap();
        std::fs::write(dir.path().join("holiday.jpg"), "sea").unwrap();
        dir
    }

    fn put(dir: &Path) -> Put {
        Put { dir: dir.join("models"), keep_free: 0 }
    }

    #[test]
    fn a_stick_gives_what_is_known_and_nothing_else() {
        let (stick, box_) = (stick(), tempfile::tempdir().unwrap());
        let found = offers(stick.path(), None, None).unwrap();
        let names: Vec<&str> = found.iter().map(|offer| offer.name.as_str()).collect();
        assert_eq!(names, [DETECTOR.name, BUNDLED.name]);
        for offer in &found {
            let path = offer.put(&put(box_.path()), &mut |_| {}).unwrap();
            assert_eq!(path.metadata().unwrap().len(), offer.bytes);
        }
        assert_eq!(
            offers(stick.path(), Some("base"), None)
                .unwrap_err()
                .to_string()
                .matches("ggml-base.bin")
                .count(),
            1
        );
    }

    #[test]
    fn a_file_of_another_name_is_known_by_its_length_and_proven_by_its_hash() {
        let (stick, box_) = (stick(), tempfile::tempdir().unwrap());
        let file = stick.path().join("download (1)");
        std::fs::rename(stick.path().join(BUNDLED.file_name()), &file).unwrap();
        let found = offers(&file, None, None).unwrap();
        let path = found[0].put(&put(box_.path()), &mut |_| {}).unwrap();
        assert_eq!(path, box_.path().join("models").join(BUNDLED.file_name()));
    }

    #[test]
    fn a_changed_byte_installs_nothing() {
        let (stick, box_) = (stick(), tempfile::tempdir().unwrap());
        let file = stick.path().join(DETECTOR.file_name());
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[5000] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let found = offers(&file, None, None).unwrap();
        let error = found[0].put(&put(box_.path()), &mut |_| {}).unwrap_err();
        assert!(matches!(error, FetchError::WrongBytes { .. }), "{error}");
        assert_eq!(std::fs::read_dir(put(box_.path()).dir).unwrap().count(), 0);
    }

    #[test]
    fn what_an_interrupted_download_left_survives_a_wrong_stick() {
        let (stick, box_) = (stick(), tempfile::tempdir().unwrap());
        let part = put(box_.path()).dir.join(format!("{}.part", DETECTOR.file_name()));
        std::fs::create_dir(part.parent().unwrap()).unwrap();
        std::fs::write(&part, "begun").unwrap();
        let file = stick.path().join(DETECTOR.file_name());
        std::fs::write(&file, vec![7; usize::try_from(DETECTOR.bytes).unwrap()]).unwrap();
        let found = offers(&file, None, None).unwrap();
        assert!(found[0].put(&put(box_.path()), &mut |_| {}).is_err());
        assert_eq!(std::fs::read(&part).unwrap(), b"begun");
        std::fs::copy(format!("models/{}", DETECTOR.file_name()), &file).unwrap();
        found[0].put(&put(box_.path()), &mut |_| {}).unwrap();
        assert!(!part.exists());
    }

    #[test]
    fn a_model_of_ones_own_needs_its_hash() {
        let (stick, box_) = (stick(), tempfile::tempdir().unwrap());
        let file = stick.path().join("ggml-ours.bin");
        let mut bytes = std::fs::read(stick.path().join(BUNDLED.file_name())).unwrap();
        bytes.push(0);
        std::fs::write(&file, &bytes).unwrap();
        assert!(matches!(offers(&file, None, None), Err(FetchError::NothingKnown { .. })));
        let hash = sha256(&mut &bytes[..], &mut |_| {}).unwrap();
        let found = offers(&file, None, Some(&hash)).unwrap();
        let path = found[0].put(&put(box_.path()), &mut |_| {}).unwrap();
        assert!(path.ends_with("ggml-ours.bin"));
        let other = offers(&file, None, Some(&"0".repeat(64))).unwrap();
        assert!(other[0].put(&put(box_.path()), &mut |_| {}).is_err());
        let picture = stick.path().join("holiday.jpg");
        assert!(offers(&picture, None, Some(&hash)).is_err(), "no model at all");
    }
}
