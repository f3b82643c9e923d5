//! Twilio's side of a media stream, message by message.

use fieldtape::domain::{CallSid, StreamSid, StreamTrack};
use fieldtape::twilio::media::{Media, MediaMessage};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::twilio::Twilio;
use super::{ACCOUNT, Appliance, PATIENCE, fresh_stream_sid};

const PATH: &str = "/twilio/media-stream";

/// What came of an upgrade.
pub(crate) enum Connected {
    Open(Box<Socket>),
    Refused(u16),
}

/// An open socket, and the place of its next message.
pub(crate) struct Socket {
    inner: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) stream_sid: StreamSid,
    sequence: u64,
}

impl Connected {
    /// Asks for an upgrade with any signature, or none.
    pub(crate) async fn with(door: &str, signature: Option<&str>) -> Self {
        let mut request = format!("ws://{door}{PATH}").into_client_request().unwrap();
        if let Some(signature) = signature {
            request.headers_mut().insert("x-twilio-signature", signature.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((inner, _)) => {
                let stream_sid = fresh_stream_sid();
                Self::Open(Box::new(Socket { inner, stream_sid, sequence: 1 }))
            }
            Err(Error::Http(answer)) => Self::Refused(answer.status().as_u16()),
            Err(error) => panic!("no upgrade and no answer: {error}"),
        }
    }
}

impl Socket {
    /// Opens a socket as Twilio does, up to `connected`.
    pub(crate) async fn open(appliance: &Appliance) -> Self {
        let signature = Twilio::sign_upgrade(&appliance.twilio(), PATH);
        let Connected::Open(mut socket) = Connected::with(appliance.door(), Some(&signature)).await
        else {
            panic!("the stream was refused");
        };
        socket.send(&MediaMessage::connected_frame()).await;
        *socket
    }

    /// Opens a socket and begins a stream of a call.
    pub(crate) async fn begin(appliance: &Appliance, call: &CallSid, token: Option<&str>) -> Self {
        let mut socket = Self::open(appliance).await;
        let start = socket.start(call, token);
        socket.send(&start.to_string()).await;
        socket
    }

    /// Writes the message that begins a stream, for a test to spoil.
    pub(crate) fn start(&self, call_sid: &CallSid, token: Option<&str>) -> Value {
        let parameters = token.map_or_else(|| json!({}), |token| json!({ "token": token }));
        json!({
            "event": "start", "sequenceNumber": "1", "streamSid": self.stream_sid.as_str(),
            "start": {
                "streamSid": self.stream_sid.as_str(), "accountSid": ACCOUNT,
                "callSid": call_sid.as_str(), "tracks": ["inbound", "outbound"],
                "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
                "customParameters": parameters,
            },
        })
    }

    /// Sends any text.
    pub(crate) async fn send(&mut self, text: &str) {
        self.inner.send(Message::text(text)).await.unwrap();
    }

    /// Sends any message of the protocol below, whether or not anybody still listens.
    pub(crate) async fn try_send(&mut self, message: Message) -> Result<(), Error> {
        self.inner.send(message).await
    }

    /// Sends the next message of a track's sound.
    pub(crate) async fn media(&mut self, track: StreamTrack, timestamp_ms: u64, ulaw: &[u8]) {
        let sequence = self.next_sequence();
        self.media_at(sequence, track, timestamp_ms, ulaw).await;
    }

    /// Sends a message with a place of its own.
    pub(crate) async fn media_at(
        &mut self,
        sequence: u64,
        track: StreamTrack,
        timestamp_ms: u64,
        ulaw: &[u8],
    ) {
        let media = Media { sequence, track, chunk: Some(1), timestamp_ms, payload: ulaw.to_vec() };
        let frame = media.frame(&self.stream_sid);
        self.send(&frame).await;
    }

    /// Sends 20 ms frames of both tracks, from a timestamp on.
    pub(crate) async fn both(&mut self, from_ms: u64, inbound: &[u8], outbound: &[u8]) {
        let frames = inbound.chunks(160).zip(outbound.chunks(160));
        for (timestamp_ms, (left, right)) in (from_ms..).step_by(20).zip(frames) {
            self.media(StreamTrack::Inbound, timestamp_ms, left).await;
            self.media(StreamTrack::Outbound, timestamp_ms, right).await;
        }
    }

    /// Takes the next place among the stream's messages.
    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Ends the stream in good order.
    pub(crate) async fn stop(mut self) {
        let stop = json!({
            "event": "stop", "streamSid": self.stream_sid.as_str(),
            "sequenceNumber": self.next_sequence().to_string(),
        });
        self.send(&stop.to_string()).await;
        assert_eq!(self.closed().await, Some(1000));
    }

    /// Breaks the connection without a word.
    pub(crate) fn cut(self) {
        drop(self);
    }

    /// Waits until the appliance closes the socket; returns its code, if it gave one.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        let closing = async {
            loop {
                match self.inner.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|f| f.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        };
        timeout(PATIENCE, closing).await.expect("the appliance closes the socket")
    }
}
