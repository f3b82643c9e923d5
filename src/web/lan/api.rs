//! The API's handlers: read, check, ask the ledger, say it in JSON.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use super::LanState;
use super::problem::Problem;
use super::query::{ListQuery, call_sid, word};
use super::undone::{Hurried, Reach, Undone};
use super::wire::{AllQueued, Call, Calls, Health, Microphone, Queue, Queued, Run};
use crate::access::Actor;
use crate::domain::{CallSid, Stage};
use crate::health::CheckState;
use crate::store::{Retried, TranscriptRow};
use crate::transcribe::{Format, written};

/// `GET /api/v1/calls`
pub(super) async fn calls(
    State(lan): State<LanState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Calls>, Problem> {
    let query = ListQuery::parse(query.as_deref().unwrap_or_default())?;
    let page = lan.store.calls(query.filter, query.cursor, query.limit).await?;
    let held = lan.schedule.held();
    let mut calls = Vec::with_capacity(page.calls.len());
    for call in page.calls {
        // One deleted in between is left out.
        let detail = lan.store.call(&call.call_sid).await?;
        calls.extend(detail.map(|detail| Call::new(detail, held.clone())));
    }
    Ok(Json(Calls { calls, next_cursor: page.next.map(crate::store::Cursor::to_text) }))
}

/// `GET /api/v1/calls/{call_sid}`
pub(super) async fn call(
    State(lan): State<LanState>,
    Path(sid): Path<String>,
) -> Result<Json<Call>, Problem> {
    let sid = call_sid(&sid)?;
    let detail = lan.store.call(&sid).await?.ok_or_else(no_such_call)?;
    lan.schedule.look_at(&sid);
    Ok(Json(Call::new(detail, lan.schedule.held())))
}

/// `GET /api/v1/calls/{call_sid}/transcript`
pub(super) async fn transcript(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let sid = call_sid(&sid)?;
    let format = format(query.as_deref().unwrap_or_default())?;
    let Some(row) = lan.store.transcript(&sid).await? else {
        lan.schedule.look_at(&sid);
        return Err(why_no_transcript(&lan, &sid).await?);
    };
    lan.audit(&actor, "export", Some(&sid), &format!("transcript.{}", format.as_str())).await?;
    Ok(write(&sid, &row, format))
}

async fn why_no_transcript(lan: &LanState, sid: &CallSid) -> Result<Problem, Problem> {
    let Some(detail) = lan.store.call(sid).await? else {
        return Ok(no_such_call());
    };
    if detail.call.words_purged_at.is_some() {
        let detail = "the transcript went from this box by the rules of retention";
        return Ok(Problem::not_found(detail));
    }
    let status = detail.call.transcript_status;
    Ok(Problem::not_yet(match detail.call.last_error {
        Some(error) => format!("the transcript is {status}: {error}"),
        None => format!("the transcript is {status}"),
    }))
}

/// Reads which form is asked for; JSON when none is.
fn format(query: &str) -> Result<Format, Problem> {
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "format");
    match asked {
        Some((_, name)) if !name.is_empty() => word("format", &name),
        _ => Ok(Format::Json),
    }
}

/// Writes the conversation down as every part of the program does.
fn write(sid: &CallSid, row: &TranscriptRow, format: Format) -> Response {
    ([(header::CONTENT_TYPE, format.media_type())], written(sid, row, format)).into_response()
}

/// What may stand in the body of a retry.
#[derive(Debug, Default, Deserialize)]
struct RetryBody {
    stage: Option<String>,
}

/// `POST /api/v1/calls/{call_sid}/retry`
pub(super) async fn retry(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Queued>), Problem> {
    let sid = call_sid(&sid)?;
    let asked: RetryBody = if body.is_empty() {
        RetryBody::default()
    } else {
        serde_json::from_slice(&body).map_err(|_| {
            Problem::bad_request("the body is JSON like {\"stage\":\"transcript\"}, or empty")
        })?
    };
    let stage = asked.stage.map(|stage| word("stage", &stage)).transpose()?;
    let queued = again(&lan, &actor, sid, stage).await?;
    let queued = queued.into_iter().map(Stage::as_str).collect();
    Ok((StatusCode::ACCEPTED, Json(Queued { queued })))
}

/// Makes failed stages due again, and says so in the audit trail.
pub(super) async fn again(
    lan: &LanState,
    actor: &Actor,
    sid: CallSid,
    stage: Option<Stage>,
) -> Result<Vec<Stage>, Problem> {
    match lan.store.retry(sid.clone(), stage, lan.clock.now()).await? {
        Retried::Queued(stages) => {
            let names: Vec<&str> = stages.iter().map(|stage| stage.as_str()).collect();
            lan.audit(actor, "retry", Some(&sid), &names.join(" ")).await?;
            lan.due.ring();
            Ok(stages)
        }
        Retried::NothingFailed => Err(Problem::not_yet("nothing of this call waits for a retry")),
        Retried::UnknownCall => Err(no_such_call()),
    }
}

