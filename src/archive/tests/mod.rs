//! The archive against a real S3 server on a socket, honest and not, and against ten thousand
//! random histories.

mod histories;
mod model;
mod remote;
mod server;

use std::sync::Arc;

use super::*;

pub(super) const BUCKET: &str = "calls";
pub(super) const KEY_ID: &str = "AKIATEST";
pub(super) const SECRET: &str = "a secret of the archive";

/// A pace that lets everything through.
pub(super) fn at_once() -> Pace {
    Arc::new(|_| Box::pin(std::future::ready(())))
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
