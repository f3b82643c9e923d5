//! The office's door: the page and the API, on the LAN listener.
//!
//! Invariant: nothing is answered before Host, origin and login have been looked at (see `gate`),
//! no byte of sound or exported words leaves before the audit trail says so, and no text that
//! came from outside reaches a browser as markup.
//!
//! Not here: what Twilio calls (its own door), and any state but what the ledger, the board and
//! the health watch hold.

mod account;
mod api;
mod assets;
mod calling;
mod degraded;
mod erasing;
mod find;
mod frame;
mod gate;
mod keeping;
mod live;
mod login;
mod notes;
mod pages;
mod people;
mod problem;
mod query;
mod routes;
mod sound;
mod storage;
mod undone;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler as _;
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_http::timeout::RequestBodyTimeoutLayer;

pub(in crate::web) use self::degraded::degraded_api_router;
pub use self::degraded::degraded_router;
pub use self::gate::Gate;
pub use self::storage::Prices;

use self::problem::Problem;
use self::routes::Routes;
use crate::access::{Access, Actor};
use crate::calling::Dialler;
use crate::clock::SharedClock;
use crate::domain::{CallSid, Role};
use crate::health::Health;
use crate::microphone;
use crate::pipeline::{Due, Link};
use crate::retention::Keeper;
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
    /// Who may come in.
    pub access: Access,
    /// Whether the listener speaks TLS, so that a session's cookie never leaves it.
    pub https: bool,
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
    /// What rings numbers; none while Twilio's account is not set.
    pub dialler: Option<Dialler>,
    /// Who decides what goes.
    pub keeper: Keeper,
    /// What Twilio's copies cost, as far as that was said.
    pub prices: Prices,
    /// Whether there is an archive.
    pub has_archive: bool,
    /// How the appliance is.
    pub health: watch::Receiver<Health>,
    /// The box's own microphone, if the agent is heard by it.
    pub microphone: Option<microphone::Status>,
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
            actor: actor.name.to_string(),
            action: action.to_owned(),
            call_sid: call_sid.cloned(),
            detail: Some(detail.to_owned()),
        };
        Ok(self.store.audit(entry).await?)
    }
}

/// Makes the router of the LAN listener.
pub fn router(state: LanState, gate: Gate) -> Router {
    let entrance = login::Entrance { gate: gate.clone(), access: state.access.clone() };
    let behind = from_fn_with_state(entrance.clone(), login::recognise);
    let first = from_fn_with_state(entrance, login::before_login);
    // `route_layer` leaves unknown routes alone: they are 404 before any login.
    let behind_login = api_routes().and(page_routes()).router().route_layer(behind);
    let checked = behind_login
        .merge(login_routes().route_layer(first))
        .merge(probe_routes())
        .route("/assets/{version}/{name}", get(assets::asset))
        .route_layer(from_fn(gate::origin))
        .route_layer(from_fn_with_state(gate, gate::host));
    bounded(checked.fallback(unknown)).with_state(state).layer(from_fn(gate::headers))
}

/// Makes the API alone, for a socket that the file system guards.
pub(in crate::web) fn api_router(state: LanState) -> Router {
    let routes = api_routes().router().layer(axum::Extension(Actor::local()));
    bounded(routes.merge(probe_routes()).fallback(unknown)).with_state(state)
}

fn bounded(routes: Router<LanState>) -> Router<LanState> {
    routes
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(RequestBodyTimeoutLayer::new(BODY_TIMEOUT))
}

