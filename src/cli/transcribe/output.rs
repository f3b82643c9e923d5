//! Where transcripts go: one after another to standard output, or each into a file of its own.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::super::exit::Failure;
use super::super::output;
use super::input::Input;
use super::transcript;
use crate::transcribe::{FileText, Format};

/// Where transcripts go.
pub(super) struct Outputs {
    formats: Vec<Format>,
    folder: Option<PathBuf>,
    headings: bool,
    written: usize,
}

impl Outputs {
    /// Makes sure that all transcripts have a place of their own before the first is made.
    pub(super) fn plan(
        inputs: &[Input],
        formats: Vec<Format>,
        folder: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let several = inputs.len() > 1;
        if folder.is_none() {
            if formats.len() > 1 {
                let why = "several formats need a folder to be written into: --output-dir";
                return Err(Failure::Usage(why.to_owned()));
            }
            let captions = formats.iter().any(|f| matches!(f, Format::Srt | Format::Vtt));
            if several && captions {
                let why = "captions of several files cannot stand in one: use --output-dir";
                return Err(Failure::Usage(why.to_owned()));
            }
        }
        if inputs.iter().filter(|input| input.is_stdin()).count() > 1 {
            return Err(Failure::Usage("standard input can be heard once only".to_owned()));
        }
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        for input in inputs.iter().filter(|_| folder.is_some()) {
            if let Some(first) = places.insert(input.stem(), input.name()) {
                return Err(Failure::Usage(format!(
                    "the transcripts of {first} and {} would have one name: transcribe them one \
                     by one",
                    input.name()
                )));
            }
        }
        Ok(Self { headings: several, formats, folder, written: 0 })
    }

    /// Makes the folder, if there is to be one.
    pub(super) fn make_folder(&self) -> Result<(), Failure> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))
    }

    /// Writes a transcript to its place.
    pub(super) fn take(&mut self, input: &Input, text: &FileText) -> Result<(), Failure> {
        let name = input.name();
        let transcript = transcript(&name, text);
        for format in &self.formats {
            let text = transcript.write(*format);
            match &self.folder {
                Some(folder) => {
                    let path = folder.join(format!("{}.{}", input.stem(), format.as_str()));
                    whole(&path, &text)
                        .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
                    output::line(&path.display().to_string())?;
                }
                // As head and tail do it; each JSON is one line and says its file.
                None if self.headings && *format == Format::Txt => {
                    let gap = if self.written > 0 { "\n" } else { "" };
                    output::say(&format!("{gap}==> {name} <==\n{text}"))?;
                }
                None => output::say(&text)?,
            }
        }
        self.written += 1;
        Ok(())
    }
}

/// Writes a file whole or not at all. What people said is for the one who asked.
fn whole(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
