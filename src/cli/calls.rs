//! `fieldtape calls ls|show|follow|swap|hold|release|delete|export`: the same things the page shows.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::admin::Appliance;
use super::exit::Failure;
use super::{Context, block_on, erase, export, output};
use crate::domain::CallSid;

/// How often a transcript under way is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List calls, newest first
    Ls {
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        /// Only calls with a stage (or recording) of this status: pending, processing, completed, failed
        #[arg(long)]
        status: Option<String>,
        /// Print the answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one call and what was said
    Show {
        /// The call (CA…)
        call_sid: CallSid,
        /// Print the answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Follow a call: its words as they are spoken, then its transcript
    Follow {
        /// The call (CA…)
        call_sid: CallSid,
    },
    /// Swap agent and technician where they were mistaken for each other; once more swaps them back
    Swap {
        /// The call (CA…)
        call_sid: CallSid,
        /// Print the call as JSON
        #[arg(long)]
        json: bool,
    },
    /// Hold a call: nothing of it is purged, deleted at Twilio or erased until it is released
    Hold {
        /// The call (CA…)
        call_sid: CallSid,
        /// Why, for whoever looks later
        #[arg(long)]
        note: Option<String>,
    },
    /// Release a call that is held
    Release {
        /// The call (CA…)
        call_sid: CallSid,
    },
    /// Erase a call for good: here, in the archive and at Twilio; answers with the certificate
    Delete {
        /// The call (CA…)
        call_sid: CallSid,
        /// Do not ask whether it is meant
        #[arg(long)]
        yes: bool,
        /// Print the certificate as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a call into a folder named after it: its sound, its transcript, and a manifest with the SHA-256 of every file
    Export {
        /// The call (CA…)
        call_sid: CallSid,
        /// The folder to make that folder in
        dir: PathBuf,
        /// Print the manifest as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let appliance = Appliance::new(context)?;
    match args {
        Args::Ls { limit, status, json } => {
            let status = status.as_ref().map(|word| format!("&status={word}")).unwrap_or_default();
            let path = format!("/api/v1/calls?limit={limit}{status}");
            let page: Value = block_on(appliance.get(&path))?;
            if *json { output::line(&page.to_string()) } else { list(&page) }
        }
        Args::Show { call_sid, json } => show(&appliance, call_sid, *json),
        Args::Follow { call_sid } => block_on(follow(&appliance, call_sid)),
        Args::Swap { call_sid, json } => swap(&appliance, call_sid, *json),
        Args::Hold { call_sid, note } => {
            let body = json!({ "note": note });
            let path = format!("/api/v1/calls/{call_sid}/hold");
            let _: Value = block_on(appliance.post(&path, &body))?;
            output::line(&format!(
                "{call_sid} is held: nothing of it is deleted until it is released"
            ))
        }
        Args::Release { call_sid } => {
            let path = format!("/api/v1/calls/{call_sid}/release");
            let _: Value = block_on(appliance.post(&path, &json!({})))?;
            output::line(&format!("{call_sid} is not held any more"))
        }
        Args::Delete { call_sid, yes, json } => erase::call(&appliance, call_sid, *yes, *json),
        Args::Export { call_sid, dir, json } => {
            let (folder, manifest) = block_on(export::export(&appliance, call_sid, dir))?;
            if *json {
                output::line(&manifest.to_string())
            } else {
                export::tell(&folder, &manifest)
            }
        }
    }
}

fn swap(appliance: &Appliance, call_sid: &CallSid, json: bool) -> Result<(), Failure> {
    let path = format!("/api/v1/calls/{call_sid}/swap");
    let call: Value = block_on(appliance.post(&path, &json!({})))?;
    if json {
        return output::line(&call.to_string());
    }
    let how = if call["parties_swapped"] == true { "swapped" } else { "as they were recorded" };
    output::line(&format!("{call_sid}: agent and technician are {how} now"))
}

fn list(page: &Value) -> Result<(), Failure> {
    let header = ["call", "when", "direction", "from", "to", "length", "recording", "transcript"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for call in page["calls"].as_array().into_iter().flatten() {
        rows.push(vec![
            text(call, "call_sid"),
            text(call, "created_at"),
            text(call, "direction"),
            text(call, "from"),
            text(call, "to"),
            call["duration_s"]
                .as_u64()
                .map(|s| format!("{}:{:02}", s / 60, s % 60))
                .unwrap_or_default(),
            text(call, "recording_status"),
            text(call, "transcript_status"),
        ]);
    }
    if rows.len() == 1 {
        return output::line("no calls");
    }
    output::table(&rows)
}

/// Prints what it came to, what is to be done and what people noted.
fn tell_what_came_of_it(call: &Value) -> Result<(), Failure> {
    if let Some(summary) = call["summary"]["text"].as_str() {
        output::line("")?;
        output::line(summary)?;
    }
    for (at, action) in call["summary"]["action_items"].as_array().into_iter().flatten().enumerate()
    {
        let head = if at == 0 { "to do:" } else { "" };
        output::line(&format!("{head:<6} {}", action.as_str().unwrap_or_default()))?;
    }
    for note in call["notes"].as_array().into_iter().flatten() {
        output::line(&format!("note by {}: {}", text(note, "author"), text(note, "text")))?;
    }
    Ok(())
}

fn show(appliance: &Appliance, call_sid: &CallSid, json: bool) -> Result<(), Failure> {
    let path = format!("/api/v1/calls/{call_sid}");
    let call: Value = block_on(appliance.get(&path))?;
    if json {
        return output::line(&call.to_string());
    }
    let mut rows = Vec::new();
    for key in [
        "call_sid",
        "direction",
        "from",
        "to",
        "call_status",
        "declined_at",
        "created_at",
        "started_at",
        "ended_at",
        "duration_s",
        "end_reason",
        "recording_status",
        "transcript_status",
        "summary_status",
        "archive_status",
        "last_error",
        "retry_count",
        "waiting_for",
        "next_attempt_at",
        "hold_note",
        "sound_purged_at",
        "words_purged_at",
    ] {
        if let Some(value) = call.get(key).filter(|value| !value.is_null()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            rows.push(vec![key.to_owned(), value]);
        }
    }
    rows.extend(told_and_rung(&call));
    if call["hold"] == true {
        rows.push(vec!["hold".to_owned(), "nothing of it is deleted".to_owned()]);
    }
    for track in call["tracks"].as_array().into_iter().flatten() {
        let from = copy_of(&call, track);
        let name = format!("{} {} Hz{from}", text(track, "party"), track["rate_hz"]);
        let count = |key: &str| track[key].as_array().map_or(0, Vec::len);
        let (gaps, filled) = (count("gaps"), count("filled"));
        let filled = if filled > 0 { format!(", {filled} filled") } else { String::new() };
        rows.push(vec![
            name,
            format!("{} s, {} bytes, {gaps} gaps{filled}", track["duration_s"], track["bytes"]),
        ]);
    }
    for recording in call["cloud_recordings"].as_array().into_iter().flatten() {
        let here = if recording["url"].is_null() { "not here" } else { "here" };
        let deleted = recording["twilio_deleted_at"].as_str();
        let deleted = deleted.map(|at| format!(", deleted at Twilio {at}")).unwrap_or_default();
        let status = text(recording, "status");
        rows.push(vec![text(recording, "recording_sid"), format!("{status}, {here}{deleted}")]);
    }
    output::table(&rows)?;
    tell_what_came_of_it(&call)?;
    if call["transcript_status"] == "completed" {
        let path = format!("{path}/transcript?format=txt");
        let said = block_on(appliance.text(&path))?;
        output::line("")?;
        output::say(&said)?;
    }
    Ok(())
}

/// Says what was told before the recording, and whom the call was put through to.
fn told_and_rung(call: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for told in call["announcements"].as_array().into_iter().flatten() {
        let what = format!("{}, sha256 {}", text(told, "at"), text(told, "sha256"));
        rows.push(vec![format!("announcement {}", text(told, "how")), what]);
    }
    for leg in call["legs"].as_array().into_iter().flatten() {
        let length = leg["duration_s"].as_u64().map(|s| format!(", {s} s")).unwrap_or_default();
        let what = format!("{}: {}{length}", text(leg, "to"), text(leg, "call_status"));
        rows.push(vec![format!("leg {}", text(leg, "call_sid")), what]);
    }
    rows
}

/// Prints the words of a call while it runs, and then its transcript when that is done.
async fn follow(appliance: &Appliance, call_sid: &CallSid) -> Result<(), Failure> {
    let path = format!("/api/v1/calls/{call_sid}");
    let mut words = appliance.events(&format!("{path}/live")).await?;
    let mut told = 0;
    while let Some((name, data)) = words.next().await? {
        match name.as_str() {
            "segment" if data["n"].as_u64().is_some_and(|n| n >= told) => {
                told = data["n"].as_u64().map_or(told, |n| n + 1);
                let at_s = data["start_s"].as_f64().unwrap_or_default();
                let line = format!(
                    "{at_s:7.1} s  {:<10}  {}",
                    text(&data, "speaker"),
                    text(&data, "text")
                );
                output::line(&line)?;
            }
            "end" => break,
            _ => {}
        }
    }
    wait_for_transcript(appliance, &path).await?;
    output::line("")?;
    output::say(&appliance.text(&format!("{path}/transcript?format=txt")).await?)
}

/// Waits until the call's transcript is done; fails if it cannot be made.
async fn wait_for_transcript(appliance: &Appliance, path: &str) -> Result<(), Failure> {
    loop {
        let call: Value = appliance.get(path).await?;
        let status = text(&call, "transcript_status");
        match status.as_str() {
            // Whatever else is wrong with the call is not about its transcript.
            "completed" => return Ok(()),
            "failed" | "skipped" => {
                let why = text(&call, "last_error");
                let why = if why.is_empty() { why } else { format!(" ({why})") };
                let told = format!("there is no transcript: it is {status}{why}");
                return Err(Failure::Failed(told));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Says which copy of a party's voice a file is, where that is not plain.
fn copy_of(call: &Value, track: &Value) -> &'static str {
    let is_beside =
        |other: &Value| other["party"] == track["party"] && other["source"] == "microphone";
    match track["source"].as_str() {
        Some("cloud") => ", Twilio's copy",
        Some("microphone") => ", microphone",
        _ if call["tracks"].as_array().is_some_and(|all| all.iter().any(is_beside)) => {
            ", Twilio's line"
        }
        _ => "",
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
