//! Whether a request is Twilio's, and what to say when it is not.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{DoorState, Gatekeeper};
use crate::domain::AccountSid;
use crate::twilio::door::{Arrival, Knock};
use crate::twilio::form::Form;
use crate::twilio::signature::SignedBody;
use crate::twilio::webhook::WebhookError;

/// A form that Twilio signed.
pub(super) struct Signed {
    pub(super) form: Form,
    pub(super) gatekeeper: Gatekeeper,
}

/// Why a request goes no further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Turned {
    /// It is not Twilio's, or not for our account.
    #[error("{why}")]
    Away {
        /// For the log; the answer does not say.
        why: String,
    },
    /// It is Twilio's and makes no sense.
    #[error("{why}")]
    Bad {
        /// What is wrong with it.
        why: String,
    },
    /// It is too large.
    #[error("the body is larger than 64 KiB")]
    TooLarge,
    /// The ledger cannot take it now; Twilio sends it again.
    #[error("{why}")]
    Later {
        /// What stands in the way.
        why: String,
    },
}

impl IntoResponse for Turned {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Away { .. } => StatusCode::FORBIDDEN,
            Self::Bad { .. } | Self::TooLarge => StatusCode::BAD_REQUEST,
            Self::Later { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        tracing::warn!(event = "webhook.refused", status = status.as_u16(), error = %self, "a request to Twilio's door was refused: {self}");
        status.into_response()
    }
}

impl From<WebhookError> for Turned {
    fn from(error: WebhookError) -> Self {
        Self::Bad { why: error.to_string() }
    }
}

impl FromRequest<DoorState> for Signed {
    type Rejection = Turned;

    async fn from_request(request: Request, state: &DoorState) -> Result<Self, Turned> {
        let (parts, body) = request.into_parts();
        let gatekeeper = gatekeeper(state)?;
        let request = Request::from_parts(parts.clone(), body);
        let body = Bytes::from_request(request, state).await.map_err(|_| Turned::TooLarge)?;
        let form = Form::parse(&body).map_err(|error| Turned::Bad { why: error.to_string() })?;
        let signed = if is_json(&parts.headers) {
            SignedBody::Json(&body)
        } else {
            SignedBody::Form(form.pairs())
        };
        check(&gatekeeper, &parts, Arrival::Webhook, signed)?;
        Ok(Self { form, gatekeeper })
    }
}

/// Checks a WebSocket upgrade.
pub(super) fn check_upgrade(state: &DoorState, parts: &Parts) -> Result<Gatekeeper, Turned> {
    let gatekeeper = gatekeeper(state)?;
    check(&gatekeeper, parts, Arrival::Upgrade, SignedBody::None)?;
    Ok(gatekeeper)
}

/// Checks that a request speaks of our account.
pub(super) fn check_account(
    gatekeeper: &Gatekeeper,
    account_sid: &AccountSid,
) -> Result<(), Turned> {
    if *account_sid == gatekeeper.account_sid {
        return Ok(());
    }
    Err(Turned::Away { why: format!("it is for account {account_sid}, which is not ours") })
}

fn gatekeeper(state: &DoorState) -> Result<Gatekeeper, Turned> {
    state.settings.borrow().gatekeeper.clone().ok_or_else(|| Turned::Away {
        why: "twilio.account_sid, twilio.auth_token and server.public_url are not all set"
            .to_owned(),
    })
}

fn check(
    gatekeeper: &Gatekeeper,
    parts: &Parts,
    arrival: Arrival,
    body: SignedBody<'_>,
) -> Result<(), Turned> {
    let Some(door) = &gatekeeper.door else { return Ok(()) };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let knock = Knock {
        arrival,
        target,
        body,
        signature: text("x-twilio-signature"),
        settings: text("x-twilio-webhooks-signature-settings"),
    };
    door.check(knock).map_err(|error| Turned::Away {
        why: format!("{} to {}: {error}", parts.method, parts.uri.path()),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/json"))
}
