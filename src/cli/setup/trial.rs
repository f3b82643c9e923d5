//! A call that shows that everything works together.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Plan;
use super::ask::Asker;
use crate::cli::admin;
use crate::cli::exit::Failure;
use crate::cli::output;
use crate::config::Config;
use crate::domain::CallSid;
use crate::twilio::rest::{CallOrder, Client};
use crate::twilio::webhook::CallStatus;

/// How long the telephone may ring.
const WATCHED_FOR: Duration = Duration::from_mins(1);

/// How often Twilio is asked how it goes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Twilio's word for a call that somebody has answered.
const ANSWERED: &str = "in-progress";

/// Asks whether to ring a telephone, and does.
pub(super) async fn ring(
    asker: &Asker,
    (plan, config): (&Plan, &Config),
    given: Option<String>,
) -> Result<(), Failure> {
    let (Some(client), Some(public_url)) = (&plan.client, &plan.public_url) else {
        return match given {
            Some(_) => Err(Failure::Failed(
                "no test call: it takes the account, its token and the public address".to_owned(),
            )),
            None => Ok(()),
        };
    };
    let known = plan.number.as_ref().map(super::number::Number::phone_number);
    let Some(from) = known.or(config.twilio.caller_id.as_deref()) else {
        return match given {
            Some(_) => Err(Failure::Usage("--test-call: say from which --number".to_owned())),
            None => Ok(()),
        };
    };
    let question = "Ring a telephone now, to try it (+1…, empty: no)";
    let to = asker.optional(question, (given, None), super::phone_number)?;
    let Some(to) = to else { return Ok(()) };
    let order = CallOrder {
        to,
        from: from.to_owned(),
        url: public_url.webhook("/twilio/voice"),
        status_callback: public_url.callback("/twilio/status"),
    };
    let placed = client.place_call(&order).await;
    let placed = placed.map_err(|error| Failure::Failed(format!("no test call: {error}")))?;
    output::line(&format!(
        "It rings; whoever answers is put through to the agent ({}).",
        placed.sid
    ))?;
    let status = watch(client, &placed.sid).await?;
    let heard = is_known_here(config, &placed.sid).await;
    let word = status.as_str();
    match heard {
        Some(true) => output::line(&format!(
            "Twilio says that the call is {word}, and fieldtape has heard of it: the page shows it."
        )),
        Some(false) => Err(Failure::Failed(format!(
            "Twilio says that the call is {word}, and fieldtape has not heard of it: does {} lead here?",
            order.url
        ))),
        None => output::line(&format!(
            "Twilio says that the call is {word}; fieldtape does not run here."
        )),
    }
}

/// Waits until somebody has answered, or nobody will.
async fn watch(client: &Client, sid: &CallSid) -> Result<CallStatus, Failure> {
    let end = Instant::now() + WATCHED_FOR;
    loop {
        // What it said last stands while it does not answer.
        if let Ok(call) = client.call(sid).await {
            let is_settled = call.status.as_str() == ANSWERED || call.status.end_reason().is_some();
            if is_settled || Instant::now() >= end {
                return Ok(call.status);
            }
        } else if Instant::now() >= end {
            return Err(Failure::Failed("Twilio does not say what became of the call".to_owned()));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Asks the running program whether it knows the call; none if it cannot be asked.
async fn is_known_here(config: &Config, sid: &CallSid) -> Option<bool> {
    let appliance = admin::Appliance::at(&config.server.admin_socket).ok()?;
    match appliance.get::<serde_json::Value>(&format!("/api/v1/calls/{sid}")).await {
        Ok(_) => Some(true),
        Err(Failure::Failed(_)) => Some(false),
        Err(_) => None,
    }
}
