//! `fieldtape audio devices`.

use serde_json::{Value, json};

use super::super::admin::Appliance;
use super::super::exit::Failure;
use super::super::{Context, block_on, output};
use super::of_appliance;
use crate::microphone::{Choice, OpenError, Roots, devices, sound_cards};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let config = context.config()?;
    let meant = config.microphone.device;
    let choices = devices(&Roots::default(), &mut *sound_cards(), &meant);
    // Who has the one that is meant, if anybody has.
    let appliance = Appliance::new(context)?;
    let ours = block_on(async { Ok(of_appliance(&appliance).await) })?;
    let is_ours = |choice: &Choice| choice.is_meant && ours.is_some();
    if args.json {
        let rows: Vec<Value> = choices.iter().map(|choice| row(choice, is_ours(choice))).collect();
        return output::line(&json!(rows).to_string());
    }
    if choices.is_empty() {
        output::error("no microphone is plugged in");
        return Ok(());
    }
    let mut table = vec![["", "DEVICE", "WHAT IT IS", "STATE"].map(str::to_owned).to_vec()];
    for choice in &choices {
        let mark = if choice.is_meant { "*" } else { " " };
        let cells = [mark.to_owned(), choice.name.to_string(), choice.label.clone()];
        table.push(cells.into_iter().chain([told(choice, is_ours(choice))]).collect());
    }
    output::table(&table)?;
    output::line(
        "* is microphone.device in the configuration. Choose one by writing its name there.",
    )
}

fn told(choice: &Choice, is_ours: bool) -> String {
    match &choice.format {
        _ if is_ours => "the running fieldtape listens to it".to_owned(),
        Some(Ok(format)) => format!("free: {format}"),
        Some(Err(error)) => error.to_string(),
        None => "try it: fieldtape audio meter".to_owned(),
    }
}

fn row(choice: &Choice, is_ours: bool) -> Value {
    let state = match &choice.format {
        _ if is_ours => "ours",
        Some(Ok(_)) => "free",
        Some(Err(OpenError::Busy)) => "taken",
        Some(Err(_)) => "refused",
        None => "untried",
    };
    let format = choice.format.as_ref().and_then(|format| format.as_ref().ok());
    let error = choice.format.as_ref().and_then(|format| format.as_ref().err());
    json!({
        "device": choice.name.to_string(),
        "label": choice.label,
        "configured": choice.is_meant,
        "state": state,
        "rate_hz": format.map(|format| format.rate_hz),
        "channels": format.map(|format| format.channels),
        "error": error.filter(|_| !is_ours).map(ToString::to_string),
    })
}
