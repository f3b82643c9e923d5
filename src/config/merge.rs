//! File and environment to one [`Raw`]. Keys are tried one by one, so that every bad one is told.

use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::{Table, Value};

use super::raw::{Raw, WITHOUT_EFFECT};
use super::{DEFAULT_FILE, Problem, Problems, Sources};

pub(super) const PREFIX: &str = "FIELDTAPE_";

/// What the sources came to.
pub(super) struct Merged {
    pub(super) raw: Raw,
    pub(super) file: Option<PathBuf>,
    pub(super) warnings: Vec<Problem>,
}

pub(super) fn merge(sources: &Sources<'_>, problems: &mut Problems) -> Merged {
    let named = sources
        .file
        .clone()
        .or_else(|| sources.environment.get("FIELDTAPE_CONFIG").map(PathBuf::from));
    let file = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let (mut good, file) = match read(&file) {
        Ok(table) => (check_keys(table, problems), Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            (Table::new(), None)
        }
        Err(error) => {
            problems.add(file.display().to_string(), error);
            (Table::new(), Some(file))
        }
    };
    overlay(&mut good, sources, problems);
    let warnings = WITHOUT_EFFECT
        .iter()
        .filter(|(key, _)| is_set(&good, key))
        .map(|(key, instead)| Problem {
            key: (*key).to_owned(),
            what: format!("has no effect in this version; {instead}"),
        })
        .collect();
    // Every key in `good` was read by itself, so all of them together can be.
    let raw = Raw::deserialize(Value::Table(good)).unwrap_or_default();
    Merged { raw, file, warnings }
}

fn read(file: &Path) -> Result<Table, std::io::Error> {
    let text = std::fs::read_to_string(file)?;
    text.parse::<Table>()
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string()))
}

/// Keeps the keys that can be read and tells of the others.
fn check_keys(table: Table, problems: &mut Problems) -> Table {
    let mut good = Table::new();
    for (section, value) in table {
        let Value::Table(keys) = value else {
            problems.add(&section, "belongs into a [section]");
            continue;
        };
        if let Err(error) = try_key(&section, None) {
            problems.add(format!("[{section}]"), error);
            continue;
        }
        for (key, value) in keys {
            match try_key(&section, Some((&key, &value))) {
                Ok(()) => put(&mut good, &section, &key, value),
                Err(error) => problems.add(format!("{section}.{key}"), error),
            }
        }
    }
    good
}

/// Lays `FIELDTAPE_SECTION__KEY` over the file.
fn overlay(good: &mut Table, sources: &Sources<'_>, problems: &mut Problems) {
    for (name, text) in sources.environment.beginning_with(PREFIX) {
        let Some((section, key)) = name[PREFIX.len()..].split_once("__") else {
            continue;
        };
        let (section, key) = (section.to_lowercase(), key.to_lowercase());
        let plain = Value::String(text.clone());
        let typed =
            format!("value = {text}").parse::<Table>().ok().and_then(|mut t| t.remove("value"));
        // Some keys take a word or a table, and a table is a word too.
        let (tables, others): (Vec<_>, Vec<_>) =
            typed.into_iter().partition(|value| matches!(value, Value::Table(_)));
        let fits = tables
            .into_iter()
            .chain([plain.clone()])
            .chain(others)
            .find(|value| try_key(&section, Some((&key, value))).is_ok());
        match fits {
            Some(value) => put(good, &section, &key, value),
            None => {
                if let Err(error) = try_key(&section, Some((&key, &plain))) {
                    problems.add(name, error);
                }
            }
        }
    }
}

fn put(table: &mut Table, section: &str, key: &str, value: Value) {
    let keys = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(keys) = keys {
        keys.insert(key.to_owned(), value);
    }
}

fn is_set(table: &Table, key: &str) -> bool {
    key.split_once('.')
        .is_some_and(|(section, key)| table.get(section).and_then(|keys| keys.get(key)).is_some())
}

/// Says what is wrong with one section or key, alone in an otherwise empty file.
fn try_key(section: &str, key: Option<(&str, &Value)>) -> Result<(), String> {
    let mut alone = Table::new();
    match key {
        Some((name, value)) => put(&mut alone, section, name, value.clone()),
        None => {
            alone.insert(section.to_owned(), Value::Table(Table::new()));
        }
    }
    let Err(error) = Raw::deserialize(Value::Table(alone)) else {
        return Ok(());
    };
    let known = known_names(key.is_some().then_some(section));
    let name = key.as_ref().map_or(section, |(name, _)| name);
    if known.iter().any(|known| known == name) {
        let line = error.message().replace('\n', " ");
        return Err(line);
    }
    let nearest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    Err(match nearest {
        Some((likeness, nearest)) if likeness > 0.7 => {
            format!("there is no such key; did you mean \"{nearest}\"?")
        }
        _ => format!("there is no such key; known here: {}", known.join(", ")),
    })
}

/// Names the keys of a section, or the sections.
pub(super) fn known_names(section: Option<&str>) -> Vec<String> {
    // serde names them itself, when it meets one that it does not know.
    let mut probe = Table::new();
    put(&mut probe, section.unwrap_or("?"), "?", Value::Boolean(true));
    let Err(error) = Raw::deserialize(Value::Table(probe)) else {
        return Vec::new();
    };
    let message = error.message().to_owned();
    let expected = message.split("expected ").nth(1).unwrap_or_default().to_owned();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
