//! What is sent to whoever helps: facts as texts, in one packed file.

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value};

use super::CareError;
use super::scrub::Scrub;
use crate::domain::UnixMillis;

/// Fields of a journal entry that are passed on; what else there is says nothing, or may say too
/// much, such as a command line.
const JOURNAL_FIELDS: [&str; 25] = [
    "__REALTIME_TIMESTAMP",
    "_BOOT_ID",
    "_SYSTEMD_UNIT",
    "_PID",
    "SYSLOG_IDENTIFIER",
    "PRIORITY",
    "MESSAGE",
    "EVENT",
    "CALL_SID",
    "RECORDING_SID",
    "STREAM_SID",
    "STAGE",
    "PARTY",
    "ATTEMPT",
    "DURATION_MS",
    "SIZE_BYTES",
    "ERROR",
    "CHECK",
    "STATUS",
    "BACKTRACE",
    "CODE_FILE",
    "CODE_LINE",
    "UNIT",
    "UNIT_RESULT",
    "EXIT_STATUS",
];

/// A bundle that is being filled.
#[derive(Debug)]
pub struct Bundle {
    scrub: Scrub,
    files: Vec<(String, String)>,
}

impl Bundle {
    /// Begins one; whatever goes in is cleaned by `scrub`.
    pub fn new(scrub: Scrub) -> Self {
        Self { scrub, files: Vec::new() }
    }

    /// Adds a text.
    pub fn add(&mut self, name: &str, text: &str) {
        self.files.push((name.to_owned(), self.scrub.clean(text)));
    }

    /// Adds a JSON value.
    pub fn add_json(&mut self, name: &str, value: &Value) {
        // A `Value` can always be written.
        self.add(name, &serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// Adds journal entries as `journalctl -o json` prints them, one a line; a line that is none is
    /// what journalctl has to say.
    pub fn add_journal(&mut self, name: &str, entries: &str) {
        let lines = entries.lines().map(|line| match serde_json::from_str::<Map<_, _>>(line) {
            Ok(entry) => entry_of(entry).to_string(),
            Err(_) => line.to_owned(),
        });
        let text: String = lines.map(|line| line + "\n").collect();
        self.add(name, &text);
    }

    /// Names what is in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    /// Packs it into a file that only its owner may read, whole or not at all. There must be none
    /// of that name.
    pub fn write(&self, to: &Path, made_at: UnixMillis) -> Result<(), CareError> {
        let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty());
        let file = tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new(".")));
        let mut file = file.map_err(CareError::disk(to))?;
        self.pack(&mut file, made_at).map_err(CareError::disk(to))?;
        file.as_file().sync_all().map_err(CareError::disk(to))?;
        match file.persist_noclobber(to) {
            Ok(_) => Ok(()),
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(CareError::Exists { path: to.to_owned() })
            }
            Err(refused) => Err(CareError::disk(to)(refused.error)),
        }
    }

    fn pack(&self, file: impl Write, made_at: UnixMillis) -> io::Result<()> {
        let mut packed = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        for (name, text) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(u64::try_from(made_at.get() / 1000).unwrap_or(0));
            packed.append_data(
                &mut header,
                format!("fieldtape-support/{name}"),
                text.as_bytes(),
            )?;
        }
        packed.into_inner()?.finish()?.flush()
    }
}

fn entry_of(mut entry: Map<String, Value>) -> Value {
    entry.retain(|field, _| JOURNAL_FIELDS.contains(&field.as_str()));
    // Lines that are not UTF-8 come as lists of bytes.
    for value in entry.values_mut() {
        if let Value::Array(bytes) = value {
            let bytes = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
            *value = String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned().into();
        }
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn unpacked(path: &Path) -> Vec<(String, String)> {
        let file = std::fs::File::open(path).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        });
        entries.collect()
    }

    #[test]
    fn a_bundle_holds_what_was_put_in_without_what_nobody_may_read() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("bundle.tar.gz");
        let mut bundle = Bundle::new(Scrub::new(vec!["s3cret".to_owned()], []));
        bundle.add("a.txt", "s3cret of +15005550006");
        let bytes = format!("{:?}", b"not \xff UTF-8, s3cret");
        bundle.add_journal(
            "journal.jsonl",
            &format!(
                "{{\"MESSAGE\":\"hello\",\"_CMDLINE\":\"x --token y\",\"EVENT\":\"call.started\"}}\n\
                 {{\"MESSAGE\":{bytes}}}\nNo journal files were found.\n"
            ),
        );
        bundle.write(&to, UnixMillis::new(1_790_000_000_000)).unwrap();
        assert_eq!(
            unpacked(&to),
            [
                ("fieldtape-support/a.txt".to_owned(), "(secret) of …0006".to_owned()),
                (
                    "fieldtape-support/journal.jsonl".to_owned(),
                    "{\"EVENT\":\"call.started\",\"MESSAGE\":\"hello\"}\n\
                     {\"MESSAGE\":\"not � UTF-8, (secret)\"}\nNo journal files were found.\n"
                        .to_owned()
                ),
            ]
        );
        let again = bundle.write(&to, UnixMillis::new(0));
        assert!(matches!(again, Err(CareError::Exists { .. })), "{again:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    }
}
