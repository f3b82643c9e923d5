//! Changes a few keys of a configuration file and leaves the rest, comments included, as it is.

use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

use super::{Config, Lookup, Problems, Sources};
use crate::web::tls::CertificateFiles;

/// Why a file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The disk does not take or give it.
    #[error("{} cannot be changed: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// It is not TOML, or a section is none.
    #[error("{} is left alone: {why}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Writes which models are used, for calls that are over and, if there is one, for live ones. The
/// file is replaced whole or not at all; one that is not there is made.
pub fn set_models(file: &Path, model: &str, live_model: Option<&str>) -> Result<(), EditError> {
    let mut draft = Draft::of(file)?;
    draft.set("transcription.model", model)?;
    if let Some(live_model) = live_model {
        draft.set("transcription.live_model", live_model)?;
    }
    draft.write()
}

/// A file as it is to be.
#[derive(Debug, Clone)]
pub struct Draft {
    file: PathBuf,
    before: String,
    text: String,
}

impl Draft {
    /// Takes a file as it is; one that is not there is empty.
    pub fn of(file: &Path) -> Result<Self, EditError> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(EditError::Disk { path: file.to_owned(), source }),
        };
        Ok(Self { file: file.to_owned(), before: text.clone(), text })
    }

    /// Returns the file's text as it was, and as it is to be.
    pub fn texts(&self) -> (&str, &str) {
        (&self.before, &self.text)
    }

    /// Sets a key, named with its section, to a text.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), EditError> {
        self.put(key, text.into())
    }

    /// Sets a key to a certificate's files.
    pub fn set_files(&mut self, key: &str, files: &CertificateFiles) -> Result<(), EditError> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let table: InlineTable =
            [("cert", path(&files.certificate)), ("key", path(&files.key))].into_iter().collect();
        self.put(key, table.into())
    }

    /// Takes a key's line out.
    pub fn unset(&mut self, key: &str) -> Result<(), EditError> {
        let (section, key) = named(key);
        let document = self.document()?;
        let is_set =
            |document: &DocumentMut| document.get(section).is_some_and(|s| s.get(key).is_some());
        if !is_set(&document) {
            return Ok(());
        }
        let without = lines_of(&self.text, section)
            .find(|(_, line)| assigned(line) == Some(key))
            .map(|(number, _)| with_line(&self.text, number, None));
        let gone = |text: &String| text.parse::<DocumentMut>().is_ok_and(|new| !is_set(&new));
        self.text = without.filter(gone).unwrap_or_else(|| {
            let mut document = document;
            if let Some(table) = document.get_mut(section).and_then(Item::as_table_like_mut) {
                table.remove(key);
            }
            document.to_string()
        });
        Ok(())
    }

    /// Checks the file as it is to be, as a start would.
    pub fn check(&self, environment: &dyn Lookup) -> Result<Config, Problems> {
        let mut problems = Problems::default();
        let copy = tempfile::NamedTempFile::new().and_then(|mut copy| {
            copy.write_all(self.text.as_bytes())?;
            Ok(copy)
        });
        let Some(copy) = problems.keep("a copy of the configuration", copy) else {
            return Err(problems);
        };
        let mut config =
            Config::load(&Sources { file: Some(copy.path().to_owned()), environment })?;
        config.file = Some(self.file.clone());
        Ok(config)
    }

    /// Replaces the file, whole or not at all.
    pub fn write(&self) -> Result<(), EditError> {
        if self.text == self.before && self.file.exists() {
            return Ok(());
        }
        let disk = |source| EditError::Disk { path: self.file.clone(), source };
        replace(&self.file, &self.text).map_err(disk)
    }

    fn put(&mut self, key: &str, value: Value) -> Result<(), EditError> {
        let (section, key) = named(key);
        let mut document = self.document()?;
        let not_toml = |why: String| EditError::NotToml { path: self.file.clone(), why };
        let table = document.entry(section).or_insert_with(|| Item::Table(Table::new()));
        let table = table
            .as_table_like_mut()
            .ok_or_else(|| not_toml(format!("{section} is no section")))?;
        let old = table.get(key).and_then(Item::as_value);
        let old_text = old.map(ToString::to_string);
        if old_text.as_deref().map(str::trim) == Some(value.to_string().trim()) {
            return Ok(());
        }
        if old.is_none()
            && let Some(text) = uncommented(&self.text, (section, key), &value)
        {
            self.text = text;
            return Ok(());
        }
        let mut new = value;
        // What stands behind the old value on its line stays there.
        if let Some(decor) = old.map(|old| old.decor().clone()) {
            *new.decor_mut() = decor;
        }
        table.insert(key, Item::Value(new));
        self.text = document.to_string();
        Ok(())
    }

    fn document(&self) -> Result<DocumentMut, EditError> {
        self.text.parse().map_err(|error| EditError::NotToml {
            path: self.file.clone(),
            why: format!("{error}"),
        })
    }
}

fn named(key: &str) -> (&str, &str) {
    key.split_once('.').unwrap_or((key, ""))
}

/// Sets a key in the line that shows it as an example (`#key = …`), if its section has one.
fn uncommented(text: &str, (section, key): (&str, &str), value: &Value) -> Option<String> {
    let is_example = |line: &str| line.strip_prefix('#').and_then(assigned) == Some(key);
    let (number, _) = lines_of(text, section).find(|(_, line)| is_example(line))?;
    let line = format!("{key} = {}", value.to_string().trim());
    let changed = with_line(text, number, Some(&line));
    let now = changed.parse::<DocumentMut>().ok()?;
    let set = now.get(section)?.get(key)?.as_value()?.to_string();
    (set.trim() == value.to_string().trim()).then_some(changed)
}

/// Returns the lines of a section, with their numbers.
fn lines_of<'a>(text: &'a str, section: &str) -> impl Iterator<Item = (usize, &'a str)> {
    let header = format!("[{section}]");
    text.lines()
        .enumerate()
        .skip_while(move |(_, line)| !line.starts_with(&header))
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('['))
}

/// Returns the key that a line sets.
fn assigned(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_key.then_some(key)
}

/// Puts another line in the place of one, or nothing.
fn with_line(text: &str, number: usize, new: Option<&str>) -> String {
    let lines = text.split_inclusive('\n').enumerate().filter_map(|(at, line)| {
        if at != number {
            return Some(line.to_owned());
        }
        let end = if line.ends_with('\n') { "\n" } else { "" };
        new.map(|new| format!("{new}{end}"))
    });
    lines.collect()
}

/// Gives the new file the rights and the owner of the old one, and then its name.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    // Where the name is a link, the file it leads to is meant.
    let file = &file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    if let Ok(old) = file.metadata() {
        let (user, group) = (Uid::from_raw(old.uid()), Gid::from_raw(old.gid()));
        // Who is not the owner may not give it away; the rights say who can read it.
        let _ = rustix::fs::fchown(&new, Some(user), Some(group));
        new.as_file().set_permissions(old.permissions())?;
    } else {
        // The recorder reads it under another user; secrets have files of their own.
        new.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    new.as_file().sync_all()?;
    new.persist(file)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
