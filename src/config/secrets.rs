//! Secrets among the settings: where each is kept, and the settings without them.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::build::filled;
use super::merge::{self, Merged, PREFIX};
use super::{Lookup, Problems, Sources, raw};
use crate::domain::last_four;
use crate::health::{Secret, SecretPlace};

/// Every secret: its section and key, and what systemd calls it.
const SECRETS: [(&str, &str, &str); 6] = [
    ("twilio", "auth_token", "fieldtape.twilio-auth-token"),
    ("twilio", "shared_key", "fieldtape.twilio-shared-key"),
    ("twilio", "api_key_secret", "fieldtape.twilio-api-key-secret"),
    ("archive", "access_key_id", "fieldtape.archive-access-key-id"),
    ("archive", "secret_access_key", "fieldtape.archive-secret-access-key"),
    ("summary", "api_key", "fieldtape.summary-api-key"),
];

/// Settings that are telephone numbers or a person's name.
const NUMBERS: [(&str, &str); 3] =
    [("twilio", "caller_id"), ("twilio", "agent_number"), ("twilio", "agent_identity")];

/// Settings that are words which people speak.
const WORDS: [(&str, &str); 2] = [("transcription", "vocabulary"), ("consent", "announcement")];

/// Settings that are addresses, in which a password could stand.
const ADDRESSES: [(&str, &str); 5] = [
    ("server", "public_url"),
    ("twilio", "api_url"),
    ("transcription", "mirror"),
    ("archive", "endpoint"),
    ("summary", "url"),
];

/// The settings as they are in effect, for others to read.
#[derive(Debug, Clone)]
pub struct Laid {
    /// As TOML: secrets, numbers and words that people speak are taken out.
    pub shown: String,
    /// The secrets themselves, to look for where they must not be.
    pub secrets: Vec<String>,
    /// The numbers, for the same.
    pub numbers: Vec<String>,
}

/// Reads the settings, right or wrong, and parts them into what others may see and what not.
pub fn lay_open(sources: &Sources<'_>) -> Laid {
    // What is wrong with them is for `check-config` to say.
    let Merged { raw, .. } = merge::merge(sources, &mut Problems::default());
    let mut table = Table::try_from(&raw).unwrap_or_default();
    let secrets = SECRETS.iter().filter_map(|(section, key, credential)| {
        let text = text_of(&table, section, key);
        let file = text_of(&table, section, &format!("{key}_file")).map(PathBuf::from);
        let credential = credential_path(sources.environment, credential);
        text.or_else(|| read(&file.or(credential)?))
    });
    let secrets: Vec<String> = secrets.collect();
    let numbers = NUMBERS.iter().filter_map(|(section, key)| text_of(&table, section, key));
    let numbers: Vec<String> = numbers.collect();
    for (section, key, _) in SECRETS {
        put(&mut table, section, key, |_| "(secret)".to_owned());
    }
    for (section, key) in NUMBERS {
        put(&mut table, section, key, last_four);
    }
    for (section, key) in WORDS {
        put(&mut table, section, key, |_| "(words)".to_owned());
    }
    for (section, key) in ADDRESSES {
        put(&mut table, section, key, without_password);
    }
    let shown = toml::to_string(&table).unwrap_or_default();
    Laid { shown, secrets, numbers }
}

/// Says where each secret that is set is kept.
pub(super) fn places(merged: &Merged, environment: &dyn Lookup) -> Vec<Secret> {
    let raw::Raw { twilio, archive, summary, .. } = &merged.raw;
    let set = [
        (&twilio.auth_token, &twilio.auth_token_file),
        (&twilio.shared_key, &twilio.shared_key_file),
        (&twilio.api_key_secret, &twilio.api_key_secret_file),
        (&archive.access_key_id, &archive.access_key_id_file),
        (&archive.secret_access_key, &archive.secret_access_key_file),
        (&summary.api_key, &summary.api_key_file),
    ];
    let secrets =
        SECRETS.iter().zip(set).filter_map(|((section, key, credential), (text, file))| {
            let variable = format!("{PREFIX}{section}__{key}").to_uppercase();
            let place = if filled(text.clone()).is_some() {
                match &merged.file {
                    Some(path) if environment.get(&variable).is_none() => {
                        SecretPlace::Configuration(path.clone())
                    }
                    _ => SecretPlace::Environment,
                }
            } else if let Some(path) = filled(file.clone()) {
                SecretPlace::File(path.into())
            } else {
                let path = credential_path(environment, credential)?;
                SecretPlace::Credential(Some(path).filter(|path| path.is_file())?)
            };
            Some(Secret { key: format!("{section}.{key}"), place })
        });
    secrets.collect()
}

