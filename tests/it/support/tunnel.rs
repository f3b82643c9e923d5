//! A way in from outside: an address with a certificate of its own that leads to a door in the
//! clear, as a tunnel or a reverse proxy does.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::Home;

/// What is wrong with a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Its certificate has expired.
    Expired,
    /// It answers WebSockets itself, with a refusal.
    DeafToStreams,
}

/// A listening end on this machine.
pub(crate) struct Tunnel {
    folder: TempDir,
    url: String,
    door: watch::Sender<Option<String>>,
    _tasks: JoinSet<()>,
}

impl Tunnel {
    pub(crate) async fn open(flaw: Flaw) -> Self {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        if flaw == Flaw::Expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let text = BASE64.encode(certificate.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (door, leads_to) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, door) = (acceptor.clone(), leads_to.borrow().clone());
                // Whoever goes away in the middle is missed by nobody.
                connections.spawn(async move { drop(carry(stream, acceptor, door, flaw).await) });
            }
        });
        Self { folder, url, door, _tasks: tasks }
    }

    /// Its address, as it is configured.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Lets it lead to a door; until then it answers that nobody is there.
    pub(crate) fn lead_to(&self, door: &str) {
        self.door.send_replace(Some(door.to_owned()));
    }

    /// Runs a command that trusts the tunnel's certificate.
    pub(crate) async fn run(&self, home: &Home, args: &[&str]) -> super::Answer {
        let mut command = self.command(home);
        command.args(args);
        super::Answer::of(command).await
    }

    fn command(&self, home: &Home) -> Command {
        let mut command = super::fieldtape(home.path());
        let authorities: PathBuf = self.folder.path().join("ca.pem");
        command.env("SSL_CERT_FILE", authorities).arg("-c").arg(home.config_file());
        command
    }
}

async fn carry(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    door: Option<String>,
    flaw: Flaw,
) -> std::io::Result<()> {
    let mut outside = acceptor.accept(stream).await?;
    let mut first = vec![0; 16 * 1024];
    let length = outside.read(&mut first).await?;
    let is_stream = String::from_utf8_lossy(&first[..length]).contains("/twilio/media-stream");
    let Some(door) = door.filter(|_| flaw != Flaw::DeafToStreams || !is_stream) else {
        let refusal = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        outside.write_all(refusal).await?;
        return outside.shutdown().await;
    };
    let mut inside = TcpStream::connect(door).await?;
    inside.write_all(&first[..length]).await?;
    copy_bidirectional(&mut outside, &mut inside).await.map(drop)
}
