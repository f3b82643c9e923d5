//! The answer to a request of our own, sent over the public address as Twilio sends its.

use axum::Json;
use axum::extract::State;

use super::DoorState;
use super::gate::{Signed, Turned};
use crate::twilio::round_trip::{Echo, NONCE};

/// The longest text that is sent back.
const NONCE_BYTES_MAX: usize = 64;

/// Answers `POST /twilio/round-trip`, to whoever signs as Twilio does. Nothing comes of it.
pub(super) async fn round_trip(
    State(state): State<DoorState>,
    Signed { form, .. }: Signed,
) -> Result<Json<Echo>, Turned> {
    let nonce = form.get(NONCE).filter(|nonce| nonce.len() <= NONCE_BYTES_MAX);
    let nonce = nonce.ok_or_else(|| Turned::Bad { why: "it carries no nonce".to_owned() })?;
    Ok(Json(Echo { nonce: nonce.to_owned(), instance: state.instance.to_string() }))
}
