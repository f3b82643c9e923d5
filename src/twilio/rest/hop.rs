//! The one redirect that is followed: from Twilio to where it keeps the sound.
//!
//! Invariant: no credentials here. What is followed is an https address in plain letters, of a
//! host that Twilio is known to keep sound at, at a public network address that is looked up,
//! checked and then connected to, so that no second look-up can give another.

use std::net::SocketAddr;
use std::str::FromStr;

use reqwest::Response;
use reqwest::dns::Name;
use reqwest::header::RANGE;
use url::{Host, Url};

use super::RestError;
use super::line::{Timeouts, range};
use super::world::World;

/// Where Twilio keeps sound: these domains and all below them.
const HOSTS: [&str; 2] = ["twilio.com", "amazonaws.com"];

/// The longest address that is followed. A signed one has some 1500 bytes.
const LOCATION_BYTES_MAX: usize = 8192;

/// An address that has passed the look at its text.
#[derive(Debug, PartialEq, Eq)]
struct Elsewhere {
    url: Url,
    host: String,
}

/// Why a redirect is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stray {
    #[error("a redirect to nowhere")]
    Nowhere,
    #[error("a redirect to an address that is not plain https")]
    NotPlain,
    #[error("a redirect to a host where Twilio keeps no sound")]
    UnknownHost,
    #[error("a redirect to an address inside a private network")]
    Inside,
    #[error("a second redirect, which is not followed")]
    Again,
}

impl From<Stray> for RestError {
    fn from(stray: Stray) -> Self {
        Self::Garbled { why: stray.to_string() }
    }
}

impl FromStr for Elsewhere {
    type Err = Stray;

    /// Looks at the text first and only then at what a parser makes of it, so that there is
    /// nothing which another parser could take for another host.
    fn from_str(location: &str) -> Result<Self, Stray> {
        let rest = location.strip_prefix("https://").ok_or(Stray::NotPlain)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let host = rest.get(..end).unwrap_or_default();
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let plain = location.len() <= LOCATION_BYTES_MAX
            && location.bytes().all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'#')
            && host.split('.').all(is_label);
        let url = Url::parse(location).map_err(|_| Stray::NotPlain)?;
        let host = host.to_ascii_lowercase();
        if !plain || url.host() != Some(Host::Domain(host.as_str())) {
            return Err(Stray::NotPlain);
        }
        let known = HOSTS.iter().any(|known| {
            host.strip_suffix(known).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
        });
        if known { Ok(Self { url, host }) } else { Err(Stray::UnknownHost) }
    }
}

/// Follows a redirect of a request for sound, once, as a stranger.
pub(super) async fn follow(
    world: &World,
    timeouts: Timeouts,
    redirect: &Response,
    from_byte: u64,
) -> Result<Response, RestError> {
    let location = redirect.headers().get(reqwest::header::LOCATION).ok_or(Stray::Nowhere)?;
    let elsewhere: Elsewhere = location.to_str().map_err(|_| Stray::NotPlain)?.parse()?;
    let addresses = addresses(world, timeouts, &elsewhere.host).await?;
    let stranger = timeouts
        .client(world)
        .https_only(true)
        // A proxy would look the name up again, and might find another address.
        .no_proxy()
        .resolve_to_addrs(&elsewhere.host, &addresses)
        .build()
        .map_err(RestError::cut)?;
    let mut request = stranger.get(elsewhere.url);
    if let Some(range) = range(from_byte) {
        request = request.header(RANGE, range);
    }
    let answer = request.send().await.map_err(RestError::cut)?;
    match answer.status().as_u16() {
        300..=399 => Err(Stray::Again.into()),
        // What a store says of its own affairs is not Twilio's word about credentials or about
        // the recording.
        status @ (401 | 403 | 404 | 410) => {
            Err(RestError::Garbled { why: format!("the redirect's address answers HTTP {status}") })
        }
        _ => Ok(answer),
    }
}

async fn addresses(
    world: &World,
    timeouts: Timeouts,
    host: &str,
) -> Result<Vec<SocketAddr>, RestError> {
    let unknown = || RestError::Unreachable {
        why: "the name of the host it redirects to cannot be resolved".to_owned(),
    };
    let name = Name::from_str(host).map_err(|_| Stray::NotPlain)?;
    let found = tokio::time::timeout(timeouts.connect, world.names.resolve(name));
    let found = found.await.map_err(|_| unknown())?.map_err(|_| unknown())?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(unknown());
    }
    if addresses.iter().all(|address| (world.is_outside)(address.ip())) {
        Ok(addresses)
    } else {
        Err(Stray::Inside.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_where_twilio_keeps_sound_are_known_with_all_below_them() {
        for location in [
            "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1.wav",
            "https://twilio.com",
            "https://media.us1.TWILIO.com?x=1",
            "https://bucket.s3.eu-west-1.amazonaws.com/a%2Fb?X-Amz-Signature=ab%3D&c=~d",
        ] {
            let elsewhere: Elsewhere = location.parse().unwrap();
            assert!(HOSTS.iter().any(|known| elsewhere.host.ends_with(known)), "{location}");
            assert_eq!(elsewhere.url.host_str(), Some(elsewhere.host.as_str()));
        }
        for location in [
            "https://twilio.com.evil.test/",
            "https://eviltwilio.com/",
            "https://twilio.co/",
            "https://com/",
        ] {
            assert_eq!(location.parse::<Elsewhere>(), Err(Stray::UnknownHost), "{location}");
        }
    }
}
