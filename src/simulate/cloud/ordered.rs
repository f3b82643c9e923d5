//! Calls that are placed by request: what is asked of them, whom they ring, and what is told of it.
//!
//! Nobody answers by himself: how far an ordered call comes is said by whoever plays.

use std::sync::Arc;

use serde_json::Value;

use super::call::Call;
use super::journal::value;
use super::reply::Refusal;
use super::world::World;
use super::{Cloud, Shared};
use crate::domain::{AccountSid, CallSid, UnixMillis};
use crate::simulate::forms::{Leg, Progress};
use crate::simulate::line::{Letter, Line};
use crate::simulate::way::Way;
use crate::simulate::{Error, Options};

/// The events that a call can be reported at.
const EVENTS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];

/// What was asked of a call with the request that placed it, or by the document that dialled it.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// Asked what to do when somebody answers.
    pub(super) url: String,
    /// Told how it goes, at these events.
    pub(super) status_callback: Option<String>,
    events: Vec<String>,
    /// How often that was told.
    told: u64,
}

/// Where an ordered call's requests go.
pub(in super::super) struct Addresses {
    pub(in super::super) voice: String,
    pub(in super::super) status: Option<String>,
}

impl Order {
    /// The order of a leg that a document dials.
    pub(super) fn of_leg(status_callback: &str) -> Self {
        Self {
            url: String::new(),
            status_callback: Some(status_callback.to_owned()),
            events: EVENTS.map(str::to_owned).into(),
            told: 0,
        }
    }

    fn wants(&self, status: &str) -> bool {
        let event = match status {
            "in-progress" => "answered",
            "initiated" | "ringing" => status,
            _ => "completed",
        };
        self.events.iter().any(|wanted| wanted == event)
    }
}

impl Cloud {
    /// Says where the appliance is reached that calls are to be told to.
    pub fn lead_to(&self, options: &Options) -> Result<(), Error> {
        let way = Way::new(&options.target, &options.public_url, options.roots.clone());
        let line = Line::new(way, options.public_url.clone(), options.auth_token.clone());
        self.reached_by(Arc::new(line.map_err(Error::Client)?));
        Ok(())
    }

    /// Returns the calls that were placed by request, the first first.
    pub fn ordered(&self) -> Vec<Call> {
        let world = self.shared.world();
        let ordered = |call: &&Call| call.order.is_some() && call.parent_sid.is_none();
        world.calls.iter().filter(ordered).cloned().collect()
    }

    /// Lets a call come so far, and tells whoever wants to know; with its length if it is over.
    pub fn come(&self, sid: &CallSid, status: &str, duration_s: Option<u64>) {
        let now = self.shared.now();
        self.change_call(sid, |call| {
            // What is told as `initiated` is still `queued` in the lists.
            let shown = if status == "initiated" { "queued" } else { status };
            shown.clone_into(&mut call.status);
            if status != "initiated" {
                call.started.get_or_insert(now);
            }
            if call.is_over() {
                call.ended = Some(now);
                call.duration_s = Some(duration_s.unwrap_or(0));
            }
        });
        self.shared.tell_progress(sid, status);
    }

    /// Returns where an ordered call's requests go; none for any other.
    pub(in super::super) fn addresses(&self, sid: &CallSid) -> Option<Addresses> {
        let world = self.shared.world();
        let order = world.call(sid)?.order.as_ref()?;
        Some(Addresses { voice: order.url.clone(), status: order.status_callback.clone() })
    }
}

impl Shared {
    /// Tells how far a call has come, if whoever ordered it wants to know.
    pub(super) fn tell_progress(&self, sid: &CallSid, status: &str) {
        let (parent, letter) = {
            let mut world = self.world();
            let Some(call) = world.call_mut(sid) else { return };
            let Some(order) = call.order.as_mut().filter(|order| order.wants(status)) else {
                return;
            };
            let Some(url) = order.status_callback.clone() else { return };
            let sequence = order.told;
            order.told += 1;
            let leg = Leg {
                account_sid: self.account_sid.to_string(),
                call_sid: sid.to_string(),
                parent_sid: call.parent_sid.as_ref().map(ToString::to_string),
                direction: call.direction.clone(),
                from: call.from.clone(),
                to: call.to.clone(),
                has_places: true,
            };
            let duration_s = call.duration_s.filter(|_| call.is_over());
            let progress = Progress { status, sequence, at: self.now(), duration_s };
            let letter = Letter { url, event: status.to_owned(), fields: leg.progress(&progress) };
            // What is told of a leg takes its place among the news of its call.
            (call.parent_sid.clone().unwrap_or_else(|| sid.clone()), letter)
        };
        self.tell(&parent, letter);
    }
}

/// Takes an order for a call.
pub(super) fn place(
    world: &mut World,
    account: &AccountSid,
    (sid, form, now): (CallSid, &[(String, String)], UnixMillis),
) -> Result<Value, Refusal> {
    let wanted = |name: &str| value(form, name).filter(|value| !value.is_empty());
    let (Some(to), Some(from)) = (wanted("To"), wanted("From")) else {
        return Err(Refusal::BAD_PARAMETER);
    };
    let Some(url) = wanted("Url").or(wanted("Twiml")).or(wanted("ApplicationSid")) else {
        return Err(Refusal::BAD_PARAMETER);
    };
    let named = form.iter().filter(|(name, _)| name == "StatusCallbackEvent");
    let mut events: Vec<String> = named.map(|(_, event)| event.clone()).collect();
    if events.iter().any(|event| !EVENTS.contains(&event.as_str())) {
        return Err(Refusal::BAD_EVENT);
    }
    if events.is_empty() {
        events.push("completed".to_owned());
    }
    let order = Order {
        url: url.to_owned(),
        status_callback: wanted("StatusCallback").map(str::to_owned),
        events,
        told: 0,
    };
    let call = Call { order: Some(order), ..Call::ordered(sid, (from, to), now) };
    let shown = call.json(account);
    world.calls.push(call);
    Ok(shown)
}
