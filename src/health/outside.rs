//! The world outside: the time, the line, Twilio, the way in, and the copies elsewhere.

use std::net::IpAddr;
use std::time::Duration;

use super::Check;
use crate::clock::Synchronised;
use crate::domain::{UnixMillis, lasting};
use crate::pipeline::LinkState;
use crate::twilio::door::PublicUrl;
use crate::twilio::rest::{AccountResource, RestError};
use crate::twilio::round_trip::{RoundTrip, RoundTripError};

/// Names that are set aside for examples and tests: no request of anybody's arrives there.
const EXAMPLES: [&str; 6] =
    [".example", ".example.com", ".example.net", ".example.org", ".invalid", ".test"];

/// A certificate that is renewed by a program is, a month before its end; by a person, it is time.
const CERTIFICATE_SOON: Duration = Duration::from_hours(14 * 24);

/// A week's calls, and a day for whoever comes by with the stick.
const BACKUP_AGE_MAX: Duration = Duration::from_hours(8 * 24);

const HOUR: Duration = Duration::from_hours(1);

/// What became of a call of our own public address.
#[derive(Debug)]
pub enum Reach<'a> {
    /// There is no address, or nothing to sign with.
    NotSet,
    /// Who answered could not be asked which run of fieldtape runs here.
    NobodyHere(Result<RoundTrip, RoundTripError>),
    /// This run of fieldtape should have answered.
    Here {
        /// Which it is.
        instance: &'a str,
        /// What came back.
        came: Result<RoundTrip, RoundTripError>,
    },
}

/// What there is to be kept, and when it was last copied elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// When the last backup was made.
    pub backed_up_at: Option<UnixMillis>,
    /// When the first call came that is kept here.
    pub first_call_at: Option<UnixMillis>,
}

/// Judges the clock.
pub fn clock(synchronised: Synchronised) -> Check {
    match synchronised {
        Synchronised::Yes => Check::ok("clock", "is synchronised"),
        Synchronised::No => Check::warn(
            "clock",
            "is not synchronised: calls may be dated wrongly until it is, and nothing is deleted",
            "connect the box to the network, or set up a time server (timedatectl timesync-status)",
        ),
        Synchronised::Unknown => Check::warn(
            "clock",
            "whether it is synchronised cannot be seen from here: calls count as dated unsurely",
            "run systemd-timesyncd; with another time daemon see /usr/share/doc/fieldtape/examples/time.conf",
        ),
    }
}

/// Judges the link to Twilio as the appliance uses it. None while it was never tried.
pub fn link(state: Option<&LinkState>) -> Check {
    match state {
        None => Check::unknown("link", "it was not tried yet"),
        Some(LinkState::Up) => Check::ok("link", "Twilio can be reached"),
        Some(LinkState::Down { why }) => Check::warn(
            "link",
            why.as_str(),
            "calls are recorded and transcribed here; what needs the network waits, and goes on by itself",
        ),
    }
}

/// Judges Twilio's answer to our credentials.
pub fn twilio(answer: Result<Option<AccountResource>, RestError>) -> Check {
    let name = "twilio";
    match answer {
        Ok(Some(account)) if account.is_active() => {
            Check::ok(name, "its API answers, and the credentials are good")
        }
        Ok(Some(account)) => Check::fail(
            name,
            format!("the account is {:?}: no call is put through", account.status),
            "see Twilio's console: most often a bill or a verification is open",
        ),
        Ok(None) => Check::ok(name, "its API answers, and the API key is good"),
        Err(error @ RestError::Unauthorized { .. }) => Check::fail(
            name,
            error.to_string(),
            "copy the account's SID and its primary auth token, or the API key, from Twilio's console",
        ),
        Err(error @ RestError::Unreachable { .. }) => Check::warn(
            name,
            error.to_string(),
            "look at the box's network, its name server and its firewall; recording goes on without",
        ),
        Err(error) => Check::warn(name, error.to_string(), "ask again later"),
    }
}

/// Says whether an address is one for examples and tests, which leads nowhere.
pub fn is_example(url: &PublicUrl) -> bool {
    let host = host_alone(url.host());
    let dotted = format!(".{host}");
    EXAMPLES.iter().any(|end| dotted.ends_with(end))
}

/// Judges whether Twilio's requests come here.
pub fn public_url(url: Option<&PublicUrl>, reach: &Reach<'_>, now: UnixMillis) -> Check {
    let name = "public_url";
    let Some(url) = url else {
        let fix = "set server.public_url to the https address that leads here";
        return Check::warn(name, "Twilio has no address to call", fix);
    };
    let shown = url.as_str();
    if is_example(url) {
        let what = format!("{shown} is a name for examples, which nobody can call");
        return Check::fail(name, what, "set server.public_url to your own address");
    }
    let (here, came) = match reach {
        Reach::NotSet => {
            let what =
                format!("{shown} was not tried: without a token there is nothing to sign with");
            return Check::unknown(name, what)
                .fixed_by("see the checks \"account\" and \"credentials\"");
        }
        Reach::NobodyHere(came) => (None, came),
        Reach::Here { instance, came } => (Some(*instance), came),
    };
    match came {
        Ok(trip) => arrived(url, trip, here, now),
        Err(error) => Check::fail(name, format!("{shown}: {error}"), cure(error)),
    }
}

