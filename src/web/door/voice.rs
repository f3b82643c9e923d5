//! What a call is answered with.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use super::gate::{Signed, Turned, check_account};
use super::{Answering, CloudCopy, DoorState, Gatekeeper, LEDGER_PATIENCE};
use crate::capture::Refused;
use crate::domain::{CallSid, Origin, last_four};
use crate::store::NewCall;
use crate::twilio::twiml::{
    AnswerOn, Dial, Noun, Recording, Response as Document, Say, Stream, StreamTracks, TwimlError,
    Verb,
};
use crate::twilio::webhook::VoiceRequest;

/// The name of the `<Parameter>` that carries a stream's one-time token.
pub(super) const TOKEN_PARAMETER: &str = "token";

/// How long the agent is rung.
const RING_S: u16 = 30;

/// Answers `POST /twilio/voice`.
pub(super) async fn voice(
    State(state): State<DoorState>,
    signed: Signed,
) -> Result<Response, Turned> {
    let Signed { form, gatekeeper } = signed;
    let request = VoiceRequest::from_form(&form)?;
    check_account(&gatekeeper, &request.account_sid)?;
    let sid = &request.call_sid;
    let from = last_four(&request.from);
    tracing::info!(
        call.sid = %sid, event = "call.started", direction = %request.direction(), origin = %request.origin(),
        "{sid} asks what to do ({} from {from})", request.direction()
    );
    let token = announce(&state, &request).await;
    let answering = state.settings.borrow().answering.clone();
    let asked = see_to_copy(&state, &answering, sid, token.is_some());
    let document = document(&answering, &gatekeeper, &request, (token.as_deref(), asked));
    Ok(([(header::CONTENT_TYPE, "text/xml")], document.to_xml()).into_response())
}

/// Whether the document has to ask for Twilio's copy, or somebody else does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CopyBy {
    Document,
    Other,
}

/// Sees to Twilio's copy of the call. Over REST it begins when the announcement, if any, has been
/// said, and the stream, which follows that in the document, is how we know. Without a stream of
/// which to hear, and without a ledger that could say what was asked already, the document itself
/// has to ask.
fn see_to_copy(
    state: &DoorState,
    answering: &Answering,
    sid: &CallSid,
    has_stream: bool,
) -> CopyBy {
    let starter = state.inside.as_ref().and_then(|inside| inside.starter.as_ref());
    let silent = answering.announcement.trim().is_empty();
    match (answering.cloud_copy, starter) {
        (CloudCopy::Off, _) => CopyBy::Other,
        (CloudCopy::Rest, Some(starter)) if has_stream => {
            if silent {
                starter.begin(sid);
            }
            CopyBy::Other
        }
        (CloudCopy::Rest | CloudCopy::Twiml, _) => CopyBy::Document,
    }
}

/// Writes the call down and gives out the token of its stream; none when the call is answered
/// without a stream.
async fn announce(state: &DoorState, request: &VoiceRequest) -> Option<String> {
    let sid = &request.call_sid;
    let Some(inside) = &state.inside else {
        tracing::error!(call.sid = %sid, event = "call.degraded", "{sid} is answered and recorded at Twilio only: the data folder cannot be used");
        return None;
    };
    let refused = inside.recorder.refuses();
    // Where Twilio keeps no copy either, what is left of the disk is better used than nothing.
    let copied = state.settings.borrow().answering.cloud_copy != CloudCopy::Off;
    let refused = refused.filter(|refused| *refused != Refused::NoRoom || copied);
    if let Some(refused) = refused {
        tracing::error!(call.sid = %sid, event = "call.degraded", error = %refused, "{sid} is recorded at Twilio only: {refused}");
    }
    let token = if refused.is_none() { new_token() } else { None };
    let call = new_call(state, request, token.is_some());
    let hash = token.as_deref().map(token_hash);
    let written = tokio::time::timeout(LEDGER_PATIENCE, inside.store.announce_call(call, hash));
    match written.await {
        Ok(Ok(_)) => token,
        Ok(Err(error)) => {
            tracing::error!(call.sid = %sid, event = "call.degraded", error = %error, "{sid} is answered and recorded at Twilio only: the ledger does not take it");
            None
        }
        Err(_elapsed) => {
            tracing::error!(call.sid = %sid, event = "call.degraded", "{sid} is answered and recorded at Twilio only: the ledger did not answer within {LEDGER_PATIENCE:?}");
            None
        }
    }
}

