//! What is undone, as the API sends it.

use serde::Serialize;

use super::rfc3339;
use crate::domain::{CallSid, Stage, StageStatus, UnixMillis, WaitingFor};
use crate::store::{Outage, Pause, PendingErasure, QueueItem};
use crate::web::lan::undone::{Hurried, Reach, StageWork, Undone};

/// What is undone.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Queue {
    live_calls: u32,
    link: Link,
    /// What a person has paused; recording goes on whatever is.
    pauses: Vec<Paused>,
    stages: Vec<QueuedStage>,
    /// The oldest call's first.
    items: Vec<Item>,
    /// How many more there are.
    items_left_off: u64,
    /// What is to be erased and is not gone everywhere, with why.
    erasures: Vec<Erasing>,
    /// The newest first.
    outages: Vec<Interruption>,
}

impl Queue {
    /// Takes what was gathered.
    pub(in crate::web::lan) fn new(live_calls: u32, undone: Undone) -> Self {
        let now = undone.now;
        Self {
            live_calls,
            items_left_off: undone.left_off(),
            link: Link::from(&undone.reach),
            pauses: undone.pauses.iter().map(Paused::from).collect(),
            stages: undone.stages.iter().map(|work| QueuedStage::new(work, &undone)).collect(),
            erasures: undone.erasures.iter().map(Erasing::from).collect(),
            items: undone.items.into_iter().map(Item::from).collect(),
            outages: undone.outages.into_iter().map(|row| Interruption::new(row, now)).collect(),
        }
    }
}

/// Whether the outside can be reached.
#[derive(Debug, Serialize)]
struct Link {
    state: &'static str,
    since: Option<String>,
    why: Option<String>,
}

impl From<&Reach> for Link {
    fn from(reach: &Reach) -> Self {
        match reach {
            Reach::Unused => Self { state: "unused", since: None, why: None },
            Reach::Up { since } => Self { state: "up", since: since.map(rfc3339), why: None },
            Reach::Down { since, why } => {
                Self { state: "down", since: Some(rfc3339(*since)), why: Some(why.clone()) }
            }
        }
    }
}

/// What is undone in one stage.
#[derive(Debug, Serialize)]
struct QueuedStage {
    stage: &'static str,
    pending: u64,
    processing: u64,
    failed: u64,
    oldest_at: Option<String>,
    /// `null` while it is not known.
    drain_s: Option<u64>,
    /// When the first of what is pending is tried next; `null` while the stage is paused.
    next_attempt_at: Option<String>,
    /// What that waits for, if not merely its turn.
    waiting_for: Option<&'static str>,
    paused: bool,
    /// Why it is held back, if it is; in words for a person.
    waiting_reason: Option<String>,
}

impl QueuedStage {
    fn new(work: &StageWork, undone: &Undone) -> Self {
        let backlog = &work.backlog;
        let held = undone.held(backlog.stage);
        let paused = undone.pause(backlog.stage).is_some();
        Self {
            stage: backlog.stage.as_str(),
            pending: backlog.pending,
            processing: backlog.processing,
            failed: backlog.failed,
            oldest_at: backlog.oldest.map(rfc3339),
            drain_s: work.drain.map(|drain| drain.as_secs()),
            next_attempt_at: backlog.next_attempt_at.filter(|_| !paused).map(rfc3339),
            waiting_for: backlog.waiting_for.map(WaitingFor::as_str),
            paused,
            waiting_reason: held.filter(|_| backlog.pending > 0).map(str::to_owned),
        }
    }
}

/// A stage, or every one, in which nothing is begun.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Paused {
    /// `null`: every stage.
    stage: Option<&'static str>,
    since: String,
    by: String,
}

impl From<&Pause> for Paused {
    fn from(pause: &Pause) -> Self {
        Self {
            stage: pause.stage.map(Stage::as_str),
            since: rfc3339(pause.since),
            by: pause.actor.clone(),
        }
    }
}

/// What is paused now.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Pauses {
    pauses: Vec<Paused>,
}

impl From<Vec<Pause>> for Pauses {
    fn from(pauses: Vec<Pause>) -> Self {
        Self { pauses: pauses.iter().map(Paused::from).collect() }
    }
}

/// An erasure of which something is pending.
#[derive(Debug, Serialize)]
struct Erasing {
    certificate: String,
    asked_at: String,
    what: String,
    subject: String,
    pending: u64,
    why: Option<String>,
}

impl From<&PendingErasure> for Erasing {
    fn from(erasure: &PendingErasure) -> Self {
        Self {
            certificate: erasure.id.clone(),
            asked_at: rfc3339(erasure.asked_at),
            what: erasure.what.clone(),
            subject: erasure.subject.clone(),
            pending: erasure.pending,
            why: erasure.why.clone(),
        }
    }
}

/// One stage of one call.
#[derive(Debug, Serialize)]
struct Item {
    call_sid: String,
    began_at: String,
    stage: &'static str,
    status: &'static str,
    attempts: u32,
    last_error: Option<String>,
    waiting_for: Option<&'static str>,
    /// `null` unless it waits its turn.
    next_attempt_at: Option<String>,
}

impl From<QueueItem> for Item {
    fn from(item: QueueItem) -> Self {
        let pending = item.status == StageStatus::Pending;
        Self {
            call_sid: item.call_sid.to_string(),
            began_at: rfc3339(item.began_at),
            stage: item.stage.as_str(),
            status: item.status.as_str(),
            attempts: item.attempts,
            last_error: item.last_error,
            waiting_for: item.waiting_for.map(WaitingFor::as_str),
            next_attempt_at: pending.then(|| rfc3339(item.next_attempt_at)),
        }
    }
}

/// A time without the outside.
#[derive(Debug, Serialize)]
struct Interruption {
    from: String,
    /// `null` while it lasts.
    to: Option<String>,
    /// So far, while it lasts.
    duration_s: u64,
    cause: String,
    calls_recovered: u32,
    recordings_recovered: u32,
}

impl Interruption {
    fn new(outage: Outage, now: UnixMillis) -> Self {
        Self {
            from: rfc3339(outage.from),
            to: outage.to.map(rfc3339),
            duration_s: outage.to.unwrap_or(now).since(outage.from).as_secs(),
            cause: outage.cause,
            calls_recovered: outage.calls_recovered,
            recordings_recovered: outage.recordings_recovered,
        }
    }
}

/// What no longer waits for its next attempt, and how the link was found.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Run {
    hurried: u32,
    link: Link,
}

impl From<Hurried> for Run {
    fn from(hurried: Hurried) -> Self {
        Self { hurried: hurried.stages, link: Link::from(&hurried.reach) }
    }
}

/// Stages of several calls that are due again.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct AllQueued {
    queued: Vec<QueuedAgain>,
}

#[derive(Debug, Serialize)]
struct QueuedAgain {
    call_sid: String,
    stage: &'static str,
}

impl From<Vec<(CallSid, Stage)>> for AllQueued {
    fn from(again: Vec<(CallSid, Stage)>) -> Self {
        let queued = again.into_iter().map(|(call_sid, stage)| QueuedAgain {
            call_sid: call_sid.to_string(),
            stage: stage.as_str(),
        });
        Self { queued: queued.collect() }
    }
}
