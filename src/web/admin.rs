//! The command line's door: the same API on a socket file, guarded by the file's permissions.
//!
//! Not here: the page, and the checks of names and origins that only browsers need.

use axum::Router;

use super::lan::{LanState, api_router, degraded_api_router};
use crate::health::Health;

/// Makes the router of the admin socket.
pub fn router(state: LanState) -> Router {
    api_router(state)
}

/// Makes the same for an appliance without a data folder: how it is, and nothing else.
pub fn degraded_router(health: Health) -> Router {
    degraded_api_router(health)
}
