//! `fieldtape call NUMBER`: rings somebody and connects the agent.

use serde_json::{Value, json};

use super::admin::Appliance;
use super::exit::Failure;
use super::{Context, block_on, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The number, with its country (+1 512 555 0123), or as it is dialled in twilio.country
    #[arg(allow_hyphen_values = true)]
    number: String,
    /// Print the call as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let appliance = Appliance::new(context)?;
    let call: Value = block_on(appliance.post("/api/v1/calls", &json!({ "to": args.number })))?;
    if args.json {
        return output::line(&call.to_string());
    }
    let text = |key: &str| call[key].as_str().unwrap_or_default();
    let (sid, to) = (text("call_sid"), text("to"));
    if let Some(why) = call["last_error"].as_str() {
        return Err(Failure::Failed(format!("{sid} to {to}: {why}")));
    }
    output::line(&format!(
        "{sid}: Twilio rings {to} ({}); whoever answers is put through to the agent",
        text("call_status")
    ))
}
