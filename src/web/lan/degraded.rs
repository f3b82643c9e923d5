//! The page while the data folder cannot be used: what is wrong, what to do, and nothing else.

use axum::extract::State;
use axum::http::Uri;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::problem::Problem;
use super::{api, assets, gate, pages, wire};
use crate::health::Health;

/// Makes the router of the LAN listener of an appliance without a data folder.
pub fn degraded_router(health: Health) -> Router {
    routes().with_state(health).layer(from_fn(gate::headers))
}

/// Makes that of the command line's socket, which tells every check.
pub(in crate::web) fn degraded_api_router(health: Health) -> Router {
    routes().route("/api/v1/health", get(checks)).with_state(health)
}

fn routes() -> Router<Health> {
    Router::new()
        .route("/healthz", get(api::healthz))
        .route("/assets/{version}/{name}", get(assets::asset))
        .fallback(explain)
}

async fn checks(State(health): State<Health>) -> Json<wire::Health> {
    Json(wire::Health::from(&health))
}

async fn explain(State(health): State<Health>, uri: Uri) -> Response {
    let troubles: Vec<String> = health
        .troubles()
        .into_iter()
        .map(|check| {
            let fix = check.fix.as_deref().map(|fix| format!("; {fix}")).unwrap_or_default();
            format!("{}: {}{fix}", check.name, check.detail)
        })
        .collect();
    let problem = Problem::not_ready(troubles.join(". "));
    if uri.path() == "/readyz" || uri.path().starts_with("/api/") {
        return problem.into_response();
    }
    pages::problem(&problem)
}
