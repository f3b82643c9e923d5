//! The media stream's socket: messages in, frames to the recorder, nothing out.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use axum::extract::{FromRequestParts, Request, State, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::gate::{Turned, check_upgrade};
use super::voice::{TOKEN_PARAMETER, token_hash};
use super::{DoorState, Gatekeeper, Inside, LEDGER_PATIENCE, ask_for_copy};
use crate::capture::{Frame, StreamLink, StreamOpening};
use crate::domain::{CallSid, PartyMap};
use crate::store::{NewCall, TokenVerdict};
use crate::twilio::media::{MediaError, MediaMessage, Start};

/// The largest frame that is read; Twilio's are half a kilobyte.
const FRAME_BYTES_MAX: usize = 64 * 1024;

/// What is read at once: some 16 of Twilio's frames. The library makes so much room zero before
/// each read, so more would cost memory and time with every frame.
const READ_BYTES: usize = 8 * 1024;

/// How long a socket may be open before its `start`.
const START_WITHIN: Duration = Duration::from_secs(5);

/// How long a socket may bring nothing at all, silence included, before it is closed.
const SILENT_MAX: Duration = Duration::from_mins(6);

/// Answers `GET /twilio/media-stream`.
pub(super) async fn media_stream(
    State(state): State<DoorState>,
    request: Request,
) -> Result<Response, Turned> {
    let (mut parts, _) = request.into_parts();
    let gatekeeper = check_upgrade(&state, &parts)?;
    let inside = state.inside.clone().ok_or_else(|| Turned::Later {
        why: "a stream cannot be taken: the data folder cannot be used".to_owned(),
    })?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &state)
        .await
        .map_err(|error| Turned::Bad { why: error.to_string() })?;
    let upgrade = upgrade
        .read_buffer_size(READ_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_message_size(FRAME_BYTES_MAX);
    Ok(upgrade
        .on_upgrade(move |socket| Line { state, gatekeeper, inside, socket }.run())
        .into_response())
}

/// One socket.
struct Line {
    state: DoorState,
    gatekeeper: Gatekeeper,
    inside: Inside,
    socket: WebSocket,
}

/// Why a socket is closed by us.
struct Hangup {
    code: u16,
    reason: &'static str,
}

const fn hangup(code: u16, reason: &'static str) -> Hangup {
    Hangup { code, reason }
}

impl Line {
    async fn run(mut self) {
        let hangup = match self.await_start().await {
            Ok(start) => {
                let span = tracing::info_span!("stream", call.sid = %start.call_sid, stream.sid = %start.stream_sid);
                self.talk(start).instrument(span).await
            }
            Err(hangup) => hangup,
        };
        if hangup.code != close_code::NORMAL {
            tracing::warn!(
                event = "stream.closed",
                code = hangup.code,
                "a media stream was closed: {}",
                hangup.reason
            );
        }
        let frame = CloseFrame { code: hangup.code, reason: hangup.reason.into() };
        // The other side may be gone already.
        let _ = self.socket.send(Message::Close(Some(frame))).await;
    }

    async fn await_start(&mut self) -> Result<Start, Hangup> {
        let waiting = async {
            loop {
                match self.next().await? {
                    Some(Ok(MediaMessage::Start(start))) => return Ok(start),
                    Some(Ok(MediaMessage::Connected)) => {}
                    Some(_) => {
                        return Err(hangup(close_code::POLICY, "the first message is no start"));
                    }
                    None => return Err(hangup(close_code::NORMAL, "gone before it began")),
                }
            }
        };
        tokio::time::timeout(START_WITHIN, waiting)
            .await
            .unwrap_or(Err(hangup(close_code::POLICY, "no start message came")))
    }

    /// The next text message; none when the socket is gone.
    async fn next(&mut self) -> Result<Option<Result<MediaMessage, MediaError>>, Hangup> {
        loop {
            let received = tokio::select! {
                biased;
                () = self.state.stop.cancelled() => {
                    return Err(hangup(close_code::AWAY, "fieldtape is stopping"));
                }
                received = tokio::time::timeout(SILENT_MAX, self.socket.recv()) => received,
            };
            match received {
                Err(_elapsed) => {
                    return Err(hangup(close_code::AWAY, "nothing came for six minutes"));
                }
                Ok(None | Some(Ok(Message::Close(_)))) => return Ok(None),
                Ok(Some(Ok(Message::Text(text)))) => return Ok(Some(MediaMessage::parse(&text))),
                Ok(Some(Ok(Message::Binary(_)))) => {
                    return Ok(Some(Err(MediaError::Missing { field: "event" })));
                }
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(Some(Err(error))) if is_too_long(&error) => {
                    return Err(hangup(close_code::SIZE, "a frame was larger than 64 KiB"));
                }
                Ok(Some(Err(_broken))) => return Ok(None),
            }
        }
    }

