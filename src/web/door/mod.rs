//! Twilio's door: `/twilio/*` and nothing else.
//!
//! Invariants: every route checks Twilio's signature before anything else is done; a voice webhook
//! is answered within little more than two seconds, with a document that announces, records in
//! the cloud and connects, however sick the ledger is; nothing is recorded that was not announced,
//! and a call rather goes on unrecorded; a callback that cannot be written down is
//! refused with 503, so that Twilio sends it again.
//!
//! Not here: what a document looks like (twilio's), where sound goes (capture's).

mod announcement;
mod callbacks;
mod documents;
mod gate;
mod round_trip;
mod stream;
mod voice;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::announcement::{Announcement, BadSound, Sound};

use crate::capture::Recorder;
use crate::clock::SharedClock;
use crate::cloud::Starter;
use crate::contacts::Country;
use crate::domain::{AccountSid, CallSid};
use crate::store::Store;
use crate::twilio::door::{Door, PublicUrl};
use crate::twilio::round_trip::{MEDIA_STREAM, ROUND_TRIP};

/// Where a call asks what to do.
const VOICE: &str = "/twilio/voice";

/// Where is told how a call goes.
const STATUS: &str = "/twilio/status";

/// The name of the `<Parameter>` that carries a stream's one-time token.
const TOKEN_PARAMETER: &str = "token";

/// The largest form that is read.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// How long the ledger may take before Twilio is answered without it. Twilio's own limit is 15 s.
pub(super) const LEDGER_PATIENCE: Duration = Duration::from_secs(2);

/// How calls are answered.
#[derive(Debug, Clone)]
pub struct Answering {
    /// Told before anything is recorded.
    pub announcement: Announcement,
    /// With this key somebody says that they are not to be recorded; none asks nobody.
    pub decline_key: Option<char>,
    /// The number shown when the office rings out.
    pub caller_id: Option<String>,
    /// Whose numbers are meant where a browser dials one without a country.
    pub country: Country,
    /// The agent's browser.
    pub agent_identity: Option<String>,
    /// The agent's telephone.
    pub agent_number: Option<String>,
    /// How Twilio comes to keep a copy of its own.
    pub cloud_copy: CloudCopy,
}

/// How Twilio comes to keep a copy of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudCopy {
    /// The document asks for it.
    Twiml,
    /// It is asked for over the REST API, when the announcement has been said.
    Rest,
    /// It does not.
    Off,
}

/// Whom the door lets in.
#[derive(Debug, Clone)]
pub struct Gatekeeper {
    /// Checks signatures; none lets anybody in, for a bench on loopback.
    pub door: Option<Door>,
    /// Our account.
    pub account_sid: AccountSid,
    /// The https base that Twilio calls.
    pub public_url: PublicUrl,
}

/// What the door leads to while the data folder can be used.
#[derive(Clone)]
pub struct Inside {
    /// The ledger.
    pub store: Store,
    /// Where streams go.
    pub recorder: Recorder,
    /// What asks Twilio to record; none while its REST API cannot be used.
    pub starter: Option<Starter>,
}

/// What a reload may change.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whom to let in; nobody while the account or the token is not set.
    pub gatekeeper: Option<Gatekeeper>,
    /// How to answer.
    pub answering: Answering,
}

/// What the door needs.
#[derive(Clone)]
pub struct DoorState {
    /// Whom to let in and how to answer, as it stands now.
    pub settings: watch::Receiver<Settings>,
    /// The ledger and the recorder; none while the data folder is missing, read-only or full.
    pub inside: Option<Inside>,
    /// The time.
    pub clock: SharedClock,
    /// Which run of the program this is.
    pub instance: Arc<str>,
    /// Cancelled when the program stops.
    pub stop: CancellationToken,
}

/// Makes the router of Twilio's listener.
pub fn router(state: DoorState) -> Router {
    Router::new()
        .route(VOICE, post(voice::voice))
        .route(documents::CONSENT, post(voice::consent))
        .route(documents::LEG, post(voice::leg))
        .route(&format!("{}{{name}}", announcement::SOUNDS), get(announcement::sound))
        .route(STATUS, post(callbacks::call_status))
        .route("/twilio/stream-status", post(callbacks::stream_status))
        .route("/twilio/recording-status", post(callbacks::recording_status))
        .route(MEDIA_STREAM, get(stream::media_stream))
        .route(ROUND_TRIP, post(round_trip::round_trip))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .with_state(state)
}

/// Asks Twilio to record a call, if that is done over REST: the announcement has been said, for
/// the stream that we hear of follows it in the document.
fn ask_for_copy(state: &DoorState, sid: &CallSid) {
    let by_rest = state.settings.borrow().answering.cloud_copy == CloudCopy::Rest;
    let starter = state.inside.as_ref().and_then(|inside| inside.starter.as_ref());
    if let Some(starter) = starter.filter(|_| by_rest) {
        starter.begin(sid);
    }
}
