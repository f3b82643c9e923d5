//! Where models lie, and which lie there.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::catalogue::{BUNDLED, DETECTOR, Known, file_name};
use super::header::{Header, NotAModel};
use super::install::sha256;

/// Files looked at in one folder: far more than anybody keeps there.
const FILES_MAX: usize = 1000;

/// Lists where models are looked for: the data folder, beside the program, the system's folder,
/// and the folder the program was started in.
pub fn model_dirs(data_dir: Option<&Path>) -> Vec<PathBuf> {
    // A program that cannot say where it is has one place fewer.
    let beside = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.parent()?.join("share/fieldtape/models")));
    data_dir
        .map(own_dir)
        .into_iter()
        .chain(beside)
        .chain([PathBuf::from("/usr/share/fieldtape/models"), PathBuf::from("models")])
        .collect()
}

fn own_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("models")
}

/// Says whether a model, by name or path, knows only English: by what its file says where there
/// is one, else by its name.
pub fn english_only(model: &str, dirs: &[PathBuf]) -> bool {
    let is_path = model.contains('/') || Path::new(model).extension().is_some_and(|e| e == "bin");
    let mut paths: Vec<PathBuf> = dirs.iter().map(|dir| dir.join(file_name(model))).collect();
    if is_path {
        paths = vec![PathBuf::from(model)];
    }
    let header = paths
        .iter()
        .find_map(|path| File::open(path).ok())
        .and_then(|mut file| Header::read(&mut file).ok());
    header.map_or_else(|| named_english(model), |header| header.english_only())
}

/// "base.en", "tiny.en-q8_0".
fn named_english(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let english = |part: &str| {
        let part = part.trim_end_matches(".bin");
        part.rsplit_once('.').is_some_and(|(_, language)| language == "en")
    };
    name.split(['-', '_']).any(english)
}

/// A model's file that is here.
#[derive(Debug)]
pub struct Found {
    /// The model's name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// How long the file is.
    pub bytes: u64,
    /// When it was last written, in seconds since 1970.
    pub modified_s: i64,
    /// What it says about itself.
    pub header: Result<Header, NotAModel>,
    /// It came with the program.
    pub bundled: bool,
}

impl Found {
    fn look(path: PathBuf, name: &str, bundled_here: bool) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let mut file = File::open(&path).ok()?;
        let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let mut header = Header::read(&mut file);
        let cut = Known::published(name).is_some_and(|known| metadata.len() < known.bytes);
        if header.is_ok() && cut {
            header = Err(NotAModel::Unreadable(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Some(Self {
            name: name.to_owned(),
            bytes: metadata.len(),
            modified_s: metadata.mtime(),
            header,
            bundled: bundled_here && name == BUNDLED.name,
            path,
        })
    }
}

/// The folders with models.
#[derive(Debug, Clone)]
pub struct Shelf {
    own: PathBuf,
    dirs: Vec<PathBuf>,
}

impl Shelf {
    /// Looks into the data folder and where else models may be.
    pub fn new(data_dir: &Path) -> Self {
        Self { own: own_dir(data_dir), dirs: model_dirs(Some(data_dir)) }
    }

    /// Looks into one folder and nowhere else.
    pub fn at(dir: &Path) -> Self {
        Self { own: dir.to_owned(), dirs: vec![dir.to_owned()] }
    }

    /// Returns the folder that models are put into.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// Returns every folder looked into, in order.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Lists the models that are here, by name. Of two with one name the one that would be used.
    pub fn list(&self) -> Vec<Found> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for dir in &self.dirs {
            for (name, path) in files(dir) {
                if name != DETECTOR.name
                    && !seen.contains(&name)
                    && let Some(model) = Found::look(path, &name, dir != &self.own)
                {
                    seen.insert(name);
                    found.push(model);
                }
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Returns where the file of `name` is, if it is one of those known by that name, to the last
    /// byte. This reads all of it.
    pub fn whole(&self, name: &str) -> Option<PathBuf> {
        let path = self.dirs.iter().map(|dir| dir.join(file_name(name))).find(|p| p.exists())?;
        is_whole(&path, name).then_some(path)
    }
}

/// Says whether a file is one of those known by a model's name, to the last byte. This reads all of
/// it.
pub fn is_whole(path: &Path, name: &str) -> bool {
    let length = path.metadata().map_or(0, |metadata| metadata.len());
    let mut known = Known::all().filter(|known| known.name == name && known.bytes == length);
    let hashes: Vec<&str> = known.by_ref().map(|known| known.sha256).collect();
    if hashes.is_empty() {
        return false;
    }
    let hash = File::open(path).and_then(|mut file| sha256(&mut file, &mut |_| {}));
    hash.is_ok_and(|hash| hashes.contains(&hash.as_str()))
}

/// Lists the models' files of a folder with their names. A folder that is not there has none.
pub(super) fn files(dir: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<(String, PathBuf)> = entries
        .take(FILES_MAX)
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.strip_prefix("ggml-")?.strip_suffix(".bin")?;
            Some((name.to_owned(), path))
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_models_are_told_by_their_name_when_their_file_is_not_there() {
        for (model, english) in [
            ("tiny.en-q8_0", true),
            ("base.en", true),
            ("small.en-tdrz", true),
            ("/srv/ggml-medium.en.bin", true),
            ("base-q5_1", false),
            ("large-v3-turbo-q5_0", false),
            ("/home/ken.enfield/ggml-base.bin", false),
        ] {
            assert_eq!(english_only(model, &[]), english, "{model}");
        }
    }

    #[test]
    fn a_file_says_more_about_its_language_than_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ggml-ours.bin");
        std::os::unix::fs::symlink(
            std::fs::canonicalize("models/ggml-tiny.en-q8_0.bin").unwrap(),
            &path,
        )
        .unwrap();
        assert!(english_only("ours", &[dir.path().to_owned()]));
        assert!(english_only(path.to_str().unwrap(), &[]));
    }

    #[test]
    fn what_is_here_is_listed_once_and_a_cut_file_is_told() {
        let data = tempfile::tempdir().unwrap();
        let own = data.path().join("models");
        std::fs::create_dir(&own).unwrap();
        let model = std::fs::read("models/ggml-tiny.en-q8_0.bin").unwrap();
        std::fs::write(own.join("ggml-tiny.en.bin"), &model[..1000]).unwrap();
        std::fs::write(own.join("ggml-base.bin.part"), &model[..1000]).unwrap();
        std::fs::write(own.join("notes.txt"), "mine").unwrap();
        let shelf = Shelf::new(data.path());
        let list = shelf.list();
        let names: Vec<&str> = list.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["tiny.en", "tiny.en-q8_0"]);
        assert!(list[0].header.is_err() && !list[0].bundled);
        assert!(list[1].header.is_ok() && list[1].bundled, "in ./models of the repository");
        assert_eq!(shelf.whole("tiny.en-q8_0"), Some("models/ggml-tiny.en-q8_0.bin".into()));
        assert_eq!(shelf.whole("tiny.en"), None);
    }
}