    async fn talk(&mut self, start: Start) -> Hangup {
        let link = match self.open(&start).await {
            Ok(link) => link,
            Err(hangup) => return hangup,
        };
        loop {
            match self.next().await {
                Ok(Some(Ok(MediaMessage::Media(media)))) => {
                    let frame = Frame {
                        track: media.track,
                        sequence: media.sequence,
                        timestamp_ms: media.timestamp_ms,
                        ulaw: media.payload,
                    };
                    if !link.frame(frame).await {
                        return hangup(close_code::NORMAL, "the call is over");
                    }
                }
                Ok(Some(Ok(MediaMessage::Stop(_)))) => {
                    link.close(true).await;
                    return hangup(close_code::NORMAL, "stopped");
                }
                Ok(Some(other)) => skip(&link, &other).await,
                Ok(None) => {
                    link.close(false).await;
                    return hangup(close_code::NORMAL, "gone");
                }
                Err(hangup) => {
                    link.close(false).await;
                    return hangup;
                }
            }
        }
    }

    async fn open(&mut self, start: &Start) -> Result<StreamLink, Hangup> {
        if start.account_sid != self.gatekeeper.account_sid {
            return Err(hangup(close_code::POLICY, "not our account"));
        }
        // Whatever becomes of the stream, Twilio's copy is wanted, all the more if nothing does.
        ask_for_copy(&self.state, &start.call_sid);
        if !start.format.is_mulaw() {
            tracing::error!(
                event = "stream.failed",
                encoding = start.format.encoding,
                rate_hz = start.format.rate_hz,
                "{} streams a format that is not read here; Twilio's recording has the call",
                start.call_sid
            );
            return Err(hangup(
                close_code::UNSUPPORTED,
                "only audio/x-mulaw, 8000 Hz, mono is read",
            ));
        }
        let verified = self.check_token(start).await?;
        let call = self.call_of(&start.call_sid).await;
        let parties = PartyMap::new(call.direction, call.origin, false);
        let stream_sid = start.stream_sid.clone();
        let opening = StreamOpening { call, stream_sid, verified, parties };
        self.inside.recorder.open_stream(opening).await.map_err(|refused| {
            tracing::error!(event = "stream.failed", error = %refused, "{} is not recorded here: {refused}; Twilio's recording has it", start.call_sid);
            hangup(close_code::AGAIN, "the recorder takes no more streams")
        })
    }

    /// Says whether the stream proved itself by its token. The signature was right already.
    async fn check_token(&mut self, start: &Start) -> Result<bool, Hangup> {
        let sid = &start.call_sid;
        let Some(token) = start.parameters.get(TOKEN_PARAMETER) else {
            tracing::warn!(
                event = "stream.unverified",
                "the stream of {sid} brings no token; it is recorded and marked unverified"
            );
            return Ok(false);
        };
        let now = self.state.clock.reading();
        let spent = self.inside.store.spend_token(token_hash(token), sid.clone(), now);
        match tokio::time::timeout(LEDGER_PATIENCE, spent).await {
            Ok(Ok(TokenVerdict::Good(_))) => Ok(true),
            Ok(Ok(TokenVerdict::Spent)) => {
                Err(hangup(close_code::POLICY, "the stream's token was used before"))
            }
            Ok(Ok(TokenVerdict::Expired)) => {
                Err(hangup(close_code::POLICY, "the stream's token is too old"))
            }
            Ok(Ok(TokenVerdict::Unknown)) => {
                Err(hangup(close_code::POLICY, "the stream's token is not ours"))
            }
            Ok(Err(_)) | Err(_) => {
                tracing::error!(
                    event = "stream.unverified",
                    "the ledger cannot say whether the token of {sid} is ours; its sound is recorded and marked unverified"
                );
                Ok(false)
            }
        }
    }

    /// What is known of the call: its row, or else what the stream itself can say.
    async fn call_of(&mut self, call_sid: &CallSid) -> NewCall {
        let asked = tokio::time::timeout(LEDGER_PATIENCE, self.inside.store.call(call_sid)).await;
        let unknown = NewCall::unknown(call_sid.clone(), self.state.clock.reading());
        match asked {
            Ok(Ok(Some(detail))) => NewCall {
                direction: detail.call.direction,
                origin: detail.call.origin,
                from_number: detail.call.from_number,
                to_number: detail.call.to_number,
                ..unknown
            },
            _ => unknown,
        }
    }
}

async fn skip(link: &StreamLink, message: &Result<MediaMessage, MediaError>) {
    match message {
        Ok(MediaMessage::Dtmf { sequence, .. } | MediaMessage::Mark { sequence, .. }) => {
            link.skipped(Some(*sequence), false).await;
        }
        Ok(_) | Err(_) => link.skipped(None, true).await,
    }
}

/// Whether the other side sent more than is read at once.
fn is_too_long(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = cause {
        if let Some(tokio_tungstenite::tungstenite::Error::Capacity(_)) = inner.downcast_ref() {
            return true;
        }
        cause = inner.source();
    }
    false
}