/// `GET /api/v1/microphone`: how the box's own is, and how loud it was just now.
pub(super) async fn microphone(State(lan): State<LanState>) -> Result<Json<Microphone>, Problem> {
    let status = lan
        .microphone
        .as_ref()
        .ok_or_else(|| Problem::not_found("the agent is not heard by a microphone of this box"))?;
    Ok(Json(Microphone::new(status, lan.clock.since_boot())))
}

/// `GET /api/v1/health`
pub(super) async fn health(State(lan): State<LanState>) -> Json<Health> {
    Json(Health::from(&*lan.health.borrow()))
}

/// `GET /api/v1/queue`
pub(super) async fn queue(State(lan): State<LanState>) -> Result<Json<Queue>, Problem> {
    let live_calls = lan.health.borrow().live_calls;
    Ok(Json(Queue::new(live_calls, Undone::gather(&lan).await?)))
}

/// `POST /api/v1/queue/run`
pub(super) async fn run_queue(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
) -> Result<(StatusCode, Json<Run>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(hurry(&lan, &actor).await?.into())))
}

/// Makes everything that is pending due now, and looks whether the outside is there.
pub(super) async fn hurry(lan: &LanState, actor: &Actor) -> Result<Hurried, Problem> {
    let stages = lan.store.hurry(lan.clock.now()).await?;
    lan.audit(actor, "run-queue", None, &format!("{stages} stages")).await?;
    lan.due.ring();
    if let Some(link) = &lan.link {
        // A change is written down, and those who wait for it hear of it, within this.
        link.check().await;
    }
    Ok(Hurried { stages, reach: Reach::look(lan).await? })
}

/// `POST /api/v1/queue/retry`
pub(super) async fn retry_all(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
) -> Result<(StatusCode, Json<AllQueued>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(all_again(&lan, &actor).await?.into())))
}

/// Makes every failed stage due again, and says so in the audit trail.
pub(super) async fn all_again(
    lan: &LanState,
    actor: &Actor,
) -> Result<Vec<(CallSid, Stage)>, Problem> {
    let again = lan.store.retry_all_failed(lan.clock.now()).await?;
    if !again.is_empty() {
        lan.audit(actor, "retry-all-failed", None, &format!("{} stages", again.len())).await?;
        lan.due.ring();
    }
    Ok(again)
}

/// `POST /api/v1/calls/{call_sid}/swap`
pub(super) async fn swap(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
) -> Result<Json<Call>, Problem> {
    let sid = call_sid(&sid)?;
    exchange(&lan, &actor, &sid).await?;
    let detail = lan.store.call(&sid).await?.ok_or_else(no_such_call)?;
    Ok(Json(Call::new(detail, lan.schedule.held())))
}

/// Exchanges a call's two parties; the ledger puts it into the audit trail itself.
pub(super) async fn exchange(lan: &LanState, actor: &Actor, sid: &CallSid) -> Result<(), Problem> {
    let now = lan.clock.now();
    let swapped = lan.store.swap_parties(sid.clone(), actor.name.to_string(), now).await?;
    swapped.map(|_| ()).ok_or_else(no_such_call)
}

/// What stands in the body that marks something to be done.
#[derive(Debug, Deserialize)]
struct ActionBody {
    done: bool,
}

/// `POST /api/v1/calls/{call_sid}/actions/{id}`
pub(super) async fn action(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path((sid, item)): Path<(String, i64)>,
    body: Bytes,
) -> Result<Json<Call>, Problem> {
    let sid = call_sid(&sid)?;
    let asked: ActionBody = serde_json::from_slice(&body).map_err(|_| {
        Problem::bad_request("the body is JSON: {\"done\":true} or {\"done\":false}")
    })?;
    mark(&lan, &actor, sid.clone(), item, asked.done).await?;
    let detail = lan.store.call(&sid).await?.ok_or_else(no_such_call)?;
    Ok(Json(Call::new(detail, lan.schedule.held())))
}

/// Marks something to be done; the ledger puts it into the audit trail itself.
pub(super) async fn mark(
    lan: &LanState,
    actor: &Actor,
    sid: CallSid,
    item: i64,
    done: bool,
) -> Result<(), Problem> {
    let now = lan.clock.now();
    if lan.store.mark_action((sid, item), done, actor.name.to_string(), now).await? {
        return Ok(());
    }
    Err(Problem::not_found("the call has no such item; a newer summary may have taken its place"))
}

/// Says that the call is not here.
pub(super) fn no_such_call() -> Problem {
    Problem::not_found("no such call")
}

/// `GET /healthz`: somebody is at home.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: calls are taken, or why not.
pub(super) async fn readyz(State(lan): State<LanState>) -> Result<&'static str, Problem> {
    let health = lan.health.borrow();
    if health.ready {
        return Ok("ready\n");
    }
    let failing = health.checks.iter().filter(|check| check.state == CheckState::Fail);
    let reasons: Vec<String> =
        failing.map(|check| format!("{}: {}", check.name, check.detail)).collect();
    Err(Problem::not_ready(if reasons.is_empty() {
        "still starting".to_owned()
    } else {
        reasons.join("; ")
    }))
}