fn credential_path(environment: &dyn Lookup, credential: &str) -> Option<PathBuf> {
    Some(PathBuf::from(environment.get("CREDENTIALS_DIRECTORY")?).join(credential))
}

fn read(path: &Path) -> Option<String> {
    filled(std::fs::read_to_string(path).ok()).map(|text| text.trim().to_owned())
}

fn text_of(table: &Table, section: &str, key: &str) -> Option<String> {
    filled(table.get(section)?.get(key)?.as_str().map(str::to_owned))
}

/// Replaces what is set by what may be shown of it.
fn put(table: &mut Table, section: &str, key: &str, shown: impl Fn(&str) -> String) {
    let value = table.get_mut(section).and_then(|section| section.get_mut(key));
    match value {
        Some(Value::String(text)) if !text.is_empty() => *text = shown(text),
        Some(Value::Array(list)) if !list.is_empty() => {
            let count = list.len();
            *list = vec![Value::String(format!("({count} entries)"))];
        }
        _ => {}
    }
}

/// Takes `user:password@` and the query out of an address.
fn without_password(address: &str) -> String {
    let plain = address.split(['?', '#']).next().unwrap_or_default();
    match plain.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or_default();
            let slash = if rest.contains('/') { "/" } else { "" };
            format!("{scheme}://{host}{slash}{path}")
        }
        None => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Config;
    use super::*;

    #[test]
    fn settings_are_shown_without_secrets_numbers_words_and_passwords() {
        let dir = tempfile::tempdir().unwrap();
        let (file, secret) = (dir.path().join("config.toml"), dir.path().join("secret"));
        std::fs::write(&secret, "s3cret-of-the-archive\n").unwrap();
        std::fs::write(dir.path().join("fieldtape.twilio-shared-key"), "shared-s3cret").unwrap();
        let text = format!(
            "[server]\npublic_url = \"https://calls.example.org/x\"\n\
             [twilio]\nauth_token = \"t0ken\"\nagent_number = \"+15550142\"\n\
             [archive]\nsecret_access_key_file = \"{}\"\nendpoint = \"https://u:pa55@s3.example.org/b?k=v\"\n\
             [transcription]\nvocabulary = [\"River Road\", \"HX\"]\n\
             [consent]\nannouncement = \"This call is recorded.\"\n[nonsense]\n",
            secret.display()
        );
        std::fs::write(&file, text).unwrap();
        let environment = BTreeMap::from([
            ("FIELDTAPE_SUMMARY__API_KEY".to_owned(), "k3y".to_owned()),
            ("CREDENTIALS_DIRECTORY".to_owned(), dir.path().to_str().unwrap().to_owned()),
        ]);
        let sources = Sources { file: Some(file.clone()), environment: &environment };
        let laid = lay_open(&sources);
        for gone in ["t0ken", "s3cret", "5550142", "pa55", "k=v", "River", "recorded.", "k3y"] {
            assert!(!laid.shown.contains(gone), "{gone}: {}", laid.shown);
        }
        for kept in
            ["https://calls.example.org/x", "…0142", "https://s3.example.org/b", "(2 entries)"]
        {
            assert!(laid.shown.contains(kept), "{kept}: {}", laid.shown);
        }
        assert_eq!(laid.secrets, ["t0ken", "shared-s3cret", "s3cret-of-the-archive", "k3y"]);
        assert_eq!(laid.numbers, ["+15550142"]);
    }

    #[test]
    fn every_secret_that_is_set_has_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        let key = dir.path().join("key");
        std::fs::write(&key, "hush").unwrap();
        let text =
            format!("[twilio]\nauth_token = \"t\"\nshared_key_file = \"{}\"\n", key.display());
        std::fs::write(&file, text).unwrap();
        let environment =
            BTreeMap::from([("FIELDTAPE_SUMMARY__API_KEY".to_owned(), "k3y".to_owned())]);
        let sources = Sources { file: Some(file.clone()), environment: &environment };
        let secrets = Config::load(&sources).unwrap().secrets;
        let places: Vec<(&str, &SecretPlace)> =
            secrets.iter().map(|secret| (secret.key.as_str(), &secret.place)).collect();
        assert_eq!(
            places,
            [
                ("twilio.auth_token", &SecretPlace::Configuration(file)),
                ("twilio.shared_key", &SecretPlace::File(key)),
                ("summary.api_key", &SecretPlace::Environment),
            ]
        );
    }
}
