//! The one place where a secret meets a request.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RANGE};
use reqwest::{ClientBuilder, Method, Response};

use super::RestError;
use super::origin::Origin;
use super::target::Target;
use super::world::World;
use crate::domain::AccountSid;

/// The largest JSON body that is read. A page of 1000 recordings has about 2 MiB.
const JSON_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Credentials that cannot be written into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCredentials {
    /// Anybody could send these.
    #[error("user and secret must not be empty")]
    Empty,
    /// A character that would end the user's part, or the header.
    #[error("user and secret are letters and digits, as Twilio's console shows them")]
    Malformed,
}

/// What proves to Twilio who we are, bound to the one origin that may see it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    origin: Origin,
    authorization: HeaderValue,
}

impl Credentials {
    /// Takes an API key's SID and secret, or the account's SID and auth token.
    pub fn new(origin: Origin, user: &str, secret: &str) -> Result<Self, BadCredentials> {
        let (user, secret) = (user.trim(), secret.trim());
        if user.is_empty() || secret.is_empty() {
            return Err(BadCredentials::Empty);
        }
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if !plain(user) || user.contains(':') || !plain(secret) {
            return Err(BadCredentials::Malformed);
        }
        let basic = format!("Basic {}", BASE64.encode(format!("{user}:{secret}")));
        let mut authorization =
            HeaderValue::from_str(&basic).map_err(|_| BadCredentials::Malformed)?;
        authorization.set_sensitive(true);
        Ok(Self { origin, authorization })
    }

    /// Returns where they may be sent.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// Shows where they go, never what they are.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Credentials(secret, for {})", self.origin)
    }
}

/// How long to wait for the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, its encryption included.
    pub connect: Duration,
    /// For the next byte.
    pub idle: Duration,
    /// For a whole answer that is not sound. Sound may take as long as bytes come.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            // A page of 2 MiB over the poorest mobile link; a stalled one ends by `idle`.
            answer: Duration::from_mins(5),
        }
    }
}

impl Timeouts {
    /// Begins a client that follows no redirect and waits no longer than this. One request has
    /// one connection: a transfer that stalls holds up no other.
    pub(super) fn client(self, world: &World) -> ClientBuilder {
        reqwest::Client::builder()
            .user_agent(concat!("fieldtape/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .connect_timeout(self.connect)
            .read_timeout(self.idle)
            .tls_certs_merge(world.authorities.iter().cloned())
            .dns_resolver(world.names.clone())
    }
}

/// One request to the origin.
pub(super) struct Ask {
    method: Method,
    target: Target,
    fields: Vec<(&'static str, String)>,
    from_byte: u64,
    is_sound: bool,
}

impl Ask {
    pub(super) fn get(target: Target) -> Self {
        Self { method: Method::GET, target, fields: Vec::new(), from_byte: 0, is_sound: false }
    }

    pub(super) fn post(target: Target, fields: Vec<(&'static str, String)>) -> Self {
        Self { method: Method::POST, fields, ..Self::get(target) }
    }

    pub(super) fn delete(target: Target) -> Self {
        Self { method: Method::DELETE, ..Self::get(target) }
    }

    /// Asks for sound, however long it takes, perhaps not from its start.
    pub(super) fn sound(target: Target, from_byte: u64) -> Self {
        Self { from_byte, is_sound: true, ..Self::get(target) }
    }
}

/// The line to our account at the origin.
pub(super) struct Line {
    http: reqwest::Client,
    credentials: Credentials,
    pub(super) account: AccountSid,
    pub(super) timeouts: Timeouts,
    pub(super) world: World,
}

impl Line {
    pub(super) fn new(
        credentials: Credentials,
        account: AccountSid,
        timeouts: Timeouts,
        world: World,
    ) -> Result<Self, reqwest::Error> {
        let mut http = timeouts.client(&world);
        if credentials.origin.is_encrypted() {
            // The environment's proxy may carry it: it sees a tunnel and the origin's name.
            http = http.https_only(true);
        } else {
            // A proxy would read the credentials, and would not reach this machine anyway.
            http = http.no_proxy();
        }
        Ok(Self { http: http.build()?, credentials, account, timeouts, world })
    }

    /// Sends a request to the origin, with credentials, and returns the answer's head. The
    /// dressed request never leaves this function.
    pub(super) async fn send(&self, ask: Ask) -> Result<Response, RestError> {
        let changes = ask.method == Method::POST;
        let url = self.credentials.origin.url(&ask.target);
        let mut request = self
            .http
            .request(ask.method, url)
            .header(AUTHORIZATION, self.credentials.authorization.clone());
        if !ask.fields.is_empty() {
            request = request.form(&ask.fields);
        }
        if let Some(range) = range(ask.from_byte) {
            request = request.header(RANGE, range);
        }
        if !ask.is_sound {
            request = request.timeout(self.timeouts.answer);
        }
        let cut = if changes { RestError::cut_while_changing } else { RestError::cut };
        request.send().await.map_err(cut)
    }
}

/// Returns the header that asks for all bytes from one on.
pub(super) fn range(from_byte: u64) -> Option<String> {
    (from_byte > 0).then(|| format!("bytes={from_byte}-"))
}

/// An answer of success, read whole.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Reads an answer's body; any status but success is an error.
pub(super) async fn read(mut response: Response) -> Result<Answer, RestError> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = body(&mut response).await;
    if status.is_success() {
        Ok(Answer { status: status.as_u16(), headers, body: body? })
    } else {
        // A refusal whose words were cut off is a refusal all the same.
        Err(RestError::of_answer(status, &headers, &body.unwrap_or_default()))
    }
}

async fn body(response: &mut Response) -> Result<Vec<u8>, RestError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(RestError::cut)? {
        if body.len() + chunk.len() > JSON_BYTES_MAX {
            return Err(RestError::garbled("more than 8 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_plain_and_do_not_print() {
        let new = |user, secret| {
            Credentials::new(Origin::parse("https://api.twilio.com").unwrap(), user, secret)
        };
        let credentials = new("SK1", "s3cret\n").unwrap();
        assert_eq!(
            format!("{credentials:?} {:?}", credentials.authorization),
            "Credentials(secret, for https://api.twilio.com) Sensitive"
        );
        for (user, secret, error) in [
            ("", "s", BadCredentials::Empty),
            ("SK1", " \n", BadCredentials::Empty),
            ("SK:1", "s", BadCredentials::Malformed),
            ("SK1", "a\r\nHost: evil.test", BadCredentials::Malformed),
            ("SKé", "s", BadCredentials::Malformed),
        ] {
            assert_eq!(new(user, secret).unwrap_err(), error);
        }
    }
}
