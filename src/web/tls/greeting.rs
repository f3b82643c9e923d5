//! How a connection begins that is to be encrypted.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Identity;

/// What every handshake begins with; no request in the clear does.
const HANDSHAKE: u8 = 0x16;

/// What a browser is told that speaks in the clear.
const IN_THE_CLEAR: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Connection: close\r\n\r\nThis port speaks https: write https:// before its address.\n";

/// What became of it.
pub(in crate::web) enum Greeted {
    /// It is encrypted.
    Safely(Box<TlsStream<TcpStream>>),
    /// It was in the clear, and has been told so.
    InTheClear,
}

/// Shakes hands under a certificate.
pub(in crate::web) async fn greet(
    identity: &Identity,
    mut stream: TcpStream,
) -> io::Result<Greeted> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first != [HANDSHAKE] {
        // What came is read, or closing would take the answer back.
        let mut said = [0; 4096];
        let _ = stream.read(&mut said).await?;
        stream.write_all(IN_THE_CLEAR).await?;
        stream.shutdown().await?;
        return Ok(Greeted::InTheClear);
    }
    let stream = TlsAcceptor::from(identity.server()).accept(stream).await?;
    Ok(Greeted::Safely(Box::new(stream)))
}
