//! `fieldtape retry`: failed stages, once more.

use serde_json::{Value, json};

use super::admin::Appliance;
use super::exit::Failure;
use super::{Context, block_on, output};
use crate::domain::{CallSid, Stage};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The call (CA…)
    #[arg(required_unless_present = "all_failed")]
    call_sid: Option<CallSid>,
    /// Only this stage: fetch, split, transcript, summary, archive or delete
    #[arg(long, requires = "call_sid")]
    stage: Option<Stage>,
    /// Every failed stage of every call
    #[arg(long, conflicts_with = "call_sid")]
    all_failed: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let appliance = Appliance::new(context)?;
    block_on(async {
        match &args.call_sid {
            Some(call_sid) => retry(&appliance, call_sid.as_str(), args.stage).await,
            None => retry_all(&appliance).await,
        }
    })
}

async fn retry(appliance: &Appliance, sid: &str, stage: Option<Stage>) -> Result<(), Failure> {
    let body = stage.map_or_else(|| json!({}), |stage| json!({ "stage": stage.as_str() }));
    let answer: Value = appliance.post(&format!("/api/v1/calls/{sid}/retry"), &body).await?;
    let queued: Vec<&str> =
        answer["queued"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    output::line(&format!("{sid}: {} is tried again", queued.join(", ")))
}

async fn retry_all(appliance: &Appliance) -> Result<(), Failure> {
    // Listed whole before any is retried: a retried call leaves the list it is paged from.
    let mut failed = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/calls?stage_status=failed&limit=200{cursor}");
        let page: Value = appliance.get(&path).await?;
        let calls = page["calls"].as_array().into_iter().flatten();
        failed.extend(calls.filter_map(|call| call["call_sid"].as_str().map(str::to_owned)));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    if failed.is_empty() {
        return output::line("nothing has failed");
    }
    for sid in failed {
        retry(appliance, &sid, None).await?;
    }
    Ok(())
}
