//! `fieldtape support-bundle`: what a helper needs to know, in one file, without what is nobody's
//! business.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::admin::Appliance;
use super::exit::Failure;
use super::{Context, Surroundings, block_on, doctor, output};
use crate::care::{self, Bundle, Scrub};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Sources, lay_open};
use crate::domain::{UnixMillis, WaitingFor};
use crate::health::{self, Kernel};
use crate::store::{self, Count, Outage, Survey, Trouble};

/// The last lines of the journal that are packed: some days of an office.
const JOURNAL_LINES: &str = "--lines=5000";

/// Our units.
const UNITS: [&str; 3] = ["fieldtape.service", "fieldtape.socket", "fieldtape-speech.socket"];

/// What is asked of systemd about them. Their environment is not: secrets may be in it.
const PROPERTIES: &str = "--property=Id,LoadState,ActiveState,SubState,Result,StatusText,NRestarts,\
    ExecMainStartTimestamp,ExecMainExitTimestamp,ExecMainCode,ExecMainStatus,MainPID,MemoryCurrent,\
    CPUUsageNSec,TasksCurrent,FragmentPath,DropInPaths,UnitFileState";

const README: &str = "What is in here was made by `fieldtape support-bundle` for whoever helps.\n\n\
    Taken out: tokens and keys, telephone numbers but for their last four digits, words that people\n\
    spoke, sound. Look through it all the same before you send it.\n";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write [default: fieldtape-support-DATE.tar.gz in this folder]
    file: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let now = SystemClock.now();
    let to = args
        .file
        .clone()
        .unwrap_or_else(|| format!("fieldtape-support-{}.tar.gz", date(now)).into());
    let sources = Sources { file: context.config.clone(), environment: &Surroundings };
    let laid = lay_open(&sources);
    let data_dir = context.config().ok().map(|config| config.server.data_dir);
    let ledger = data_dir.as_ref().map(|dir| dir.join(care::LEDGER));
    let known = ledger.as_deref().map(|ledger| store::addresses(ledger).unwrap_or_default());
    let addresses = laid.numbers.into_iter().chain(known.unwrap_or_default());
    let mut bundle = Bundle::new(Scrub::new(laid.secrets, addresses));

    bundle.add("README.txt", README);
    bundle.add_json("version.json", &version(now));
    bundle.add_json("doctor.json", &doctor::report(&doctor::examine(context, &mut |_| Ok(()))?));
    bundle.add("config.toml", &laid.shown);
    match ledger.as_deref().map(store::survey) {
        Some(Ok(survey)) => {
            bundle.add("schema.sql", &survey.schema);
            bundle.add_json("ledger.json", &ledger_json(&survey));
        }
        Some(Err(error)) => {
            bundle.add("ledger.json", &json!({ "error": error.to_string() }).to_string());
        }
        None => bundle.add("ledger.json", "{}"),
    }
    let mut machine = Kernel::this().facts();
    if let Some(dir) = &data_dir {
        let free = health::free_bytes(dir).map_or_else(|why| why, |bytes| bytes.to_string());
        machine = format!("{machine}\n== free bytes under {}\n{free}\n", dir.display());
    }
    bundle.add("machine.txt", &machine);
    block_on(ask_around(context, &mut bundle))?;
    bundle.write(&to, now)?;
    let names: Vec<&str> = bundle.names().collect();
    output::line(&format!("{}: {}", to.display(), names.join(", ")))?;
    output::line(
        "secrets, whole numbers, words spoken and sound are not in it; look through it before you send it",
    )
}

/// Asks the appliance, systemd and the journal.
async fn ask_around(context: &Context, bundle: &mut Bundle) -> Result<(), Failure> {
    let health = async { Appliance::new(context)?.get::<Value>("/api/v1/health").await };
    let health = health.await.unwrap_or_else(|failure| json!({ "error": failure.text() }));
    bundle.add_json("health.json", &health);
    let mut show = vec!["show", "--no-pager", PROPERTIES];
    show.extend(UNITS);
    bundle.add("systemd.txt", &care::said("systemctl", &show).await);
    let journal = [
        "--no-pager",
        "--output=json",
        JOURNAL_LINES,
        "--unit=fieldtape.service",
        "--unit=fieldtape.socket",
        "--unit=fieldtape-speech.socket",
        "--unit=fieldtape-speech@*.service",
    ];
    bundle.add_journal("journal.jsonl", &care::said("journalctl", &journal).await);
    Ok(())
}

fn version(now: UnixMillis) -> Value {
    json!({
        "fieldtape": env!("CARGO_PKG_VERSION"),
        "architecture": std::env::consts::ARCH,
        "speech_engine": cfg!(feature = "whisper"),
        "made_at": rfc3339(now),
    })
}

fn ledger_json(survey: &Survey) -> Value {
    let counts = |counts: &[Count]| -> Value {
        counts.iter().map(|count| (count.what.clone(), json!(count.count))).collect()
    };
    let troubles: Vec<Value> = survey.troubles.iter().map(trouble_json).collect();
    let outages: Vec<Value> = survey.outages.iter().map(outage_json).collect();
    json!({
        "version": survey.version,
        "tables": counts(&survey.tables),
        "calls": counts(&survey.calls),
        "stages": counts(&survey.stages),
        "stages_with_errors": troubles,
        "outages": outages,
    })
}

fn trouble_json(trouble: &Trouble) -> Value {
    json!({
        "call_sid": trouble.call_sid.as_str(),
        "stage": trouble.stage.as_str(),
        "status": trouble.status.as_str(),
        "attempts": trouble.attempts,
        "last_error": trouble.last_error,
        "waiting_for": trouble.waiting_for.map(WaitingFor::as_str),
        "next_attempt_at": rfc3339(trouble.next_attempt_at),
    })
}

fn outage_json(outage: &Outage) -> Value {
    json!({
        "from": rfc3339(outage.from),
        "to": outage.to.map(rfc3339),
        "cause": outage.cause,
        "calls_recovered": outage.calls_recovered,
        "recordings_recovered": outage.recordings_recovered,
    })
}

fn rfc3339(moment: UnixMillis) -> String {
    // Only a clock that is far off lies outside of the calendar.
    jiff::Timestamp::from_millisecond(moment.get()).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// A date for a file's name.
fn date(now: UnixMillis) -> String {
    let plain: String = rfc3339(now).chars().filter(char::is_ascii_alphanumeric).collect();
    plain.chars().take("20260921T100000".len()).collect()
}
