//! The office's door: the page and the API, on the LAN listener.
//!
//! Invariant: nothing is answered before Host, origin and login have been looked at (see `gate`),
//! no byte of sound or exported words leaves before the audit trail says so, and no text that
//! came from outside reaches a browser as markup.
//!
//! Not here: what Twilio calls (its own door), and any state but what the ledger, the board and
//! the health watch hold.

mod api;
mod assets;
mod degraded;
mod find;
mod gate;
mod live;
mod pages;
mod people;
mod problem;
mod query;
mod sound;
mod undone;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_http::timeout::RequestBodyTimeoutLayer;

pub use self::degraded::degraded_router;
pub(in crate::web) use self::gate::Actor;
pub use self::gate::Gate;

use self::problem::Problem;
use super::health::Health;
use crate::clock::SharedClock;
use crate::domain::CallSid;
use crate::pipeline::{Due, Link};
use crate::store::{AuditEntry, Store};
use crate::transcribe::{LiveBoard, Schedule};

/// The largest body taken: a retry is 30 bytes, and nothing else is sent here.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The largest list of contacts taken: some ten thousand names.
const CONTACTS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How long a body may pause on its way.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What the page and the API answer from.
#[derive(Clone)]
pub struct LanState {
    /// The ledger.
    pub store: Store,
    /// Where the ledger's paths begin.
    pub data_dir: PathBuf,
    /// The words of calls in progress.
    pub board: LiveBoard,
    /// Whose turn it is to be written down.
    pub schedule: Schedule,
    /// The time.
    pub clock: SharedClock,
    /// Rung when a stage has been made due.
    pub due: Due,
    /// The link to the outside, where something needs it.
    pub link: Option<Link>,
    /// How the appliance is.
    pub health: watch::Receiver<Health>,
    /// Cancelled when the appliance stops, so that live streams end.
    pub stopping: CancellationToken,
}

impl LanState {
    /// Writes into the trail of who heard or did what.
    async fn audit(
        &self,
        actor: &Actor,
        action: &str,
        call_sid: Option<&CallSid>,
        detail: &str,
    ) -> Result<(), Problem> {
        let entry = AuditEntry {
            at: self.clock.now(),
            actor: actor.0.to_owned(),
            action: action.to_owned(),
            call_sid: call_sid.cloned(),
            detail: Some(detail.to_owned()),
        };
        Ok(self.store.audit(entry).await?)
    }
}

/// Makes the router of the LAN listener.
pub fn router(state: LanState, gate: Gate) -> Router {
    let login = from_fn_with_state(gate.clone(), gate::login);
    // `route_layer` leaves unknown routes alone: they are 404 before any login.
    let behind_login = api_routes().merge(page_routes()).route_layer(login);
    let checked = behind_login
        .merge(probe_routes())
        .route("/assets/{version}/{name}", get(assets::asset))
        .route_layer(from_fn(gate::origin))
        .route_layer(from_fn_with_state(gate, gate::host));
    bounded(checked.fallback(unknown)).with_state(state).layer(from_fn(gate::headers))
}

/// Makes the API alone, for a socket that the file system guards.
pub(in crate::web) fn api_router(state: LanState) -> Router {
    let routes = api_routes().layer(axum::Extension(Actor::LOCAL)).merge(probe_routes());
    bounded(routes.fallback(unknown)).with_state(state)
}

fn bounded(routes: Router<LanState>) -> Router<LanState> {
    routes
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(RequestBodyTimeoutLayer::new(BODY_TIMEOUT))
}

fn api_routes() -> Router<LanState> {
    let call = Router::new()
        .route("/", get(api::call))
        .route("/transcript", get(api::transcript))
        .route("/audio/{name}", get(sound::audio))
        .route("/recordings/{name}", get(sound::recording))
        .route("/retry", post(api::retry))
        .route("/swap", post(api::swap))
        .route("/actions/{id}", post(api::action))
        .route("/notes", post(people::note))
        .route("/corrections", post(people::correct))
        .route("/live", get(live::live));
    // An address book is larger than what else is sent here.
    let import = post(people::import_contacts).layer(DefaultBodyLimit::max(CONTACTS_BYTES_MAX));
    Router::new()
        .route("/api/v1/calls", get(api::calls))
        .nest("/api/v1/calls/{call_sid}", call)
        .route("/api/v1/search", get(find::search))
        .route("/api/v1/numbers", get(people::numbers))
        .route("/api/v1/numbers/{number}", get(people::number))
        .route("/api/v1/contacts", get(people::contacts).merge(import))
        .route("/api/v1/health", get(api::health))
        .route("/api/v1/queue", get(api::queue))
        .route("/api/v1/queue/run", post(api::run_queue))
        .route("/api/v1/queue/retry", post(api::retry_all))
}

fn page_routes() -> Router<LanState> {
    Router::new()
        .route("/", get(pages::list))
        .route("/calls/{call_sid}", get(pages::call))
        .route("/calls/{call_sid}/retry", post(pages::retry))
        .route("/calls/{call_sid}/swap", post(pages::swap))
        .route("/calls/{call_sid}/actions/{id}", post(pages::action))
        .route("/calls/{call_sid}/notes", post(pages::note))
        .route("/search", get(pages::search))
        .route("/search/open", get(pages::open))
        .route("/queue", get(pages::queue))
        .route("/queue/run", post(pages::run_queue))
        .route("/queue/retry", post(pages::retry_all))
}

/// What tells nothing about any call.
fn probe_routes() -> Router<LanState> {
    Router::new().route("/healthz", get(api::healthz)).route("/readyz", get(api::readyz))
}

async fn unknown(uri: Uri) -> Response {
    let problem = Problem::not_found("there is nothing at this address");
    if uri.path().starts_with("/api/") { problem.into_response() } else { pages::problem(&problem) }
}

#[cfg(test)]
mod tests;