fn api_routes() -> Routes {
    use Role::{Admin, Operator};
    Routes::default()
        .seen("/api/v1/calls", api::calls)
        .changed_by(Operator, "/api/v1/calls", calling::order)
        .seen("/api/v1/calls/{call_sid}", api::call)
        .removed_by(Admin, "/api/v1/calls/{call_sid}", erasing::call)
        .seen("/api/v1/calls/{call_sid}/transcript", api::transcript)
        .seen("/api/v1/calls/{call_sid}/audio/{name}", sound::audio)
        .seen("/api/v1/calls/{call_sid}/recordings/{name}", sound::recording)
        .seen("/api/v1/calls/{call_sid}/live", live::live)
        .changed_by(Operator, "/api/v1/calls/{call_sid}/retry", api::retry)
        .changed_by(Operator, "/api/v1/calls/{call_sid}/swap", api::swap)
        .changed_by(Operator, "/api/v1/calls/{call_sid}/actions/{id}", api::action)
        .changed_by(Operator, "/api/v1/calls/{call_sid}/notes", notes::note)
        .changed_by(Operator, "/api/v1/calls/{call_sid}/corrections", notes::correct)
        .seen("/api/v1/search", find::search)
        .seen("/api/v1/numbers", notes::numbers)
        .seen("/api/v1/numbers/{number}", notes::number)
        .seen("/api/v1/contacts", notes::contacts)
        .changed_by(
            Operator,
            "/api/v1/contacts",
            // An address book is larger than what else is sent here.
            notes::import_contacts.layer(DefaultBodyLimit::max(CONTACTS_BYTES_MAX)),
        )
        .changed_by(Operator, "/api/v1/calls/{call_sid}/hold", keeping::hold)
        .changed_by(Operator, "/api/v1/calls/{call_sid}/release", keeping::release)
        .seen("/api/v1/health", api::health)
        .seen("/api/v1/microphone", api::microphone)
        .seen("/api/v1/queue", api::queue)
        .changed_by(Operator, "/api/v1/queue/run", api::run_queue)
        .changed_by(Operator, "/api/v1/queue/retry", api::retry_all)
        .changed_by(Operator, "/api/v1/queue/pause", keeping::pause)
        .changed_by(Operator, "/api/v1/queue/resume", keeping::resume)
        .seen("/api/v1/storage", storage::storage)
        .changed_by(Admin, "/api/v1/purge", storage::purge)
        .seen_by(Admin, "/api/v1/erasures", erasing::list)
        .changed_by(Admin, "/api/v1/erasures", erasing::number)
        .seen_by(Admin, "/api/v1/erasures/{id}", erasing::certificate)
        .seen_by(Admin, "/api/v1/users", people::users)
        .changed_by(Admin, "/api/v1/users", people::add_user)
        .changed_by(Admin, "/api/v1/users/first", people::first_code)
        .changed_by(Admin, "/api/v1/users/{name}/password", people::set_password)
        .changed_by(Admin, "/api/v1/users/{name}/role", people::set_role)
        .removed_by(Admin, "/api/v1/users/{name}", people::remove_user)
        .seen_by(Admin, "/api/v1/tokens", people::tokens)
        .changed_by(Admin, "/api/v1/tokens", people::make_token)
        .removed_by(Admin, "/api/v1/tokens/{name}", people::revoke_token)
}

fn page_routes() -> Routes {
    use Role::{Operator, Viewer};
    Routes::default()
        .seen("/", pages::list)
        .changed_by(Operator, "/calls", calling::order_by_form)
        .seen("/calls/{call_sid}", pages::call)
        .changed_by(Operator, "/calls/{call_sid}/retry", pages::retry)
        .changed_by(Operator, "/calls/{call_sid}/swap", pages::swap)
        .changed_by(Operator, "/calls/{call_sid}/hold", keeping::hold_on_page)
        .changed_by(Operator, "/calls/{call_sid}/release", keeping::release_on_page)
        .seen("/health", pages::health)
        .changed_by(Operator, "/calls/{call_sid}/actions/{id}", pages::action)
        .changed_by(Operator, "/calls/{call_sid}/notes", pages::note)
        .seen("/search", pages::search)
        .seen("/search/open", pages::open)
        .seen("/queue", pages::queue)
        .changed_by(Operator, "/queue/run", pages::run_queue)
        .changed_by(Operator, "/queue/retry", pages::retry_all)
        .changed_by(Operator, "/queue/pause", keeping::pause_on_page)
        .changed_by(Operator, "/queue/resume", keeping::resume_on_page)
        .seen("/storage", pages::storage)
        .seen("/account", account::page)
        .changed_by(Viewer, "/account/password", account::set_password)
        .changed_by(Viewer, "/logout", login::log_out)
}

/// How somebody comes in.
fn login_routes() -> Router<LanState> {
    Router::new()
        .route("/login", get(login::page).post(login::log_in))
        .route("/first-run", post(login::first_user))
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
