//! Whether what is elsewhere is still there, for whoever wants to let it go here.

use serde_json::json;

use super::Remote;
use super::fingerprint::Fingerprint;
use super::remote::{Look, Shown};
use crate::clock::SharedClock;
use crate::domain::RecordingSid;
use crate::store::{Archived, Store};
use crate::twilio::rest::{Client, RestError};

/// Asks the archive and Twilio. A clone asks the same.
#[derive(Clone)]
pub struct Witness {
    store: Store,
    clock: SharedClock,
    remote: Option<Remote>,
    twilio: Option<Client>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Testimony {
    /// It is there, and is what it was.
    There,
    /// It is not.
    Gone {
        /// What was seen instead.
        why: String,
    },
    /// Nobody can say at the moment.
    Unknown {
        /// Why not.
        why: String,
    },
}

impl Witness {
    /// Makes one; what is not configured cannot be asked.
    pub fn new(
        (store, clock): (Store, SharedClock),
        remote: Option<Remote>,
        twilio: Option<Client>,
    ) -> Self {
        Self { store, clock, remote, twilio }
    }

    /// Asks the archive for an object: its size, and its checksum as far as the archive tells one
    /// that says anything; else it is read back.
    pub async fn archive(&self, archived: &Archived) -> Testimony {
        let Some(remote) = &self.remote else {
            return Testimony::Unknown { why: "no archive is configured".to_owned() };
        };
        let Archived { key, size_bytes, sha256, etag } = archived;
        let expected = Fingerprint {
            size_bytes: *size_bytes,
            sha256: sha256.clone(),
            etag: etag.clone().unwrap_or_default(),
        };
        match remote.confirm(key, &expected, etag.as_deref(), Look::Told).await {
            Ok(Shown::Confirmed { .. }) => Testimony::There,
            Ok(Shown::Differs { why }) => {
                Testimony::Gone { why: format!("the archive has another {key}: {why}") }
            }
            Ok(Shown::Missing) => {
                Testimony::Gone { why: format!("the archive does not have {key} any more") }
            }
            Err(error) => Testimony::Unknown { why: error.to_string() },
        }
    }

    /// Asks Twilio for a recording. That it has one no more is written down.
    pub async fn recording(&self, sid: &RecordingSid) -> Testimony {
        let Some(twilio) = &self.twilio else {
            return Testimony::Unknown { why: "Twilio's account is not set".to_owned() };
        };
        match twilio.recording(sid).await {
            Ok(dated) if dated.resource.status == "completed" => Testimony::There,
            Ok(dated) => {
                let word = dated.resource.status;
                Testimony::Gone { why: format!("Twilio says that {sid} is {word:?}") }
            }
            Err(RestError::NotFound) => {
                let told = json!({ "recording_sid": sid.as_str(), "outcome": "was not there" });
                let written =
                    self.store.recording_deleted(sid.clone(), told.to_string(), self.clock.now());
                if let Err(error) = written.await {
                    tracing::error!(error = %error, "the ledger does not take that {sid} is gone at Twilio");
                }
                Testimony::Gone { why: format!("Twilio does not have {sid} any more") }
            }
            Err(error) => Testimony::Unknown { why: error.to_string() },
        }
    }
}
