//! `fieldtape model bench`: each model hears the bundled call.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::super::bar::Bar;
use super::super::exit::Failure;
use super::super::speech::Settings;
use super::super::{Context, output};
use super::ls::{fit, speed, told};
use crate::clock::{Clock as _, SystemClock};
use crate::config::set_models;
use crate::models::{Class, Found, Measured, Measurements, Shelf, Weights};
use crate::transcribe::{FileJob, Hearing, Transcriber};

/// A call of 68 s, two parties.
const CALL: &[u8] = include_bytes!("../../../tests/assets/service-call.wav");

/// Ticks of `/proc/stat` in a second, the same on every Linux.
const TICKS_PER_S: u64 = 100;

/// Others that use more of the processor than this make a model look slow.
const OTHERS_MAX: f64 = 0.2;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only these [default: every model that is here]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Write the best that are fit into the configuration: `transcription.model` and `live_model`
    #[arg(long)]
    set: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A model and how fast it is.
struct Tried {
    model: Found,
    measured: Measured,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let settings = context.speech()?;
    let shelf = Shelf::new(&settings.data_dir);
    let models = chosen(&shelf, &args.names)?;
    // Recordings of live calls come first, as they do while the appliance transcribes.
    let _gentle = rustix::process::nice(settings.transcription.nice);
    let mut measurements = Measurements::read(shelf.own());
    let mut tried = Vec::new();
    let before = Load::now();
    for model in models {
        let measured = measure(&model, &settings, &shelf)?;
        measurements.take(&model, measured);
        tried.push(Tried { model, measured });
    }
    if let Some(others) = before.others_since().filter(|others| *others > OTHERS_MAX) {
        output::error(&format!(
            "other programs used {:.0} % of the processor meanwhile: on a quiet box the models are \
             faster than this",
            others * 100.0
        ));
    }
    if let Err(error) = measurements.write(shelf.own()) {
        output::error(&format!("{error}; model ls will not show these speeds"));
    }
    if args.json {
        let list: Vec<Value> = tried.iter().map(Tried::json).collect();
        output::line(&json!(list).to_string())?;
    } else {
        output::table(&table(&tried))?;
    }
    if args.set { set(&tried, &settings) } else { Ok(()) }
}

fn chosen(shelf: &Shelf, names: &[String]) -> Result<Vec<Found>, Failure> {
    let mut here = shelf.list();
    if let Some(missing) = names.iter().find(|name| !here.iter().any(|found| found.name == **name))
    {
        return Err(Failure::Failed(format!(
            "{missing} is not here: fieldtape model fetch {missing}"
        )));
    }
    here.retain(
        |found| if names.is_empty() { found.header.is_ok() } else { names.contains(&found.name) },
    );
    if here.is_empty() {
        let why = "there is no model here: fieldtape model fetch brings one";
        return Err(Failure::Failed(why.to_owned()));
    }
    Ok(here)
}

fn measure(model: &Found, settings: &Settings, shelf: &Shelf) -> Result<Measured, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", model.name));
    let hearing = Hearing {
        model: model.path.display().to_string(),
        model_dirs: shelf.dirs().to_vec(),
        threads: u32::try_from(settings.transcription.threads).unwrap_or(0),
    };
    let mut transcriber = Transcriber::load(&hearing).map_err(|error| failed(&error))?;
    let job = FileJob {
        audio: call()?,
        language: "en".to_owned(),
        vocabulary: Vec::new(),
        speakers: ["agent".to_owned(), "technician".to_owned()],
    };
    let bar = Bar::sound(&model.name);
    let (began, cpu_before) = (SystemClock.since_boot(), cpu());
    let text = transcriber
        .hear(job, |progress| bar.of(progress.heard_ms, progress.total_ms))
        .map_err(|error| failed(&error))?;
    let after_call = SystemClock.since_boot().saturating_sub(began);
    let after_call_cpu = cpu().saturating_sub(cpu_before);
    drop(bar);
    let mut live = transcriber.hear_live(call()?, &SystemClock).map_err(|error| failed(&error))?;
    live.utterances.sort();
    let median = live.utterances.get(live.utterances.len() / 2).copied().unwrap_or_default();
    let length = Duration::from_millis(text.duration_ms);
    let part = |time: Duration, of: Duration| time.as_secs_f64() / of.as_secs_f64().max(1e-3);
    Ok(Measured {
        after_call: part(after_call, length),
        after_call_cpu: part(after_call_cpu, length),
        live: part(live.work, live.call),
        utterance_ms: u64::try_from(median.as_millis()).unwrap_or(u64::MAX),
        threads: transcriber.threads(),
    })
}

