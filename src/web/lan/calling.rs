//! Ringing a number, for the API and for the page.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::Redirect;
use axum::{Extension, Json};
use serde::Deserialize;

use super::LanState;
use super::pages::PageProblem;
use super::problem::Problem;
use super::wire::Call;
use crate::access::Actor;
use crate::calling::NotRung;
use crate::contacts::BadNumber;
use crate::domain::{CallSid, last_four};

/// What stands in the body of an order.
#[derive(Debug, Deserialize)]
struct OrderBody {
    to: String,
}

/// `POST /api/v1/calls`
pub(super) async fn order(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Call>), Problem> {
    let OrderBody { to } = serde_json::from_slice(&body)
        .map_err(|_| Problem::bad_request("the body is JSON like {\"to\":\"+15125550123\"}"))?;
    let sid = ring(&lan, &actor, &to).await?;
    let detail = lan.store.call(&sid).await?.ok_or_else(|| Problem::not_found("no such call"))?;
    let place = format!("/api/v1/calls/{}", detail.call.call_sid);
    let call = Call::new(detail, lan.schedule.held());
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(call)))
}

/// `POST /calls`: the form above the list.
pub(super) async fn order_by_form(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<Redirect, PageProblem> {
    let to = form_urlencoded::parse(&body).find(|(key, _)| key == "to");
    let to = to.map(|(_, to)| to.into_owned()).unwrap_or_default();
    match ring(&lan, &actor, &to).await {
        Ok(sid) => Ok(Redirect::to(&format!("/calls/{sid}"))),
        Err(problem) => Err(problem.into()),
    }
}

/// Rings a number, and says so in the audit trail before Twilio is asked.
async fn ring(lan: &LanState, actor: &Actor, to: &str) -> Result<CallSid, Problem> {
    let dialler = lan.dialler.as_ref().ok_or_else(|| {
        Problem::not_yet("nobody can be rung yet: set twilio.account_sid, twilio.auth_token and server.public_url in the configuration")
    })?;
    lan.audit(actor, "call", None, &last_four(to.trim())).await?;
    Ok(dialler.ring(to).await?)
}

impl From<NotRung> for Problem {
    fn from(error: NotRung) -> Self {
        let told = error.to_string();
        match error {
            NotRung::Number(BadNumber::Short { .. }) => Self::not_acceptable(told),
            NotRung::Number(_) => Self::bad_parameter("to", told),
            NotRung::NotSetUp { .. } | NotRung::Already(_) => Self::not_yet(told),
            NotRung::Refused { .. } => Self::not_rung(told),
            NotRung::Store(error) => error.into(),
            NotRung::Broken(_) => Self::broken(told),
        }
    }
}
