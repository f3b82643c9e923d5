//! Changes a few keys of a configuration file and leaves the rest, comments included, as it is.

use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};
use toml_edit::{DocumentMut, Item, Table, value};

/// Why a file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The disk does not take or give it.
    #[error("{} cannot be changed ({source}): write transcription.model there by hand", path.display())]
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
    let disk = |source| EditError::Disk { path: file.to_owned(), source };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(disk(error)),
    };
    let changed = changed(&text, model, live_model)
        .map_err(|why| EditError::NotToml { path: file.to_owned(), why })?;
    replace(file, &changed).map_err(disk)
}

fn changed(text: &str, model: &str, live_model: Option<&str>) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let section = document.entry("transcription").or_insert_with(|| Item::Table(Table::new()));
    let section = section.as_table_like_mut().ok_or("transcription is no section")?;
    let keys = [("model", Some(model)), ("live_model", live_model)];
    for (key, name) in keys.into_iter().filter_map(|(key, name)| Some((key, name?))) {
        let mut new = value(name);
        // What stands behind the old value on its line stays there.
        let decor = section.get(key).and_then(Item::as_value).map(|old| old.decor().clone());
        if let (Some(decor), Some(new)) = (decor, new.as_value_mut()) {
            *new.decor_mut() = decor;
        }
        section.insert(key, new);
    }
    Ok(document.to_string())
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
    }
    new.as_file().sync_all()?;
    new.persist(file)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn comments_and_all_other_keys_stay_as_they_are() {
        let text = "# the office\n[server]\nmax_calls = 4 # few\n\n[transcription] # speech\n\
                    model = \"tiny.en-q8_0\"  # the bundled one\nnice = 5\n";
        let expected = "# the office\n[server]\nmax_calls = 4 # few\n\n[transcription] # speech\n\
                        model = \"base-q5_1\"  # the bundled one\nnice = 5\nlive_model = \"tiny\"\n";
        assert_eq!(changed(text, "base-q5_1", Some("tiny")).unwrap(), expected);
    }

    #[test]
    fn a_section_that_is_missing_is_made_and_inline_ones_are_kept() {
        assert_eq!(changed("", "base", None).unwrap(), "[transcription]\nmodel = \"base\"\n");
        let inline = changed("transcription = { nice = 5 }\n", "base", None).unwrap();
        assert_eq!(inline, "transcription = { nice = 5 , model = \"base\" }\n");
        assert!(changed("transcription = 7\n", "base", None).is_err());
        assert!(changed("[transcription\n", "base", None).is_err());
    }

    #[test]
    fn the_file_keeps_its_rights_and_a_broken_one_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        std::fs::write(&file, "[transcription]\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        set_models(&file, "base", Some("tiny")).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        std::fs::write(&file, "[[[").unwrap();
        assert!(matches!(set_models(&file, "base", None), Err(EditError::NotToml { .. })));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "[[[");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
