//! Erasing calls here, in the archive and at Twilio: the wish, and the certificate.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use serde::Deserialize;
use serde_json::{Value, json};

use super::LanState;
use super::keeping::read;
use super::problem::Problem;
use super::query::call_sid;
use super::wire::rfc3339;
use crate::access::Actor;
use crate::retention::{as_json, as_text};
use crate::store::{Begun, Erasable, ErasureOf, NewErasure};

/// Erasures told of at once, the newest.
const LISTED_MAX: u32 = 100;

/// The fewest digits that are taken for a whole number: a shorter one could be anybody's.
const DIGITS_MIN: usize = 5;

/// What stands in the body of a wish to erase by number.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EraseBody {
    number: String,
    dry_run: bool,
}

/// `DELETE /api/v1/calls/{call_sid}`
pub(super) async fn call(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(sid): Path<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let sid = call_sid(&sid)?;
    erase(&lan, &actor, ErasureOf::Call(sid)).await
}

/// `POST /api/v1/erasures`: every call of a number; with `dry_run`, only which those are.
pub(super) async fn number(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let EraseBody { number, dry_run } = read(&body, "{\"number\":\"+15550100\"}")?;
    let number = plain(&number)?;
    if dry_run {
        let found = lan.store.erasable(ErasureOf::Number(number)).await?;
        let calls: Vec<Value> = found.iter().map(shown).collect();
        return Ok((StatusCode::OK, Json(json!({ "dry_run": true, "calls": calls }))));
    }
    erase(&lan, &actor, ErasureOf::Number(number)).await
}

/// `GET /api/v1/erasures`
pub(super) async fn list(State(lan): State<LanState>) -> Result<Json<Value>, Problem> {
    let erasures = lan.store.erasures(LISTED_MAX).await?;
    let erasures: Vec<Value> = erasures.iter().map(as_json).collect();
    Ok(Json(json!({ "erasures": erasures })))
}

/// `GET /api/v1/erasures/{id}`, for a person with `?format=txt`
pub(super) async fn certificate(
    State(lan): State<LanState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let no_such = || Problem::not_found("no such certificate");
    let erasure = lan.store.erasure(id).await?.ok_or_else(no_such)?;
    let query = query.unwrap_or_default();
    let format = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "format");
    match format.as_ref().map(|(_, format)| &**format) {
        None | Some("" | "json") => Ok(Json(as_json(&erasure)).into_response()),
        Some("txt") => {
            let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            Ok((kind, as_text(&erasure)).into_response())
        }
        Some(_) => Err(Problem::bad_parameter("format", "neither json nor txt")),
    }
}

/// Has calls erased, and answers with the certificate as it stands after what could be done at
/// once.
async fn erase(
    lan: &LanState,
    actor: &Actor,
    of: ErasureOf,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let id = fresh_id()?;
    let wish = NewErasure {
        id: id.clone(),
        of,
        actor: actor.name.to_string(),
        at: lan.clock.now(),
        clock_synced: lan.clock.synchronised(),
        has_archive: lan.has_archive,
    };
    match lan.store.erase(wish).await? {
        Begun::Begun => {}
        Begun::Nothing => return Err(Problem::not_found("no such call")),
        Begun::Held => {
            let why = "the call is held: nothing of it is deleted until it is released";
            return Err(Problem::not_yet(why));
        }
        Begun::Live => {
            return Err(Problem::not_yet("the call has not ended: it is still recorded"));
        }
        Begun::Already(other) => {
            return Err(Problem::not_yet(format!("the call is being erased already, by {other}")));
        }
    }
    tracing::info!(event = "erase.asked", "erasure {id} was asked for by {}", actor.name);
    lan.keeper.erase_here().await?;
    lan.due.ring();
    let erasure = lan.store.erasure(id).await?;
    let erasure = erasure.ok_or_else(|| Problem::not_found("no such certificate"))?;
    Ok((StatusCode::ACCEPTED, Json(as_json(&erasure))))
}

fn shown(call: &Erasable) -> Value {
    json!({
        "call_sid": call.call_sid.as_str(),
        "began_at": rfc3339(call.began_at),
        "kept": call.kept(),
    })
}

/// Takes what people put between the digits of a number out of it.
fn plain(number: &str) -> Result<String, Problem> {
    let bad = |what: &str| Problem::bad_parameter("number", what);
    if number.contains(':') {
        // A client or SIP address is what it is, to the letter.
        return Ok(number.trim().to_owned());
    }
    let plain: String =
        number.chars().filter(|c| !c.is_whitespace() && !"-().".contains(*c)).collect();
    let digits = plain.strip_prefix('+').unwrap_or(&plain);
    if !digits.bytes().all(|b| b.is_ascii_digit()) || digits.is_empty() {
        return Err(bad("not a telephone number; write it like +15550100, as the list shows it"));
    }
    if digits.len() < DIGITS_MIN {
        return Err(bad("too short to be a whole telephone number"));
    }
    Ok(plain)
}

/// Makes the number of a certificate.
fn fresh_id() -> Result<String, Problem> {
    let mut bytes = [0; 8];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| Problem::not_ready("the machine has no randomness to give yet".to_owned()))?;
    Ok(format!("ER{:016x}", u64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_as_people_write_it_and_part_of_one_is_not() {
        assert_eq!(plain(" +1 (512) 555-0143 ").unwrap(), "+15125550143");
        assert_eq!(plain("client:anna").unwrap(), "client:anna");
        for bad in ["", "+", "+123", "anna", "+1512555014x", "%"] {
            assert!(plain(bad).is_err(), "{bad}");
        }
    }
}
