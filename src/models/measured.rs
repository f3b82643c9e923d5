//! How fast models were found to be on this box, kept beside them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::FetchError;
use super::install::disk;
use super::shelf::Found;

/// The file they are kept in.
const FILE: &str = "bench.json";

/// A model that needs more of the time a call lasted would let a backlog grow on a busy day.
const AFTER_CALL_MAX: f64 = 0.5;

/// Work on live calls may fill this much of the time: two people seldom speak at once, but a
/// second call may come.
const LIVE_MAX: f64 = 0.5;

/// The text of an utterance is to be there 2 s after its end, and 0.6 s of silence end it.
const UTTERANCE_MS_MAX: u64 = 1400;

/// How fast a model is on this box.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Transcribing a call afterwards takes this part of the time it lasted.
    pub after_call: f64,
    /// The same in time of the processor.
    pub after_call_cpu: f64,
    /// Hearing each utterance by itself, as it ends, takes this part of the time the call lasted.
    pub live: f64,
    /// Half of the utterances take no longer than this.
    pub utterance_ms: u64,
    /// Threads used.
    pub threads: u32,
}

impl Measured {
    /// Says whether it keeps up with calls when they are over.
    pub fn fit_after_call(&self) -> bool {
        self.after_call <= AFTER_CALL_MAX
    }

    /// Says whether it keeps up with people speaking.
    pub fn fit_live(&self) -> bool {
        self.live <= LIVE_MAX && self.utterance_ms <= UTTERANCE_MS_MAX
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    modified_s: i64,
    #[serde(flatten)]
    measured: Measured,
}

/// What was measured so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measurements {
    models: BTreeMap<String, Entry>,
}

impl Measurements {
    /// Reads them from the models' folder. What cannot be read was never measured.
    pub fn read(dir: &Path) -> Self {
        let text = std::fs::read_to_string(dir.join(FILE)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Returns what was measured of this very file.
    pub fn of(&self, model: &Found) -> Option<Measured> {
        let same =
            |entry: &&Entry| (entry.bytes, entry.modified_s) == (model.bytes, model.modified_s);
        self.models.get(&model.name).filter(same).map(|entry| entry.measured)
    }

    /// Takes a new one.
    pub fn take(&mut self, model: &Found, measured: Measured) {
        let (bytes, modified_s) = (model.bytes, model.modified_s);
        self.models.insert(model.name.clone(), Entry { bytes, modified_s, measured });
    }

    /// Writes them into the models' folder, whole or not at all.
    pub fn write(&self, dir: &Path) -> Result<(), FetchError> {
        let failed = |error| disk("writing", &dir.join(FILE))(error);
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        std::fs::create_dir_all(dir).map_err(failed)?;
        let for_all = std::fs::Permissions::from_mode(0o644);
        let mut file =
            tempfile::Builder::new().permissions(for_all).tempfile_in(dir).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.persist(dir.join(FILE)).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::NotAModel;
    use super::*;

    fn measured(after_call: f64, live: f64, utterance_ms: u64) -> Measured {
        Measured { after_call, after_call_cpu: 0.1, live, utterance_ms, threads: 2 }
    }

    fn found(bytes: u64) -> Found {
        Found {
            name: "base".to_owned(),
            path: "ggml-base.bin".into(),
            bytes,
            modified_s: 7,
            header: Err(NotAModel::NotGgml),
            bundled: false,
        }
    }

    #[test]
    fn what_was_measured_is_kept_for_that_very_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut all = Measurements::read(dir.path());
        all.take(&found(10), measured(0.1, 0.2, 300));
        all.write(dir.path()).unwrap();
        let again = Measurements::read(dir.path());
        assert_eq!(again.of(&found(10)), Some(measured(0.1, 0.2, 300)));
        assert_eq!(again.of(&found(11)), None, "another file by that name");
    }

    #[test]
    fn a_model_is_fit_for_live_only_if_words_come_soon_and_it_keeps_up() {
        let fit = |measured: Measured| (measured.fit_live(), measured.fit_after_call());
        assert_eq!(fit(measured(0.05, 0.2, 300)), (true, true));
        assert_eq!(fit(measured(0.4, 0.3, 2500)), (false, true));
        assert_eq!(fit(measured(0.4, 0.9, 1000)), (false, true));
        assert_eq!(fit(measured(1.4, 3.0, 9000)), (false, false));
    }

    #[test]
    fn a_broken_file_of_measurements_is_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{\"models\": 7").unwrap();
        assert_eq!(Measurements::read(dir.path()).of(&found(10)), None);
    }
}
