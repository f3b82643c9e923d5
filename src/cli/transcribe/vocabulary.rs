//! The names and part numbers to expect.

use std::path::Path;

use super::super::exit::Failure;
use super::super::speech::Settings;

/// A list longer than this is no list of names: the model takes a few hundred letters of it.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Returns the words given, from the line or from files, else those of the configuration.
pub(super) fn words(given: &[String], settings: &Settings) -> Result<Vec<String>, Failure> {
    if given.is_empty() {
        return Ok(settings.transcription.vocabulary.clone());
    }
    let mut words = Vec::new();
    for given in given {
        let text = if Path::new(given).is_file() { read(given)? } else { given.clone() };
        let found = text.split([',', '\n']).map(str::trim);
        words.extend(found.filter(|word| !word.is_empty()).map(str::to_owned));
    }
    Ok(words)
}

fn read(file: &str) -> Result<String, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::Failed(format!("{file}: {why}"));
    let length = std::fs::metadata(file).map_err(|error| failed(&error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(failed(&"is too long for a vocabulary: 64 KiB are enough"));
    }
    std::fs::read_to_string(file).map_err(|error| failed(&error))
}
