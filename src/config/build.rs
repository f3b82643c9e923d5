//! From what was written to what is meant: every value checked, all mistakes told.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::agent;
use super::consent::consent;
use super::merge::Merged;
use super::outside::{archive, summary, twilio};
use super::{
    Config, Keep16k, Lookup, Problems, Recording, Server, Transcription, keeping, raw, units,
};
use crate::domain::RateHz;
use crate::models::{Language, Mirror, english_only, model_dirs};
use crate::twilio::door::PublicUrl;

/// Shorter would wear the card out, longer would break the promise.
const SYNC_EVERY: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(200)..=Duration::from_secs(5);

/// More calls than this at once is no field office; each holds a few files and a thread.
const MAX_CALLS: std::ops::RangeInclusive<i64> = 1..=256;

pub(super) fn build(
    merged: Merged,
    environment: &dyn Lookup,
    problems: &mut Problems,
) -> Option<Config> {
    let Merged { raw, file, mut warnings } = merged;
    let server = server(raw.server, environment, problems);
    let twilio = twilio(raw.twilio, environment, problems);
    let archive = archive(raw.archive, environment, problems);
    let summary = summary(raw.summary, environment, problems, &mut warnings);
    let recording = recording(&raw.recording, problems, &mut warnings);
    let mut transcription = transcription(raw.transcription, server.as_ref(), problems);
    if let Some(transcription) = &mut transcription {
        // Set by fieldtape.service.
        let socket = filled(environment.get("FIELDTAPE_SPEECH_SOCKET"));
        transcription.speech_socket = socket.map(PathBuf::from);
    }
    let retention = keeping::retention(&raw.retention, problems);
    let consent = consent(raw.consent, problems, &mut warnings);
    let microphone = agent::microphone(&raw.microphone, problems);
    agent::unused(&raw.microphone, recording.as_ref().map(|r| r.agent_source), &mut warnings);
    Some(Config {
        server: server?,
        twilio: twilio?,
        archive,
        summary,
        recording: recording?,
        transcription: transcription?,
        retention: retention?,
        consent: consent?,
        microphone: microphone?,
        file,
        warnings,
        secrets: Vec::new(),
    })
}

fn server(raw: raw::Server, environment: &dyn Lookup, problems: &mut Problems) -> Option<Server> {
    let data_dir = PathBuf::from(&raw.data_dir);
    let lan_listen = problems.keep("server.lan_listen", address(&raw.lan_listen));
    let twilio_listen = problems.keep("server.twilio_listen", address(&raw.twilio_listen));
    let public_url = raw
        .public_url
        .filter(|text| !text.is_empty())
        .and_then(|text| problems.keep("server.public_url", PublicUrl::parse(&text)));
    let max_calls = if MAX_CALLS.contains(&raw.max_calls) {
        usize::try_from(raw.max_calls).ok()
    } else {
        problems.add("server.max_calls", format!("{} is not within 1 and 256", raw.max_calls));
        None
    };
    let lan_tls = super::tls::lan(raw.lan_tls, problems);
    let twilio_tls = super::tls::twilio(raw.twilio_tls, problems);
    Some(Server {
        admin_socket: raw
            .admin_socket
            .map_or_else(|| default_socket(&data_dir, environment), PathBuf::from),
        // Set by fieldtape.service.
        upgrade_folder: filled(environment.get("FIELDTAPE_UPGRADE_FOLDER")).map(PathBuf::from),
        data_dir,
        lan_listen: lan_listen?,
        twilio_listen: twilio_listen?,
        public_url,
        lan_tls,
        twilio_tls,
        max_calls: max_calls?,
    })
}

/// `/run/fieldtape/admin.sock` under systemd (which makes the folder), else in the data folder.
fn default_socket(data_dir: &Path, environment: &dyn Lookup) -> PathBuf {
    let run = Path::new("/run/fieldtape");
    let ours = environment.get("RUNTIME_DIRECTORY").map(PathBuf::from);
    let standard = data_dir == Path::new("/var/lib/fieldtape") && run.is_dir();
    match ours {
        Some(folder) => folder.join("admin.sock"),
        None if standard => run.join("admin.sock"),
        None => data_dir.join("admin.sock"),
    }
}

fn address(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is no address with a port; write it like \"127.0.0.1:8080\"")
    })
}

