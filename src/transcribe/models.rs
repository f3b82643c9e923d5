//! Where speech models are found.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::models::{DETECTOR, file_name};

/// How a ggml file begins.
const MAGIC: [u8; 4] = *b"lmgg";

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It is nowhere.
    #[error("no speech model at {}: fieldtape model fetch brings one, or set transcription.model to where it is", Places(.looked_at))]
    Missing {
        /// Every file looked for.
        looked_at: Vec<PathBuf>,
    },
    /// There is nothing to load one with.
    #[error(
        "this fieldtape was built without the speech engine: build it with the feature whisper"
    )]
    NoEngine,
    /// The file is there and is none.
    #[error("{} is no usable speech model ({why}): put a good copy there", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

struct Places<'a>(&'a [PathBuf]);

impl fmt::Display for Places<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(out, "{separator}{}", path.display())?;
        }
        Ok(())
    }
}

/// A model and the voice detector it works with, opened.
#[derive(Debug)]
pub struct ModelFiles {
    /// The model's name: "tiny.en-q8_0", also when it was given as a path.
    pub name: String,
    /// Where the model is.
    pub path: PathBuf,
    /// The model.
    pub model: File,
    /// The voice detector.
    pub detector: File,
}

impl ModelFiles {
    /// Opens the model `name` (or a path) and the voice detector, each in the first of `dirs`
    /// that has it; the detector also where the model is.
    pub fn find(name: &str, dirs: &[PathBuf]) -> Result<Self, ModelError> {
        if cfg!(not(feature = "whisper")) {
            return Err(ModelError::NoEngine);
        }
        let given = Path::new(name);
        let is_path = given.components().count() > 1
            || given.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("bin"));
        let (path, model) = if is_path {
            open_first([given.to_owned()])?
        } else {
            open_first(dirs.iter().map(|dir| dir.join(file_name(name))))?
        };
        let beside = path.parent().map(Path::to_owned);
        let (_, detector) =
            open_first(beside.iter().chain(dirs).map(|dir| dir.join(DETECTOR.file_name())))?;
        let name = if is_path { name_of(&path) } else { name.to_owned() };
        Ok(Self { name, path, model, detector })
    }
}

/// Opens the first of `paths` that exists, and sees that it is a ggml file.
fn open_first(paths: impl IntoIterator<Item = PathBuf>) -> Result<(PathBuf, File), ModelError> {
    let mut looked_at = Vec::new();
    for path in paths {
        match File::open(&path) {
            Ok(mut file) => {
                let mut head = [0; MAGIC.len()];
                let corrupt = |why: String| ModelError::Corrupt { path: path.clone(), why };
                file.read_exact(&mut head).map_err(|error| corrupt(error.to_string()))?;
                if head != MAGIC {
                    return Err(corrupt("it is not a ggml file".to_owned()));
                }
                return Ok((path, file));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => looked_at.push(path),
            Err(error) => return Err(ModelError::Corrupt { path, why: error.to_string() }),
        }
    }
    Err(ModelError::Missing { looked_at })
}

fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.strip_prefix("ggml-").unwrap_or(&stem).to_owned()
}

#[cfg(test)]
#[cfg(feature = "whisper")]
mod tests {
    use super::*;

    fn put(dir: &Path, file: &str, content: &[u8]) {
        std::fs::write(dir.join(file), content).unwrap();
    }

    #[test]
    fn a_model_is_found_by_name_in_the_first_place_that_has_it_and_by_path() {
        let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        put(full.path(), "ggml-tiny.en-q8_0.bin", b"lmgg...");
        put(full.path(), &DETECTOR.file_name(), b"lmgg...");
        let dirs = [empty.path().to_owned(), full.path().to_owned()];
        let found = ModelFiles::find("tiny.en-q8_0", &dirs).unwrap();
        assert_eq!(found.path, full.path().join("ggml-tiny.en-q8_0.bin"));
        let by_path = ModelFiles::find(found.path.to_str().unwrap(), &[]).unwrap();
        assert_eq!(by_path.name, "tiny.en-q8_0");
    }

    #[test]
    fn a_missing_model_names_every_place_looked_at_and_what_to_do() {
        let dirs = [PathBuf::from("/nowhere/a"), PathBuf::from("/nowhere/b")];
        let message = ModelFiles::find("base", &dirs).unwrap_err().to_string();
        for part in ["/nowhere/a/ggml-base.bin", "/nowhere/b/ggml-base.bin", "model fetch"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn what_is_no_ggml_file_is_named_as_such() {
        let dir = tempfile::tempdir().unwrap();
        for content in [b"<html>404</html>".as_slice(), b"", b"lm"] {
            put(dir.path(), "ggml-base.bin", content);
            let error = ModelFiles::find("base", &[dir.path().to_owned()]).unwrap_err();
            assert!(matches!(error, ModelError::Corrupt { .. }), "{error}");
        }
    }
}

#[cfg(test)]
#[cfg(feature = "whisper")]
mod tests_with_engine {
    use crate::models::Language;

    #[test]
    fn the_engine_knows_the_same_languages_by_the_same_names() {
        assert_eq!(
            Language::all().count(),
            usize::try_from(whisper_rs::get_lang_max_id()).unwrap() + 1
        );
        for language in Language::all() {
            let id = whisper_rs::get_lang_id(language.code()).unwrap();
            assert_eq!(whisper_rs::get_lang_str(id), Some(language.code()));
            assert_eq!(whisper_rs::get_lang_str_full(id), Some(language.name()));
        }
    }
}

#[cfg(test)]
#[cfg(not(feature = "whisper"))]
mod tests_without_engine {
    use super::*;

    #[test]
    fn a_program_without_the_engine_says_so() {
        let error = ModelFiles::find("tiny.en-q8_0", &[]).unwrap_err();
        assert!(error.to_string().contains("without the speech engine"), "{error}");
    }
}
