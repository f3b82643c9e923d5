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
    output::line(&tried_again(sid, &queued))
}

async fn retry_all(appliance: &Appliance) -> Result<(), Failure> {
    let answer: Value = appliance.post("/api/v1/queue/retry", &json!({})).await?;
    let mut calls: Vec<(&str, Vec<&str>)> = Vec::new();
    for queued in answer["queued"].as_array().into_iter().flatten() {
        let text = |key: &str| queued[key].as_str().unwrap_or_default();
        match calls.last_mut() {
            Some((sid, stages)) if *sid == text("call_sid") => stages.push(text("stage")),
            _ => calls.push((text("call_sid"), vec![text("stage")])),
        }
    }
    if calls.is_empty() {
        return output::line("nothing has failed");
    }
    for (sid, stages) in calls {
        output::line(&tried_again(sid, &stages))?;
    }
    Ok(())
}

fn tried_again(sid: &str, stages: &[&str]) -> String {
    let are = if stages.len() == 1 { "is" } else { "are" };
    format!("{sid}: {} {are} tried again", stages.join(", "))
}
