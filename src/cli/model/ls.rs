//! `fieldtape model ls`.

use serde_json::{Value, json};

use super::super::exit::Failure;
use super::super::{Context, output};
use super::size;
use crate::config::Transcription;
use crate::models::{CATALOGUE, Found, Known, Measured, Measurements, Shelf};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A model as it is listed.
struct Row {
    name: String,
    bytes: u64,
    state: &'static str,
    used_for: Vec<&'static str>,
    english_only: Option<bool>,
    found: Option<Found>,
    measured: Option<Measured>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let settings = context.speech()?;
    let shelf = Shelf::new(&settings.data_dir);
    let measurements = Measurements::read(shelf.own());
    let here = shelf.list();
    let known: Vec<Row> = CATALOGUE
        .iter()
        .filter(|known| !here.iter().any(|found| found.name == known.name))
        .map(published)
        .collect();
    let mut rows: Vec<Row> = here
        .into_iter()
        .map(|found| of_file(found, &measurements, &settings.transcription))
        .collect();
    rows.extend(known);
    if args.json {
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        return output::line(&json!(rows).to_string());
    }
    let mut table = vec![
        ["NAME", "STATE", "SIZE", "LANGUAGES", "SPEED HERE", "FIT FOR"].map(str::to_owned).to_vec(),
    ];
    table.extend(rows.iter().map(Row::cells));
    output::table(&table)
}

fn published(known: &Known) -> Row {
    Row {
        name: known.name.to_owned(),
        bytes: known.bytes,
        state: "can be fetched",
        used_for: Vec::new(),
        english_only: Some(known.name.contains(".en")),
        found: None,
        measured: None,
    }
}

fn of_file(found: Found, measurements: &Measurements, settings: &Transcription) -> Row {
    let used = |model: &str| {
        model == found.name
            || std::path::Path::new(model).canonicalize().ok() == found.path.canonicalize().ok()
    };
    let mut used_for = Vec::new();
    if used(&settings.model) {
        used_for.push("after the call");
    }
    if settings.live && used(settings.live_model.as_ref().unwrap_or(&settings.model)) {
        used_for.push("live");
    }
    Row {
        name: found.name.clone(),
        bytes: found.bytes,
        state: match &found.header {
            Err(_) => "damaged",
            Ok(_) if found.bundled => "bundled",
            Ok(_) => "installed",
        },
        used_for,
        english_only: found.header.as_ref().ok().map(crate::models::Header::english_only),
        measured: measurements.of(&found),
        found: Some(found),
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let languages = match self.english_only {
            Some(true) => "English",
            Some(false) => "many",
            None => "-",
        };
        let state = match self.used_for.as_slice() {
            [] => self.state.to_owned(),
            uses => format!("{}, used {}", self.state, uses.join(" and ")),
        };
        let speed = self.measured.map_or_else(|| "-".to_owned(), |m| speed(&m));
        let fit = self.measured.map_or("-", |m| fit(&m));
        vec![
            self.name.clone(),
            state,
            size(self.bytes),
            languages.to_owned(),
            speed,
            fit.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let path = self.found.as_ref().map(|found| found.path.display().to_string());
        let fault = self.found.as_ref().and_then(|found| found.header.as_ref().err());
        json!({
            "name": self.name,
            "state": self.state.replace("can be fetched", "known"),
            "used_after_call": self.used_for.contains(&"after the call"),
            "used_live": self.used_for.contains(&"live"),
            "bytes": self.bytes,
            "path": path,
            "languages": match self.english_only {
                Some(true) => Some("en"),
                Some(false) => Some("multilingual"),
                None => None,
            },
            "error": fault.map(ToString::to_string),
            "bench": self.measured.as_ref().map(told),
        })
    }
}

/// Writes a speed as people compare it: how many times faster than the call.
pub(super) fn speed(measured: &Measured) -> String {
    format!("{:.1} x real time", 1.0 / measured.after_call.max(1e-6))
}

pub(super) fn fit(measured: &Measured) -> &'static str {
    match (measured.fit_live(), measured.fit_after_call()) {
        (true, true) => "live, after the call",
        (true, false) => "live",
        (false, true) => "after the call",
        (false, false) => "neither",
    }
}

/// Writes a measurement for programs.
pub(super) fn told(measured: &Measured) -> Value {
    json!({
        "rtf": rounded(measured.after_call),
        "cpu_rtf": rounded(measured.after_call_cpu),
        "live_rtf": rounded(measured.live),
        "utterance_ms": measured.utterance_ms,
        "threads": measured.threads,
        "fit_live": measured.fit_live(),
        "fit_after_call": measured.fit_after_call(),
    })
}

fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
