//! The file that the package puts into /etc says of every key what is so.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::merge::known_names;
use super::raw::{Raw, WITHOUT_EFFECT};
use super::{Config, Sources};

const SHIPPED: &str = include_str!("../../packaging/config.toml");

/// A setting's line without its `#`; none for any other line.
fn setting(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
}

/// The file with every setting set.
fn all_set() -> Table {
    let lines = SHIPPED.lines().map(|line| setting(line).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n").parse().unwrap()
}

#[test]
fn as_it_is_it_sets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, SHIPPED).unwrap();
    let environment: BTreeMap<String, String> = BTreeMap::new();
    let config = Config::load(&Sources { file: Some(file), environment: &environment }).unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let sections: Table = SHIPPED.parse().unwrap();
    assert!(sections.values().all(|section| section.as_table().unwrap().is_empty()));
}

#[test]
fn it_names_every_key_with_its_default() {
    let shown = all_set();
    let defaults = Table::try_from(Raw::default()).unwrap();
    let keys = |section: Option<&str>| {
        let mut names = known_names(section);
        names.sort();
        names
    };
    assert_eq!(shown.keys().cloned().collect::<Vec<_>>(), keys(None));
    for (section, settings) in &shown {
        let settings = settings.as_table().unwrap();
        assert_eq!(
            settings.keys().cloned().collect::<Vec<_>>(),
            keys(Some(section)),
            "[{section}]"
        );
        for (key, default) in defaults[section].as_table().unwrap() {
            assert_eq!(settings[key], *default, "{section}.{key}");
        }
    }
    Value::Table(shown).try_into::<Raw>().unwrap();
}

#[test]
fn what_has_no_effect_is_marked_so_and_nothing_else() {
    let (mut marked, mut section, mut before) = (Vec::new(), "", "");
    for line in SHIPPED.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        if let Some((key, _)) = setting(line).and_then(|line| line.split_once(" = "))
            && before == "# No effect in this version."
        {
            marked.push(format!("{section}.{key}"));
        }
        before = line;
    }
    let without: Vec<_> = WITHOUT_EFFECT.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(marked, without);
}
