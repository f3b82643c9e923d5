//! `fieldtape backup`, `restore`, `fsck` and `verify`: care for what is kept. They work on the data
//! folder itself, with the appliance running or not.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::admin::Appliance;
use super::exit::Failure;
use super::{Context, block_on, output};
use crate::capture::{salvage_open_calls, salvage_strays};
use crate::care::{self, CareError, Depth, Fault, Found, Restored};
use crate::clock::{Clock as _, SharedClock, SystemClock};
use crate::config::Config;
use crate::domain::{CallSid, RecordingSid};
use crate::store::Store;
use crate::vault::{self, RelPath, Vault};

#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// The folder to save in, such as a USB stick; one that holds a backup is brought up to date
    dir: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// The folder that holds the backup
    dir: PathBuf,
    /// Only read the backup through and say whether it could be restored
    #[arg(long)]
    drill: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct FsckArgs {
    /// Take in what a stop left behind, and have damaged copies fetched anew from Twilio; the
    /// appliance must be stopped
    #[arg(long)]
    repair: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

impl From<CareError> for Failure {
    fn from(error: CareError) -> Self {
        Self::Failed(error.to_string())
    }
}

pub(super) fn backup(context: &Context, args: &BackupArgs) -> Result<(), Failure> {
    let config = context.config()?;
    let now = SystemClock.now();
    let saved = care::back_up(&config.server.data_dir, &args.dir, now, &mut progress("saved"))?;
    if args.json {
        output::line(
            &json!({ "files": saved.files, "bytes": saved.size_bytes, "copied": saved.copied, "damaged": saved.damaged })
                .to_string(),
        )?;
    } else {
        output::line(&format!(
            "{}: {} files, {} bytes; {} of them were copied now",
            args.dir.display(),
            saved.files,
            saved.size_bytes,
            saved.copied
        ))?;
    }
    complain(&saved.damaged, "is damaged here and was not saved")
}

pub(super) fn restore(context: &Context, args: &RestoreArgs) -> Result<(), Failure> {
    let restored = if args.drill {
        care::drill(&args.dir, &mut progress("read"))?
    } else {
        let config = context.config()?;
        not_running(context, "restore")?;
        care::restore(&args.dir, &config.server.data_dir, &mut progress("restored"))?
    };
    let Restored { made_at, files, size_bytes, damaged } = &restored;
    let made_at = jiff::Timestamp::from_millisecond(made_at.get());
    let made_at = made_at.unwrap_or(jiff::Timestamp::MIN).to_string();
    if args.json {
        let told =
            json!({ "made_at": made_at, "files": files, "bytes": size_bytes, "damaged": damaged });
        output::line(&told.to_string())?;
    } else {
        let done = if args.drill { "could be restored" } else { "restored" };
        output::line(&format!("{files} files, {size_bytes} bytes, {done} as of {made_at}"))?;
    }
    complain(damaged, "of the backup is damaged")
}

pub(super) fn fsck(context: &Context, args: &FsckArgs) -> Result<(), Failure> {
    let config = context.config()?;
    let data_dir = &config.server.data_dir;
    if args.repair {
        not_running(context, "repair")?;
        let before = care::look(data_dir, Depth::Bytes, &mut progress("read"))?;
        block_on(repair(&config, &before))?;
    }
    report(&care::look(data_dir, Depth::Sizes, &mut progress("looked at"))?, args.json)
}

pub(super) fn verify(context: &Context, args: &VerifyArgs) -> Result<(), Failure> {
    let data_dir = context.config()?.server.data_dir;
    report(&care::look(&data_dir, Depth::Bytes, &mut progress("read"))?, args.json)
}

/// Does what a start does with what a stop left, and makes Twilio's copies due again whose file
/// here is no good.
async fn repair(config: &Config, found: &Found) -> Result<(), Failure> {
    let failed = |error: String| Failure::Failed(error);
    if !found.ledger.is_empty() {
        return Err(failed(format!(
            "the ledger is damaged and cannot be repaired: {}; restore a backup",
            found.ledger.join("; ")
        )));
    }
    let data_dir = &config.server.data_dir;
    let clock: SharedClock = Arc::new(SystemClock);
    let options =
        vault::Options { root: data_dir.clone(), sync_every: config.recording.sync_every };
    let vault =
        Vault::open(options, Arc::clone(&clock)).map_err(|error| failed(error.to_string()))?;
    let store =
        Store::open(&data_dir.join(care::LEDGER)).map_err(|error| failed(error.to_string()))?;
    for fault in &found.faults {
        if let Some(sid) = &fault.at_twilio {
            fetch_anew((&store, &vault), &clock, sid, fault).await?;
        }
    }
    let agent = config.recording.agent_source.beside();
    let open = salvage_open_calls(&store, &vault, &clock, agent).await;
    let open = open.map_err(|error| failed(error.to_string()))?;
    let strays = salvage_strays(&store, &vault, &clock, agent).await;
    let strays = strays.map_err(|error| failed(error.to_string()))?;
    let (calls, tracks) = (open.calls + strays.calls, open.tracks + strays.tracks);
    if calls > 0 {
        output::error(&format!("took in {tracks} files of {calls} calls that were cut off"));
    }
    Ok(())
}

async fn fetch_anew(
    (store, vault): (&Store, &Vault),
    clock: &SharedClock,
    sid: &RecordingSid,
    fault: &Fault,
) -> Result<(), Failure> {
    let path: RelPath =
        fault.path.parse().map_err(|error: vault::BadPath| Failure::Failed(error.to_string()))?;
    vault.set_aside(&path).map_err(|error| Failure::Failed(error.to_string()))?;
    let written = store.recording_lost(sid.clone(), clock.now()).await;
    written.map_err(|error| Failure::Failed(error.to_string()))?;
    output::error(&format!(
        "{path} {}: it is fetched anew from Twilio after the start",
        fault.what
    ));
    Ok(())
}

fn report(found: &Found, as_json: bool) -> Result<(), Failure> {
    if as_json {
        output::line(&wire(found).to_string())?;
    } else {
        let Found { files, size_bytes, .. } = found;
        output::line(&format!("{files} files, {size_bytes} bytes looked at"))?;
        for path in &found.under_way {
            output::line(&format!("under way: {path}"))?;
        }
        for path in &found.set_aside {
            output::line(&format!("set aside as damaged: {path}"))?;
        }
    }
    let ledger = found.ledger.iter().map(|fault| format!("the ledger: {fault}"));
    let faults: Vec<String> = ledger.chain(found.faults.iter().map(text)).collect();
    if found.is_sound() {
        return Ok(());
    }
    complain(&faults, "is wrong")
}

fn text(fault: &Fault) -> String {
    let of = fault.call_sid.as_ref().map(|sid| format!(" of {sid}")).unwrap_or_default();
    let cure = match (&fault.at_twilio, &fault.call_sid) {
        (Some(_), _) => "; Twilio has it: fsck --repair has it fetched anew",
        (None, Some(_)) => "; look for it in a backup",
        (None, None) => "; it is kept: nothing here deletes what it does not know",
    };
    format!("{}{of} {}{cure}", fault.path, fault.what)
}

fn wire(found: &Found) -> Value {
    let faults: Vec<Value> = found
        .faults
        .iter()
        .map(|fault| {
            json!({ "path": fault.path, "call_sid": fault.call_sid.as_ref().map(CallSid::as_str), "what": fault.what,
                    "at_twilio": fault.at_twilio.is_some() })
        })
        .collect();
    json!({
        "sound": found.is_sound(), "files": found.files, "bytes": found.size_bytes,
        "ledger": found.ledger, "faults": faults,
        "under_way": found.under_way, "set_aside": found.set_aside,
    })
}

/// Tells each thing that is wrong; fails if there is one.
fn complain(faults: &[String], what: &str) -> Result<(), Failure> {
    for fault in faults {
        output::error(fault);
    }
    match faults.len() {
        0 => Ok(()),
        1 => Err(Failure::Failed(format!("one thing {what}"))),
        count => Err(Failure::Failed(format!("{count} things: each {what}"))),
    }
}

/// Refuses while the appliance runs: two would write.
fn not_running(context: &Context, what: &str) -> Result<(), Failure> {
    let appliance = Appliance::new(context)?;
    let answers = block_on(async { Ok(appliance.text("/healthz").await.is_ok()) })?;
    if answers {
        return Err(Failure::Failed(format!(
            "fieldtape is running: stop it first (systemctl stop fieldtape), then {what}"
        )));
    }
    Ok(())
}

/// A line on a terminal that says how far it is.
fn progress(what: &'static str) -> impl FnMut(u64, u64) {
    let shown = std::io::stderr().is_terminal();
    move |done, total| {
        if shown {
            let end = if done == total { "\n" } else { "" };
            // Nobody minds if this is not shown.
            let _ = write!(std::io::stderr(), "\r{done} of {total} files {what}{end}");
        }
    }
}
