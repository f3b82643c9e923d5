//! `fieldtape queue ls|run|pause|resume`: what is undone, trying all of it now, or nothing more.

use std::time::Duration;

use serde_json::{Value, json};

use super::admin::Appliance;
use super::exit::Failure;
use super::{Context, block_on, output};
use crate::domain::{Stage, lasting};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List what is undone, the oldest call first, and since when Twilio could not be reached
    Ls {
        /// Print the answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Try everything that waits for its next attempt now, and look whether Twilio is there
    Run,
    /// Begin nothing more, across restarts, until it is resumed; calls are recorded all the same
    Pause {
        /// Only this stage: fetch, split, transcript, summary, archive or delete
        #[arg(long)]
        stage: Option<Stage>,
    },
    /// Let a paused queue go on
    Resume {
        /// Only this stage; what paused every stage is lifted without it
        #[arg(long)]
        stage: Option<Stage>,
    },
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let appliance = Appliance::new(context)?;
    match args {
        Args::Ls { json } => {
            let queue: Value = block_on(appliance.get("/api/v1/queue"))?;
            if *json { output::line(&queue.to_string()) } else { list(&queue) }
        }
        Args::Pause { stage } => set_pause(&appliance, "pause", *stage),
        Args::Resume { stage } => set_pause(&appliance, "resume", *stage),
        Args::Run => {
            let answer: Value = block_on(appliance.post("/api/v1/queue/run", &json!({})))?;
            let hurried =
                count(&answer["hurried"], "stage no longer waits", "stages no longer wait");
            output::line(&format!("{hurried} for the next attempt; {}", link(&answer["link"])))
        }
    }
}

fn set_pause(appliance: &Appliance, what: &str, stage: Option<Stage>) -> Result<(), Failure> {
    let body = stage.map_or_else(|| json!({}), |stage| json!({ "stage": stage.as_str() }));
    let path = format!("/api/v1/queue/{what}");
    let answer: Value = block_on(appliance.post(&path, &body))?;
    let lines = pauses(&answer);
    if lines.is_empty() {
        return output::line("nothing is paused");
    }
    lines.iter().try_for_each(|line| output::line(line))
}

/// Tells what is paused; nothing when nothing is.
pub(super) fn pauses(answer: &Value) -> Vec<String> {
    let told = |pause: &Value| {
        let what = pause["stage"].as_str().map_or_else(
            || "every stage is paused".to_owned(),
            |stage| format!("{stage} is paused"),
        );
        let text = |key: &str| pause[key].as_str().unwrap_or_default();
        format!(
            "{what} since {} (by {}): nothing more of it is begun; calls are recorded all the same",
            text("since"),
            text("by")
        )
    };
    answer["pauses"].as_array().into_iter().flatten().map(told).collect()
}

/// Tells the backlog of each stage: its name, and how much there is to do.
pub(super) fn backlog(queue: &Value) -> Vec<[String; 2]> {
    let mut rows = Vec::new();
    for stage in queue["stages"].as_array().into_iter().flatten() {
        let number = |key: &str| stage[key].as_u64().unwrap_or(0);
        let mut facts = vec![format!(
            "{} waiting, {} under way, {} failed",
            number("pending"),
            number("processing"),
            number("failed")
        )];
        if let Some(oldest) = stage["oldest_at"].as_str() {
            facts.push(format!("oldest {oldest}"));
            facts.extend(stage["waiting_reason"].as_str().map(str::to_owned));
            facts.extend(stage["waiting_for"].as_str().map(|what| format!("waits for {what}")));
            facts.extend(stage["next_attempt_at"].as_str().map(|at| format!("next {at}")));
            facts.push(match stage["drain_s"].as_u64() {
                _ if stage["paused"] == true => "paused".to_owned(),
                Some(seconds) => format!("about {} to go", lasting(Duration::from_secs(seconds))),
                None if queue["link"]["state"] == "down" => {
                    "time to go not known while offline".to_owned()
                }
                None => "time to go not known".to_owned(),
            });
        }
        rows.push([stage["stage"].as_str().unwrap_or("?").to_owned(), facts.join("; ")]);
    }
    rows
}

/// Says whether Twilio can be reached.
pub(super) fn link(link: &Value) -> String {
    let since = link["since"].as_str().map(|since| format!(" since {since}")).unwrap_or_default();
    match link["state"].as_str() {
        Some("up") => format!("Twilio can be reached{since}"),
        Some("down") => {
            let why = link["why"].as_str().unwrap_or("it does not answer");
            format!("Twilio cannot be reached{since} ({why}): what needs the network waits")
        }
        _ => "no work here needs the network".to_owned(),
    }
}

fn list(queue: &Value) -> Result<(), Failure> {
    let mut rows = vec![vec!["link".to_owned(), link(&queue["link"])]];
    rows.extend(pauses(queue).into_iter().map(|line| vec!["paused".to_owned(), line]));
    rows.extend(backlog(queue).into_iter().map(Vec::from));
    output::table(&rows)?;
    items(queue)?;
    erasures(queue)?;
    outages(queue)
}

fn items(queue: &Value) -> Result<(), Failure> {
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let header =
        ["call", "began", "stage", "status", "attempts", "next", "waits for", "last error"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for item in queue["items"].as_array().into_iter().flatten() {
        rows.push(vec![
            text(item, "call_sid"),
            text(item, "began_at"),
            text(item, "stage"),
            text(item, "status"),
            item["attempts"].to_string(),
            text(item, "next_attempt_at"),
            text(item, "waiting_for"),
            text(item, "last_error"),
        ]);
    }
    if rows.len() == 1 {
        return output::line("nothing is undone");
    }
    output::line("")?;
    output::table(&rows)?;
    match queue["items_left_off"].as_u64() {
        Some(more) if more > 0 => output::line(&format!("and {more} more")),
        _ => Ok(()),
    }
}

fn erasures(queue: &Value) -> Result<(), Failure> {
    for erasure in queue["erasures"].as_array().into_iter().flatten() {
        let text = |key: &str| erasure[key].as_str().unwrap_or_default();
        output::line(&format!(
            "erasure {} of {}: {} pending: {}",
            text("certificate"),
            text("subject"),
            erasure["pending"],
            text("why")
        ))?;
    }
    Ok(())
}

fn outages(queue: &Value) -> Result<(), Failure> {
    let header = ["outage since", "lasted", "caught up", "seen"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for outage in queue["outages"].as_array().into_iter().flatten() {
        let lasted = lasting(Duration::from_secs(outage["duration_s"].as_u64().unwrap_or(0)));
        let so_far = if outage["to"].is_null() { " so far" } else { "" };
        let calls = count(&outage["calls_recovered"], "call", "calls");
        let recordings = count(&outage["recordings_recovered"], "recording", "recordings");
        rows.push(vec![
            outage["from"].as_str().unwrap_or_default().to_owned(),
            format!("{lasted}{so_far}"),
            format!("{calls}, {recordings}"),
            outage["cause"].as_str().unwrap_or_default().to_owned(),
        ]);
    }
    if rows.len() == 1 {
        return Ok(());
    }
    output::line("")?;
    output::table(&rows)
}

fn count(number: &Value, one: &str, many: &str) -> String {
    let number = number.as_u64().unwrap_or(0);
    format!("{number} {}", if number == 1 { one } else { many })
}
