//! The page: HTML made here, whole without script, kept fresh by a small one.
//!
//! Every element with `data-part` may change while somebody looks. The script asks for the page
//! again and puts in the parts that differ; an unchanged page is answered with 304.

mod banner;
mod call;
mod conversation;
mod copies;
mod list;
mod losses;
mod queue;
mod search;
mod storage;
mod summary;
pub(super) mod words;

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, body::Bytes};
use tracing::error;

use self::banner::Banner;
pub(super) use self::search::{open, search};
use super::frame::Frame;
use super::problem::Problem;
use super::query::{ListQuery, call_sid, word};
use super::storage::Storage;
use super::undone::{Reach, Undone};
use super::wire::rfc3339;
use super::{LanState, api, assets, notes};
use crate::access::Actor;
use crate::domain::{Role, UnixMillis};
use crate::health::Check;
use crate::store::Backlog;

/// A status as a small label. The colour repeats what the word says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Badge {
    stage: &'static str,
    status: &'static str,
}

/// A moment, for a machine and for a reader without script.
#[derive(Debug)]
struct Moment {
    iso: String,
    utc: String,
}

impl Moment {
    fn new(moment: UnixMillis) -> Self {
        Self { iso: rfc3339(moment), utc: words::utc(moment) }
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame,
    problem: &'a Problem,
}

/// Everything that is looked at, and how it stands.
#[derive(Template)]
#[template(path = "health.html")]
struct HealthPage {
    frame: Frame,
    checks: Vec<Check>,
}

/// `GET /`
pub(super) async fn list(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageProblem> {
    let query = query.unwrap_or_default();
    let asked = ListQuery::parse(&query)?;
    let page = lan.store.calls(asked.filter.clone(), asked.cursor, asked.limit).await?;
    let backlog = lan.store.backlog().await?;
    let banner = Banner::look(&lan, &Reach::look(&lan).await?, &backlog).await?;
    let frame = Frame::new(&lan.health.borrow(), &actor);
    let can_ring = lan.dialler.is_some() && actor.role >= Role::Operator;
    let shown = list::ListPage::new(frame, banner, &page, &asked, &query, &backlog);
    Ok(html(&headers, &if can_ring { shown.with_telephone() } else { shown }))
}

/// `GET /calls/{call_sid}`
pub(super) async fn call(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
    headers: HeaderMap,
) -> Result<Response, PageProblem> {
    let no_such_call = || Problem::not_found("There is no such call.");
    let sid = call_sid(&sid).map_err(|_malformed| no_such_call())?;
    let detail = lan.store.call(&sid).await?.ok_or_else(no_such_call)?;
    lan.schedule.look_at(&sid);
    let transcript = lan.store.transcript(&sid).await?;
    let held = lan.schedule.held().filter(|_| detail.awaits_its_transcript());
    let frame = Frame::new(&lan.health.borrow(), &actor);
    Ok(html(&headers, &call::CallPage::new(frame, &detail, transcript, held)))
}

/// `POST /calls/{call_sid}/retry`: the button on a call's page, with and without script.
pub(super) async fn retry(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
    body: Bytes,
) -> Result<Redirect, PageProblem> {
    let sid = call_sid(&sid)?;
    let field = |name: &str| form_urlencoded::parse(&body).find(|(key, _)| key == name);
    let stage = field("stage").map(|(_, stage)| word("stage", &stage)).transpose()?;
    let back = match field("back") {
        Some((_, page)) if page == "queue" => Redirect::to("/queue"),
        _ => Redirect::to(&format!("/calls/{sid}")),
    };
    match api::again(&lan, &actor, sid, stage).await {
        Ok(_) => Ok(back),
        // Pressed twice, or done in the meantime: the page shows how it stands.
        Err(problem) if problem.status() == StatusCode::CONFLICT => Ok(back),
        Err(problem) => Err(problem.into()),
    }
}

/// `POST /calls/{call_sid}/swap`: the other button on a call's page.
pub(super) async fn swap(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
) -> Result<Redirect, PageProblem> {
    let sid = call_sid(&sid)?;
    api::exchange(&lan, &actor, &sid).await?;
    Ok(Redirect::to(&format!("/calls/{sid}")))
}

/// `POST /calls/{call_sid}/actions/{id}`: marks something to be done as done, or as open again.
pub(super) async fn action(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path((sid, item)): Path<(String, i64)>,
    body: Bytes,
) -> Result<Redirect, PageProblem> {
    let sid = call_sid(&sid)?;
    let done = form_urlencoded::parse(&body).any(|(key, value)| key == "done" && value == "1");
    api::mark(&lan, &actor, sid.clone(), item, done).await?;
    Ok(Redirect::to(&format!("/calls/{sid}")))
}

/// `POST /calls/{call_sid}/notes`: the form under a call's notes.
pub(super) async fn note(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
    body: Bytes,
) -> Result<Redirect, PageProblem> {
    let text = form_urlencoded::parse(&body).find(|(key, _)| key == "text");
    let text = text.map(|(_, text)| text.into_owned()).unwrap_or_default();
    notes::add_note(&lan, &actor, &sid, &text).await?;
    Ok(Redirect::to(&format!("/calls/{sid}")))
}

/// `GET /queue`
pub(super) async fn queue(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
) -> Result<Response, PageProblem> {
    let undone = Undone::gather(&lan).await?;
    let backlog: Vec<Backlog> = undone.stages.iter().map(|work| work.backlog).collect();
    let banner = Banner::look(&lan, &undone.reach, &backlog).await?;
    let frame = Frame::new(&lan.health.borrow(), &actor);
    Ok(html(&headers, &queue::QueuePage::new(frame, banner, &undone)))
}

/// `GET /storage`
pub(super) async fn storage(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
) -> Result<Response, PageProblem> {
    let gathered = Storage::gather(&lan).await?;
    let frame = Frame::new(&lan.health.borrow(), &actor);
    Ok(html(&headers, &storage::StoragePage::new(frame, &gathered, lan.keeper.policy())))
}

/// `GET /health`
pub(super) async fn health(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
) -> Response {
    let health = lan.health.borrow().clone();
    html(&headers, &HealthPage { frame: Frame::new(&health, &actor), checks: health.checks })
}

/// `POST /queue/run`: the button on the queue's page.
pub(super) async fn run_queue(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
) -> Result<Redirect, PageProblem> {
    api::hurry(&lan, &actor).await?;
    Ok(Redirect::to("/queue"))
}

/// `POST /queue/retry`: the other button on the queue's page.
pub(super) async fn retry_all(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
) -> Result<Redirect, PageProblem> {
    api::all_again(&lan, &actor).await?;
    Ok(Redirect::to("/queue"))
}

/// A page that says why there is no page.
pub(super) fn problem(problem: &Problem) -> Response {
    let page = html(&HeaderMap::new(), &ProblemPage { frame: Frame::plain(), problem });
    (problem.status(), page).into_response()
}

/// A [`Problem`] for a person's eyes.
pub(super) struct PageProblem(Problem);

impl<E: Into<Problem>> From<E> for PageProblem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageProblem {
    fn into_response(self) -> Response {
        problem(&self.0)
    }
}

/// Answers with a page, or with 304 if the viewer has it as it is.
pub(super) fn html(asked: &HeaderMap, page: &impl Template) -> Response {
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => {
            error!(%error, "a page could not be written");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let etag = format!("\"{:016x}\"", assets::fnv1a(html.as_bytes(), assets::FNV_BASIS));
    if asked.get(header::IF_NONE_MATCH).is_some_and(|known| *known == etag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    ([(header::ETAG, etag)], Html(html)).into_response()
}
