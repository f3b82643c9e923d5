//! One media stream's WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use tokio_util::sync::CancellationToken;

use super::line::{Line, root_cause};
use super::plan::Plan;
use super::report::{Heard, Trouble};
use super::sound::Sound;
use crate::domain::{PartyMap, StreamSid};
use crate::twilio::media::Media;

/// How long to wait for the other side's part in closing.
const CLOSING: Duration = Duration::from_secs(2);

/// How long to wait for a connection and its upgrade.
const CONNECTING: Duration = Duration::from_secs(10);

/// An open stream.
pub(super) struct Socket {
    inner: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// The call's own time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) epoch: Instant,
    pub(super) speed: f64,
}

impl Pace {
    /// Returns when a moment of the call comes. Always from the epoch, so that no error adds up.
    pub(super) fn at(self, moment: Duration) -> Instant {
        self.epoch + moment.div_f64(self.speed)
    }

    /// Returns how much of the call is over.
    pub(super) fn now(self) -> Duration {
        self.epoch.elapsed().mul_f64(self.speed)
    }
}

/// What a stream plays and by which clock.
pub(super) struct Performance<'a> {
    pub(super) stream_sid: &'a StreamSid,
    pub(super) sound: &'a Sound,
    pub(super) parties: PartyMap,
    pub(super) pace: Pace,
    pub(super) cut_at: Option<Duration>,
    pub(super) stop: &'a CancellationToken,
}

/// Why a stream's sound ended.
#[derive(Debug)]
pub(super) enum PlayEnd {
    /// It has all been sent.
    Finished,
    /// It is time to break it.
    Cut,
    /// The call was hung up.
    HungUp,
    /// The appliance, or the way to it, ended it.
    Lost(Trouble),
}

impl Socket {
    /// Connects as Twilio does: its headers, no subprotocol, no compression.
    pub(super) async fn connect(line: &Line, url: &str) -> Result<Self, Trouble> {
        let (mut local, _) = line.local(url)?;
        let scheme = if local.scheme() == "https" { "wss" } else { "ws" };
        let unreachable = |why: String| Trouble::StreamUnreachable { why };
        if local.set_scheme(scheme).is_err() {
            return Err(unreachable(format!("{local} is no WebSocket address")));
        }
        let request = local.as_str().into_client_request();
        let mut request = request.map_err(|error| unreachable(error.to_string()))?;
        for (name, value) in [
            ("host", line.host()),
            ("user-agent", "Twilio.TmeWs/1.0"),
            ("x-twilio-signature", &line.sign(url, &[])),
            ("accept-encoding", "gzip"),
        ] {
            let value = HeaderValue::from_str(value).map_err(|e| unreachable(e.to_string()))?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        let way = line.way();
        let connecting = async {
            let stream = way.connect().await.map_err(WsError::Io)?;
            client_async_tls_with_config(request, stream, None, way.connector()).await
        };
        match timeout(CONNECTING, connecting).await {
            Ok(Ok((inner, _))) => Ok(Self { inner }),
            Ok(Err(WsError::Http(answer))) => {
                Err(Trouble::StreamRefused { status: answer.status().as_u16() })
            }
            Ok(Err(error)) => Err(unreachable(root_cause(&error))),
            Err(_) => Err(unreachable("no answer within 10 s".to_owned())),
        }
    }

    pub(super) async fn send(&mut self, frame: String) -> Result<(), Trouble> {
        match self.inner.send(Message::text(frame)).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.why_closed(&error).await),
        }
    }

    /// Plays a plan to its end, each message at its time.
    pub(super) async fn play(
        &mut self,
        plan: &mut Plan,
        performance: &Performance<'_>,
        heard: &mut Heard,
    ) -> PlayEnd {
        let Performance { stream_sid, sound, parties, pace, cut_at, stop } = performance;
        heard.next_stream();
        for sending in plan.by_ref() {
            let cut = cut_at.filter(|cut| *cut < sending.due);
            let next = pace.at(cut.unwrap_or(sending.due));
            if let Some(end) = self.wait(next, stop).await {
                return end;
            }
            if cut.is_some() {
                return PlayEnd::Cut;
            }
            let media = Media {
                sequence: sending.sequence,
                track: sending.track,
                chunk: Some(sending.chunk),
                timestamp_ms: sending.timestamp_ms,
                payload: sound.frame(parties.party(sending.track), sending.frame).to_vec(),
            };
            if let Err(trouble) = self.send(media.frame(stream_sid)).await {
                return PlayEnd::Lost(trouble);
            }
            heard.note(sending.track, sending.frame, sending.sequence);
        }
        PlayEnd::Finished
    }

    /// Waits for a moment while listening: pings are answered, a close is an end.
    async fn wait(&mut self, until: Instant, stop: &CancellationToken) -> Option<PlayEnd> {
        loop {
            let incoming = tokio::select! {
                biased;
                () = stop.cancelled() => return Some(PlayEnd::HungUp),
                incoming = self.inner.next() => incoming,
                () = sleep_until(until) => return None,
            };
            if let Some(trouble) = trouble_of(incoming) {
                return Some(PlayEnd::Lost(trouble));
            }
        }
    }

    /// Closes in good order.
    pub(super) async fn close(mut self) {
        let goodbye = async {
            if self.inner.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.inner.next().await {}
            }
        };
        // A peer that does not answer has no claim to more time; the socket closes either way.
        let _ = timeout(CLOSING, goodbye).await;
    }

    /// Looks for what the other side said before sending stopped to work.
    async fn why_closed(&mut self, error: &WsError) -> Trouble {
        let told = async {
            loop {
                match trouble_of(self.inner.next().await) {
                    Some(closed @ Trouble::StreamClosed { .. }) => return Some(closed),
                    Some(_) => return None,
                    None => {}
                }
            }
        };
        let told = timeout(CLOSING, told).await.ok().flatten();
        told.unwrap_or_else(|| Trouble::StreamBroken { why: root_cause(error) })
    }
}

/// Returns what an incoming message means for the stream: mostly nothing, because a recorder
/// has nothing to say to Twilio but goodbye.
fn trouble_of(incoming: Option<Result<Message, WsError>>) -> Option<Trouble> {
    match incoming {
        Some(Ok(Message::Close(Some(frame)))) => Some(Trouble::StreamClosed {
            code: frame.code.into(),
            reason: frame.reason.as_str().to_owned(),
        }),
        Some(Ok(Message::Close(None))) => {
            Some(Trouble::StreamClosed { code: 1005, reason: String::new() })
        }
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(Trouble::StreamBroken { why: root_cause(&error) }),
        None => Some(Trouble::StreamBroken { why: "connection closed".to_owned() }),
    }
}
