//! What a person decides about keeping: calls held and released, stages of the queue paused.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::{Extension, Json};
use serde::Deserialize;

use super::LanState;
use super::pages::PageProblem;
use super::problem::Problem;
use super::query::{call_sid, word};
use super::wire::{Call, Pauses};
use crate::access::Actor;
use crate::domain::{CallSid, Stage};
use crate::store::Held;

/// What may stand in the body of a hold.
#[derive(Debug, Default, Deserialize)]
struct HoldBody {
    note: Option<String>,
}

/// What may stand in the body of a pause.
#[derive(Debug, Default, Deserialize)]
struct PauseBody {
    stage: Option<String>,
}

/// `POST /api/v1/calls/{call_sid}/hold`
pub(super) async fn hold(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
    body: Bytes,
) -> Result<Json<Call>, Problem> {
    let sid = call_sid(&sid)?;
    let HoldBody { note } = read(&body, "{\"note\":\"why\"}")?;
    hold_one(&lan, &actor, &sid, note).await?;
    shown(&lan, &sid).await
}

/// `POST /api/v1/calls/{call_sid}/release`
pub(super) async fn release(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
) -> Result<Json<Call>, Problem> {
    let sid = call_sid(&sid)?;
    release_one(&lan, &actor, &sid).await?;
    shown(&lan, &sid).await
}

/// `POST /calls/{call_sid}/hold`: the button on a call's page.
pub(super) async fn hold_on_page(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
) -> Result<Redirect, PageProblem> {
    let sid = call_sid(&sid)?;
    hold_one(&lan, &actor, &sid, None).await?;
    Ok(Redirect::to(&format!("/calls/{sid}")))
}

/// `POST /calls/{call_sid}/release`: the same button, when the call is held.
pub(super) async fn release_on_page(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
) -> Result<Redirect, PageProblem> {
    let sid = call_sid(&sid)?;
    release_one(&lan, &actor, &sid).await?;
    Ok(Redirect::to(&format!("/calls/{sid}")))
}

/// Holds a call; the ledger puts it into the audit trail.
async fn hold_one(
    lan: &LanState,
    actor: &Actor,
    sid: &CallSid,
    note: Option<String>,
) -> Result<(), Problem> {
    let by = actor.name.to_string();
    outcome(lan.store.hold(sid.clone(), note, by, lan.clock.now()).await?)
}

/// Releases a call; the ledger puts it into the audit trail.
async fn release_one(lan: &LanState, actor: &Actor, sid: &CallSid) -> Result<(), Problem> {
    let by = actor.name.to_string();
    outcome(lan.store.release(sid.clone(), by, lan.clock.now()).await?)
}

fn outcome(held: Held) -> Result<(), Problem> {
    match held {
        Held::Changed | Held::AsBefore => Ok(()),
        Held::Erasing => {
            Err(Problem::not_yet("the call is being erased: it is too late to hold it"))
        }
        Held::UnknownCall => Err(no_such_call()),
    }
}

async fn shown(lan: &LanState, sid: &CallSid) -> Result<Json<Call>, Problem> {
    let detail = lan.store.call(sid).await?.ok_or_else(no_such_call)?;
    Ok(Json(Call::new(detail, lan.schedule.held())))
}

fn no_such_call() -> Problem {
    Problem::not_found("no such call")
}

/// `POST /api/v1/queue/pause`
pub(super) async fn pause(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<Json<Pauses>, Problem> {
    let stage = stage(&body)?;
    lan.store.pause(stage, actor.name.to_string(), lan.clock.now()).await?;
    Ok(Json(lan.store.pauses().await?.into()))
}

/// `POST /api/v1/queue/resume`
pub(super) async fn resume(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<Json<Pauses>, Problem> {
    let stage = stage(&body)?;
    lan.store.resume(stage, actor.name.to_string(), lan.clock.now()).await?;
    lan.due.ring();
    Ok(Json(lan.store.pauses().await?.into()))
}

/// `POST /queue/pause`: the button on the queue's page.
pub(super) async fn pause_on_page(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<Redirect, PageProblem> {
    lan.store.pause(form_stage(&body)?, actor.name.to_string(), lan.clock.now()).await?;
    Ok(Redirect::to("/queue"))
}

/// `POST /queue/resume`: the same button, while something is paused.
pub(super) async fn resume_on_page(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<Redirect, PageProblem> {
    lan.store.resume(form_stage(&body)?, actor.name.to_string(), lan.clock.now()).await?;
    lan.due.ring();
    Ok(Redirect::to("/queue"))
}

fn stage(body: &[u8]) -> Result<Option<Stage>, Problem> {
    let PauseBody { stage } = read(body, "{\"stage\":\"fetch\"}")?;
    stage.map(|stage| word("stage", &stage)).transpose()
}

fn form_stage(body: &[u8]) -> Result<Option<Stage>, Problem> {
    let named = form_urlencoded::parse(body).find(|(key, _)| key == "stage");
    named.map(|(_, stage)| word("stage", &stage)).transpose()
}

/// Reads a body that may be empty.
pub(super) fn read<'a, T: Default + Deserialize<'a>>(
    body: &'a [u8],
    like: &str,
) -> Result<T, Problem> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body)
        .map_err(|_| Problem::bad_request(format!("the body is JSON like {like}, or empty")))
}
