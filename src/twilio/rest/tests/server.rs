//! Sockets that answer as they are told and remember every byte they were sent.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What a socket does with a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Closes without a word.
    Hangup,
    /// Keeps the connection and says nothing more.
    Silence(Vec<u8>),
}

impl Reply {
    pub(super) fn json(status: u16, body: &str) -> Self {
        Self::with(status, &["Content-Type: application/json"], body.as_bytes())
    }

    pub(super) fn with(status: u16, headers: &[&str], body: &[u8]) -> Self {
        let length = format!("Content-Length: {}", body.len());
        let mut lines = vec![format!("HTTP/1.1 {status} X"), "Connection: close".to_owned()];
        lines.extend(headers.iter().map(ToString::to_string));
        // An answer without content must not have a length either.
        lines.extend((status != 204).then_some(length));
        let head = lines.join("\r\n") + "\r\n\r\n";
        Self::Raw([head.as_bytes(), body].concat())
    }
}

type Answering = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

/// A listening socket on this machine.
pub(super) struct Server {
    pub(super) at: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Answers each request, head and body, in the clear.
    pub(super) async fn plain(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0", answer, |stream| async { Some(stream) }).await
    }

    /// Answers behind TLS as whichever host the certificate names.
    pub(super) async fn encrypted(
        certificate: &rcgen::CertifiedKey<rcgen::KeyPair>,
        answer: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::listen("127.0.0.1:0", answer, move |stream| {
            let acceptor = acceptor.clone();
            async move { acceptor.accept(stream).await.ok() }
        })
        .await
    }

    async fn listen<S, F>(
        address: &str,
        answer: impl Fn(&str) -> Reply + Send + Sync + 'static,
        dress: impl Fn(tokio::net::TcpStream) -> F + Send + Sync + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let at = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log): (Answering, _) = (Arc::new(answer), seen.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let dressed = dress(stream);
                let (answer, log) = (answer.clone(), log.clone());
                let place = {
                    let mut log = log.lock().unwrap();
                    log.push(String::new());
                    log.len() - 1
                };
                connections.spawn(async move {
                    if let Some(stream) = dressed.await {
                        serve(stream, &answer, &log, place).await;
                    }
                });
            }
        });
        Self { at, seen, _tasks: tasks }
    }

    /// Returns what each connection sent so far.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Forgets what was sent.
    pub(super) fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: &Answering,
    log: &Mutex<Vec<String>>,
    place: usize,
) {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(len) => {
                let text = String::from_utf8_lossy(&buffer[..len]);
                request.push_str(&text);
                if let Some(seen) = log.lock().unwrap().get_mut(place) {
                    seen.push_str(&text);
                }
            }
        }
    }
    match answer(&request) {
        Reply::Raw(bytes) => {
            drop(stream.write_all(&bytes).await);
            drop(stream.shutdown().await);
        }
        Reply::Hangup => {}
        Reply::Silence(bytes) => {
            drop(stream.write_all(&bytes).await);
            drop(stream.flush().await);
            // Until the other side has had enough.
            drop(stream.read(&mut buffer).await);
        }
    }
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}
