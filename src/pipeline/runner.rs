//! The loop that claims, works and settles.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Due, Verdict, Work, backoff};
use crate::clock::SharedClock;
use crate::domain::Stage;
use crate::store::{Claim, Settlement, Store, StoreError};

/// The longest the runner goes without looking at the ledger.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long it waits when the ledger does not answer.
const LEDGER_PAUSE: Duration = Duration::from_secs(5);

/// What a runner needs.
pub struct Options {
    /// The ledger.
    pub store: Store,
    /// The time.
    pub clock: SharedClock,
    /// What wakes it.
    pub due: Due,
    /// What it does.
    pub work: Arc<dyn Work>,
}

/// Runs one stage's work, one call at a time, oldest first.
pub struct Runner {
    store: Store,
    clock: SharedClock,
    due: Due,
    work: Arc<dyn Work>,
}

impl Runner {
    /// Makes a runner.
    pub fn new(options: Options) -> Self {
        let Options { store, clock, due, work } = options;
        Self { store, clock, due, work }
    }

    /// Runs until `stop`. A claim under way is given back then.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            // The bell is asked for before the ledger is looked at, so none is missed between.
            let rung = self.due.rung();
            let pause = match self.run_once(&stop).await {
                Ok(Some(pause)) => pause,
                Ok(None) => Duration::ZERO,
                Err(error) => {
                    tracing::error!(error = %error, "the ledger does not answer the pipeline");
                    LEDGER_PAUSE
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = rung => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Does what is due; returns how long to wait when nothing was.
    async fn run_once(&self, stop: &CancellationToken) -> Result<Option<Duration>, StoreError> {
        if stop.is_cancelled() {
            return Ok(Some(LOOK_EVERY));
        }
        let stage = self.work.stage();
        let now = self.clock.now();
        let Some(claim) = self.store.claim(stage, now).await? else {
            let next = self.store.next_due(stage).await?;
            return Ok(Some(next.map_or(LOOK_EVERY, |at| at.since(now).min(LOOK_EVERY))));
        };
        let span = tracing::info_span!(
            "stage", stage = %stage, call.sid = %claim.call_sid(), attempt = claim.attempt()
        );
        self.work_on(claim, stop).instrument(span).await?;
        Ok(None)
    }

    async fn work_on(&self, claim: Claim, stop: &CancellationToken) -> Result<(), StoreError> {
        let stage = self.work.stage();
        tracing::info!(event = %format_args!("{stage}.started"), "{stage} of {} begins", claim.call_sid());
        let began = self.clock.since_boot();
        let verdict = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            verdict = AssertUnwindSafe(self.work.run(&claim)).catch_unwind() => {
                Some(verdict.unwrap_or_else(|_| Verdict::Again {
                    why: format!("a fault in fieldtape itself stopped the {stage}; the journal has the place"),
                }))
            }
        };
        let took = self.clock.since_boot().saturating_sub(began);
        let settlement = self.judge(&claim, verdict, took);
        self.settle(claim, settlement, stop).await
    }

    /// Writes the end of a claim down, however long the ledger takes to be well again: nobody else
    /// would, and the stage would seem to be under way for ever. At a stop before that it stays
    /// so, and the next start puts it back.
    async fn settle(
        &self,
        claim: Claim,
        settlement: Settlement,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let mut told = false;
        loop {
            let settled = self.store.settle(claim.clone(), settlement.clone(), self.clock.now());
            let Err(error) = settled.await else { return Ok(()) };
            if !std::mem::replace(&mut told, true) {
                let (stage, sid) = (claim.stage(), claim.call_sid());
                tracing::error!(error = %error, "the ledger does not take what became of the {stage} of {sid}; it is told until it does");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(error),
                () = tokio::time::sleep(LEDGER_PAUSE) => {}
            }
        }
    }

    fn judge(&self, claim: &Claim, verdict: Option<Verdict>, took: Duration) -> Settlement {
        let stage = claim.stage();
        let sid = claim.call_sid();
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let now = self.clock.now();
        match verdict {
            None => Settlement::Later {
                why: "fieldtape was stopped while it worked on this".to_owned(),
                waiting_for: None,
                at: now,
                counted: false,
            },
            Some(Verdict::Done(output)) => {
                tracing::info!(event = %format_args!("{stage}.completed"), duration_ms, "{stage} of {sid} is done");
                Settlement::Done(output)
            }
            Some(Verdict::Nothing) => {
                tracing::info!(event = %format_args!("{stage}.skipped"), "{stage} of {sid} has nothing to do");
                Settlement::Nothing
            }
            Some(Verdict::Waits { waiting_for, why, after }) => {
                tracing::warn!(event = %format_args!("{stage}.waiting"), error = %why, "{stage} of {sid} waits for the {waiting_for}");
                Settlement::Later {
                    why,
                    waiting_for: Some(waiting_for),
                    at: now.plus(after),
                    counted: false,
                }
            }
            Some(Verdict::Again { why }) if claim.attempt() < self.work.attempts_max() => {
                let pause = backoff::pause_after(claim.attempt());
                let pause_s = pause.as_secs();
                tracing::warn!(event = %format_args!("{stage}.retried"), error = %why, "{stage} of {sid} went wrong and is tried again in {pause_s} s");
                Settlement::Later { why, waiting_for: None, at: now.plus(pause), counted: true }
            }
            Some(Verdict::Again { why } | Verdict::Never { why }) => {
                failed(stage, claim, &why);
                Settlement::Never { why }
            }
        }
    }
}

fn failed(stage: Stage, claim: &Claim, why: &str) {
    let (sid, attempt) = (claim.call_sid(), claim.attempt());
    tracing::error!(
        event = %format_args!("{stage}.failed"), error = why,
        "{stage} of {sid} failed after attempt {attempt}; `fieldtape retry {sid}` or the page tries it again"
    );
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
