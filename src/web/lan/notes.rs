//! What people add: notes, words put right, names. And what there is by number.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;

use super::LanState;
use super::api::no_such_call;
use super::problem::Problem;
use super::query::{call_sid, limit, word};
use super::wire::{Call, Contacts, Imported, Number, Numbers};
use crate::access::Actor;
use crate::domain::Party;
use crate::store::{self, Contact, Corrected, NewCorrection, NumberCursor};

/// Letters of a note or of a segment put right, at most.
const TEXT_CHARS_MAX: usize = 4000;

/// Letters of a name, at most.
const NAME_CHARS_MAX: usize = 120;

/// Numbers of one answer unless asked otherwise.
const NUMBERS_DEFAULT: u32 = 20;

#[derive(Debug, Deserialize)]
struct NoteBody {
    text: String,
}

/// `POST /api/v1/calls/{call_sid}/notes`
pub(super) async fn note(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Call>), Problem> {
    let asked: NoteBody = json(&body, "{\"text\":\"…\"}")?;
    add_note(&lan, &actor, &sid, &asked.text).await?;
    Ok((StatusCode::CREATED, Json(whole(&lan, &sid).await?)))
}

/// Adds a note; the ledger puts it into the audit trail itself.
pub(super) async fn add_note(
    lan: &LanState,
    actor: &Actor,
    sid: &str,
    text: &str,
) -> Result<(), Problem> {
    let (sid, text) = (call_sid(sid)?, kept(text)?);
    let added = lan.store.add_note(sid, text, actor.name.to_string(), lan.clock.now()).await?;
    if added { Ok(()) } else { Err(no_such_call()) }
}

#[derive(Debug, Deserialize)]
struct CorrectionBody {
    speaker: String,
    start_s: f64,
    text: String,
}

/// `POST /api/v1/calls/{call_sid}/corrections`
pub(super) async fn correct(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
    body: Bytes,
) -> Result<Json<Call>, Problem> {
    let like = "{\"speaker\":\"technician\",\"start_s\":4.416,\"text\":\"…\"}";
    let asked: CorrectionBody = json(&body, like)?;
    let party: Party = word("speaker", &asked.speaker)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
    let start_ms = (asked.start_s.clamp(0.0, 1e9) * 1000.0).round() as u64;
    let new = NewCorrection {
        call_sid: call_sid(&sid)?,
        party,
        start_ms,
        text: kept(&asked.text)?,
        author: actor.name.to_string(),
        at: lan.clock.now(),
    };
    match lan.store.correct(new).await? {
        Corrected::Done => lan.due.ring(),
        Corrected::AsItWas => {}
        Corrected::NoSuchSegment => {
            let detail = "the transcript has no segment of this speaker that starts there; it may \
                          have been made anew";
            return Err(Problem::not_found(detail));
        }
    }
    Ok(Json(whole(&lan, &sid).await?))
}

/// Takes a text that people wrote: in one piece, and not a book.
fn kept(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > TEXT_CHARS_MAX {
        let detail = format!("the text has 1 to {TEXT_CHARS_MAX} letters");
        return Err(Problem::bad_parameter("text", detail));
    }
    Ok(text.to_owned())
}

fn json<'a, T: Deserialize<'a>>(body: &'a [u8], like: &str) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|_| Problem::bad_request(format!("the body is JSON like {like}")))
}

async fn whole(lan: &LanState, sid: &str) -> Result<Call, Problem> {
    let detail = lan.store.call(&call_sid(sid)?).await?.ok_or_else(no_such_call)?;
    Ok(Call::new(detail, lan.schedule.held()))
}

/// `GET /api/v1/contacts`
pub(super) async fn contacts(State(lan): State<LanState>) -> Result<Json<Contacts>, Problem> {
    Ok(Json(lan.store.contacts().await?.into()))
}

#[derive(Debug, Deserialize)]
struct ContactsBody {
    contacts: Vec<ContactBody>,
    #[serde(default)]
    only: bool,
}

#[derive(Debug, Deserialize)]
struct ContactBody {
    number: String,
    name: String,
}

/// `POST /api/v1/contacts`
pub(super) async fn import_contacts(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<Json<Imported>, Problem> {
    let like = "{\"contacts\":[{\"number\":\"+15125550143\",\"name\":\"Daniel\"}],\"only\":false}";
    let asked: ContactsBody = json(&body, like)?;
    let contacts = asked.contacts.into_iter().map(contact).collect::<Result<Vec<_>, _>>()?;
    let actor = actor.name.to_string();
    let now = lan.clock.now();
    Ok(Json(lan.store.import_contacts(contacts, asked.only, actor, now).await?.into()))
}

fn contact(body: ContactBody) -> Result<Contact, Problem> {
    let ContactBody { number, name } = body;
    let digits = number.strip_prefix('+').unwrap_or_default();
    if !(4..=15).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        let detail = "numbers are E.164, like +15125550143";
        return Err(Problem::bad_parameter("number", detail));
    }
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        let detail = format!("a name has 1 to {NAME_CHARS_MAX} letters");
        return Err(Problem::bad_parameter("name", detail));
    }
    Ok(Contact { number, name })
}

/// `GET /api/v1/numbers`
pub(super) async fn numbers(
    State(lan): State<LanState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Numbers>, Problem> {
    let (mut typed, mut after, mut wanted) = (None, None, NUMBERS_DEFAULT);
    for (key, value) in form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes()) {
        match &*key {
            _ if value.is_empty() => {}
            "q" => typed = Some(value.into_owned()),
            "cursor" => {
                let told = "not a `next_cursor` of an earlier answer";
                let cursor = NumberCursor::from_text(&value);
                after = Some(cursor.ok_or_else(|| Problem::bad_parameter("cursor", told))?);
            }
            "limit" => wanted = limit(&value)?,
            _ => {}
        }
    }
    Ok(Json(lan.store.numbers(typed, after, wanted).await?.into()))
}

/// `GET /api/v1/numbers/{number}`
pub(super) async fn number(
    State(lan): State<LanState>,
    Path(number): Path<String>,
) -> Result<Json<Number>, Problem> {
    let found: Option<(store::NumberRow, Vec<store::OpenItem>)> = lan.store.number(&number).await?;
    let (row, items) = found.ok_or_else(|| Problem::not_found("no call has this number"))?;
    Ok(Json(Number::with_items(row, items)))
}
