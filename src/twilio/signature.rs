//! `X-Twilio-Signature`: who signed a request.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A secret that is nothing but blanks: anybody could sign with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("secret is empty")]
pub struct EmptySecret;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// Takes the secret, without the line end that a secret's file leaves on it.
            pub fn new(text: &str) -> Result<Self, EmptySecret> {
                let text = text.trim();
                if text.is_empty() { Err(EmptySecret) } else { Ok(Self(text.to_owned())) }
            }
        }

        /// Shows that there is one, never what it is.
        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(concat!(stringify!($name), "(secret)"))
            }
        }
    };
}

secret!(
    /// The primary auth token of the account that owns the calls.
    AuthToken
);
secret!(
    /// The secret of a `SharedKey` set up in Twilio's webhook configuration.
    SharedKey
);

/// What a request carries besides its URL, and so how it is signed.
#[derive(Clone, Copy)]
pub enum SignedBody<'a> {
    /// A form, decoded, with blank and repeated fields still in it.
    Form(&'a [(String, String)]),
    /// A JSON body, raw; the URL carries its digest.
    Json(&'a [u8]),
    /// Nothing: a GET or a WebSocket upgrade.
    None,
}

/// Why a request is not taken for Twilio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No header, or an empty one.
    #[error("request carries no X-Twilio-Signature")]
    Missing,
    /// The header is another one's, or the URL or token here differ from those at Twilio.
    #[error(
        "signature does not match: check that auth_token is the account's primary token and that \
         public_url is the address Twilio calls"
    )]
    Mismatch,
    /// A JSON body that nothing in the URL vouches for.
    #[error("JSON request carries no bodySHA256, so nothing vouches for its body")]
    NoBodyDigest,
    /// A JSON body that is not the one that was signed.
    #[error("body does not match its bodySHA256")]
    BodyDigest,
    /// A hash we do not know.
    #[error("signature settings name an unknown algorithm")]
    UnknownAlgorithm,
    /// Signed with a shared key while none is configured.
    #[error("request is signed with a shared key: set twilio.shared_key")]
    NoSharedKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    HmacSha1,
    HmacSha256,
}

/// Makes and checks signatures with one account's secrets.
#[derive(Debug, Clone)]
pub struct Validator {
    auth_token: AuthToken,
    shared_key: Option<SharedKey>,
}

impl Validator {
    /// Takes the account's secrets. HMAC-SHA256 is accepted only with a shared key.
    pub fn new(auth_token: AuthToken, shared_key: Option<SharedKey>) -> Self {
        Self { auth_token, shared_key }
    }

    /// Signs a request as Twilio does: `url` as it was configured there, fields decoded.
    pub fn sign(&self, url: &str, fields: &[(String, String)]) -> String {
        let text = signed_text(&url_that_is_signed(url), fields);
        mac(Algorithm::HmacSha1, self.auth_token.0.as_bytes(), text.as_bytes())
    }