/// Describes the call for the ledger.
pub(super) fn new_call(state: &DoorState, request: &VoiceRequest, live_copy: bool) -> NewCall {
    let now = state.clock.reading();
    NewCall {
        call_sid: request.call_sid.clone(),
        parent_call_sid: request.parent_call_sid.clone(),
        direction: request.direction(),
        origin: request.origin(),
        from_number: request.from.clone(),
        to_number: request.to.clone(),
        call_status: request.status.as_str().to_owned(),
        at: now.at,
        boot: Some(now.boot),
        clock_synced: now.synchronised,
        live_copy,
    }
}

/// 128 bits that nobody can guess; none when the kernel has no randomness to give.
fn new_token() -> Option<String> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// What the ledger keeps of a token.
pub(super) fn token_hash(token: &str) -> String {
    format!("{:x}", Sha256::digest(token.as_bytes()))
}

/// Announces, begins to record, connects: in this order, in every document.
fn document(
    answering: &Answering,
    gatekeeper: &Gatekeeper,
    request: &VoiceRequest,
    (token, copy_by): (Option<&str>, CopyBy),
) -> Document {
    let public_url = &gatekeeper.public_url;
    let mut document = Document::new();
    if !answering.announcement.trim().is_empty() {
        document = document.then(Say {
            text: answering.announcement.clone(),
            language: answering.language.clone(),
            voice: None,
        });
    }
    if let Some(token) = token {
        match stream(gatekeeper, token) {
            Ok(stream) => document = document.then(stream),
            Err(error) => {
                tracing::error!(call.sid = %request.call_sid, error = %error, "no stream can be asked for: check server.public_url");
            }
        }
    }
    if copy_by == CopyBy::Document {
        let status_callback = Some(public_url.callback("/twilio/recording-status"));
        document = document.then(Recording { status_callback });
    }
    connect(answering, request, document)
}

fn stream(gatekeeper: &Gatekeeper, token: &str) -> Result<Stream, TwimlError> {
    let public_url = &gatekeeper.public_url;
    Stream::new(
        &public_url.websocket("/twilio/media-stream"),
        "fieldtape",
        StreamTracks::Both,
        &public_url.callback("/twilio/stream-status"),
    )?
    .with_parameter(TOKEN_PARAMETER, token)
}

fn connect(answering: &Answering, request: &VoiceRequest, document: Document) -> Document {
    let (nouns, caller_id) = match request.origin() {
        // The agent's browser has said whom to ring.
        Origin::Client if request.to.is_empty() => (Vec::new(), None),
        Origin::Client => (vec![Noun::Number(request.to.clone())], answering.caller_id.clone()),
        Origin::Number | Origin::Rest => {
            let client = answering.agent_identity.clone().map(Noun::Client);
            let number = answering.agent_number.clone().map(Noun::Number);
            (client.into_iter().chain(number).collect(), None)
        }
    };
    if nouns.is_empty() {
        tracing::error!(
            call.sid = %request.call_sid, event = "call.degraded",
            "{} cannot be connected to anybody: set twilio.agent_number or twilio.agent_identity", request.call_sid
        );
        let sorry = "Nobody can be reached at this number yet. Please call again later.".to_owned();
        return document
            .then(Say { text: sorry, language: Some("en-US".to_owned()), voice: None })
            .then(Verb::Hangup);
    }
    document.then(Dial { caller_id, answer: AnswerOn::Dial, timeout_s: RING_S, nouns })
}
