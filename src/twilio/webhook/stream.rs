//! News of a media stream, told beside its socket.

use super::{Form, WebhookError, iso8601, optional_text, required_sid, required_text};
use crate::domain::{AccountSid, CallSid, StreamSid, UnixMillis};

/// What happened to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// It runs.
    Started,
    /// It has ended.
    Stopped,
    /// Twilio could not go on with it.
    Error,
    /// A word not known here.
    Other(String),
}

/// `POST /twilio/stream-status`: news of a media stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStatusCallback {
    /// The call.
    pub call_sid: CallSid,
    /// Whose it is.
    pub account_sid: AccountSid,
    /// The stream.
    pub stream_sid: StreamSid,
    /// What happened.
    pub event: StreamEvent,
    /// What went wrong, in Twilio's words.
    pub error: Option<String>,
    /// When.
    pub timestamp: Option<UnixMillis>,
}

impl StreamStatusCallback {
    /// Reads the form.
    pub fn from_form(form: &Form) -> Result<Self, WebhookError> {
        Ok(Self {
            call_sid: required_sid(form, "CallSid")?,
            account_sid: required_sid(form, "AccountSid")?,
            stream_sid: required_sid(form, "StreamSid")?,
            event: match required_text(form, "StreamEvent")? {
                "stream-started" => StreamEvent::Started,
                "stream-stopped" => StreamEvent::Stopped,
                "stream-error" => StreamEvent::Error,
                other => StreamEvent::Other(other.to_owned()),
            },
            error: optional_text(form, "StreamError"),
            timestamp: iso8601(form, "Timestamp"),
        })
    }
}
