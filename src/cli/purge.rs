//! `fieldtape purge`: what the next purge would free, why, and what is kept back and why; or now.

use serde_json::{Value, json};

use super::admin::Appliance;
use super::exit::Failure;
use super::{Context, block_on, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only say what would go, and what stays back
    #[arg(long)]
    dry_run: bool,
    /// Have so much freed beyond what is needed, such as 20GB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    free: Option<u64>,
    /// Print the answer as JSON, every piece of it
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> Result<u64, String> {
    parse_size::parse_size(text).map_err(|_| "write it like 20GB or 500MiB".to_owned())
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let appliance = Appliance::new(context)?;
    let body = json!({ "dry_run": args.dry_run, "free_bytes": args.free.unwrap_or(0) });
    let answer: Value = block_on(appliance.post("/api/v1/purge", &body))?;
    if args.json {
        return output::line(&answer.to_string());
    }
    let plan = &answer["plan"];
    if let Some(clock) = plan["waits_for_clock"].as_str() {
        output::line(clock)?;
    }
    let verb = if answer["done"].is_null() { "would free" } else { "set out to free" };
    output::line(&format!(
        "{verb} {} of {} calls in {} pieces",
        bytes(&plan["frees_bytes"]),
        plan["calls"],
        plan["pieces"]
    ))?;
    goes(plan)?;
    stays(plan)?;
    if plan["short_bytes"].as_u64().is_some_and(|short| short > 0) {
        let short = bytes(&plan["short_bytes"]);
        output::line(&format!("{short} more are needed and not to be had"))?;
    }
    let possible = bytes(&plan["possible_bytes"]);
    output::line(&format!("up to {possible} could go if all the room were needed"))?;
    done(&answer["done"])
}

fn goes(plan: &Value) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for sum in plan["sums"].as_array().into_iter().flatten() {
        let text = |key: &str| sum[key].as_str().unwrap_or_default().to_owned();
        let why = if sum["why"] == "expired" { "past its days" } else { "to make room" };
        let rest = match sum["rests_on"].as_str() {
            Some("here") => "made again from what stays here",
            Some("archive") => "in the archive",
            Some("twilio") => "at Twilio",
            _ => "nowhere else",
        };
        rows.push(vec![
            "goes".to_owned(),
            text("kind"),
            format!("{} calls", sum["calls"]),
            bytes(&sum["bytes"]),
            why.to_owned(),
            rest.to_owned(),
        ]);
    }
    output::table(&rows)
}

fn stays(plan: &Value) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for sum in plan["kept_back"].as_array().into_iter().flatten() {
        let wanted = if sum["wanted"] == "expired" { "past its days" } else { "wanted for room" };
        rows.push(vec![
            "stays".to_owned(),
            format!("{} pieces", sum["pieces"]),
            format!("{} calls", sum["calls"]),
            bytes(&sum["bytes"]),
            wanted.to_owned(),
            sum["words"].as_str().unwrap_or_default().to_owned(),
        ]);
    }
    output::table(&rows)
}

fn done(done: &Value) -> Result<(), Failure> {
    if done.is_null() {
        return Ok(());
    }
    output::line(&format!("freed {} in {} pieces", bytes(&done["freed_bytes"]), done["pieces"]))?;
    for piece in done["withheld"].as_array().into_iter().flatten() {
        let text = |key: &str| piece[key].as_str().unwrap_or_default();
        output::error(&format!("{} stayed: {}", text("name"), text("why")));
    }
    Ok(())
}

/// Writes a number of bytes as people read it.
fn bytes(number: &Value) -> String {
    let bytes = number.as_u64().unwrap_or(0);
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", tenths(1_000_000)),
        _ => format!("{} GB", tenths(1_000_000_000)),
    }
}
