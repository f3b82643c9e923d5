//! The command line's door: the same API on a socket file, guarded by the file's permissions.
//!
//! Not here: the page, and the checks of names and origins that only browsers need.

use axum::Router;

use super::lan::{LanState, api_router};

/// Makes the router of the admin socket.
pub fn router(state: LanState) -> Router {
    api_router(state)
}
