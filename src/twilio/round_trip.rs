//! Our own public address, called as Twilio calls it: a signed request that this box answers, and
//! a stream's handshake.
//!
//! It proves what nothing here alone can: that the name, the certificate, the tunnel or proxy and
//! `public_url` together lead a request of Twilio's to this very process.

use std::time::Duration;

use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use reqwest::tls::TlsInfo;
use reqwest::{Client, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::door::PublicUrl;
use super::signature::Validator;
use crate::domain::UnixMillis;

/// Where a round trip leads: signed as all else there, and changing nothing.
pub const ROUND_TRIP: &str = "/twilio/round-trip";

/// The form's one field.
pub const NONCE: &str = "Nonce";

/// The target of a media stream.
pub const MEDIA_STREAM: &str = "/twilio/media-stream";

/// Twilio itself waits no longer for a webhook.
const WITHIN: Duration = Duration::from_secs(15);

/// The answer is a few words; whatever is longer is not ours.
const ANSWER_BYTES_MAX: usize = 4096;

/// What the box answers to a round trip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// What was sent, so that no answer of an earlier day is taken for this one's.
    pub nonce: String,
    /// Which run of fieldtape answers.
    pub instance: String,
}

/// What came back over the public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundTrip {
    /// Which run of fieldtape answered.
    pub instance: String,
    /// Until when the certificate is good.
    pub certificate_until: Option<UnixMillis>,
    /// Whether the handshake of a media stream comes through too, or what came instead.
    pub stream: Result<(), String>,
}

/// Why nothing of ours came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoundTripError {
    /// The machine has no randomness or no encryption to offer.
    #[error("no encrypted connection can be made on this machine; install its ca-certificates")]
    NoClient,
    /// Nobody answers there.
    #[error("nobody answers there: {why}")]
    Unreachable {
        /// What stood in the way.
        why: String,
    },
    /// Somebody answers there with a certificate that is not good.
    #[error("the certificate there is not good: {why}")]
    Certificate {
        /// What is wrong with it.
        why: String,
    },
    /// The signature was not accepted: the address that is signed there is another one.
    #[error("the request came through, and its signature was not accepted")]
    Refused,
    /// Somebody else answers there.
    #[error("something else answers there (HTTP {status})")]
    Elsewhere {
        /// Its answer.
        status: u16,
    },
}

/// Calls our own public address as Twilio would.
pub async fn round_trip(
    public_url: &PublicUrl,
    validator: &Validator,
) -> Result<RoundTrip, RoundTripError> {
    let client = client().map_err(|_| RoundTripError::NoClient)?;
    let nonce = random(&URL_SAFE_NO_PAD)?;
    let url = public_url.webhook(ROUND_TRIP);
    let fields = [(NONCE.to_owned(), nonce.clone())];
    let request = client
        .post(&url)
        .header("x-twilio-signature", validator.sign(&url, &fields))
        .form(&fields)
        .send();
    let response = request.await.map_err(sorted)?;
    let certificate_until = certificate_until(&response);
    let instance = echoed(response, &nonce).await?;
    let stream = handshake(&client, public_url, validator).await;
    Ok(RoundTrip { instance, certificate_until, stream })
}

fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .user_agent(concat!("fieldtape/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .https_only(true)
        // A WebSocket is asked for in HTTP/1.1.
        .http1_only()
        // Each of Twilio's requests comes over a connection of its own, and so do these.
        .pool_max_idle_per_host(0)
        .timeout(WITHIN)
        .tls_info(true)
        .build()
}

fn random(as_text: &impl base64::Engine) -> Result<String, RoundTripError> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes).map_err(|_| RoundTripError::NoClient)?;
    Ok(as_text.encode(bytes))
}

/// Reads which run of fieldtape answered.
async fn echoed(mut response: Response, nonce: &str) -> Result<String, RoundTripError> {
    let status = response.status();
    if status == StatusCode::FORBIDDEN {
        return Err(RoundTripError::Refused);
    }
    let elsewhere = RoundTripError::Elsewhere { status: status.as_u16() };
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(sorted)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(elsewhere);
        }
        body.extend_from_slice(&chunk);
    }
    match serde_json::from_slice::<Echo>(&body) {
        Ok(echo) if status.is_success() && echo.nonce == nonce => Ok(echo.instance),
        _ => Err(elsewhere),
    }
}

/// Asks for a media stream as Twilio does, and hangs up as soon as it is granted: a proxy that does
/// not let WebSockets through costs every call its sound.
async fn handshake(
    client: &Client,
    public_url: &PublicUrl,
    validator: &Validator,
) -> Result<(), String> {
    let key = random(&BASE64).map_err(|error| error.to_string())?;
    let signed = public_url.websocket(MEDIA_STREAM);
    let asked = client
        .get(public_url.webhook(MEDIA_STREAM))
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, key)
        .header("x-twilio-signature", validator.sign(&signed, &[]))
        .send();
    match asked.await {
        Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => Ok(()),
        Ok(answer) => Err(format!("HTTP {}", answer.status().as_u16())),
        Err(error) => Err(sorted(error).to_string()),
    }
}

fn certificate_until(response: &Response) -> Option<UnixMillis> {
    let der = response.extensions().get::<TlsInfo>()?.peer_certificate()?;
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let until_s = certificate.validity().not_after.timestamp();
    Some(UnixMillis::new(until_s.saturating_mul(1000)))
}

/// Sorts a transport's error by its innermost words, without the address, which may be secret.
fn sorted(error: reqwest::Error) -> RoundTripError {
    let error = error.without_url();
    let outer: &dyn std::error::Error = &error;
    let cause = std::iter::successors(Some(outer), |error| error.source()).last();
    let why = cause.unwrap_or(outer).to_string();
    if why.contains("certificate") {
        RoundTripError::Certificate { why }
    } else if error.is_timeout() {
        RoundTripError::Unreachable { why: format!("no answer within {} s", WITHIN.as_secs()) }
    } else {
        RoundTripError::Unreachable { why }
    }
}
