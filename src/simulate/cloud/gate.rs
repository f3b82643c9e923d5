//! Every request's way: noted, let in or not, met by its faults, answered.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, header, request::Parts};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::faults::Fault;
use super::journal::{self, pairs};
use super::reply::{Refusal, instead, json_answer, spoil};
use super::target::{Target, style};
use super::wire::Connection;
use super::{Shared, playback, requests};
use crate::simulate::moment::http_date;

/// The most that a form may hold.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// A request that has been let in.
pub(super) struct Visit {
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) form: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
}

/// Takes any request.
pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let style = style(parts.uri.path());
    let form = match to_bytes(body, FORM_BYTES_MAX).await {
        Ok(form) => pairs(&form),
        Err(_) => return Refusal::BAD_PARAMETER.into_response(style),
    };
    let target = Target::of(&parts.method, parts.uri.path(), shared.account_sid.as_str());
    let noted = note(&shared, &parts, &form, &target);
    let visit = Visit {
        path: parts.uri.path().to_owned(),
        query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
        form,
        headers: parts.headers,
    };
    let mut response = if noted.authorised {
        let faults = shared.world().faults.take(target.endpoint());
        meet(&shared, &connection, (target, visit), &faults).await
    } else {
        let mut response = Refusal::UNAUTHORISED.into_response(style);
        let challenge = HeaderValue::from_static("Basic realm=\"Twilio API\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    };
    if let Ok(date) = HeaderValue::from_str(&http_date(shared.now())) {
        response.headers_mut().insert(header::DATE, date);
    }
    let status = (!connection.is_cut()).then(|| response.status().as_u16());
    if let Some(request) = shared.world().journal.get_mut(noted.place) {
        request.status = status;
    }
    response
}

/// A request's place in the journal.
struct Noted {
    place: usize,
    authorised: bool,
}

fn note(shared: &Shared, parts: &Parts, form: &[(String, String)], target: &Target) -> Noted {
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let credentials = text(header::AUTHORIZATION);
    let authorised =
        credentials.and_then(basic).is_some_and(|(user, secret)| shared.accepts(&user, &secret));
    let request = journal::Request {
        at: shared.now(),
        endpoint: target.endpoint(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
        form: form.to_vec(),
        has_credentials: credentials.is_some(),
        authorised,
        range: text(header::RANGE).map(str::to_owned),
        status: None,
    };
    let mut world = shared.world();
    world.journal.push(request);
    Noted { place: world.journal.len() - 1, authorised }
}

/// Reads `Authorization: Basic …`.
fn basic(header: &str) -> Option<(String, String)> {
    let decoded = BASE64.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, secret) = text.split_once(':')?;
    Some((user.to_owned(), secret.to_owned()))
}

/// Answers a request as far as its faults allow.
async fn meet(
    shared: &Arc<Shared>,
    connection: &Connection,
    (target, visit): (Target, Visit),
    faults: &[Fault],
) -> Response {
    for fault in faults {
        if let Fault::Slow(by) = fault {
            tokio::time::sleep(*by).await;
        }
    }
    let style = style(&visit.path);
    if let Some(response) = faults.iter().find_map(|fault| instead(fault, style)) {
        return response;
    }
    // Whoever was slow may find the link gone: then nothing has happened.
    if connection.is_cut() {
        return Response::new(Body::empty());
    }
    let answered = match target {
        Target::Media(sid) => playback::play(shared, &sid, &visit, faults),
        target => requests::answer(shared, &target, &visit).map(|(status, body)| match status {
            204 => empty(),
            status => json_answer(status, &body),
        }),
    };
    let response = answered.unwrap_or_else(|refusal| refusal.into_response(style));
    if faults.contains(&Fault::AnswerLost) {
        connection.cut();
    }
    faults.iter().fold(response, spoil)
}

fn empty() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = axum::http::StatusCode::NO_CONTENT;
    response
}