    /// Checks a request against the URL that Twilio called.
    ///
    /// `signature` is `X-Twilio-Signature`, `settings` is
    /// `X-Twilio-Webhooks-Signature-Settings`. The URL passes with its port, without it, and
    /// with its scheme's own.
    pub fn verify(
        &self,
        url: &str,
        body: SignedBody<'_>,
        signature: Option<&str>,
        settings: Option<&str>,
    ) -> Result<(), SignatureError> {
        let signature = signature.filter(|given| !given.is_empty());
        let signature = signature.ok_or(SignatureError::Missing)?;
        let (algorithm, key) = self.algorithm_and_key(settings)?;
        let fields = match body {
            SignedBody::Form(fields) => fields,
            SignedBody::Json(bytes) => {
                check_body_digest(url, bytes)?;
                &[]
            }
            SignedBody::None => &[],
        };
        let matches = port_forms(url).into_iter().any(|form| {
            let expected = mac(algorithm, key.as_bytes(), signed_text(&form, fields).as_bytes());
            same(&expected, signature)
        });
        if matches { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    /// Chooses the secret by the settings header, which is as yet nobody's word: it can only
    /// choose among secrets that are configured.
    fn algorithm_and_key(
        &self,
        settings: Option<&str>,
    ) -> Result<(Algorithm, &str), SignatureError> {
        let setting = |name: &str| {
            let parts = settings.unwrap_or("").split(',').filter_map(|part| part.split_once('='));
            parts.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == name)
        };
        let algorithm = match setting("algorithm") {
            None => return Ok((Algorithm::HmacSha1, &self.auth_token.0)),
            Some((_, "HMAC_SHA1")) => Algorithm::HmacSha1,
            Some((_, "HMAC_SHA256")) => Algorithm::HmacSha256,
            Some(_) => return Err(SignatureError::UnknownAlgorithm),
        };
        match &self.shared_key {
            Some(key) if algorithm == Algorithm::HmacSha256 || setting("key").is_some() => {
                Ok((algorithm, &key.0))
            }
            _ if algorithm == Algorithm::HmacSha1 => Ok((algorithm, &self.auth_token.0)),
            _ => Err(SignatureError::NoSharedKey),
        }
    }
}

fn mac(algorithm: Algorithm, key: &[u8], text: &[u8]) -> String {
    match algorithm {
        Algorithm::HmacSha1 => mac_with::<Hmac<Sha1>>(key, text),
        Algorithm::HmacSha256 => mac_with::<Hmac<Sha256>>(key, text),
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn mac_with<M: Mac + hmac::digest::KeyInit>(key: &[u8], text: &[u8]) -> String {
    let mut mac = <M as Mac>::new_from_slice(key).expect("any key length");
    mac.update(text);
    BASE64.encode(mac.finalize().into_bytes())
}

fn same(expected: &str, given: &str) -> bool {
    bool::from(expected.as_bytes().ct_eq(given.as_bytes()))
}

/// The URL, then every distinct name and value, by name and then by value, byte by byte.
fn signed_text(url: &str, fields: &[(String, String)]) -> String {
    let mut sorted: Vec<&(String, String)> = fields.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut text = String::from(url);
    for (name, value) in sorted {
        text.push_str(name);
        text.push_str(value);
    }
    text
}

fn check_body_digest(url: &str, body: &[u8]) -> Result<(), SignatureError> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let given = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "bodySHA256")
        .map(|(_, value)| value)
        .ok_or(SignatureError::NoBodyDigest)?;
    let expected = Sha256::digest(body).iter().fold(String::new(), |mut hex, byte| {
        hex.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        hex.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        hex
    });
    if same(&expected, &given) { Ok(()) } else { Err(SignatureError::BodyDigest) }
}

/// A URL's text cut at its authority; characters are signed as configured, so nothing is
/// normalised.
struct Parts<'a> {
    scheme: &'a str,
    user: &'a str,
    host: &'a str,
    port: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, after) = url.split_once("://")?;
        let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        let (user, place) = match authority.rfind('@') {
            Some(at) => authority.split_at(at + 1),
            None => ("", authority),
        };
        let host_end = place.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match place[host_end..].rfind(':') {
            Some(colon) => {
                let (host, port) = place.split_at(host_end + colon);
                (host, Some(&port[1..]))
            }
            None => (place, None),
        };
        Some(Self { scheme, user, host, port, rest })
    }

    fn default_port(&self) -> &'static str {
        if matches!(self.scheme, "https" | "wss") { "443" } else { "80" }
    }
}

/// The forms of a URL that its signature may be over: Twilio leaves the port out of an https
/// URL, and behind a proxy one may appear or go.
fn port_forms(url: &str) -> Vec<Cow<'_, str>> {
    let mut forms = vec![Cow::Borrowed(url)];
    if let Some(parts) = Parts::of(url) {
        let Parts { scheme, user, host, port, rest } = parts;
        forms.push(Cow::Owned(match port {
            Some(_) => format!("{scheme}://{user}{host}{rest}"),
            None => format!("{scheme}://{user}{host}:{}{rest}", parts.default_port()),
        }));
    }
    forms
}

/// What Twilio signs of a configured URL: no fragment, no `user:password@`, and no port in an
/// encrypted one.
fn url_that_is_signed(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let Some(Parts { scheme, host, port, rest, .. }) = Parts::of(url) else {
        return url.to_owned();
    };
    match port {
        Some(port) if matches!(scheme, "http" | "ws") => format!("{scheme}://{host}:{port}{rest}"),
        _ => format!("{scheme}://{host}{rest}"),
    }
}

#[cfg(test)]
mod tests;
