//! Webhooks: what Twilio's signed forms say.
//!
//! Fields we do not know are ignored, a malformed SID is an error that names its field, and a
//! number or time that cannot be read is taken for absent: the news in the other fields counts
//! more.

mod call;
mod recording;
mod stream;

pub use call::{CallStatus, CallStatusCallback, VoiceDirection, VoiceRequest};
pub use recording::{CloudStatus, RecordingStatusCallback, RecordingTrack};
pub use stream::{StreamEvent, StreamStatusCallback};

use std::str::FromStr;

use super::form::Form;
use super::moment;
use crate::domain::{BadSid, UnixMillis};

/// A form that is not the webhook it was sent as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// A field without which the rest has no meaning.
    #[error("field {field} is missing")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// An identifier of another shape than Twilio's.
    #[error("field {field} is {source}")]
    BadSid {
        /// Its name.
        field: &'static str,
        /// Which kind it should have been.
        source: BadSid,
    },
}

fn required_sid<S: FromStr<Err = BadSid>>(
    form: &Form,
    field: &'static str,
) -> Result<S, WebhookError> {
    optional_sid(form, field)?.ok_or(WebhookError::Missing { field })
}

fn optional_sid<S: FromStr<Err = BadSid>>(
    form: &Form,
    field: &'static str,
) -> Result<Option<S>, WebhookError> {
    let parse = |text: &str| text.parse().map_err(|source| WebhookError::BadSid { field, source });
    form.filled(field).map(parse).transpose()
}

fn required_text<'a>(form: &'a Form, field: &'static str) -> Result<&'a str, WebhookError> {
    form.filled(field).ok_or(WebhookError::Missing { field })
}

fn optional_text(form: &Form, field: &str) -> Option<String> {
    form.filled(field).map(str::to_owned)
}

fn number<N: FromStr>(form: &Form, field: &str) -> Option<N> {
    form.filled(field)?.parse().ok()
}

fn rfc2822(form: &Form, field: &str) -> Option<UnixMillis> {
    moment::rfc2822(form.filled(field)?)
}

fn iso8601(form: &Form, field: &str) -> Option<UnixMillis> {
    moment::iso8601(form.filled(field)?)
}

#[cfg(test)]
mod tests;
