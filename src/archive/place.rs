//! Where the archive is: a bucket, a prefix, an endpoint, and the keys that open it.

use std::net::IpAddr;

use url::{Host, Url};

/// The region that is meant when none is named.
const REGION_DEFAULT: &str = "us-east-1";

/// How an archive is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOptions {
    /// `s3://bucket` or `s3://bucket/prefix`.
    pub url: String,
    /// The store's own address; none for Amazon's.
    pub endpoint: Option<String>,
    /// The region; none for `us-east-1`, which most other stores take.
    pub region: Option<String>,
    /// Who we are there.
    pub access_key_id: String,
    /// What proves it.
    pub secret_access_key: SecretKey,
}

impl PlaceOptions {
    /// Says what is wrong with them, if anything is.
    pub fn check(&self) -> Result<(), BadPlace> {
        Place::new(self).map(drop)
    }
}

/// The secret half of a pair of keys. It shows nothing of itself, and is given to nothing but the
/// signing of requests.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(String);

impl SecretKey {
    /// Takes the secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SecretKey(hidden)")
    }
}

/// What is wrong with the archive's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    /// It is not `s3://bucket/prefix`.
    #[error("archive.url {0:?} is not s3://bucket or s3://bucket/prefix")]
    Url(String),
    /// The endpoint is no address that sound may go to.
    #[error("archive.endpoint {0:?} is not https://host (http:// only on this machine or network)")]
    Endpoint(String),
    /// No region is called that.
    #[error("archive.region {0:?} is no name of a region: letters, digits and '-'")]
    Region(String),
    /// A key is missing.
    #[error("archive.access_key_id and archive.secret_access_key are both needed")]
    Keys,
    /// The transport could not be set up.
    #[error("the archive's transport cannot be set up: {0}")]
    Transport(String),
}

impl BadPlace {
    /// Returns the key of the configuration that has to change.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Url(_) | Self::Transport(_) => "archive.url",
            Self::Endpoint(_) => "archive.endpoint",
            Self::Region(_) => "archive.region",
            Self::Keys => "archive.access_key_id",
        }
    }
}

/// The checked settings.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) bucket: String,
    /// Without slashes at its ends; empty for none.
    pub(super) prefix: String,
    pub(super) region: String,
    /// The endpoint as configured, if one is.
    pub(super) endpoint: Option<String>,
    /// The one origin that requests may go to.
    pub(super) origin: Url,
    /// Whether the bucket's name goes into the path instead of the host's name.
    pub(super) path_style: bool,
}

impl Place {
    /// Checks the settings.
    pub(super) fn new(options: &PlaceOptions) -> Result<Self, BadPlace> {
        let (bucket, prefix) =
            bucket_and_prefix(&options.url).ok_or_else(|| BadPlace::Url(options.url.clone()))?;
        let region = options.region.clone().unwrap_or_else(|| REGION_DEFAULT.to_owned());
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if region.is_empty() || region.len() > 63 || !region.bytes().all(plain) {
            return Err(BadPlace::Region(region));
        }
        if options.access_key_id.is_empty() || options.secret_access_key.reveal().is_empty() {
            return Err(BadPlace::Keys);
        }
        // A certificate for `*.s3.amazonaws.com` does not cover a name with a dot in it.
        let path_style = options.endpoint.is_some() || bucket.contains('.');
        let address = match &options.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None if path_style => format!("https://s3.{region}.amazonaws.com"),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com"),
        };
        let origin = origin(&address).ok_or_else(|| BadPlace::Endpoint(address.clone()))?;
        let endpoint = options.endpoint.as_ref().map(|_| address);
        Ok(Self { bucket, prefix, region, endpoint, origin, path_style })
    }
}

