//! The address that Twilio calls us by, and the check at that door.

use url::Url;

use super::signature::{SignatureError, SignedBody, Validator};

/// What every callback URL ends with: five more attempts on whatever goes wrong. Twilio's own
/// rule is one, and only if it could not connect.
const CALLBACK_RETRIES: &str = "#rc=5&rp=all";

/// An address that Twilio cannot call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    /// Not a URL at all.
    #[error("not a URL: {0}")]
    NotAUrl(#[from] url::ParseError),
    /// Another scheme than https.
    #[error("must begin with https://: Twilio streams sound to encrypted addresses only")]
    NotHttps,
    /// A query, a fragment or a password in it.
    #[error("must be a scheme, a host and at most a path: no query, fragment or password")]
    MoreThanABase,
}

/// The https base that Twilio calls, perhaps with a path that a proxy takes off again.
///
/// The text is kept as it was written: signatures are over exact characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    base: String,
}

impl PublicUrl {
    /// Takes the configured base.
    pub fn parse(text: &str) -> Result<Self, PublicUrlError> {
        let text = text.trim();
        let url = Url::parse(text)?;
        let plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        match text.strip_prefix("https://") {
            None => Err(PublicUrlError::NotHttps),
            Some(_) if !plain => Err(PublicUrlError::MoreThanABase),
            Some(_) => Ok(Self { base: text.trim_end_matches('/').to_owned() }),
        }
    }

    /// Returns the base without a trailing `/`.
    pub fn as_str(&self) -> &str {
        &self.base
    }

    /// Returns the host that Twilio names in its requests, with its port if it has one.
    pub fn host(&self) -> &str {
        let after = self.base.trim_start_matches("https://");
        after.split('/').next().unwrap_or(after)
    }

    /// Returns the absolute URL of a request target.
    pub fn webhook(&self, target: &str) -> String {
        format!("{}{target}", self.base)
    }

    /// Returns the absolute URL that a `TwiML` document or a REST call names for callbacks.
    pub fn callback(&self, path: &str) -> String {
        format!("{}{path}{CALLBACK_RETRIES}", self.base)
    }

    /// Returns the `wss` URL of a request target.
    pub fn websocket(&self, target: &str) -> String {
        format!("wss{}{target}", self.base.trim_start_matches("https"))
    }
}

/// How a request came in, and so over which URL it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// An ordinary request: the https URL.
    Webhook,
    /// A WebSocket upgrade: the wss URL.
    Upgrade,
}

/// One request as the listener received it.
#[derive(Clone, Copy)]
pub struct Knock<'a> {
    /// How it came in.
    pub arrival: Arrival,
    /// The raw request target, `/path?query`.
    pub target: &'a str,
    /// What it carries.
    pub body: SignedBody<'a>,
    /// `X-Twilio-Signature`.
    pub signature: Option<&'a str>,
    /// `X-Twilio-Webhooks-Signature-Settings`.
    pub settings: Option<&'a str>,
}

/// Lets in what Twilio signed for this address.
#[derive(Debug, Clone)]
pub struct Door {
    public_url: PublicUrl,
    validator: Validator,
}

impl Door {
    /// Takes the address and the account's secrets.
    pub fn new(public_url: PublicUrl, validator: Validator) -> Self {
        Self { public_url, validator }
    }

    /// Returns what signs as the door expects it.
    pub fn validator(&self) -> &Validator {
        &self.validator
    }

    /// Checks one request over every form its URL may have been signed in: as it came and with
    /// a trailing `/` (Twilio's own advice), each with and without a port.
    pub fn check(&self, knock: Knock<'_>) -> Result<(), SignatureError> {
        let mut verdict = Err(SignatureError::Mismatch);
        for url in self.candidates(knock.arrival, knock.target) {
            verdict = self.validator.verify(&url, knock.body, knock.signature, knock.settings);
            if verdict != Err(SignatureError::Mismatch) {
                break;
            }
        }
        verdict
    }

    fn candidates(&self, arrival: Arrival, target: &str) -> [String; 2] {
        let url = match arrival {
            Arrival::Webhook => self.public_url.webhook(target),
            Arrival::Upgrade => self.public_url.websocket(target),
        };
        let slashed = match url.split_once('?') {
            Some((path, query)) => format!("{path}/?{query}"),
            None => format!("{url}/"),
        };
        [url, slashed]
    }
}

#[cfg(test)]
mod tests {
    use super::super::signature::AuthToken;
    use super::*;

    fn validator() -> Validator {
        Validator::new(AuthToken::new("token").unwrap(), None)
    }

    fn knock(
        base: &str,
        arrival: Arrival,
        target: &str,
        signed: &str,
    ) -> Result<(), SignatureError> {
        let signature = validator().sign(signed, &[]);
        let door = Door::new(PublicUrl::parse(base).unwrap(), validator());
        let (body, signature) = (SignedBody::None, Some(signature.as_str()));
        door.check(Knock { arrival, target, body, signature, settings: None })
    }

    #[test]
    fn a_request_passes_over_the_public_url_and_its_raw_target() {
        for base in ["https://rec.example.test", "https://rec.example.test/"] {
            let signed = "https://rec.example.test/twilio/voice?b=2&a=%20";
            assert_eq!(knock(base, Arrival::Webhook, "/twilio/voice?b=2&a=%20", signed), Ok(()));
        }
        let signed = "https://Rec.Example.test/office-7/twilio/voice";
        let base = "https://Rec.Example.test:8443/office-7/";
        assert_eq!(knock(base, Arrival::Webhook, "/twilio/voice", signed), Ok(()));
    }

    #[test]
    fn an_upgrade_is_signed_over_wss_and_perhaps_with_a_slash() {
        let base = "https://rec.example.test";
        let target = "/twilio/media-stream";
        for signed in [
            "wss://rec.example.test/twilio/media-stream",
            "wss://rec.example.test/twilio/media-stream/",
        ] {
            assert_eq!(knock(base, Arrival::Upgrade, target, signed), Ok(()), "{signed}");
            assert_eq!(
                knock(base, Arrival::Webhook, target, signed),
                Err(SignatureError::Mismatch),
                "{signed} as https"
            );
        }
    }

    #[test]
    fn another_host_path_or_order_of_the_query_is_refused() {
        for signed in [
            "https://other.example.test/twilio/status?a=1&b=2",
            "https://rec.example.test/twilio/voice?a=1&b=2",
            "https://rec.example.test/twilio/status?b=2&a=1",
        ] {
            let verdict = knock(
                "https://rec.example.test",
                Arrival::Webhook,
                "/twilio/status?a=1&b=2",
                signed,
            );
            assert_eq!(verdict, Err(SignatureError::Mismatch), "{signed}");
        }
    }

    #[test]
    fn the_public_url_is_an_https_base() {
        let url = PublicUrl::parse("https://rec.example.test/office/").unwrap();
        assert_eq!(
            url.callback("/twilio/status"),
            "https://rec.example.test/office/twilio/status#rc=5&rp=all"
        );
        assert_eq!(url.host(), "rec.example.test");
        assert_eq!(url.websocket("/twilio/m"), "wss://rec.example.test/office/twilio/m");
        assert_eq!(PublicUrl::parse("http://h"), Err(PublicUrlError::NotHttps));
        assert!(matches!(PublicUrl::parse("rec.test"), Err(PublicUrlError::NotAUrl(_))));
        for more in ["https://h/?a", "https://h/#x", "https://u:p@h/"] {
            assert_eq!(PublicUrl::parse(more), Err(PublicUrlError::MoreThanABase), "{more}");
        }
    }
}
