//! `fieldtape audio meter`: a needle that moves, also over ssh.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, interval};

use super::super::admin::Appliance;
use super::super::bar::Bar;
use super::super::exit::Failure;
use super::super::{Context, block_on, output};
use super::{of_appliance, options};
use crate::clock::{Clock as _, SystemClock};
use crate::microphone::{DeviceName, Finding, Heard, Level, Microphone, Status, sound_cards};

/// How often the needle moves.
const MOVE_EVERY: Duration = Duration::from_millis(100);

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// How long a device has to begin: one that hears nothing by then is given up.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which one, as `fieldtape audio devices` names it [default: that of the configuration]
    device: Option<String>,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let config = context.config()?;
    let device: DeviceName = match args.device {
        Some(text) => text.parse().map_err(|error| Failure::Usage(format!("DEVICE {error}")))?,
        None => config.microphone.device.clone(),
    };
    let appliance = Appliance::new(context)?;
    block_on(async {
        let ours = of_appliance(&appliance).await;
        let is_ours = ours.is_some_and(|ours| ours["device"] == device.to_string());
        let ear = if is_ours {
            Ear::Appliance(appliance)
        } else {
            // Nobody is handed anything: only how loud it is counts.
            let listener = Box::new(|_: &Heard<'_>| {});
            let options = options(&config, device.clone());
            let clock = Arc::new(SystemClock);
            let started = Microphone::start(options, sound_cards(), listener, clock);
            Ear::Own(started.map_err(|error| Failure::Failed(format!("no thread: {error}")))?)
        };
        tokio::select! {
            biased;
            stopped = tokio::signal::ctrl_c() => {
                stopped.map_err(|error| Failure::Failed(format!("no signals: {error}")))
            }
            shown = show(&ear, &device) => shown,
        }
    })
}

/// Whose ear it is.
enum Ear {
    /// The running appliance has the device and says what it hears.
    Appliance(Appliance),
    /// We listen ourselves.
    Own(Microphone),
}

/// What was heard just now, and how the device is.
struct Shown {
    finding: Finding,
    peak_dbfs: f32,
    rms_dbfs: f32,
}

impl Ear {
    async fn hear(&self) -> Result<Shown, Failure> {
        match self {
            Self::Own(microphone) => Ok(own(&microphone.status())),
            Self::Appliance(appliance) => {
                let told: serde_json::Value = appliance.get("/api/v1/microphone").await?;
                let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
                let fix = told["fix"].as_str().map(str::to_owned);
                let is_well = fix.is_none();
                let finding = Finding { is_well, detail: text("detail"), fix };
                #[expect(clippy::cast_possible_truncation, reason = "a level needs few digits")]
                let level =
                    |key: &str| told[key].as_f64().map_or(Level::FLOOR_DBFS, |db| db as f32);
                let (peak_dbfs, rms_dbfs) = (level("peak_dbfs"), level("rms_dbfs"));
                Ok(Shown { finding, peak_dbfs, rms_dbfs })
            }
        }
    }
}

fn own(status: &Status) -> Shown {
    let (finding, level) = (status.finding(SystemClock.since_boot()), status.level());
    Shown { finding, peak_dbfs: level.peak_dbfs(), rms_dbfs: level.rms_dbfs() }
}

/// Shows it until the reader has gone away, or the device does not begin.
async fn show(ear: &Ear, device: &DeviceName) -> Result<(), Failure> {
    let (bar, began) = (Bar::level(), Instant::now());
    let (mut beat, mut line_at) = (interval(MOVE_EVERY), Instant::now());
    let mut has_begun = false;
    loop {
        beat.tick().await;
        let Shown { finding, peak_dbfs, rms_dbfs } = ear.hear().await?;
        let is_quiet = peak_dbfs <= Level::FLOOR_DBFS;
        has_begun |= !is_quiet;
        if !finding.is_well && !has_begun && began.elapsed() >= BEGIN_WITHIN {
            let fix = finding.fix.unwrap_or_default();
            return Err(Failure::Failed(format!("{}; {fix}", finding.detail)));
        }
        let text = if finding.is_well {
            format!("peak {peak_dbfs:5.1} dBFS, rms {rms_dbfs:5.1} dBFS")
        } else {
            finding.detail
        };
        bar.level_is(peak_dbfs, &text);
        if bar.is_hidden() && line_at.elapsed() >= LINE_EVERY {
            line_at = Instant::now();
            if !output::is_read(&format!("{device}  {text}\n"))? {
                return Ok(());
            }
        }
    }
}
