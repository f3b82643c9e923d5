//! What was found, with what was looked for marked.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{Redirect, Response};

use super::super::api::no_such_call;
use super::super::find::{Question, play_from};
use super::super::problem::Problem;
use super::super::query::call_sid;
use super::super::{LanState, pages};
use super::{Frame, Moment, PageProblem, words};
use crate::access::Actor;
use crate::domain::Direction;
use crate::store::{Cursor, Hit, HitPage, HitPlace, Snippet};

/// What was found.
#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    frame: Frame,
    typed: String,
    calls: Vec<FoundCall>,
    /// Whether anything was looked for.
    asked: bool,
    remarks: Vec<String>,
    older: Option<String>,
}

/// A call with what was found in it.
struct FoundCall {
    link: String,
    outgoing: bool,
    who: String,
    began: Moment,
    places: Vec<Place>,
    more: Option<String>,
}

struct Place {
    speaker: &'static str,
    at: String,
    /// What opens it, and plays from a little earlier; none for a note.
    link: Option<String>,
    pieces: Vec<Piece>,
}

/// A piece of a snippet.
struct Piece {
    text: String,
    found: bool,
}

impl SearchPage {
    fn new(frame: Frame, question: &Question, page: &HitPage, query: &str) -> Self {
        let mut remarks = Vec::new();
        if page.unindexed > 0 {
            let calls = words::count(page.unindexed, "older call is", "older calls are");
            remarks.push(format!("{calls} still being made searchable and cannot be found yet."));
        }
        if question.left_out() > 0 {
            let left_out = words::count(question.left_out() as u64, "word was", "words were");
            remarks.push(format!("{left_out} too many, and not looked for."));
        }
        Self {
            frame,
            typed: question.typed.clone(),
            calls: page.hits.iter().map(FoundCall::new).collect(),
            asked: !question.is_empty(),
            remarks,
            older: page.next.map(|next| link(query, next)),
        }
    }
}

impl FoundCall {
    fn new(hit: &Hit) -> Self {
        let (outgoing, who) = match hit.direction {
            Direction::Inbound => (false, &hit.from_number),
            Direction::Outbound => (true, &hit.to_number),
        };
        let more = words::count(hit.more as u64, "more place", "more places");
        Self {
            outgoing,
            who: hit.name.clone().unwrap_or_else(|| words::address(who)),
            began: Moment::new(hit.began_at),
            places: hit
                .places
                .iter()
                .map(|place| Place::new(hit.call_sid.as_str(), place))
                .collect(),
            more: (hit.more > 0).then_some(more),
            link: opening(hit.call_sid.as_str()),
        }
    }
}

impl Place {
    fn new(sid: &str, place: &HitPlace) -> Self {
        let link = |start_ms: u64| format!("{}&at_ms={start_ms}", opening(sid));
        Self {
            speaker: place.said.map_or("Note", |said| words::party(said.party)),
            at: place.said.map(|said| words::clock(said.start_ms / 1000)).unwrap_or_default(),
            link: place.said.map(|said| link(said.start_ms)),
            pieces: pieces(&place.snippet),
        }
    }
}

/// What opens a call in which something was found.
fn opening(sid: &str) -> String {
    format!("/search/open?call={sid}")
}

/// Divides a snippet into what was found and what is around it.
fn pieces(snippet: &Snippet) -> Vec<Piece> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    let mut piece = |from: usize, to: usize, found: bool| {
        let text = snippet.text.get(from..to).unwrap_or_default().to_owned();
        if !text.is_empty() {
            pieces.push(Piece { text, found });
        }
    };
    for (start, end) in &snippet.marks {
        piece(at, *start, false);
        piece(*start.max(&at), *end, true);
        at = at.max(*end);
    }
    piece(at, snippet.text.len(), false);
    pieces
}

/// The same search from another place on.
fn link(query: &str, next: Cursor) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    let kept = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != "cursor");
    out.extend_pairs(kept);
    out.append_pair("cursor", &next.to_text());
    format!("/search?{}", out.finish())
}

/// `GET /search`
pub(in crate::web::lan) async fn search(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageProblem> {
    let query = query.unwrap_or_default();
    let question = Question::parse(&query)?;
    let page = question.answer(&lan).await?;
    let frame = Frame::new(&lan.health.borrow(), &actor);
    Ok(pages::html(&headers, &SearchPage::new(frame, &question, &page, &query)))
}

/// `GET /search/open`: opens a call in which something was found, at the place if it has one. That
/// somebody did is in the audit trail before they are sent there.
pub(in crate::web::lan) async fn open(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    RawQuery(query): RawQuery,
) -> Result<Redirect, PageProblem> {
    let query = query.unwrap_or_default();
    let field = |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
    let sid = call_sid(&field("call").map(|(_, sid)| sid).unwrap_or_default())?;
    let wrong = |_| Problem::bad_parameter("at_ms", "not a number of milliseconds");
    let at_ms = field("at_ms").map(|(_, at)| at.parse::<u64>().map_err(wrong)).transpose()?;
    if lan.store.call(&sid).await?.is_none() {
        return Err(no_such_call().into());
    }
    let at = at_ms.map(|at_ms| format!("at {}", words::clock(at_ms / 1000)));
    lan.audit(&actor, "search-hit", Some(&sid), &at.unwrap_or_default()).await?;
    let place = at_ms.map(play_from).map(|ms| format!("#t={}.{:03}", ms / 1000, ms % 1000));
    Ok(Redirect::to(&format!("/calls/{sid}{}", place.unwrap_or_default())))
}
