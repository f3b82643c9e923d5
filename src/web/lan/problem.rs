//! Errors as the API tells them: `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

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

    /// A request that needs a user where none exists yet.
    pub(super) fn first_run() -> Self {
        let detail = "this address is reachable from the network and nobody can log in yet, so \
                      calls are shown on the appliance itself only";
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
        response
    }
}
