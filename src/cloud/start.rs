//! Asking Twilio to record a call, once: as soon as it can be, and whatever becomes of the answer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::news;
use crate::clock::SharedClock;
use crate::domain::{CallSid, EndReason};
use crate::store::Store;
use crate::twilio::rest::{Client, RecordingResource, RestError};

/// The pause after the first refusal.
const AGAIN_FIRST: Duration = Duration::from_millis(250);

/// The longest pause. Until the call can be recorded nothing is recorded there, so the wait is
/// kept short.
const AGAIN_MAX: Duration = Duration::from_secs(2);

/// How long the ledger may take before Twilio is asked without it.
const LEDGER_PATIENCE: Duration = Duration::from_secs(2);

/// How long a call lasts at most, at Twilio.
const CALL_MAX: Duration = Duration::from_hours(24);

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
                inner.start(&sid).await;
                inner.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&sid);
            }
            .instrument(span),
        );
    }
}

impl Inner {
    async fn start(&self, sid: &CallSid) {
        let (mut pause, mut told_early) = (AGAIN_FIRST, false);
        tracing::info!(event = "cloud.asked", "Twilio is asked to record {sid}");
        loop {
            if self.is_recorded_or_over(sid).await {
                return;
            }
            let after = match self.ask(sid, &mut told_early).await {
                Tried::Started | Tried::GivenUp => return,
                Tried::Again { after } => after,
            };
            tokio::select! {
                biased;
                () = self.options.stop.cancelled() => return,
                () = self.options.clock.sleep(after.unwrap_or(pause).max(pause)) => {}
            }
            pause = pause.mul_f64(1.2).min(AGAIN_MAX);
        }
    }

    /// Asks the ledger. While it is sick Twilio is asked: it records no call twice.
    async fn is_recorded_or_over(&self, sid: &CallSid) -> bool {
        let StartOptions { store, clock, .. } = &self.options;
        let detail = match tokio::time::timeout(LEDGER_PATIENCE, store.call(sid)).await {
            Ok(Ok(Some(detail))) => detail,
            Ok(Ok(None)) | Err(_) => return false,
            Ok(Err(error)) => {
                tracing::error!(error = %error, "the ledger does not say whether {sid} is recorded at Twilio; it is asked for all the same");
                return false;
            }
        };
        let hopeless = |word: &str| matches!(word, "absent" | "failed" | "deleted");
        if detail.cloud_recordings.iter().any(|row| !hopeless(&row.status)) {
            return true;
        }
        // What interrupted us has not ended the call.
        let is_dated = clock.synchronised() && detail.call.clock_synced;
        let is_old = is_dated && clock.now().since(detail.call.created_at) >= CALL_MAX;
        let may_go_on = detail.call.is_live()
            || detail.call.end_reason == Some(EndReason::Interrupted) && !is_old;
        if !may_go_on {
            tracing::warn!(event = "cloud.missed", "{sid} ended before Twilio could record it");
        }
        !may_go_on
    }

    async fn ask(&self, sid: &CallSid, told_early: &mut bool) -> Tried {
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
                Tried::Again { after: None }
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
                Tried::GivenUp
            }
            Err(error) => {
                tracing::warn!(event = "cloud.retried", error = %error, "Twilio could not be asked to record {sid}; it is asked again");
                let after = match error {
                    RestError::Throttled { after } | RestError::Busy { after, .. } => after,
                    _ => None,
                };
                Tried::Again { after }
            }
        }
    }

    /// Looks whether a recording was started after all.
    async fn look(&self, sid: &CallSid) -> Tried {
        let Ok(recordings) = self.options.client.recordings_of(sid).await else {
            return Tried::Again { after: None };
        };
        let running = |recording: &&RecordingResource| {
            matches!(
                recording.status.as_str(),
                "in-progress" | "paused" | "processing" | "completed"
            )
        };
        match recordings.iter().find(running) {
            Some(recording) => self.started(sid, recording).await,
            None => Tried::Again { after: None },
        }
    }

    async fn started(&self, sid: &CallSid, recording: &RecordingResource) -> Tried {
        let at = self.options.clock.now();
        let recording_sid = recording.sid.as_str();
        if let Some(mut update) = news::recording(recording, at) {
            // Twilio may know the call under its parent leg's name only.
            update.call_sid = recording.call_sid.clone().unwrap_or_else(|| sid.clone());
            if let Err(error) = self.options.store.cloud_recording(update).await {
                tracing::error!(error = %error, recording.sid = recording_sid, "the ledger does not take {recording_sid}; it is taken in when Twilio's lists are read next");
            }
        }
        tracing::info!(
            event = "cloud.started",
            recording.sid = recording_sid,
            "Twilio records {sid} as {recording_sid}"
        );
        Tried::Started
    }
}
