//! Files: walked, hashed, and copied whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::CareError;

/// What is read at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) size_bytes: u64,
    /// SHA-256 in hex.
    pub(super) sha256: String,
}

/// Reads a file through.
pub(super) fn content(path: &Path) -> Result<Content, CareError> {
    let file = File::open(path).map_err(CareError::disk(path))?;
    pump(file, path, |_| Ok(()))
}

fn pump(
    mut from: impl Read,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), CareError>,
) -> Result<Content, CareError> {
    let (mut hash, mut size_bytes) = (Sha256::new(), 0);
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let count = match from.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CareError::disk(path)(error)),
        };
        let bytes = block.get(..count).unwrap_or_default();
        take(bytes)?;
        hash.update(bytes);
        size_bytes += bytes.len() as u64;
    }
    Ok(Content { size_bytes, sha256: format!("{:x}", hash.finalize()) })
}

/// A file on its way to its name. Dropped unkept, it leaves nothing.
pub(super) struct Coming {
    part: PathBuf,
    to: PathBuf,
    kept: bool,
    pub(super) content: Content,
}

/// Copies a file durably up to its name.
pub(super) fn copy(from: &Path, to: &Path) -> Result<Coming, CareError> {
    let source = File::open(from).map_err(CareError::disk(from))?;
    coming(to, |part| {
        let mut file = create(part)?;
        let content =
            pump(source, from, |bytes| file.write_all(bytes).map_err(CareError::disk(part)))?;
        file.sync_all().map_err(CareError::disk(part))?;
        Ok(content)
    })
}

/// Writes a text durably up to its name.
pub(super) fn write(text: &str, to: &Path) -> Result<Coming, CareError> {
    coming(to, |part| {
        let mut file = create(part)?;
        file.write_all(text.as_bytes()).map_err(CareError::disk(part))?;
        file.sync_all().map_err(CareError::disk(part))?;
        Ok(Content { size_bytes: text.len() as u64, sha256: format!("{:x}", Sha256::digest(text)) })
    })
}

/// Takes what `make` puts at the path it is given.
pub(super) fn coming(
    to: &Path,
    make: impl FnOnce(&Path) -> Result<Content, CareError>,
) -> Result<Coming, CareError> {
    make_folder(to.parent().unwrap_or(Path::new(".")))?;
    let mut part = to.as_os_str().to_owned();
    part.push(".coming");
    let part = PathBuf::from(part);
    // What an earlier attempt left.
    if part.exists() {
        std::fs::remove_file(&part).map_err(CareError::disk(&part))?;
    }
    let nothing = Content { size_bytes: 0, sha256: String::new() };
    let mut coming = Coming { part, to: to.to_owned(), kept: false, content: nothing };
    coming.content = make(&coming.part)?;
    Ok(coming)
}

fn create(path: &Path) -> Result<File, CareError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(CareError::disk(path))
}

impl Coming {
    /// Gives it its name, durably; what had that name is replaced.
    pub(super) fn keep(mut self) -> Result<Content, CareError> {
        std::fs::rename(&self.part, &self.to).map_err(CareError::disk(&self.to))?;
        self.kept = true;
        sync_folder(self.to.parent().unwrap_or(Path::new(".")))?;
        Ok(self.content.clone())
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        if !self.kept {
            // Its name says that it is not whole if it cannot be removed.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

/// Makes a folder and those above it, for nobody else to look into.
pub(super) fn make_folder(path: &Path) -> Result<(), CareError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(CareError::disk(path))
}

fn sync_folder(path: &Path) -> Result<(), CareError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(CareError::disk(path))
}

/// Says whether a file's name ends in an extension.
pub(super) fn ends_in(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// Lists every file below a folder, relative to `root`; none if there is no such folder.
pub(super) fn walk(root: &Path, folder: &str) -> Result<Vec<String>, CareError> {
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(CareError::disk(&folder)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(CareError::disk(&folder))?;
            let path = entry.path();
            // A link leads elsewhere, and nothing of ours is one.
            let kind = entry.file_type().map_err(CareError::disk(&path))?;
            if kind.is_dir() {
                folders.push(path);
            } else if let Ok(path) = path.strip_prefix(root) {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}
