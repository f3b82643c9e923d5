//! The one place on the network that credentials may go to.

use std::fmt;

use url::{Host, Url};

use super::target::Target;

/// An `api_url` that credentials must not be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOrigin {
    /// Not a URL at all.
    #[error("not a URL: {0}")]
    NotAUrl(#[from] url::ParseError),
    /// Credentials would cross a network in the clear.
    #[error("must begin with https://; http:// is for this machine only, such as 127.0.0.1")]
    NotEncrypted,
    /// More than a scheme, a host and a port.
    #[error("must be a scheme, a host and at most a port, such as https://api.twilio.com")]
    MoreThanAnOrigin,
}

/// Scheme, host and port of Twilio's REST API.
///
/// Encrypted wherever it lies, unless that is this very machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    base: Url,
}

impl Origin {
    /// Takes the configured `api_url`.
    pub fn parse(text: &str) -> Result<Self, BadOrigin> {
        let text = text.trim();
        let base = Url::parse(text)?;
        let Some((_, authority)) = text.split_once("://") else {
            return Err(BadOrigin::MoreThanAnOrigin);
        };
        // Read as text too: a URL's parser mends what a person would not have meant.
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let plain = |c: char| c.is_ascii_graphic() && !r"/\?#@%".contains(c);
        let safe = match base.scheme() {
            "https" => true,
            "http" => base.host().is_some_and(|host| is_this_machine(&host)),
            _ => false,
        };
        match (safe, authority.chars().all(plain)) {
            (false, _) => Err(BadOrigin::NotEncrypted),
            (_, false) => Err(BadOrigin::MoreThanAnOrigin),
            _ => Ok(Self { base }),
        }
    }

    /// Says whether what is sent there is encrypted on the way.
    pub(super) fn is_encrypted(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Returns the URL of a place at this origin. Only path and query come from the target, so
    /// no text in it can change where the request goes.
    pub(super) fn url(&self, target: &Target) -> Url {
        let mut url = self.base.clone();
        url.set_path(target.path());
        url.set_query(target.query());
        url
    }
}

fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        // Never asked of a name server: see `World`.
        Host::Domain(name) => *name == LOCALHOST,
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// The name that means this machine, whatever a name server says.
pub(super) const LOCALHOST: &str = "localhost";

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Origin({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encrypted_origin_may_be_anywhere_and_an_open_one_only_here() {
        for (text, shown) in [
            ("https://api.twilio.com", "https://api.twilio.com"),
            (" https://api.dublin.ie1.twilio.com/\n", "https://api.dublin.ie1.twilio.com"),
            ("https://API.twilio.com:443", "https://api.twilio.com"),
            ("https://10.0.0.7:8443", "https://10.0.0.7:8443"),
            ("http://127.0.0.1:4010", "http://127.0.0.1:4010"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://[::1]:4010/", "http://[::1]:4010"),
            ("http://localhost:4010", "http://localhost:4010"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), shown);
        }
        for open in [
            "http://api.twilio.com",
            "http://10.0.0.7",
            "http://0.0.0.0",
            "http://localhost.example.test",
            "http://127.0.0.1.example.test",
            "http://[::ffff:127.0.0.1]",
            "ftp://127.0.0.1",
            "wss://api.twilio.com",
        ] {
            assert_eq!(Origin::parse(open), Err(BadOrigin::NotEncrypted), "{open}");
        }
    }

    #[test]
    fn an_origin_has_neither_a_path_nor_anything_that_hides_its_host() {
        for more in [
            "https://api.twilio.com/2010-04-01",
            "https://api.twilio.com//",
            "https://api.twilio.com/?a",
            "https://api.twilio.com?a",
            "https://api.twilio.com/#a",
            "https://AC1:token@api.twilio.com",
            "https://api.twilio.com@evil.test",
            "https://api.twilio.com\\@evil.test",
            "https://api.twilio.com\t.evil.test",
            "https://api.twilio%2ecom",
            "https:api.twilio.com",
            "https:/api.twilio.com",
            "https://ápi.twilio.com",
        ] {
            assert_eq!(Origin::parse(more), Err(BadOrigin::MoreThanAnOrigin), "{more}");
        }
        for none in ["", "api.twilio.com", "https://", "https://a:b", "http://[::1"] {
            assert!(matches!(Origin::parse(none), Err(BadOrigin::NotAUrl(_))), "{none}");
        }
    }
}
