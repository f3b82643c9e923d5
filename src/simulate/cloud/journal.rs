//! What was asked of the API.

use super::faults::Endpoint;
use crate::domain::UnixMillis;

/// One request, in the order in which they came.
#[derive(Debug, Clone)]
pub struct Request {
    /// When it came, by the clock of this Twilio.
    pub at: UnixMillis,
    /// What it asked for.
    pub endpoint: Endpoint,
    /// `GET`, `POST`, …
    pub method: String,
    /// The path as it came.
    pub path: String,
    /// The query, decoded, in its order.
    pub query: Vec<(String, String)>,
    /// The form, decoded, in its order.
    pub form: Vec<(String, String)>,
    /// Whether it carried any credentials at all.
    pub has_credentials: bool,
    /// Whether they were the right ones.
    pub authorised: bool,
    /// The `Range` it asked for.
    pub range: Option<String>,
    /// The status of its answer; none while there is none, and when it was lost.
    pub status: Option<u16>,
}

impl Request {
    /// Returns the first value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        value(&self.query, name)
    }

    /// Returns the first value of a field of the form.
    pub fn field(&self, name: &str) -> Option<&str> {
        value(&self.form, name)
    }
}

/// Returns the first value under a name.
pub(super) fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Decodes a query or a form.
pub(super) fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}