fn recording(
    raw: &raw::Recording,
    problems: &mut Problems,
    warnings: &mut Vec<super::Problem>,
) -> Option<Recording> {
    let rates = rates(&raw.rates_hz, problems);
    let sync_every = problems.keep("recording.sync_every", units::duration(&raw.sync_every));
    let sync_every = sync_every.filter(|every| {
        let fits = SYNC_EVERY.contains(every);
        if !fits {
            problems.add("recording.sync_every", "must be between 200ms and 5s");
        }
        fits
    });
    let min_free_bytes = problems.keep("recording.min_free", units::size(&raw.min_free));
    let keep_16k = match raw.keep_16k.as_str() {
        "always" => Some(Keep16k::Always),
        "until-transcribed" => Some(Keep16k::UntilTranscribed),
        other => {
            let what = format!("{other:?} is neither \"always\" nor \"until-transcribed\"");
            problems.add("recording.keep_16k", what);
            None
        }
    };
    let agent_source = agent::source(raw, problems, warnings);
    Some(Recording {
        rates: rates?,
        sync_every: sync_every?,
        min_free_bytes: min_free_bytes?,
        keep_16k: keep_16k?,
        agent_source: agent_source?,
    })
}

fn rates(rates_hz: &[i64], problems: &mut Problems) -> Option<Vec<RateHz>> {
    let known: Option<Vec<RateHz>> =
        rates_hz.iter().map(|hz| u32::try_from(*hz).ok().and_then(RateHz::from_hz)).collect();
    let mut rates = known.filter(|rates| rates.contains(&RateHz::Hz8000)).or_else(|| {
        problems.add(
            "recording.rates_hz",
            "write [8000] or [8000, 16000]: 8000 is the call's own rate",
        );
        None
    })?;
    rates.sort();
    rates.dedup();
    Some(rates)
}

fn transcription(
    raw: raw::Transcription,
    server: Option<&Server>,
    problems: &mut Problems,
) -> Option<Transcription> {
    let threads = usize::try_from(raw.threads).ok().filter(|threads| *threads <= 64);
    if threads.is_none() {
        problems.add("transcription.threads", format!("{} is not within 0 and 64", raw.threads));
    }
    let nice = i32::try_from(raw.nice).ok().filter(|nice| (0..=19).contains(nice));
    if nice.is_none() {
        problems.add("transcription.nice", format!("{} is not within 0 and 19", raw.nice));
    }
    if raw.model.is_empty() {
        problems.add("transcription.model", "is empty; write a model's name or a file's path");
    }
    let mirror = match filled(raw.mirror) {
        Some(mirror) => problems.keep("transcription.mirror", Mirror::parse(&mirror)),
        None => Some(Mirror::default()),
    };
    let language = problems.keep("transcription.language", Language::or_auto(&raw.language));
    let live_model = filled(raw.live_model);
    if let Some(Some(language)) = language {
        let dirs = model_dirs(server.map(|server| server.data_dir.as_path()));
        let models = [("model", Some(&raw.model)), ("live_model", live_model.as_ref())];
        for (key, what) in speaks(language, models, &dirs) {
            problems.add(key, what);
        }
    }
    Some(Transcription {
        model: raw.model,
        live_model,
        mirror: mirror?,
        language: language?,
        threads: threads?,
        live: raw.live,
        vocabulary: raw.vocabulary,
        nice: nice?,
        speech_socket: None,
    })
}

/// Tells which of the models set do not know the language.
fn speaks(
    language: Language,
    models: [(&str, Option<&String>); 2],
    dirs: &[PathBuf],
) -> Vec<(String, String)> {
    let set = models.into_iter().filter_map(|(key, model)| Some((key, model?)));
    set.filter(|(_, model)| !language.is_english() && english_only(model, dirs))
        .map(|(key, model)| {
            let what = format!(
                "{model:?} knows only English, and transcription.language is \"{language}\": choose \
                 a model without .en in its name (fieldtape model ls), or set language = \"en\""
            );
            (format!("transcription.{key}"), what)
        })
        .collect()
}

pub(super) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// None when it is not set, or set to something that had to be told.
pub(super) fn parsed<T>(key: &str, text: Option<&str>, problems: &mut Problems) -> Option<T>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.filter(|text| !text.is_empty()).and_then(|text| problems.keep(key, text.parse::<T>()))
}

pub(super) struct SecretKey {
    pub(super) key: &'static str,
    pub(super) credential: &'static str,
}

/// A secret from the key itself, the file it names, or systemd's credential.
pub(super) fn secret(
    which: &SecretKey,
    (text, file): (Option<String>, Option<String>),
    environment: &dyn Lookup,
    problems: &mut Problems,
) -> Option<String> {
    let text = filled(text);
    let file = filled(file).map(PathBuf::from);
    let key = which.key;
    match (text, file) {
        (Some(_), Some(_)) => {
            problems.add(key, format!("is set, and so is {key}_file; keep one of them"));
            None
        }
        (Some(text), None) => Some(text),
        (None, Some(file)) => problems.keep(&format!("{key}_file"), read_secret(&file)),
        (None, None) => {
            let folder = environment.get("CREDENTIALS_DIRECTORY").map(PathBuf::from);
            let credential = folder.map(|folder| folder.join(which.credential));
            let path = credential.filter(|path| path.exists())?;
            problems.keep(key, read_secret(&path))
        }
    }
}

fn read_secret(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(secret.to_owned())
}
