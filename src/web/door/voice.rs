//! What a call is answered with.

use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use super::announcement::Announcement;
use super::documents::{self, Caller, Recorded};
use super::gate::{Signed, Turned, check_account};
use super::{Answering, CloudCopy, DoorState, Gatekeeper, Inside, LEDGER_PATIENCE};
use crate::calling;
use crate::capture::Refused;
use crate::domain::{CallSid, Origin, last_four};
use crate::store::{Given, NewCall, StoreError};
use crate::twilio::twiml::Response as Document;
use crate::twilio::webhook::VoiceRequest;

/// Answers `POST /twilio/voice`.
pub(super) async fn voice(
    State(state): State<DoorState>,
    RawQuery(query): RawQuery,
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
    let order = calling::order_of(query.as_deref());
    Ok(answer(&state, &gatekeeper, &request, order).await)
}

/// Answers `POST /twilio/consent`: a key was pressed while the announcement was told.
pub(super) async fn consent(
    State(state): State<DoorState>,
    Signed { form, gatekeeper }: Signed,
) -> Result<Response, Turned> {
    let request = VoiceRequest::from_form(&form)?;
    check_account(&gatekeeper, &request.account_sid)?;
    let answering = state.settings.borrow().answering.clone();
    let sid = &request.call_sid;
    let pressed = form.get("Digits").unwrap_or_default();
    let key = answering.decline_key.map(String::from);
    if key.as_deref() != Some(pressed) {
        // Another key says nothing: all is told and asked once more.
        return Ok(answer(&state, &gatekeeper, &request, None).await);
    }
    tracing::info!(call.sid = %sid, event = "call.declined", "{sid} is connected and not recorded: whoever calls has said so");
    if let Some(inside) = &state.inside {
        let declined = inside.store.declined(new_call(&state, &request, false));
        let told = in_time(declined).await;
        if let Err(why) = told {
            tracing::error!(call.sid = %sid, event = "call.degraded", "{sid} is not recorded, and the ledger does not say that it was asked not to be: {why}");
        }
    }
    let to = dialled(&answering, &request);
    let caller = Caller { origin: request.origin(), to: to.as_deref() };
    Ok(twiml(&documents::declined(&answering, &gatekeeper.public_url, caller)))
}

/// Answers `POST /twilio/leg`: somebody whom the agent's browser dialled is told before they are
/// connected.
pub(super) async fn leg(
    State(state): State<DoorState>,
    Signed { form, gatekeeper }: Signed,
) -> Result<Response, Turned> {
    let request = VoiceRequest::from_form(&form)?;
    check_account(&gatekeeper, &request.account_sid)?;
    let answering = state.settings.borrow().answering.clone();
    if let (Some(inside), Some(stamp)) = (&state.inside, answering.announcement.stamp()) {
        let sid = &request.call_sid;
        let call = new_call(&state, &request, true);
        let given = Given { stamp: Some(stamp), ..Given::default() };
        if let Err(why) = in_time(inside.store.announce_call(call, given)).await {
            tracing::error!(call.sid = %sid, event = "call.degraded", "the announcement to {sid} is not in the ledger: {why}");
        }
    }
    Ok(twiml(&documents::leg(&answering, &gatekeeper.public_url)))
}

/// Says what a call is to do, once it is written down as well as can be.
async fn answer(
    state: &DoorState,
    gatekeeper: &Gatekeeper,
    request: &VoiceRequest,
    order: Option<String>,
) -> Response {
    let answering = state.settings.borrow().answering.clone();
    let sid = &request.call_sid;
    let records = documents::may_record(&answering, request.origin());
    if !records {
        let why = match answering.announcement {
            Announcement::Unable => "its announcement cannot be told",
            _ => "whom a browser dials cannot be asked first",
        };
        tracing::error!(call.sid = %sid, event = "call.degraded", "{sid} is connected and not recorded: {why}");
    }
    let token = announce(state, request, (&answering, records), order).await;
    let at_twilio = records && see_to_copy(state, &answering, sid, token.is_some());
    let to = dialled(&answering, request);
    let caller = Caller { origin: request.origin(), to: to.as_deref() };
    if documents::nouns(&answering, caller).is_empty() {
        tracing::error!(
            call.sid = %sid, event = "call.degraded",
            "{sid} cannot be connected to anybody: {}",
            match caller.to {
                None => "emergency and service numbers are not dialled from here",
                Some(_) => "set twilio.agent_number or twilio.agent_identity",
            }
        );
    }
    let public_url = &gatekeeper.public_url;
    let recorded = Recorded { token: token.as_deref(), at_twilio };
    let document =
        documents::first(&answering, public_url, caller, recorded).unwrap_or_else(|error| {
            tracing::error!(call.sid = %sid, error = %error, "no stream can be asked for: check server.public_url");
            documents::declined(&answering, public_url, caller)
        });
    twiml(&document)
}