/// Returns the two, if the text is `s3://bucket/prefix` and names nothing odd.
fn bucket_and_prefix(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let is_bucket = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(letter)
        && bucket.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !bucket.contains("..");
    let prefix = prefix.trim_end_matches('/');
    let is_prefix = prefix.is_empty()
        || prefix.split('/').all(|step| {
            !step.is_empty() && !matches!(step, "." | "..") && step.bytes().all(letter)
        });
    (is_bucket && is_prefix).then(|| (bucket.to_owned(), prefix.to_owned()))
}

/// Returns the address, if sound and signatures may go there.
fn origin(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let allowed = match url.scheme() {
        "https" => url.host().is_some(),
        "http" => url.host().is_some_and(|host| is_near(&host)),
        _ => false,
    };
    (plain && allowed).then_some(url)
}

/// Says whether a host is this machine or in a private network, by its number: a name could lead
/// anywhere tomorrow.
fn is_near(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback() || address.is_private(),
        Host::Ipv6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str, endpoint: Option<&str>) -> Result<Place, BadPlace> {
        Place::new(&PlaceOptions {
            url: url.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            region: None,
            access_key_id: "AKIA".to_owned(),
            secret_access_key: SecretKey::new("hush"),
        })
    }

    #[test]
    fn a_bucket_and_a_prefix_are_read_from_the_url() {
        for (url, bucket, prefix) in [
            ("s3://calls", "calls", ""),
            ("s3://calls/", "calls", ""),
            ("s3://my.calls/box-7/north/", "my.calls", "box-7/north"),
        ] {
            let place = place(url, None).unwrap();
            assert_eq!((place.bucket.as_str(), place.prefix.as_str()), (bucket, prefix), "{url}");
        }
        for bad in [
            "",
            "calls",
            "https://calls",
            "s3://",
            "s3://a",
            "s3://calls//x",
            "s3://calls/../x",
            "s3://calls@evil.example",
            "s3://calls:80/x",
            "s3://ca..lls",
            "s3://calls/a b",
        ] {
            assert_eq!(place(bad, None).unwrap_err(), BadPlace::Url(bad.to_owned()));
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_and_this_network_only() {
        for good in [
            "https://s3.example.com",
            "https://s3.example.com:9000/storage/v1/s3",
            "http://127.0.0.1:9000/",
            "http://[::1]:9000",
            "http://localhost:9000",
            "http://192.168.1.7:9000",
            "http://10.0.0.2",
            "http://[fd00::7]:9000",
        ] {
            assert!(place("s3://calls", Some(good)).is_ok(), "{good}");
        }
        for bad in [
            "http://s3.example.com",
            "http://8.8.8.8",
            "http://nas.local",
            "ftp://127.0.0.1",
            "https://user@s3.example.com",
            "https://s3.example.com?x=1",
            "https://",
            "s3.example.com",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://172.32.0.1",
        ] {
            assert!(matches!(place("s3://calls", Some(bad)), Err(BadPlace::Endpoint(_))), "{bad}");
        }
    }

    #[test]
    fn the_bucket_is_in_the_path_where_its_name_cannot_be_in_the_hosts() {
        assert!(place("s3://calls", Some("https://s3.example.com")).unwrap().path_style);
        assert!(place("s3://my.calls", None).unwrap().path_style);
        let amazon = place("s3://calls", None).unwrap();
        assert!(!amazon.path_style);
        assert_eq!(amazon.origin.as_str(), "https://calls.s3.us-east-1.amazonaws.com/");
    }

    #[test]
    fn a_region_cannot_change_the_host() {
        let mut options = PlaceOptions {
            url: "s3://calls".to_owned(),
            endpoint: None,
            region: Some("evil.example/".to_owned()),
            access_key_id: "AKIA".to_owned(),
            secret_access_key: SecretKey::new("hush"),
        };
        assert!(matches!(Place::new(&options), Err(BadPlace::Region(_))));
        options.region = Some("eu-central-1".to_owned());
        assert!(Place::new(&options).is_ok());
        assert!(!format!("{options:?}").contains("hush"), "a secret shows nothing");
    }
}
