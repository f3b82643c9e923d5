//! Errors as the API tells them: `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

use crate::access::AccessError;
use crate::domain::Role;
use crate::store::StoreError;

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    kind: &'static str,
    status: StatusCode,
    title: &'static str,
    detail: String,
    parameter: Option<&'static str>,
}

#[derive(Serialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
}

impl Problem {
    fn new(kind: &'static str, status: StatusCode, title: &'static str, detail: String) -> Self {
        Self { kind, status, title, detail, parameter: None }
    }

    /// A parameter that cannot be read.
    pub(super) fn bad_parameter(parameter: &'static str, detail: impl Into<String>) -> Self {
        let title = "A parameter cannot be read";
        let problem = Self::new("bad-parameter", StatusCode::BAD_REQUEST, title, detail.into());
        Self { parameter: Some(parameter), ..problem }
    }

    /// A request that is not one at all.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        let title = "The request cannot be read";
        Self::new("bad-request", StatusCode::BAD_REQUEST, title, detail.into())
    }

    /// A route or thing that is not here.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new("not-found", StatusCode::NOT_FOUND, "Not here", detail.into())
    }

    /// A thing that is not ready or not in the state asked for.
    pub(super) fn not_yet(detail: impl Into<String>) -> Self {
        Self::new("not-yet", StatusCode::CONFLICT, "Not possible now", detail.into())
    }

    /// A request that another site may have sent in the viewer's name.
    pub(super) fn foreign_origin() -> Self {
        let detail = "changes are taken from this appliance's own page, or from a program that \
                      sends the header `X-Fieldtape: 1`";
        let title = "The request came from elsewhere";
        Self::new("foreign-origin", StatusCode::FORBIDDEN, title, detail.to_owned())
    }

    /// A form that does not carry the key of its session.
    pub(super) fn stale_form() -> Self {
        let detail = "this form is not from a page of your session: load the page again, then \
                      send it once more";
        Self::new("stale-form", StatusCode::FORBIDDEN, "The form is out of date", detail.to_owned())
    }

    /// A request that says nothing about who sends it, or nothing that is still true.
    pub(super) fn log_in() -> Self {
        let detail = "log in on the appliance's page, or send a token: `Authorization: Bearer …`";
        Self::new("log-in", StatusCode::UNAUTHORIZED, "Nobody is logged in", detail.to_owned())
    }

    /// A request of somebody who may not make it.
    pub(super) fn not_allowed(is: Role, needed: Role) -> Self {
        let detail =
            format!("this takes the role {needed}, and yours is {is}; an admin can change it");
        Self::new("not-allowed", StatusCode::FORBIDDEN, "Your role does not allow this", detail)
    }

    /// Guesses that come too fast.
    pub(super) fn too_often(detail: String) -> Self {
        Self::new("too-often", StatusCode::TOO_MANY_REQUESTS, "Too many tries", detail)
    }

    /// A name or password that cannot be taken as it is.
    pub(super) fn not_acceptable(detail: String) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new("not-acceptable", status, "That cannot be taken", detail)
    }

    /// A body that is longer than anything that is sent here.
    pub(super) fn too_large() -> Self {
        let detail = "the body is longer than anything that is sent here".to_owned();
        Self::new("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large", detail)
    }

    /// A fault of this machine.
    pub(super) fn broken(detail: String) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new("broken", status, "Something broke here", detail)
    }

    /// A request that needs a user where none exists yet.
    pub(super) fn first_run() -> Self {
        let detail = "this address is reachable from the network and there is no user yet: make the \
                      first one on the appliance's page";
        Self::new("first-run", StatusCode::FORBIDDEN, "Not from the network", detail.to_owned())
    }

    /// A `Host` that is none of ours.
    pub(super) fn wrong_host() -> Self {
        let detail = "this name is not one of the appliance's; use its address or host name";
        let status = StatusCode::MISDIRECTED_REQUEST;
        Self::new("wrong-host", status, "Not this appliance's name", detail.to_owned())
    }

    /// A range that lies beyond the end.
    pub(super) fn beyond_the_end(len_bytes: u64) -> Self {
        let detail = format!("the file has {len_bytes} bytes");
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        Self::new("beyond-the-end", status, "The range lies beyond the end", detail)
    }

    /// Sound that the ledger knows and the disk does not give.
    pub(super) fn sound_unreadable() -> Self {
        let detail = "the ledger knows this recording, but its file cannot be read; the journal \
                      says why";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new("sound-unreadable", status, "The recording cannot be read", detail.to_owned())
    }

    /// Ports, ledger or disk not in order.
    pub(super) fn not_ready(detail: String) -> Self {
        Self::new("not-ready", StatusCode::SERVICE_UNAVAILABLE, "Not ready", detail)
    }

    /// Returns the status of a page that tells why somebody is not let in.
    pub(super) const fn from_refusal(error: &AccessError) -> StatusCode {
        match error {
            AccessError::Wrong | AccessError::WrongCode => StatusCode::UNAUTHORIZED,
            AccessError::TooOften { .. } => StatusCode::TOO_MANY_REQUESTS,
            AccessError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            AccessError::Hash(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// Returns the status.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the short form.
    pub(super) const fn title(&self) -> &'static str {
        self.title
    }

    /// Returns what may be told.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        error!(%error, "the ledger did not answer a viewer");
        let detail = "the appliance cannot read or write its ledger just now; try again, and see \
                      the journal if it stays so";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new("ledger-unavailable", status, "The ledger does not answer", detail.to_owned())
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let detail = error.to_string();
        match error {
            AccessError::Wrong | AccessError::WrongCode => {
                Self::new("wrong", StatusCode::UNAUTHORIZED, "That is not right", detail)
            }
            AccessError::TooOften { .. } => Self::too_often(detail),
            AccessError::BadName | AccessError::WeakPassword(_) => Self::not_acceptable(detail),
            AccessError::Unknown => Self::not_found(detail),
            AccessError::Taken | AccessError::LastAdmin => Self::not_yet(detail),
            AccessError::Store(error) => error.into(),
            AccessError::Hash(why) => {
                error!(error = %why, "a password could not be worked on");
                Self::broken(detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let wire = Wire {
            kind: format!("urn:fieldtape:problem:{}", self.kind),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            parameter: self.parameter,
        };
        let mut response = (self.status, Json(wire)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if self.status == StatusCode::UNAUTHORIZED {
            let how = HeaderValue::from_static("Bearer realm=\"fieldtape\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
        }
        response
    }
}
