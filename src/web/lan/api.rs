//! The API's handlers: read, check, ask the ledger, say it in JSON.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use super::LanState;
use super::gate::Actor;
use super::problem::Problem;
use super::query::{ListQuery, call_sid, word};
use super::wire::{Call, Calls, Health, Queue, Queued, QueuedStage};
use crate::domain::{CallSid, Stage};
use crate::store::{Retried, TranscriptRow};
use crate::transcribe::{Format, written};
use crate::web::health::CheckState;

/// `GET /api/v1/calls`
pub(super) async fn calls(
    State(lan): State<LanState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Calls>, Problem> {
    let query = ListQuery::parse(query.as_deref().unwrap_or_default())?;
    let page = lan.store.calls(query.filter, query.cursor, query.limit).await?;
    let mut calls = Vec::with_capacity(page.calls.len());
    for call in page.calls {
        // One deleted in between is left out.
        calls.extend(lan.store.call(&call.call_sid).await?.map(Call::from));
    }
    Ok(Json(Calls { calls, next_cursor: page.next.map(crate::store::Cursor::to_text) }))
}

/// `GET /api/v1/calls/{call_sid}`
pub(super) async fn call(
    State(lan): State<LanState>,
    Path(sid): Path<String>,
) -> Result<Json<Call>, Problem> {
    let detail = lan.store.call(&call_sid(&sid)?).await?;
    Ok(Json(detail.ok_or_else(|| Problem::not_found("no such call"))?.into()))
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
        return Err(why_no_transcript(&lan, &sid).await?);
    };
    lan.audit(&actor, "export", &sid, &format!("transcript.{}", format.as_str())).await?;
    Ok(write(&sid, &row, format))
}

async fn why_no_transcript(lan: &LanState, sid: &CallSid) -> Result<Problem, Problem> {
    let Some(detail) = lan.store.call(sid).await? else {
        return Ok(Problem::not_found("no such call"));
    };
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
            lan.audit(actor, "retry", &sid, &names.join(" ")).await?;
            lan.due.ring();
            Ok(stages)
        }
        Retried::NothingFailed => Err(Problem::not_yet("nothing of this call waits for a retry")),
        Retried::UnknownCall => Err(Problem::not_found("no such call")),
    }
}

/// `GET /api/v1/health`
pub(super) async fn health(State(lan): State<LanState>) -> Json<Health> {
    Json(Health::from(&*lan.health.borrow()))
}

/// `GET /api/v1/queue`
pub(super) async fn queue(State(lan): State<LanState>) -> Result<Json<Queue>, Problem> {
    let live_calls = lan.health.borrow().live_calls;
    let backlog = lan.store.backlog().await?;
    Ok(Json(Queue { live_calls, stages: backlog.into_iter().map(QueuedStage::from).collect() }))
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
    let failing = health.checks.iter().filter(|check| check.state == CheckState::Failing);
    let reasons: Vec<String> =
        failing.map(|check| format!("{}: {}", check.name, check.detail)).collect();
    Err(Problem::not_ready(if reasons.is_empty() {
        "still starting".to_owned()
    } else {
        reasons.join("; ")
    }))
}