fn twiml(document: &Document) -> Response {
    ([(header::CONTENT_TYPE, "text/xml")], document.to_xml()).into_response()
}

/// Reads whom a call that a browser began is for.
fn dialled(answering: &Answering, request: &VoiceRequest) -> Option<String> {
    match request.origin() {
        Origin::Client => calling::dialled(&request.to, answering.country),
        Origin::Number | Origin::Rest => Some(request.to.clone()),
    }
}

/// Sees to Twilio's copy of the call, and says whether the document has to ask for it. Over REST it
/// begins when the announcement, if any, has been said, and the stream, which follows that in the
/// document, is how we know. Without a stream of which to hear, and without a ledger that could say
/// what was asked already, the document itself has to ask.
fn see_to_copy(state: &DoorState, answering: &Answering, sid: &CallSid, has_stream: bool) -> bool {
    let starter = state.inside.as_ref().and_then(|inside| inside.starter.as_ref());
    match (answering.cloud_copy, starter) {
        (CloudCopy::Off, _) => false,
        (CloudCopy::Rest, Some(starter)) if has_stream => {
            if answering.announcement == Announcement::Nothing {
                starter.begin(sid);
            }
            false
        }
        (CloudCopy::Rest | CloudCopy::Twiml, _) => true,
    }
}

/// Writes the call down, with what it is told, and gives out the token of its stream; none when the
/// call is answered without a stream.
async fn announce(
    state: &DoorState,
    request: &VoiceRequest,
    (answering, records): (&Answering, bool),
    order: Option<String>,
) -> Option<String> {
    let sid = &request.call_sid;
    let Some(inside) = &state.inside else {
        tracing::error!(call.sid = %sid, event = "call.degraded", "{sid} is answered and recorded at Twilio only: the data folder cannot be used");
        return None;
    };
    let refused = inside.recorder.refuses();
    // Where Twilio keeps no copy either, what is left of the disk is better used than nothing.
    let copied = answering.cloud_copy != CloudCopy::Off;
    let refused = refused.filter(|refused| *refused != Refused::NoRoom || copied);
    if let Some(refused) = refused.filter(|_| records) {
        tracing::error!(call.sid = %sid, event = "call.degraded", error = %refused, "{sid} is recorded at Twilio only: {refused}");
    }
    let token = if refused.is_none() && records { new_token() } else { None };
    let call = new_call(state, request, token.is_some());
    let given = Given {
        token_hash: token.as_deref().map(token_hash),
        stamp: answering.announcement.stamp().filter(|_| records),
    };
    match in_time(write_down(inside, call, given, order)).await {
        Ok(()) => token,
        Err(why) => {
            tracing::error!(call.sid = %sid, event = "call.degraded", "{sid} is answered and recorded at Twilio only: {why}");
            None
        }
    }
}

/// Writes a call down that asks what to do, under the order it is of if there is one.
async fn write_down(
    inside: &Inside,
    call: NewCall,
    given: Given,
    order: Option<String>,
) -> Result<(), StoreError> {
    if let Some(order) = order {
        inside.store.order_placed(order, call.call_sid.clone()).await?;
    }
    inside.store.announce_call(call, given).await.map(drop)
}

/// Waits for the ledger, but not so long that Twilio gives up; says what stood in the way.
async fn in_time<T>(change: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
    match tokio::time::timeout(LEDGER_PATIENCE, change).await {
        Ok(Ok(out)) => Ok(out),
        Ok(Err(error)) => Err(format!("the ledger does not take it ({error})")),
        Err(_elapsed) => Err(format!("the ledger did not answer within {LEDGER_PATIENCE:?}")),
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
