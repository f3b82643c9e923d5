//! The archive against a real S3 server on a socket, honest and not, and against ten thousand
//! random histories.

mod erasing;
mod histories;
mod house;
mod model;
mod remote;
mod server;
mod twilio;
mod works;

use std::sync::Arc;

use super::*;
use crate::clock::ManualClock;
use crate::domain::UnixMillis;
use crate::pipeline::Throttle;

pub(super) const BUCKET: &str = "calls";
pub(super) const KEY_ID: &str = "AKIATEST";
pub(super) const SECRET: &str = "a secret of the archive";

/// A throttle that lets everything through.
pub(super) fn at_once() -> Throttle {
    let clock = Arc::new(ManualClock::new(UnixMillis::new(0)));
    Throttle::new(clock, None, Arc::new(|| false))
}

pub(super) fn options(endpoint: &str) -> PlaceOptions {
    PlaceOptions {
        url: format!("s3://{BUCKET}/box-7"),
        endpoint: Some(endpoint.to_owned()),
        region: None,
        access_key_id: KEY_ID.to_owned(),
        secret_access_key: SecretKey::new(SECRET),
    }
}
