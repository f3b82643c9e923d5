//! A model over the network: from where the last attempt ended, to a file with its hash.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Response, StatusCode};
use url::Url;

use super::catalogue::Known;
use super::error::FetchError;
use super::install::{Part, Put};
use super::mirror::{Mirror, shown};
use crate::clock::Clock;

/// How long to wait for a connection, its encryption included.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// How long to wait for the next byte.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Redirects followed: a store sends one on to where it keeps the bytes, perhaps by way of a
/// mirror's own.
const REDIRECTS_MAX: usize = 5;

/// Connections in a row that brought nothing new, after which it is given up.
const FRUITLESS_MAX: u32 = 5;

/// The wait before a second connection; it doubles with each that is fruitless.
const WAIT_FIRST: Duration = Duration::from_secs(1);

/// What is told while a model comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// So many bytes of the model are here.
    Have(u64),
    /// The connection was cut; it goes on after a wait.
    Again {
        /// What the network said.
        why: String,
    },
}

/// What fetching needs.
pub struct Fetch<'a> {
    /// Where from.
    pub mirror: &'a Mirror,
    /// Where to.
    pub put: &'a Put,
    /// What to wait by.
    pub clock: &'a dyn Clock,
}

/// How one connection ended.
enum Ended {
    /// All of it is here.
    Whole,
    /// It was cut.
    Cut(String),
    /// The other end cannot go on from there.
    Anew,
}

impl Fetch<'_> {
    /// Fetches a model and returns where it is now.
    pub async fn model(
        &self,
        known: &Known,
        tell: &mut dyn FnMut(Step),
    ) -> Result<PathBuf, FetchError> {
        let name = known.file_name();
        let http = client().map_err(|error| self.unreachable(error.to_string()))?;
        let address =
            self.mirror.address(&name).map_err(|error| self.unreachable(error.to_string()))?;
        let mut part = Part::open(self.put, &name, known.bytes)?;
        let mut went_on = part.len() > 0;
        loop {
            part.room_for(known.bytes)?;
            self.bytes(&http, &address, known, &mut part, tell).await?;
            let got = part.sha256();
            if known.is(&got) {
                return part.finish(&name);
            }
            if !std::mem::take(&mut went_on) {
                part.discard()?;
                return Err(FetchError::WrongBytes {
                    name: known.name.to_owned(),
                    from: shown(&address),
                    got,
                    expected: known.sha256.to_owned(),
                });
            }
            // What an earlier attempt left may have been another file's beginning.
            part.restart()?;
        }
    }

    /// Gets all bytes that are missing, over as many connections as it takes.
    async fn bytes(
        &self,
        http: &reqwest::Client,
        address: &Url,
        known: &Known,
        part: &mut Part,
        tell: &mut dyn FnMut(Step),
    ) -> Result<(), FetchError> {
        let (mut fruitless, mut came) = (0, false);
        loop {
            tell(Step::Have(part.len()));
            let before = part.len();
            let ended = one_connection(http, address, known, part, tell).await?;
            came |= part.len() > before;
            fruitless = if part.len() > before { 0 } else { fruitless + 1 };
            let why = match ended {
                Ended::Whole => return Ok(()),
                Ended::Anew if fruitless < FRUITLESS_MAX => {
                    part.restart()?;
                    continue;
                }
                Ended::Anew => "it does not give the bytes it is asked for".to_owned(),
                Ended::Cut(why) => why,
            };
            // Where nothing ever came there is no network, and a person waits.
            if fruitless >= FRUITLESS_MAX || !came {
                return Err(FetchError::Unreachable { from: shown(address), why });
            }
            tell(Step::Again { why });
            self.clock.sleep(WAIT_FIRST * 2_u32.pow(fruitless)).await;
        }
    }

    fn unreachable(&self, why: String) -> FetchError {
        FetchError::Unreachable { from: self.mirror.to_string(), why }
    }
}

/// Makes a client that honours the usual variables for proxies.
fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(concat!("fieldtape/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::custom(follow))
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(IDLE_MAX)
        .build()
}

/// Follows a redirect, never from an encrypted address to a plain one.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let was_encrypted = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if attempt.previous().len() > REDIRECTS_MAX {
        attempt.error("too many redirects")
    } else if was_encrypted && attempt.url().scheme() != "https" {
        attempt.error("a redirect to an address without encryption")
    } else {
        attempt.follow()
    }
}

async fn one_connection(
    http: &reqwest::Client,
    address: &Url,
    known: &Known,
    part: &mut Part,
    tell: &mut dyn FnMut(Step),
) -> Result<Ended, FetchError> {
    if part.len() == known.bytes {
        return Ok(Ended::Whole);
    }
    let mut request = http.get(address.clone());
    if part.len() > 0 {
        request = request.header(RANGE, format!("bytes={}-", part.len()));
    }
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Ok(Ended::Cut(reason(&error))),
    };
    if let Some(ended) = cannot_go_on(&response, known, part)? {
        return Ok(ended);
    }
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) => {
                if part.len() + bytes.len() as u64 > known.bytes {
                    let bytes = part.len() + bytes.len() as u64;
                    return Err(other_length(&response, known, bytes));
                }
                part.append(&bytes)?;
                tell(Step::Have(part.len()));
            }
            Ok(None) if part.len() == known.bytes => return Ok(Ended::Whole),
            Ok(None) => return Ok(Ended::Cut("it ended too early".to_owned())),
            Err(error) => return Ok(Ended::Cut(reason(&error))),
        }
    }
}

/// Looks whether what comes is the model's bytes from where the part ends, and how it ends if not.
/// Where the whole file comes instead, the part begins anew.
fn cannot_go_on(
    response: &Response,
    known: &Known,
    part: &mut Part,
) -> Result<Option<Ended>, FetchError> {
    let from = || shown(response.url());
    match response.status() {
        StatusCode::PARTIAL_CONTENT => match range(response) {
            Some((_, Some(total))) if total != known.bytes => {
                Err(other_length(response, known, total))
            }
            Some((start, _)) if start == part.len() => Ok(None),
            _ => Ok(Some(Ended::Anew)),
        },
        StatusCode::OK => {
            if let Some(total) = response.content_length().filter(|total| *total != known.bytes) {
                return Err(other_length(response, known, total));
            }
            part.restart()?;
            Ok(None)
        }
        StatusCode::RANGE_NOT_SATISFIABLE if part.len() > 0 => Ok(Some(Ended::Anew)),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(FetchError::NotThere { from: from() }),
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Ok(Some(Ended::Cut(format!("status {status}"))))
        }
        status => Err(FetchError::Refused { from: from(), status: status.as_u16() }),
    }
}

/// Reads `Content-Range: bytes 100-199/200`: the first byte, and how many there are.
fn range(response: &Response) -> Option<(u64, Option<u64>)> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (bytes, total) = text.split_once('/')?;
    let (start, _) = bytes.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

fn other_length(response: &Response, known: &Known, bytes: u64) -> FetchError {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    FetchError::OtherLength {
        from: shown(response.url()),
        bytes,
        kind: kind.map_or_else(String::new, |kind| format!(" of {kind}")),
        expected: known.bytes,
    }
}

/// Says what went wrong with a connection, by its deepest cause and without the address.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "nothing came for too long".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
