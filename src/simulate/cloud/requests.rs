//! What is answered in JSON.

use serde_json::{Value, json};

use super::gate::Visit;
use super::journal::value;
use super::listing::{Asked, Item, page};
use super::recording::{self, Shown};
use super::reply::Refusal;
use super::target::Target;
use super::world::{BY_REQUEST, Started, Wish, World};
use super::{Shared, call, numbers};
use crate::domain::{AccountSid, CallSid, RecordingSid};
use crate::simulate::answer::RecordingOrder;

/// A status and what comes with it.
type Answer = Result<(u16, Value), Refusal>;

/// The events that a recording can be reported at.
const EVENTS: [&str; 3] = ["in-progress", "completed", "absent"];

/// Answers a request for anything but sound.
pub(super) fn answer(shared: &Shared, target: &Target, visit: &Visit) -> Answer {
    let account = &shared.account_sid;
    let query = &visit.query;
    match target {
        Target::Account => Ok((200, account_json(account))),
        Target::Numbers => list(shared, visit, "incoming_phone_numbers", |world| {
            Ok(numbers::listed(world, account, (query, shared.now())))
        }),
        Target::Number(sid) => {
            let now = shared.now();
            let changed = numbers::change(&mut shared.world(), account, (sid, &visit.form, now))?;
            Ok((200, changed))
        }
        Target::PlaceCall => {
            let (sid, now) = (crate::simulate::fresh_call_sid(), shared.now());
            let placed = numbers::place(&mut shared.world(), account, (sid, &visit.form, now))?;
            Ok((201, placed))
        }
        Target::Calls => {
            list(shared, visit, "calls", |world| call::listed(&world.calls, account, query))
        }
        Target::Recordings => list(shared, visit, "recordings", |world| {
            recording::listed(world.recordings.iter(), account, Shown::UnderAccount, query)
        }),
        Target::CallRecordings(sid) => list(shared, visit, "recordings", |world| {
            let parent = world.parent_of(sid).ok_or(Refusal::NOT_FOUND)?;
            let of_call = world.recordings.iter().filter(|one| one.call_sid == parent);
            recording::listed(of_call, account, Shown::UnderCall, query)
        }),
        Target::Call(sid) => {
            let world = shared.world();
            let call = world.call(sid).ok_or(Refusal::NOT_FOUND)?;
            Ok((200, call.json(account)))
        }
        Target::Recording(sid) => {
            let with_deleted = value(query, "IncludeSoftDeleted") == Some("true");
            let world = shared.world();
            let recording = world.recording(sid).filter(|one| with_deleted || !one.deleted);
            let recording = recording.ok_or(Refusal::NOT_FOUND)?;
            Ok((200, recording.json(account, Shown::UnderAccount)))
        }
        Target::StartRecording(sid) => start(shared, sid, &visit.form),
        Target::DeleteRecording(sid) => delete(shared, sid),
        Target::DeleteCall(sid) => {
            shared.world().delete_call(sid)?;
            Ok((204, Value::Null))
        }
        Target::Media(_) | Target::Unknown => Err(Refusal::NOT_FOUND),
    }
}

fn account_json(account: &AccountSid) -> Value {
    json!({
        "sid": account.as_str(),
        "friendly_name": "Field office",
        "status": "active",
        "type": "Full",
        "owner_account_sid": account.as_str(),
        "uri": format!("/2010-04-01/Accounts/{account}.json"),
    })
}

fn list(
    shared: &Shared,
    visit: &Visit,
    plural: &str,
    items: impl FnOnce(&World) -> Result<Vec<Item>, Refusal>,
) -> Answer {
    let mut world = shared.world();
    let asked = Asked { path: &visit.path, query: &visit.query };
    let page = page(&asked, plural, items(&world)?)?;
    if !page["next_page_uri"].is_null()
        && let Some(newcomer) = world.faults.between_pages.take()
    {
        world.place(newcomer, &shared.own_order());
    }
    Ok((200, page))
}

/// Begins a recording, once.
fn start(shared: &Shared, call_sid: &CallSid, form: &[(String, String)]) -> Answer {
    let wish = Wish {
        call_sid: call_sid.clone(),
        source: BY_REQUEST,
        order: order(form)?,
        now: shared.now(),
    };
    let started = shared.world().record(wish)?;
    let (status, sid) = match &started {
        Started::Now(sid) => (201, sid),
        Started::Before(sid) => (200, sid),
    };
    if status == 201 {
        shared.report_recording(sid, "in-progress");
    }
    let world = shared.world();
    let recording = world.recording(sid).ok_or(Refusal::NOT_FOUND)?;
    Ok((status, recording.json(&shared.account_sid, Shown::AtStart)))
}

/// Reads what is wanted of a recording, with the defaults of a request: mono, told at its end.
fn order(form: &[(String, String)]) -> Result<RecordingOrder, Refusal> {
    let named = form.iter().filter(|(name, _)| name == "RecordingStatusCallbackEvent");
    let mut events: Vec<String> =
        named.flat_map(|(_, events)| events.split_whitespace()).map(str::to_owned).collect();
    if events.iter().any(|event| !EVENTS.contains(&event.as_str())) {
        return Err(Refusal::BAD_EVENT);
    }
    if events.is_empty() {
        events.push("completed".to_owned());
    }
    let channels = match value(form, "RecordingChannels") {
        None | Some("mono") => "1",
        Some("dual") => "2",
        Some(_) => return Err(Refusal::BAD_PARAMETER),
    };
    let track = value(form, "RecordingTrack").unwrap_or("both").to_owned();
    let status_callback = value(form, "RecordingStatusCallback").map(str::to_owned);
    Ok(RecordingOrder { status_callback, events, channels, track })
}

fn delete(shared: &Shared, sid: &RecordingSid) -> Answer {
    shared.world().delete(sid)?;
    Ok((204, Value::Null))
}
