//! Asking Twilio what it knows: callbacks sent while nobody listened are gone for good, so what
//! they would have said is read from its lists.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Starter, news};
use crate::clock::SharedClock;
use crate::domain::{CallSid, UnixMillis};
use crate::pipeline::{Due, Link, LinkState};
use crate::store::{Store, StoreError};
use crate::twilio::rest::{CallResource, Client, RestError};

/// How far back each look reaches behind the last that was complete: longer than the longest call,
/// because lists go by when a call began. Twilio ends calls after 24 hours at most.
const OVERLAP: Duration = Duration::from_hours(25);

/// How long after an outage what is found is counted as recovered from it.
const RECOVERED_WITHIN: Duration = Duration::from_hours(1);

/// A call that ended so long ago and of which there is no sound anywhere has none.
const SOUND_WITHIN: Duration = Duration::from_mins(15);

/// Recordings that one look asks for by name, beyond the lists.
const BY_NAME_MAX: u32 = 100;

/// Tells whoever hears a call that it is over; says whether anybody did.
pub type Hangup = Arc<dyn Fn(&CallSid) -> bool + Send + Sync>;

/// What asking needs.
pub struct ReconcileOptions {
    /// Twilio.
    pub client: Client,
    /// The ledger.
    pub store: Store,
    /// The time.
    pub clock: SharedClock,
    /// What wakes the pipeline.
    pub due: Due,
    /// The link it needs.
    pub link: Link,
    /// How often it asks.
    pub every: Duration,
    /// Whom to tell that a live call is over.
    pub hangup: Hangup,
    /// What asks Twilio to record calls, if that is done over REST.
    pub starter: Option<Starter>,
}

/// Asks Twilio what it knows, by time and whenever the link has come back.
pub struct Reconciler {
    options: ReconcileOptions,
}

/// What a look brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Calls that were not known here, or not known to have ended.
    pub calls: u32,
    /// Recordings of which something new was learnt.
    pub recordings: u32,
}

