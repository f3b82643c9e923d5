//! The program itself: its model, its speech process, and the run that is under way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Check;
use crate::models::{Known, Measurements, Shelf, is_whole};

/// How closely a model is looked at.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The model's name or path, as it is set.
    pub model: &'a str,
    /// Where the data folder is, whose models go before others.
    pub data_dir: &'a Path,
    /// Whether its file is read through.
    pub is_read: bool,
}

/// Judges the speech model. `found` is where its file is, or why it cannot be used.
pub fn model(wanted: &Wanted<'_>, found: Result<PathBuf, String>) -> Check {
    let name = "model";
    let fetch = "fieldtape model ls shows what there is, fieldtape model fetch NAME brings one; calls are recorded meanwhile";
    let path = match found {
        Ok(path) => path,
        Err(why) => return Check::warn(name, why, fetch),
    };
    let model = name_of(&path).unwrap_or(wanted.model);
    let mut told = format!("{model} is there");
    if wanted.is_read && Known::named(model).is_some() {
        if !is_whole(&path, model) {
            let what = format!("{} is not what was published as {model}", path.display());
            let fix = format!("delete that file, then fieldtape model fetch {model}");
            return Check::warn(name, what, fix);
        }
        told.push_str(" and whole");
    }
    let shelf = Shelf::new(wanted.data_dir);
    let here = shelf.list().into_iter().find(|found| found.path == path);
    let Some(measured) = here.and_then(|found| Measurements::read(shelf.own()).of(&found)) else {
        return Check::ok(
            name,
            format!("{told}; its speed here was not measured (fieldtape model bench)"),
        );
    };
    let part = measured.after_call * 100.0;
    let told = format!("{told}; a call takes {part:.0} % of its length to write down here");
    if measured.fit_after_call() {
        return Check::ok(name, told);
    }
    let fix = "fieldtape model bench --set chooses one that keeps up on this box";
    Check::warn(name, format!("{told}: a busy day's calls pile up"), fix)
}

/// Names the model that a file is called after.
fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_prefix("ggml-")?.strip_suffix(".bin")
}

/// A speech process that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechTried {
    /// How long it took to load its model.
    pub took: Duration,
    /// The socket by which systemd was to start it, if it did not.
    pub passed_by: Option<PathBuf>,
}

/// Judges whether the speech process answers.
pub fn speech(tried: Result<SpeechTried, String>) -> Check {
    match tried {
        Ok(SpeechTried { took, passed_by: None }) => {
            let what = format!("it answers; its model is loaded in {} ms", took.as_millis());
            Check::ok("speech", what)
        }
        Ok(SpeechTried { passed_by: Some(socket), .. }) => Check::warn(
            "speech",
            format!(
                "it answers, but not as a unit of its own: nobody listens at {}",
                socket.display()
            ),
            "systemctl enable --now fieldtape-speech.socket",
        ),
        Err(why) => Check::warn(
            "speech",
            why,
            "journalctl -t fieldtape-speech; systemctl restart fieldtape-speech.socket; calls are recorded meanwhile",
        ),
    }
}

/// Judges the run that is under way. `answer` is its version, or why it does not answer.
pub fn daemon(answer: Result<&str, String>) -> Check {
    let name = "daemon";
    let own = env!("CARGO_PKG_VERSION");
    match answer {
        Ok(version) if version == own => Check::ok(name, format!("fieldtape {version} is running")),
        Ok(version) => Check::warn(
            name,
            format!("fieldtape {version} is running, and {own} is installed"),
            "systemctl restart fieldtape",
        ),
        Err(why) => Check::fail(
            name,
            why,
            "systemctl start fieldtape; journalctl -u fieldtape -n 20 says why it stopped",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckState;
    use super::*;

    #[test]
    fn a_bundled_model_is_read_to_its_last_byte() {
        let data = tempfile::tempdir().unwrap();
        let bundled = Path::new("models/ggml-tiny.en-q8_0.bin");
        let wanted = Wanted { model: "tiny.en-q8_0", data_dir: data.path(), is_read: true };
        let good = model(&wanted, Ok(bundled.to_owned()));
        assert_eq!(good.state, CheckState::Ok);
        assert!(good.detail.contains("and whole"), "{good:?}");
        assert!(good.detail.contains("model bench"), "{good:?}");

        let own = data.path().join("models");
        std::fs::create_dir(&own).unwrap();
        let mut bytes = std::fs::read(bundled).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        let altered = own.join("ggml-tiny.en-q8_0.bin");
        std::fs::write(&altered, bytes).unwrap();
        assert_eq!(model(&wanted, Ok(altered.clone())).state, CheckState::Warn);
        let glance = Wanted { is_read: false, ..wanted };
        assert_eq!(model(&glance, Ok(altered)).state, CheckState::Ok);
        assert_eq!(model(&glance, Err("gone".to_owned())).state, CheckState::Warn);
    }

    #[test]
    fn a_run_of_another_version_is_told() {
        assert_eq!(daemon(Ok(env!("CARGO_PKG_VERSION"))).state, CheckState::Ok);
        assert_eq!(daemon(Ok("0.0.1")).state, CheckState::Warn);
        assert_eq!(daemon(Err("it does not answer".to_owned())).state, CheckState::Fail);
        let tried = SpeechTried { took: Duration::from_millis(80), passed_by: None };
        assert_eq!(speech(Ok(tried.clone())).state, CheckState::Ok);
        let passed_by = Some("/run/speech.sock".into());
        assert_eq!(speech(Ok(SpeechTried { passed_by, ..tried })).state, CheckState::Warn);
        assert_eq!(speech(Err("it died".to_owned())).state, CheckState::Warn);
    }
}
