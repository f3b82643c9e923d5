//! Answers that say no, and what becomes of any answer's body on its way.

use std::io;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};

use super::faults::Fault;

/// What a refusal is written in: sound is refused in XML, everything else in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Json,
    Xml,
}

/// A request that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: Option<u32>,
    pub(super) message: &'static str,
}

impl Refusal {
    pub(super) const UNAUTHORISED: Self =
        Self { status: 401, code: Some(20_003), message: "Authenticate" };
    pub(super) const NOT_FOUND: Self =
        Self { status: 404, code: Some(20_404), message: "The requested resource was not found" };
    pub(super) const NOT_ELIGIBLE: Self = Self {
        status: 400,
        code: Some(21_220),
        message: "Unable to create record: Requested resource is not eligible for recording",
    };
    pub(super) const BAD_EVENT: Self = Self {
        status: 400,
        code: Some(21_626),
        message: "The recordingStatusCallbackEvent is invalid",
    };
    pub(super) const BAD_PARAMETER: Self =
        Self { status: 400, code: Some(20_001), message: "Invalid parameter" };
    pub(super) const NO_SECOND_CHANNEL: Self =
        Self { status: 400, code: None, message: "RequestedChannels is not available" };
    pub(super) const STILL_RECORDING: Self =
        Self { status: 409, code: None, message: "The recording is still in progress" };
    const TOO_MANY: Self = Self { status: 429, code: Some(20_429), message: "Too Many Requests" };

    pub(super) fn into_response(self, style: Style) -> Response {
        let Self { status, code, message } = self;
        let (kind, body) = match style {
            Style::Json => {
                let mut body = json!({"message": message, "status": status});
                if let (Some(code), Some(fields)) = (code, body.as_object_mut()) {
                    fields.insert("code".to_owned(), code.into());
                    fields.insert("more_info".to_owned(), more_info(code).into());
                }
                ("application/json", body.to_string())
            }
            Style::Xml => ("application/xml", xml(status, code, message)),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, kind)], body).into_response()
    }
}

fn more_info(code: u32) -> String {
    format!("https://www.twilio.com/docs/errors/{code}")
}

fn xml(status: u16, code: Option<u32>, message: &str) -> String {
    let code = code.map_or_else(String::new, |code| {
        format!("<Code>{code}</Code><MoreInfo>{}</MoreInfo>", more_info(code))
    });
    format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><RestException>{code}\
         <Message>{message}</Message><Status>{status}</Status></RestException></TwilioResponse>"
    )
}

/// Answers with JSON.
pub(super) fn json_answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    let kind = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
}

/// Returns what a fault answers in the request's stead.
pub(super) fn instead(fault: &Fault, style: Style) -> Option<Response> {
    let response = match fault {
        Fault::Refused { status, code } => {
            let message = "as a test has asked for";
            Refusal { status: *status, code: *code, message }.into_response(style)
        }
        Fault::TooManyRequests { retry_after_s } => {
            let mut response = Refusal::TOO_MANY.into_response(style);
            if let Some(seconds) = retry_after_s {
                response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
            }
            response
        }
        Fault::ErrorPage { content_type } => {
            let Refusal { status, code, message } = Refusal::NOT_FOUND;
            ([(header::CONTENT_TYPE, *content_type)], xml(status, code, message)).into_response()
        }
        Fault::RedirectTo(address) => {
            // An address that no header can carry leads nowhere.
            let address = HeaderValue::from_str(address)
                .unwrap_or_else(|_| HeaderValue::from_static("about:blank"));
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, address)]).into_response()
        }
        _ => return None,
    };
    Some(response)
}

/// Lets a fault at an answer's body.
pub(super) fn spoil(response: Response, fault: &Fault) -> Response {
    let (mut parts, body) = response.into_parts();
    let length = body
        .size_hint()
        .exact()
        .or_else(|| parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok());
    let whole = length.unwrap_or(u64::MAX);
    let (told, body) = match fault {
        Fault::CutAfter(bytes) if *bytes < whole => (length, cut_after(body, *bytes)),
        Fault::TruncatedTo(bytes) => {
            let bytes = whole.min(*bytes);
            (Some(bytes), Body::from_stream(first(body, bytes)))
        }
        Fault::ClaimsMore(more) => (length.map(|length| length + more), cut_after(body, whole)),
        Fault::LengthUntold => (None, Body::from_stream(body.into_data_stream())),
        _ => (length, body),
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    if let Some(told) = told {
        parts.headers.insert(header::CONTENT_LENGTH, told.into());
    }
    Response::from_parts(parts, body)
}

/// Breaks the connection behind the body's first bytes, once they are on their way.
fn cut_after(body: Body, bytes: u64) -> Body {
    let end = stream::once(async {
        // What was handed over is written out as soon as there is nothing more at hand.
        tokio::task::yield_now().await;
        Err(axum::Error::new(io::Error::from(io::ErrorKind::ConnectionReset)))
    });
    Body::from_stream(first(body, bytes).chain(end))
}

fn first(body: Body, bytes: u64) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send {
    let parts = body.into_data_stream();
    stream::unfold((parts, bytes), |(mut parts, left)| async move {
        if left == 0 {
            return None;
        }
        let part = parts.next().await?.map(|mut part| {
            part.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            part
        });
        let came = part.as_ref().map_or(0, Bytes::len) as u64;
        Some((part, (parts, left - came)))
    })
}