/// Why a look was not complete. The next one reaches back behind it.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Twilio did not answer, or not well.
    #[error(transparent)]
    Twilio(#[from] RestError),
    /// The ledger did not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Reconciler {
    /// Makes one.
    pub fn new(options: ReconcileOptions) -> Self {
        Self { options }
    }

    /// Asks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut link = self.options.link.watch();
        loop {
            let pause = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                pause = self.round() => pause,
            };
            let was_up = link.borrow_and_update().is_up();
            let returned = async {
                // A link that is gone for good never returns.
                let gone = !was_up || link.wait_for(|state| !state.is_up()).await.is_ok();
                if !gone || link.wait_for(LinkState::is_up).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = returned => {}
                () = self.options.clock.sleep(pause) => {}
            }
        }
    }

    /// Looks once if the link is there; returns how long to wait for the next.
    async fn round(&self) -> Duration {
        let every = self.options.every;
        if !self.options.link.is_up() {
            return every;
        }
        match self.look().await {
            Ok(found) => {
                self.tell(found).await;
                every
            }
            Err(ReconcileError::Twilio(error)) => {
                tracing::warn!(event = "reconcile.retried", error = %error, "Twilio could not be asked what it knows: {error}");
                if let RestError::Unreachable { .. } = error {
                    self.options.link.check().await;
                }
                every.min(Duration::from_mins(1))
            }
            Err(ReconcileError::Store(error)) => {
                tracing::error!(error = %error, "the ledger does not take what Twilio knows");
                every
            }
        }
    }

    /// Reads Twilio's lists through and writes down what is new. When it fails on the way, what
    /// was written stands, and the next look begins where this one did.
    pub async fn look(&self) -> Result<Found, ReconcileError> {
        let ReconcileOptions { client, store, clock, due, .. } = &self.options;
        let began_at = clock.now();
        let until = store.reconciled_until().await?.unwrap_or(began_at).min(began_at);
        let since = until.minus(OVERLAP);
        let mut found = Found::default();
        // The oldest first: work on what is found begins while the rest is written down.
        let mut calls = client.calls_since(since).all().await?;
        calls.sort_by_key(|call| call.date_created);
        for call in &calls {
            found.calls += u32::from(self.take_call(call).await?);
        }
        let mut recordings = client.recordings_since(since).all().await?;
        recordings.sort_by_key(|recording| recording.date_created);
        for update in recordings.iter().filter_map(|row| news::recording(row, clock.now())) {
            found.recordings += u32::from(store.cloud_recording(update).await?);
        }
        found.calls += self.wanted_calls().await?;
        found.recordings += self.unsettled_recordings(since).await?;
        self.go_on_asking().await?;
        store.settle_unheard(SOUND_WITHIN, clock.reading()).await?;
        // A clock that is not sure of itself may not say how far the lists have been read.
        if clock.synchronised() {
            store.set_reconciled_until(began_at).await?;
        }
        due.ring();
        Ok(found)
    }

    /// Takes a call in; says whether it, or its end, was news.
    async fn take_call(&self, call: &CallResource) -> Result<bool, StoreError> {
        let update = news::call(call, self.options.clock.now());
        let was_live = update.end.is_some() && (self.options.hangup)(&call.sid);
        let outcome = self.options.store.call_status(update).await?;
        let is_leg = call.is_child_leg();
        Ok(!is_leg && (outcome.created || outcome.ended || was_live))
    }

    /// Asks for the calls of recordings whose call nobody here has heard of: it began before the
    /// lists do.
    async fn wanted_calls(&self) -> Result<u32, ReconcileError> {
        let mut found = 0;
        for sid in self.options.store.calls_wanted().await? {
            match self.options.client.call(&sid).await {
                Ok(call) => found += u32::from(self.take_call(&call).await?),
                // One odd call does not keep the others from being asked for.
                Err(error @ (RestError::NotFound | RestError::Refused { .. })) => {
                    tracing::warn!(call.sid = %sid, event = "reconcile.unknown", error = %error, "Twilio has a recording of {sid} and does not tell of that call");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// Goes on asking for copies of calls that were heard before fieldtape was stopped, and are
    /// not over.
    async fn go_on_asking(&self) -> Result<(), StoreError> {
        let Some(starter) = &self.options.starter else { return Ok(()) };
        let since = self.options.clock.now().minus(OVERLAP);
        for sid in self.options.store.calls_without_copy(since).await? {
            starter.begin(&sid);
        }
        Ok(())
    }

    /// Asks for recordings that are still under way by what is known, though they began before
    /// the lists do.
    async fn unsettled_recordings(&self, before: UnixMillis) -> Result<u32, ReconcileError> {
        let ReconcileOptions { client, store, clock, .. } = &self.options;
        let mut found = 0;
        for (sid, call_sid) in store.recordings_unsettled(before, BY_NAME_MAX).await? {
            let update = match client.recording(&sid).await {
                Ok(dated) => news::recording(&dated.resource, clock.now()),
                Err(RestError::NotFound) => {
                    store.recording_gone(sid.clone(), clock.now()).await?;
                    tracing::error!(call.sid = %call_sid, recording.sid = %sid, event = "cloud.absent", "Twilio has {sid} of {call_sid} no more");
                    found += 1;
                    None
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(update) = update {
                found += u32::from(store.cloud_recording(update).await?);
            }
        }
        Ok(found)
    }

    /// Tells what was found, and that it was recovered if an outage has just ended.
    async fn tell(&self, found: Found) {
        let Found { calls, recordings } = found;
        if found == Found::default() {
            return;
        }
        let since = self.options.clock.now().minus(RECOVERED_WITHIN);
        let recovered = self.options.store.recovered(calls, recordings, since).await;
        let lasted = match recovered {
            Ok(outage) => outage.map(|outage| outage.to.unwrap_or(since).since(outage.from)),
            Err(error) => {
                tracing::error!(error = %error, "the ledger does not take what was recovered");
                None
            }
        };
        if let Some(lasted) = lasted {
            tracing::info!(
                event = "reconcile.recovered",
                "{calls} calls and {recordings} recordings recovered after an outage of {} min",
                lasted.as_secs() / 60
            );
        } else {
            tracing::info!(
                event = "reconcile.found",
                "Twilio knew of {calls} calls and {recordings} recordings that had not been told here"
            );
        }
    }
}