/// Judges what came back.
fn arrived(url: &PublicUrl, trip: &RoundTrip, here: Option<&str>, now: UnixMillis) -> Check {
    let name = "public_url";
    let shown = url.as_str();
    if here.is_some_and(|here| here != trip.instance) {
        let what =
            format!("{shown} leads to another fieldtape with the same token, not to this one");
        return Check::fail(
            name,
            what,
            "let the tunnel or proxy lead to twilio_listen of this box",
        );
    }
    if let Err(why) = &trip.stream {
        return Check::fail(
            name,
            format!(
                "{shown}: webhooks come through, media streams do not ({why}): calls are not heard here"
            ),
            "let the tunnel or proxy pass WebSockets (Upgrade and Connection) for /twilio/media-stream",
        );
    }
    let left = trip.certificate_until.map(|until| until.since(now));
    let days = left.map(|left| left.as_secs() / 86_400);
    let certificate =
        days.map_or_else(String::new, |days| format!(", certificate for {days} more days"));
    let what = format!("{shown} leads here: webhook and stream, signed{certificate}");
    if is_here_only(url) {
        let fix = "set server.public_url to an address that Twilio can call";
        return Check::warn(name, format!("{what}; but only from this machine or network"), fix);
    }
    if left.is_some_and(|left| left < CERTIFICATE_SOON) {
        let fix = "renew the certificate; without it no call comes in";
        return Check::warn(name, what, fix);
    }
    if here.is_none() {
        return Check::unknown(name, format!("{what}; whether it is this box was not seen"))
            .fixed_by("ask as root while fieldtape runs: sudo fieldtape doctor");
    }
    Check::ok(name, what)
}

fn cure(error: &RoundTripError) -> &'static str {
    match error {
        RoundTripError::NoClient => "apt install ca-certificates",
        RoundTripError::Unreachable { .. } => {
            "start the tunnel or proxy, look at its name and its port; if calls do come in, this office's router does not lead its own network back to it, and all is well"
        }
        RoundTripError::Certificate { .. } => {
            "renew the certificate and serve it with its chain; if the box's clock is wrong, set that first"
        }
        RoundTripError::Refused => {
            "write server.public_url exactly as Twilio has it, and see that no proxy changes the path"
        }
        RoundTripError::Elsewhere { .. } => {
            "let the tunnel or proxy lead /twilio/ to twilio_listen of this box, without a login before it; is fieldtape running?"
        }
    }
}

/// Says whether a host is this machine or in a private network, by its number or its name.
fn is_here_only(url: &PublicUrl) -> bool {
    let host = host_alone(url.host());
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private(),
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
        Err(_) => {
            let ends = |end: &str| format!(".{host}").ends_with(end);
            ends(".localhost") || ends(".local") || ends(".lan") || !host.contains('.')
        }
    }
}

/// A host without its port, in small letters.
fn host_alone(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Judges the archive by whether it took and showed back a small object. None without one.
pub fn archive(proved: Option<Result<(), String>>) -> Check {
    match proved {
        None => Check::ok("archive", "none is set up; recordings are here and at Twilio"),
        Some(Ok(())) => Check::ok("archive", "it takes what is put there and shows it back"),
        Some(Err(why)) => Check::warn(
            "archive",
            why,
            "check archive.url, archive.endpoint, its keys and what they may do; what is to be archived waits",
        ),
    }
}

/// Judges how long ago everything was copied elsewhere.
pub fn backup(kept: Kept, now: UnixMillis, clock_is_right: bool) -> Check {
    let name = "backup";
    let fix = "fieldtape backup DIR, with DIR on a stick or another machine, once a week";
    let Kept { backed_up_at, first_call_at } = kept;
    let Some(since) = backed_up_at.or(first_call_at) else {
        return Check::ok(name, "there is nothing to save yet");
    };
    if !clock_is_right {
        return Check::unknown(name, "its age cannot be told while the clock is not synchronised");
    }
    let age = now.since(since);
    let what = match backed_up_at {
        Some(_) if age < HOUR => "the last one was made just now".to_owned(),
        Some(_) => format!("the last one was made {} ago", lasting(age)),
        None if age > BACKUP_AGE_MAX => {
            format!("none was ever made; the first call came {} ago", lasting(age))
        }
        None => "none was made yet; the first calls are some days old".to_owned(),
    };
    if age > BACKUP_AGE_MAX { Check::warn(name, what, fix) } else { Check::ok(name, what) }
}

#[cfg(test)]
#[path = "outside_tests.rs"]
mod tests;
