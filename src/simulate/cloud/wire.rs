//! The API's port, which can be closed and opened again, and its connections, each of which can
//! be cut.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The wait before a port or a connection that could not be had is tried for again.
const AGAIN: Duration = Duration::from_millis(20);

/// Connections that may wait to be taken.
const BACKLOG: u32 = 128;

/// Whether the API can be reached.
pub(super) struct Switch {
    wanted: watch::Sender<bool>,
    listening: watch::Sender<bool>,
    /// Cancelled when the API goes away, and all its connections with it.
    uptime: Mutex<CancellationToken>,
}

impl Switch {
    pub(super) fn new() -> Self {
        Self {
            wanted: watch::Sender::new(true),
            listening: watch::Sender::new(true),
            uptime: Mutex::new(CancellationToken::new()),
        }
    }

    /// Cuts every connection, and each that may still come in while the port is being closed.
    pub(super) fn go_offline(&self) {
        self.uptime().cancel();
        self.wanted.send_replace(false);
    }

    pub(super) fn go_online(&self) {
        *self.uptime() = CancellationToken::new();
        self.wanted.send_replace(true);
    }

    /// Waits until the port is as it was asked to be.
    pub(super) async fn settled(&self) {
        let wanted = *self.wanted.borrow();
        // The sender is `self`, so there is always one to wait for.
        let _ = self.listening.subscribe().wait_for(|listening| *listening == wanted).await;
    }

    fn connection(&self) -> CancellationToken {
        self.uptime().child_token()
    }

    fn uptime(&self) -> std::sync::MutexGuard<'_, CancellationToken> {
        self.uptime.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The port. While it is closed it stays ours, so that nobody else is found at it.
pub(super) struct Port {
    address: SocketAddr,
    listener: Option<TcpListener>,
    switch: Arc<Switch>,
}

impl Port {
    pub(super) fn new(listener: TcpListener, switch: Arc<Switch>) -> io::Result<Self> {
        Ok(Self { address: listener.local_addr()?, listener: Some(listener), switch })
    }

    /// Waits, closed, until the port is wanted, and opens it.
    async fn reopen(&self) -> TcpListener {
        let mut held = hold(self.address).ok();
        self.switch.listening.send_replace(false);
        // The sender lives in `self`, so there is always one to wait for.
        let _ = self.switch.wanted.subscribe().wait_for(|wanted| *wanted).await;
        loop {
            let opened = match held.take() {
                Some(socket) => open(socket),
                None => hold(self.address).and_then(open),
            };
            match opened {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}

/// Binds without listening: whoever calls is refused, and nobody else can bind.
fn hold(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections that were cut may still linger on the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.set_reuseaddr(false)?;
    Ok(socket)
}

fn open(socket: TcpSocket) -> io::Result<TcpListener> {
    socket.set_reuseaddr(true)?;
    socket.listen(BACKLOG)
}

impl Listener for Port {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            let Some(listener) = &self.listener else {
                self.listener = Some(self.reopen().await);
                self.switch.listening.send_replace(true);
                continue;
            };
            let mut wanted = self.switch.wanted.subscribe();
            let accepted = tokio::select! {
                biased;
                _ = wanted.wait_for(|wanted| !wanted) => None,
                accepted = listener.accept() => Some(accepted),
            };
            match accepted {
                None => self.listener = None,
                Some(Ok((stream, from))) => {
                    return (Wire::new(stream, self.switch.connection()), from);
                }
                // Too many open files, or a caller that is gone again.
                Some(Err(_)) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// One connection.
pub(super) struct Wire {
    stream: TcpStream,
    connection: Connection,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// The knife for a connection.
#[derive(Clone)]
pub(super) struct Connection(CancellationToken);

impl Connection {
    pub(super) fn cut(&self) {
        self.0.cancel();
    }

    pub(super) fn is_cut(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Connected<IncomingStream<'_, Port>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Port>) -> Self {
        stream.io().connection.clone()
    }
}

impl Wire {
    fn new(stream: TcpStream, token: CancellationToken) -> Self {
        // Only a little slower without.
        let _ = stream.set_nodelay(true);
        let cut = Box::pin(token.clone().cancelled_owned());
        Self { stream, connection: Connection(token), cut }
    }

    fn is_cut(&mut self, context: &mut Context<'_>) -> bool {
        self.cut.as_mut().poll(context).is_ready()
    }
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_cut(context) {
            return Poll::Ready(Err(cut()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_cut(context) {
            return Poll::Ready(Err(cut()));
        }
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_cut(context) {
            return Poll::Ready(Err(cut()));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
