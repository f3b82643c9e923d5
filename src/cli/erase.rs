//! `fieldtape erase` and `fieldtape calls delete`: calls gone for good, with a certificate.

use std::io::{IsTerminal as _, Write as _};

use serde_json::{Value, json};

use super::admin::Appliance;
use super::exit::Failure;
use super::{Context, block_on, output};
use crate::domain::CallSid;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(false)))]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// The number, as the list of calls shows it (+1…)
    #[arg(allow_hyphen_values = true, group = "what")]
    number: Option<String>,
    /// Only say which calls would be erased
    #[arg(long, requires = "number")]
    dry_run: bool,
    /// Do not ask whether it is meant
    #[arg(long)]
    yes: bool,
    /// List the erasures so far, with what is still pending
    #[arg(long, group = "what")]
    list: bool,
    /// Print the certificate of an earlier erasure (ER…)
    #[arg(long, value_name = "ID", group = "what")]
    certificate: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let appliance = Appliance::new(context)?;
    match (&args.number, &args.certificate) {
        (Some(number), _) => block_on(number_of(&appliance, number, args)),
        (None, Some(id)) => block_on(show(&appliance, id, args.json)),
        (None, None) => list(&appliance, args.json),
    }
}

/// Erases one call.
pub(super) fn call(
    appliance: &Appliance,
    call_sid: &CallSid,
    yes: bool,
    json: bool,
) -> Result<(), Failure> {
    confirm(yes, &format!("Erase {call_sid} here, in the archive and at Twilio, for good?"))?;
    block_on(async {
        let path = format!("/api/v1/calls/{call_sid}");
        let certificate: Value = appliance.remove(&path).await?;
        tell(appliance, &certificate, json).await
    })
}

async fn number_of(appliance: &Appliance, number: &str, args: &Args) -> Result<(), Failure> {
    let ask = |dry_run: bool| json!({ "number": number, "dry_run": dry_run });
    let found: Value = appliance.post("/api/v1/erasures", &ask(true)).await?;
    let calls = found["calls"].as_array().map_or(&[][..], Vec::as_slice);
    if args.dry_run {
        return if args.json { output::line(&found.to_string()) } else { dry(calls) };
    }
    let going = calls.iter().filter(|call| call["kept"].is_null()).count();
    if !args.json {
        dry(calls)?;
    }
    if calls.is_empty() {
        return Err(Failure::Failed("there is no call of that number".to_owned()));
    }
    confirm(
        args.yes,
        &format!("Erase {going} calls here, in the archive and at Twilio, for good?"),
    )?;
    let certificate: Value = appliance.post("/api/v1/erasures", &ask(false)).await?;
    tell(appliance, &certificate, args.json).await
}

fn dry(calls: &[Value]) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for call in calls {
        let text = |key: &str| call[key].as_str().unwrap_or_default().to_owned();
        let kept = call["kept"].as_str().map(|why| format!("stays: {why}")).unwrap_or_default();
        rows.push(vec![text("call_sid"), text("began_at"), kept]);
    }
    if rows.is_empty() { output::line("no call is of that number") } else { output::table(&rows) }
}

/// Asks on a terminal; elsewhere it has to have been said.
fn confirm(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("say --yes: this cannot be taken back".to_owned()));
    }
    // Where this cannot be shown nobody can answer it either.
    let _ = write!(std::io::stderr(), "{question} Write \"yes\": ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && answer.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::Failed("nothing was erased".to_owned()))
}

async fn tell(appliance: &Appliance, certificate: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return output::line(&certificate.to_string());
    }
    let id = certificate["certificate"].as_str().unwrap_or_default();
    show(appliance, id, false).await
}

async fn show(appliance: &Appliance, id: &str, json: bool) -> Result<(), Failure> {
    let format = if json { "json" } else { "txt" };
    let text = appliance.text(&format!("/api/v1/erasures/{id}?format={format}")).await?;
    output::line(text.trim_end())
}

fn list(appliance: &Appliance, json: bool) -> Result<(), Failure> {
    let answer: Value = block_on(appliance.get("/api/v1/erasures"))?;
    if json {
        return output::line(&answer.to_string());
    }
    let mut rows = Vec::new();
    for erasure in answer["erasures"].as_array().into_iter().flatten() {
        let text = |key: &str| erasure[key].as_str().unwrap_or_default().to_owned();
        let pending = match erasure["pending"].as_u64() {
            Some(0) | None => "finished".to_owned(),
            Some(count) => format!("{count} pending"),
        };
        rows.push(vec![
            text("certificate"),
            text("asked_at"),
            text("what"),
            text("subject"),
            pending,
        ]);
    }
    if rows.is_empty() { output::line("nothing was erased") } else { output::table(&rows) }
}
