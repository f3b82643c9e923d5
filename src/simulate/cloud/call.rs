//! Calls, as the API shows them.

use std::time::Duration;

use serde_json::{Value, json};

use super::journal::value;
use super::listing::{Item, Window};
use super::media::Media;
use super::recording::RecordingScript;
use super::reply::Refusal;
use crate::domain::{AccountSid, CallSid, UnixMillis};
use crate::simulate::fresh_call_sid;
use crate::simulate::moment::rfc2822;
use crate::simulate::socket::Pace;

/// The statuses that a call does not leave.
const TERMINAL: [&str; 5] = ["completed", "busy", "failed", "no-answer", "canceled"];

/// One leg of a call, as this Twilio knows it.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its name.
    pub sid: CallSid,
    /// The leg that dialled it, if it is a child.
    pub parent_sid: Option<CallSid>,
    /// `inbound`, `outbound-api` or `outbound-dial`.
    pub direction: String,
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// Twilio's word, or any other.
    pub status: String,
    /// When Twilio first knew of it.
    pub created: UnixMillis,
    /// When it began.
    pub started: Option<UnixMillis>,
    /// When it ended.
    pub ended: Option<UnixMillis>,
    /// How long it was, once it is over.
    pub duration_s: Option<u64>,
    /// The time of the sound that is being played.
    pub(super) pace: Option<Pace>,
}

/// A call that is to be there without having been played.
#[derive(Debug, Clone)]
pub struct CallScript {
    /// Its name.
    pub sid: CallSid,
    /// `inbound` or `outbound-api`.
    pub direction: String,
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// How it ended, or how far it has come.
    pub status: String,
    /// When it began.
    pub started: UnixMillis,
    /// How long it was, if it is over.
    pub duration: Duration,
    /// Who was dialled: a child leg each.
    pub dialled: Vec<String>,
    /// What was recorded of it.
    pub recordings: Vec<RecordingScript>,
}

impl CallScript {
    /// A completed call from a telephone, put through to one agent.
    pub fn inbound(started: UnixMillis, duration: Duration) -> Self {
        Self {
            sid: fresh_call_sid(),
            direction: "inbound".to_owned(),
            from: "+15550100".to_owned(),
            to: "+15550199".to_owned(),
            status: "completed".to_owned(),
            started,
            duration,
            dialled: vec!["+15550142".to_owned()],
            recordings: Vec::new(),
        }
    }

    /// A completed call to a telephone, put through to one agent.
    pub fn outbound(started: UnixMillis, duration: Duration) -> Self {
        let Self { from, to, .. } = Self::inbound(started, duration);
        let direction = "outbound-api".to_owned();
        Self { direction, from: to, to: from, ..Self::inbound(started, duration) }
    }

    /// Puts it elsewhere on its way.
    #[must_use]
    pub fn with_status(self, status: &str) -> Self {
        Self { status: status.to_owned(), ..self }
    }

    /// Adds a completed recording of the whole call.
    #[must_use]
    pub fn recorded(self, media: Media) -> Self {
        self.with_recording(RecordingScript::completed(media))
    }

    /// Adds a recording.
    #[must_use]
    pub fn with_recording(mut self, recording: RecordingScript) -> Self {
        self.recordings.push(recording);
        self
    }

    /// Returns the call, and the legs it dialled.
    pub(super) fn legs(&self, mut fresh: impl FnMut() -> CallSid) -> Vec<Call> {
        let is_over = TERMINAL.contains(&self.status.as_str());
        let parent = Call {
            sid: self.sid.clone(),
            parent_sid: None,
            direction: self.direction.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            status: self.status.clone(),
            created: self.started,
            started: Some(self.started),
            ended: is_over.then(|| self.started.plus(self.duration)),
            duration_s: is_over.then(|| seconds(self.duration)),
            pace: None,
        };
        let children = self.dialled.iter().map(|number| parent.child(fresh(), number));
        std::iter::once(parent.clone()).chain(children.collect::<Vec<_>>()).collect()
    }
}

/// Returns whole seconds, as Twilio counts a call: what was begun is counted.
pub(super) fn seconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

impl Call {
    /// Says whether it can still change.
    pub fn is_over(&self) -> bool {
        TERMINAL.contains(&self.status.as_str())
    }

    /// Returns a call that was ordered and rings nobody yet.
    pub(super) fn ordered(sid: CallSid, (from, to): (&str, &str), now: UnixMillis) -> Self {
        Self {
            sid,
            parent_sid: None,
            direction: "outbound-api".to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            status: "queued".to_owned(),
            created: now,
            started: None,
            ended: None,
            duration_s: None,
            pace: None,
        }
    }

    /// Returns the leg that this one dialled.
    pub(super) fn child(&self, sid: CallSid, number: &str) -> Self {
        let caller = if self.direction == "inbound" { &self.from } else { &self.to };
        Self {
            sid,
            parent_sid: Some(self.sid.clone()),
            direction: "outbound-dial".to_owned(),
            from: caller.clone(),
            to: number.to_owned(),
            ..self.clone()
        }
    }

    pub(super) fn matches(&self, query: &[(String, String)], window: &Window) -> bool {
        let is = |name: &str, own: &str| value(query, name).is_none_or(|wanted| wanted == own);
        is("Status", &self.status)
            && is("From", &self.from)
            && is("To", &self.to)
            && is("ParentCallSid", self.parent_sid.as_ref().map_or("", CallSid::as_str))
            && window.has(self.started.unwrap_or(self.created))
    }

    pub(super) fn json(&self, account: &AccountSid) -> Value {
        let sid = &self.sid;
        let uri = format!("/2010-04-01/Accounts/{account}/Calls/{sid}");
        let moment = |moment: Option<UnixMillis>| moment.map(rfc2822);
        json!({
            "account_sid": account.as_str(),
            "answered_by": null,
            "api_version": "2010-04-01",
            "caller_name": "",
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.ended.unwrap_or(self.created)),
            "direction": self.direction,
            "duration": self.duration_s.map(|s| s.to_string()),
            "end_time": moment(self.ended),
            "forwarded_from": null,
            "from": self.from,
            "from_formatted": self.from,
            "group_sid": null,
            "parent_call_sid": self.parent_sid.as_ref().map(CallSid::as_str),
            "phone_number_sid": "PN00000000000000000000000000000000",
            "price": self.is_over().then_some("-0.00850"),
            "price_unit": "USD",
            "queue_time": "0",
            "sid": sid.as_str(),
            "start_time": moment(self.started),
            "status": self.status,
            "subresource_uris": {"recordings": format!("{uri}/Recordings.json")},
            "to": self.to,
            "to_formatted": self.to,
            "trunk_sid": null,
            // Fields appear without notice.
            "unannounced": {"since": "yesterday"},
            "uri": format!("{uri}.json"),
        })
    }
}

/// Returns the calls that a query asks for, newest first.
pub(super) fn listed(
    calls: &[Call],
    account: &AccountSid,
    query: &[(String, String)],
) -> Result<Vec<Item>, Refusal> {
    let window = Window::of(query, "StartTime")?;
    let mut found: Vec<&Call> = calls.iter().filter(|call| call.matches(query, &window)).collect();
    found.sort_by_key(|call| std::cmp::Reverse(call.started.unwrap_or(call.created)));
    let item = |call: &Call| Item { sid: call.sid.to_string(), json: call.json(account) };
    Ok(found.into_iter().map(item).collect())
}
