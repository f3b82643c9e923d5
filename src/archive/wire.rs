//! The line to the archive: one origin, no redirect, no proxy, a throttle, and a limit on standing
//! still.
//!
//! The client above signs requests and reads XML; which bytes go where, and how fast, is decided
//! here. A part of 8 MiB handed to a socket at once would starve the calls that share the line, so
//! every body goes in small slices, each let through by the throttle.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::header::CONTENT_LENGTH;
use tokio::sync::watch;
use url::Url;

use super::place::BadPlace;
use crate::pipeline::Throttle;

/// The most that goes out at once: 16 KiB take 0.1 s on a line of 1 Mbit/s.
pub(super) const SLICE_BYTES: usize = 16 * 1024;

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// How long nothing may move: a line that carries 16 KiB a minute is no line.
pub(super) const STILL_MAX: Duration = Duration::from_mins(1);

/// The most that is read of an answer that says no.
const COMPLAINT_BYTES_MAX: usize = 16 * 1024;

/// The most of the archive's own words that are told.
const WORDS_MAX: usize = 160;

/// What the line did instead of carrying a request and a good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The transport failed.
    #[error("{0}")]
    Line(String),
    /// Nothing moved.
    #[error("nothing moved for {} s", STILL_MAX.as_secs())]
    Still,
    /// The archive said no.
    #[error("{status} {code}: {words}")]
    Answer {
        /// The status.
        status: u16,
        /// S3's word for it; empty when it gave none.
        code: String,
        /// Its explanation.
        words: String,
    },
    /// A request for somewhere else was about to leave.
    #[error("a request for {0} was held back: that is not the archive")]
    Stranger(String),
}

impl Fault {
    fn raise(self) -> HttpError {
        // Of this kind the client above repeats nothing: when to try again is the queue's affair.
        HttpError::new(HttpErrorKind::Unknown, self)
    }
}

/// The transport.
pub(super) struct Wire {
    client: reqwest::Client,
    origin: Url,
    throttle: Throttle,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Wire({})", self.origin)
    }
}

/// Hands the one transport to the client above.
#[derive(Debug)]
pub(super) struct Line(pub(super) HttpClient);

impl HttpConnector for Line {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

impl Wire {
    pub(super) fn new(origin: Url, throttle: Throttle) -> Result<Self, BadPlace> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("fieldtape/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .https_only(origin.scheme() == "https")
            .connect_timeout(CONNECT_MAX)
            .build()
            .map_err(|error| BadPlace::Transport(error.to_string()))?;
        Ok(Self { client, origin, throttle })
    }

    async fn carry(&self, request: HttpRequest) -> Result<HttpResponse, Fault> {
        let (parts, body) = request.into_parts();
        let text = parts.uri.to_string();
        let url = Url::parse(&text).map_err(|_| Fault::Stranger(text.clone()))?;
        if url.origin() != self.origin.origin() {
            return Err(Fault::Stranger(url.origin().ascii_serialization()));
        }
        let mut out = reqwest::Request::new(parts.method, url);
        *out.headers_mut() = parts.headers;
        let (moved, seen) = watch::channel(Move::Sent);
        if body.content_length() > 0 {
            let length = body.content_length().into();
            out.headers_mut().entry(CONTENT_LENGTH).or_insert(length);
            *out.body_mut() = Some(self.paced(body, moved));
        } else {
            drop(moved);
        }
        let sent = self.client.execute(out);
        let response = tokio::select! {
            biased;
            response = sent => response.map_err(|error| Fault::Line(chain(&error)))?,
            () = stands_still(seen) => return Err(Fault::Still),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(answer(response));
        }
        let (code, words) = complaint(response).await;
        Err(Fault::Answer { status: status.as_u16(), code, words })
    }

    /// Cuts a body into slices, each let through by the throttle.
    fn paced(&self, body: HttpRequestBody, moved: watch::Sender<Move>) -> reqwest::Body {
        let throttle = self.throttle.clone();
        let blocks = Box::pin(body.into_data_stream());
        let slices = blocks.flat_map(|block| {
            let slices = block.map(|mut block| {
                let count = block.len().div_ceil(SLICE_BYTES);
                (0..count).map(move |_| block.split_to(block.len().min(SLICE_BYTES)))
            });
            match slices {
                Ok(slices) => futures_util::stream::iter(slices.map(Ok)).left_stream(),
                Err(error) => futures_util::stream::iter([Err(error)]).right_stream(),
            }
        });
        let moved = Arc::new(moved);
        reqwest::Body::wrap_stream(slices.then(move |slice| {
            let (throttle, moved) = (throttle.clone(), Arc::clone(&moved));
            async move {
                if let Ok(slice) = &slice {
                    moved.send_replace(Move::Waits);
                    throttle.take(slice.len()).await;
                    moved.send_replace(Move::Sent);
                }
                slice
            }
        }))
    }
}

/// Hands an answer on; its body may not stand still either.
fn answer(response: reqwest::Response) -> HttpResponse {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = reqwest::Body::from(response);
    let frames = futures_util::stream::try_unfold(body, |mut body| async move {
        match tokio::time::timeout(STILL_MAX, body.frame()).await {
            Ok(Some(Ok(frame))) => Ok(Some((frame, body))),
            Ok(Some(Err(error))) => Err(Fault::Line(chain(&error)).raise()),
            Ok(None) => Ok(None),
            Err(_) => Err(Fault::Still.raise()),
        }
    });
    let mut answer = HttpResponse::new(HttpResponseBody::new(StreamBody::new(frames)));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

/// Returns S3's word for why it said no, and its explanation.
async fn complaint(mut response: reqwest::Response) -> (String, String) {
    let mut text = Vec::new();
    while text.len() < COMPLAINT_BYTES_MAX {
        match tokio::time::timeout(STILL_MAX, response.chunk()).await {
            Ok(Ok(Some(chunk))) => text.extend_from_slice(&chunk),
            // What was read of it has to do.
            Ok(Ok(None) | Err(_)) | Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&text);
    (element(&text, "Code"), element(&text, "Message"))
}

/// Returns what stands between `<name>` and `</name>`, fit to be told to a person.
fn element(text: &str, name: &str) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let inner = text.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
    let inner = inner.map_or("", |(inner, _)| inner);
    inner.chars().filter(|letter| !letter.is_control()).take(WORDS_MAX).collect()
}

/// Returns an error's words and those of everything under it.
fn chain(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    // The words of the outermost error are the address and "error sending request".
    if words.is_empty() { "the request could not be sent".to_owned() } else { words.join(": ") }
}

/// What the body of a request is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// It waits for its turn, which may take as long as it takes.
    Waits,
    /// A slice is on its way.
    Sent,
}

/// Comes back when nothing has moved for too long.
async fn stands_still(mut seen: watch::Receiver<Move>) {
    loop {
        let waits = *seen.borrow_and_update() == Move::Waits;
        let changed = async {
            if seen.changed().await.is_err() {
                // The body is gone: it was sent, and the answer is what is waited for.
                std::future::pending::<()>().await;
            }
        };
        if waits {
            changed.await;
        } else if tokio::time::timeout(STILL_MAX, changed).await.is_err() {
            return;
        }
    }
}

impl HttpService for Wire {
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move { self.carry(request).await.map_err(Fault::raise) })
    }
}
