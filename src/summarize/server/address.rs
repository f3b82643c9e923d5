//! Where a server is that writes summaries, and what opens it.

use std::net::IpAddr;

use url::{Host, Url};

/// An address that a call's words must not be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It is no address.
    #[error("{0:?} is no address; write it like \"http://192.168.1.20:8000/v1\"")]
    Malformed(String),
    /// Words would cross the world in the clear.
    #[error("must begin with https://; http:// is for this machine and this network only")]
    NotEncrypted,
}

/// The base address of a server that speaks OpenAI's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    base: Url,
}

impl Address {
    /// Reads the address up to where `/chat/completions` follows.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let malformed = || BadAddress::Malformed(text.to_owned());
        let base = Url::parse(text.trim()).map_err(|_| malformed())?;
        let plain = base.query().is_none()
            && base.fragment().is_none()
            && base.username().is_empty()
            && base.password().is_none();
        let host = base.host().ok_or_else(malformed)?;
        match base.scheme() {
            _ if !plain => Err(malformed()),
            "https" => Ok(Self { base }),
            "http" if is_near(&host) => Ok(Self { base }),
            "http" => Err(BadAddress::NotEncrypted),
            _ => Err(malformed()),
        }
    }

    /// Returns where a question is posted to.
    pub(super) fn completions(&self) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}/chat/completions", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }
}

/// Shows scheme, host and port: the path may hold more than people need to see.
impl std::fmt::Display for Address {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.base.origin().ascii_serialization())
    }
}

/// Says whether a host is this machine or on this network: by its address, or by a name that no
/// name server of the world answers for.
fn is_near(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        Host::Ipv6(address) => match address.to_ipv4_mapped().map(IpAddr::V4) {
            Some(IpAddr::V4(address)) => is_near(&Host::Ipv4(address)),
            _ => {
                address.is_loopback()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
            }
        },
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            !name.contains('.')
                || [".local", ".lan", ".home.arpa", ".internal"]
                    .iter()
                    .any(|end| name.ends_with(end))
        }
    }
}

/// What opens the server. It shows nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes the key; none if it could not stand in a header.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        plain.then(|| Self(text.to_owned()))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ApiKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_encrypted_or_stay_in_the_house() {
        for good in [
            "https://api.example.org/v1",
            "http://127.0.0.1:8000/v1/",
            "http://[::1]:8000",
            "http://192.168.1.20:11434/v1",
            "http://10.0.0.3",
            "http://[fd00::7]/v1",
            "http://llama:8000/v1",
            "http://llama.local/v1",
        ] {
            let address = Address::parse(good).unwrap();
            assert!(address.completions().path().ends_with("/chat/completions"), "{good}");
            assert!(!address.completions().path().contains("//"), "{good}");
        }
        for (bad, encrypted) in [
            ("http://api.example.org/v1", false),
            ("http://8.8.8.8/v1", false),
            ("http://[2001:db8::1]/v1", false),
            ("http://[::ffff:8.8.8.8]/v1", false),
            ("ftp://192.168.1.20/", true),
            ("https://user:secret@api.example.org/v1", true),
            ("https://api.example.org/v1?key=1", true),
            ("llama:8000", true),
            ("", true),
        ] {
            let refused = Address::parse(bad).unwrap_err();
            assert_eq!(matches!(refused, BadAddress::Malformed(_)), encrypted, "{bad}");
        }
    }

    #[test]
    fn a_key_shows_nothing_of_itself() {
        let key = ApiKey::new(" secret-key ").unwrap();
        assert_eq!((key.reveal(), format!("{key:?}").as_str()), ("secret-key", "ApiKey(hidden)"));
        assert!(ApiKey::new("two words").is_none() && ApiKey::new("").is_none());
    }
}