/// Returns the call as a file that is in memory only.
fn call() -> Result<File, Failure> {
    let made = memfd_create("call.wav", MemfdFlags::CLOEXEC).map_err(std::io::Error::from);
    let written = made.map(File::from).and_then(|mut file| {
        file.write_all(CALL)?;
        file.rewind()?;
        Ok(file)
    });
    written.map_err(|error| Failure::Failed(format!("the call cannot be put into memory: {error}")))
}

/// What the processor has done since the machine started.
struct Load {
    busy: Duration,
    own: Duration,
    since_boot: Duration,
}

impl Load {
    fn now() -> Self {
        Self { busy: busy().unwrap_or_default(), own: cpu(), since_boot: SystemClock.since_boot() }
    }

    /// Returns which part of the processor others have used since then.
    fn others_since(&self) -> Option<f64> {
        let now = Self::now();
        let cores = std::thread::available_parallelism().ok()?.get();
        let busy = now.busy.checked_sub(self.busy)?.checked_sub(now.own.checked_sub(self.own)?)?;
        let could = now.since_boot.checked_sub(self.since_boot)?.as_secs_f64()
            * f64::from(u32::try_from(cores).ok()?);
        (could > 0.0).then(|| busy.as_secs_f64() / could)
    }
}

/// Reads how long all cores together have been busy: `cpu user nice system idle …` in ticks.
fn busy() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: u64 = line.split_whitespace().take(3).filter_map(|n| n.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_S))
}

/// Returns what this process has used of the processor.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let s = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(s, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn table(tried: &[Tried]) -> Vec<Vec<String>> {
    let head = ["NAME", "AFTER THE CALL", "OF CPU", "LIVE", "AN UTTERANCE", "FIT FOR"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(tried.iter().map(|Tried { model, measured }| {
        vec![
            model.name.clone(),
            format!("{:.3} ({})", measured.after_call, speed(measured)),
            format!("{:.3}", measured.after_call_cpu),
            format!("{:.3}", measured.live),
            format!("{} ms", measured.utterance_ms),
            fit(measured).to_owned(),
        ]
    }));
    rows
}

impl Tried {
    fn json(&self) -> Value {
        let mut told = told(&self.measured);
        told["name"] = json!(self.model.name);
        told
    }

    /// How true a model is, as far as its size and its weights tell.
    fn rank(&self) -> Option<(Class, Weights)> {
        self.model.header.as_ref().ok().map(|header| (header.class(), header.weights()))
    }

    fn english_only(&self) -> bool {
        self.model.header.as_ref().is_ok_and(crate::models::Header::english_only)
    }
}

/// Writes the best models into the configuration.
fn set(tried: &[Tried], settings: &Settings) -> Result<(), Failure> {
    let file = settings.file.clone().unwrap_or_else(|| PathBuf::from(crate::config::DEFAULT_FILE));
    let english = speaks_english(tried, settings);
    let best = |fit: fn(&Measured) -> bool| {
        tried
            .iter()
            .filter(|tried| fit(&tried.measured) && (english || !tried.english_only()))
            // Of two of one size the one that knows only English knows it better.
            .max_by_key(|tried| {
                (tried.rank().map(|rank| rank.0), tried.english_only(), tried.rank())
            })
            .map(|tried| tried.model.name.as_str())
    };
    let (after_call, live) = (best(Measured::fit_after_call), best(Measured::fit_live));
    let Some(model) = after_call else {
        let why = "no model is fit for this box: nothing was set; fieldtape model fetch tiny-q5_1 brings a smaller one";
        return Err(Failure::Failed(why.to_owned()));
    };
    write(&file, model, live)?;
    let live = live.map_or_else(
        || "no model is fit for live; live_model is as it was".to_owned(),
        |live| format!("transcription.live_model = \"{live}\""),
    );
    output::error(&format!("{}: transcription.model = \"{model}\"; {live}", file.display()));
    output::error("restart fieldtape for them to be used");
    Ok(())
}

/// Says whether a model of English only will do: the configured language is English, or none is
/// set and the model used now knows nothing else.
fn speaks_english(tried: &[Tried], settings: &Settings) -> bool {
    if let Some(language) = settings.transcription.language {
        return language.is_english();
    }
    let now = tried.iter().find(|tried| tried.model.name == settings.transcription.model);
    now.is_none_or(Tried::english_only)
}

fn write(file: &Path, model: &str, live: Option<&str>) -> Result<(), Failure> {
    set_models(file, model, live).map_err(|error| Failure::Failed(error.to_string()))
}
