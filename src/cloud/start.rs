//! Asking Twilio to record a call, once: as soon as it can be, and whatever becomes of the answer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::news;
use crate::clock::SharedClock;
use crate::domain::CallSid;
use crate::store::{Store, StoreError};
use crate::twilio::rest::{Client, RecordingResource, RestError};

/// The pause after the first refusal.
const AGAIN_FIRST: Duration = Duration::from_millis(250);

/// The longest pause. Until the call can be recorded nothing is recorded there, so the wait is
/// kept short.
const AGAIN_MAX: Duration = Duration::from_secs(2);

/// What asking needs.
pub struct StartOptions {
    /// Twilio.
    pub client: Client,
    /// The ledger.
    pub store: Store,
    /// The time.
    pub clock: SharedClock,
    /// Where Twilio tells how the recording goes.
    pub status_callback: String,
    /// Where the asking runs.
    pub tasks: TaskTracker,
    /// Ends it.
    pub stop: CancellationToken,
}

/// Asks Twilio to record calls. A clone is another handle to the same.
#[derive(Clone)]
pub struct Starter {
    inner: Arc<Inner>,
}

struct Inner {
    options: StartOptions,
    /// Calls that are being asked for: two webhooks at once start one recording.
    under_way: Mutex<HashSet<CallSid>>,
}

/// What one try came to.
enum Tried {
    Started,
    GivenUp,
    Again { after: Option<Duration> },
}

impl Starter {
    /// Makes a starter.
    pub fn new(options: StartOptions) -> Self {
        Self { inner: Arc::new(Inner { options, under_way: Mutex::default() }) }
    }

    /// Sees to it that a call is recorded at Twilio, without holding anybody up. Asking again is
    /// harmless.
    pub fn begin(&self, sid: &CallSid) {
        let mut under_way = self.inner.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if !under_way.insert(sid.clone()) {
            return;
        }
        drop(under_way);
        let (inner, sid) = (Arc::clone(&self.inner), sid.clone());
        let span = tracing::info_span!("start", call.sid = %sid);
        self.inner.options.tasks.spawn(
            async move {
                if let Err(error) = inner.start(&sid).await {
                    tracing::error!(error = %error, "the ledger does not say whether {sid} is recorded at Twilio; it is looked for there later");
                }
                inner.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&sid);
            }
            .instrument(span),
        );
    }
}

impl Inner {
    async fn start(&self, sid: &CallSid) -> Result<(), StoreError> {
        let (mut pause, mut told_early) = (AGAIN_FIRST, false);
        tracing::info!(event = "cloud.asked", "Twilio is asked to record {sid}");
        loop {
            if self.is_recorded_or_over(sid).await? {
                return Ok(());
            }
            let after = match self.ask(sid, &mut told_early).await? {
                Tried::Started | Tried::GivenUp => return Ok(()),
                Tried::Again { after } => after,
            };
            tokio::select! {
                biased;
                () = self.options.stop.cancelled() => return Ok(()),
                () = self.options.clock.sleep(after.unwrap_or(pause).max(pause)) => {}
            }
            pause = pause.mul_f64(1.2).min(AGAIN_MAX);
        }
    }

    async fn is_recorded_or_over(&self, sid: &CallSid) -> Result<bool, StoreError> {
        let Some(detail) = self.options.store.call(sid).await? else { return Ok(false) };
        let hopeless = |word: &str| matches!(word, "absent" | "failed" | "deleted");
        if detail.cloud_recordings.iter().any(|row| !hopeless(&row.status)) {
            return Ok(true);
        }
        if !detail.call.is_live() {
            tracing::warn!(event = "cloud.missed", "{sid} ended before Twilio could record it");
        }
        Ok(!detail.call.is_live())
    }

    async fn ask(&self, sid: &CallSid, told_early: &mut bool) -> Result<Tried, StoreError> {
        let StartOptions { client, status_callback, .. } = &self.options;
        match client.start_recording(sid, status_callback).await {
            Ok(recording) => self.started(sid, &recording).await,
            Err(RestError::TooEarly | RestError::NotFound) => {
                if !std::mem::replace(told_early, true) {
                    tracing::info!(
                        event = "cloud.too_early",
                        "{sid} cannot be recorded yet; Twilio is asked again until it can"
                    );
                }
                Ok(Tried::Again { after: None })
            }
            // It may have been done: looked for before it is asked again.
            Err(RestError::Unanswered { why }) => {
                tracing::warn!(
                    event = "cloud.unanswered",
                    error = why,
                    "Twilio did not say whether it records {sid}; it is looked there"
                );
                self.look(sid).await
            }
            Err(error @ (RestError::Unauthorized { .. } | RestError::Refused { .. })) => {
                tracing::error!(event = "cloud.failed", error = %error, "{sid} is not recorded at Twilio: {error}");
                Ok(Tried::GivenUp)
            }
            Err(error) => {
                tracing::warn!(event = "cloud.retried", error = %error, "Twilio could not be asked to record {sid}; it is asked again");
                let after = match error {
                    RestError::Throttled { after } | RestError::Busy { after, .. } => after,
                    _ => None,
                };
                Ok(Tried::Again { after })
            }
        }
    }

    /// Looks whether a recording was started after all.
    async fn look(&self, sid: &CallSid) -> Result<Tried, StoreError> {
        let Ok(recordings) = self.options.client.recordings_of(sid).await else {
            return Ok(Tried::Again { after: None });
        };
        let running = |recording: &&RecordingResource| {
            matches!(
                recording.status.as_str(),
                "in-progress" | "paused" | "processing" | "completed"
            )
        };
        match recordings.iter().find(running) {
            Some(recording) => self.started(sid, recording).await,
            None => Ok(Tried::Again { after: None }),
        }
    }

    async fn started(
        &self,
        sid: &CallSid,
        recording: &RecordingResource,
    ) -> Result<Tried, StoreError> {
        let at = self.options.clock.now();
        if let Some(mut update) = news::recording(recording, at) {
            // Twilio may know the call under its parent leg's name only.
            update.call_sid = recording.call_sid.clone().unwrap_or_else(|| sid.clone());
            self.options.store.cloud_recording(update).await?;
        }
        let recording_sid = recording.sid.as_str();
        tracing::info!(
            event = "cloud.started",
            recording.sid = recording_sid,
            "Twilio records {sid} as {recording_sid}"
        );
        Ok(Tried::Started)
    }
}
