//! Takes connections and answers them with a router, within limits, until told to stop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::tls::{Greeted, Spoken, Tls, greet};

/// How long to wait after the system refused to hand over a connection (it is out of file
/// descriptors or memory): long enough not to spin, short enough that no caller notices.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection that has asked for nothing yet stays open after the stop: its first request
/// is on its way, and without an answer that would be a webhook refused.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(1);

/// What a listener takes at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Time for a request's head to arrive, and so the longest idle time between two requests; and
    /// for the handshake of an encrypted connection.
    pub head_timeout: Duration,
    /// Size of a request's head.
    pub head_bytes_max: usize,
    /// Header fields in a request.
    pub header_fields_max: usize,
}

impl Limits {
    /// What every door of the appliance takes.
    ///
    /// 256 connections: 16 calls x 2 (stream and webhook) x 2 in reserve = 64 on Twilio's door; 30
    /// browser tabs x 7 (six and a live stream) = 210 on the page's. A connection costs about
    /// 20 KiB, 5 MiB in all.
    pub const DOOR: Self = Self {
        connections_max: 256,
        head_timeout: Duration::from_secs(5),
        head_bytes_max: 16 * 1024,
        header_fields_max: 64,
    };
}

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// The network, and what is spoken there.
    Tcp(TcpListener, Spoken),
    /// A socket file.
    Unix(UnixListener),
}

/// The two ends of a network connection. Every request that came over TCP carries it as an
/// extension; one that came over a socket file does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Our end.
    pub local: SocketAddr,
    /// Theirs.
    pub remote: SocketAddr,
}

/// Answers connections with `router` until `stop`; every connection is a task of `tasks`.
///
/// On `stop` no further connection is taken, requests under way are answered, as is the first one of
/// a connection that was just taken, and idle connections are closed. It returns at once then; `tasks` tells when the last answer is out.
pub async fn serve(
    listener: &Listener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
    tasks: &TaskTracker,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let Some(place) = stop.run_until_cancelled(free_place(&places, limits)).await else {
            return;
        };
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { return };
        match accepted {
            Ok(accepted) => {
                let door = Door { router: router.clone(), limits, stop: stop.clone(), place };
                match accepted {
                    Accepted::Tcp(stream, ends, tls) => {
                        // Frames and server-sent events are small and must not wait for one
                        // another; a socket that cannot be told so still works.
                        let _ = stream.set_nodelay(true);
                        tasks.spawn(door.open(stream, ends, tls));
                    }
                    Accepted::Unix(stream) => {
                        tasks.spawn(door.answer(stream, None));
                    }
                }
            }
            Err(error) if gave_up_early(&error) => debug!(%error, "a connection ended at the door"),
            Err(error) => {
                warn!(%error, "no connection can be taken; trying again");
                if stop.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await.is_none() {
                    return;
                }
            }
        }
    }
}

enum Accepted {
    Tcp(TcpStream, Ends, Tls),
    Unix(UnixStream),
}

impl Listener {
    /// Returns where it listens, in words.
    pub fn address(&self) -> String {
        let address = match self {
            Self::Tcp(listener, _) => listener.local_addr().map(|address| address.to_string()),
            Self::Unix(listener) => listener.local_addr().map(|address| format!("{address:?}")),
        };
        address.unwrap_or_else(|error| error.to_string())
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener, spoken) => {
                let (stream, remote) = listener.accept().await?;
                let local = stream.local_addr()?;
                Ok(Accepted::Tcp(stream, Ends { local, remote }, spoken.borrow().clone()))
            }
            Self::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }
}

async fn free_place(places: &Arc<Semaphore>, limits: Limits) -> OwnedSemaphorePermit {
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return place;
    }
    warn!(connections_max = limits.connections_max, "all connections are taken; others wait");
    #[expect(clippy::expect_used, reason = "the semaphore is never closed: it lives in `serve`")]
    Arc::clone(places).acquire_owned().await.expect("an open semaphore")
}

/// Errors of one connection, not of the listener.
fn gave_up_early(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
    )
}

/// What one connection leads to.
struct Door {
    router: Router,
    limits: Limits,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
}

impl Door {
    /// Answers a connection from the network.
    async fn open(self, stream: TcpStream, ends: Ends, tls: Tls) {
        let identity = match tls {
            Tls::Plain => return self.answer(stream, Some(ends)).await,
            Tls::Under(identity) => identity,
            Tls::Mute => return debug!("a connection was closed: there is no certificate"),
        };
        let greeted = timeout(self.limits.head_timeout, greet(&identity, stream));
        match self.stop.run_until_cancelled(greeted).await {
            Some(Ok(Ok(Greeted::Safely(stream)))) => self.answer(*stream, Some(ends)).await,
            // A browser that does not know the certificate breaks off here.
            Some(Ok(Err(error))) => debug!(%error, "a connection ended before it was encrypted"),
            Some(Ok(Ok(Greeted::InTheClear)) | Err(_)) | None => {}
        }
    }

    async fn answer<S>(self, stream: S, ends: Option<Ends>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, limits, stop, place } = self;
        let asked = CancellationToken::new();
        let has_asked = asked.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            has_asked.cancel();
            let mut request = request.map(Body::new);
            if let Some(ends) = ends {
                request.extensions_mut().insert(ends);
            }
            let answer = router.clone().oneshot(request);
            async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_buf_size(limits.head_bytes_max)
            .max_headers(limits.header_fields_max)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            biased;
            () = may_close(&stop, &asked) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            ended = connection.as_mut() => ended,
        };
        drop(place);
        if let Err(error) = ended {
            // A browser that leaves, a probe that says nothing: daily life of a listener.
            debug!(%error, "a connection ended early");
        }
    }
}

async fn may_close(stop: &CancellationToken, asked: &CancellationToken) {
    stop.cancelled().await;
    // Whether one comes or not, then it may.
    let _ = tokio::time::timeout(FIRST_REQUEST_WITHIN, asked.cancelled()).await;
}

#[cfg(test)]
mod tests;
