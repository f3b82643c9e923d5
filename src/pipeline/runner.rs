//! The loop that claims, works and settles.

use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rand::Rng;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::link::LinkState;
use super::{Due, Link, Verdict, Work, backoff};
use crate::clock::SharedClock;
use crate::domain::{Stage, WaitingFor};
use crate::store::{Claim, Settlement, Store, StoreError};

/// The longest the runner goes without looking at the ledger.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long it waits when the ledger does not answer.
const LEDGER_PAUSE: Duration = Duration::from_secs(5);

/// How long the backlog is left alone when the link has come back, at most: by chance, so that a
/// street of boxes does not begin at the same moment.
const BACK_WITHIN: Duration = Duration::from_secs(5);

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
    /// Calls worked on at once.
    pub parallel: NonZeroUsize,
    /// The link that the work needs; none if it needs none.
    pub link: Option<Link>,
}

/// Runs one stage's work, oldest call first unless the work says otherwise.
pub struct Runner {
    store: Store,
    clock: SharedClock,
    due: Due,
    work: Arc<dyn Work>,
    parallel: NonZeroUsize,
    link: Option<Link>,
}

/// What there is to do.
enum Next {
    Work(Claim),
    Nothing { look_after: Duration },
}

impl Runner {
    /// Makes a runner.
    pub fn new(options: Options) -> Self {
        let Options { store, clock, due, work, parallel, link } = options;
        Self { store, clock, due, work, parallel, link }
    }

    /// Runs until `stop`. Claims under way are given back then.
    pub async fn run(self, stop: CancellationToken) {
        let mut bell = self.due.listen();
        let mut link = self.link.as_ref().map(Link::watch);
        let mut under_way = FuturesUnordered::new();
        while !stop.is_cancelled() {
            // The bell is heard before the ledger is looked at, so none is missed between.
            bell.mark_unchanged();
            let mut pause = LOOK_EVERY;
            if under_way.len() < self.parallel.get() && is_up(&mut link) {
                match self.next().await {
                    Ok(Next::Work(claim)) => {
                        under_way.push(self.work_on(claim, &stop));
                        continue;
                    }
                    Ok(Next::Nothing { look_after }) => pause = look_after,
                    Err(error) => {
                        tracing::error!(error = %error, "the ledger does not answer the pipeline");
                        pause = LEDGER_PAUSE;
                    }
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(()) = under_way.next() => {}
                () = turned_up(&mut link) => self.linger(&stop).await,
                Ok(()) = bell.changed() => {}
                () = self.clock.sleep(pause) => {}
            }
        }
        while under_way.next().await.is_some() {}
    }

    /// Waits a moment, for how long is chance.
    async fn linger(&self, stop: &CancellationToken) {
        let pause = BACK_WITHIN.mul_f64(rand::rng().random_range(0.0..=1.0));
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.clock.sleep(pause) => {}
        }
    }

    async fn next(&self) -> Result<Next, StoreError> {
        if let Some(pause) = self.work.held() {
            return Ok(Next::Nothing { look_after: pause.min(LOOK_EVERY) });
        }
        let stage = self.work.stage();
        let now = self.clock.now();
        if let Some(claim) = self.store.claim_first(stage, &self.work.first(), now).await? {
            return Ok(Next::Work(claim));
        }
        let next = self.store.next_due(stage).await?;
        Ok(Next::Nothing {
            look_after: next.map_or(LOOK_EVERY, |at| at.since(now).min(LOOK_EVERY)),
        })
    }

    /// Works on one claim to its end, whatever that is.
    async fn work_on(&self, claim: Claim, stop: &CancellationToken) {
        let span = tracing::info_span!(
            "stage", stage = %self.work.stage(), call.sid = %claim.call_sid(), attempt = claim.attempt()
        );
        async {
            let settlement = self.work_once(&claim, stop).await;
            self.settle(claim, settlement, stop).await;
            // What follows from it is another runner's.
            self.due.ring();
        }
        .instrument(span)
        .await;
    }

    async fn work_once(&self, claim: &Claim, stop: &CancellationToken) -> Settlement {
        let stage = self.work.stage();
        tracing::info!(event = %format_args!("{stage}.started"), "{stage} of {} begins", claim.call_sid());
        let began = self.clock.since_boot();
        let verdict = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            verdict = AssertUnwindSafe(self.work.run(claim)).catch_unwind() => {
                Some(verdict.unwrap_or_else(|_| Verdict::Again {
                    why: format!("a fault in fieldtape itself stopped the {stage}; the journal has the place"),
                }))
            }
        };
        let took = self.clock.since_boot().saturating_sub(began);
        let verdict = match verdict {
            Some(Verdict::Unreachable { why }) => Some(self.whose_fault(why).await),
            verdict => verdict,
        };
        self.judge(claim, verdict, took)
    }

    /// The link's probe decides whether the network is away or the other side is at fault.
    async fn whose_fault(&self, why: String) -> Verdict {
        match &self.link {
            Some(link) if !link.check().await.is_up() => {
                Verdict::Waits { waiting_for: WaitingFor::Network, why, after: Duration::ZERO }
            }
            _ => Verdict::Again { why },
        }
    }

    /// Writes the end of a claim down, however long the ledger takes to be well again: nobody else
    /// would, and the stage would seem to be under way for ever. At a stop before that it stays
    /// so, and the next start puts it back.
    async fn settle(&self, claim: Claim, settlement: Settlement, stop: &CancellationToken) {
        let mut told = false;
        loop {
            let settled = self.store.settle(claim.clone(), settlement.clone(), self.clock.now());
            let Err(error) = settled.await else { return };
            if !std::mem::replace(&mut told, true) {
                let (stage, sid) = (claim.stage(), claim.call_sid());
                tracing::error!(error = %error, "the ledger does not take what became of the {stage} of {sid}; it is told until it does");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(LEDGER_PAUSE) => {}
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
            Some(Verdict::GivesWay) => {
                tracing::info!(event = %format_args!("{stage}.gave_way"), "{stage} of {sid} gives way and goes on later");
                Settlement::GivenBack
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
            Some(Verdict::Again { why } | Verdict::Unreachable { why })
                if self.work.attempts_max().is_none_or(|max| claim.attempt() < max) =>
            {
                let pause = backoff::pause_after(claim.attempt());
                let pause_s = pause.as_secs();
                tracing::warn!(event = %format_args!("{stage}.retried"), error = %why, "{stage} of {sid} went wrong and is tried again in {pause_s} s");
                Settlement::Later { why, waiting_for: None, at: now.plus(pause), counted: true }
            }
            Some(
                Verdict::Again { why } | Verdict::Unreachable { why } | Verdict::Never { why },
            ) => {
                failed(stage, claim, &why);
                Settlement::Never { why }
            }
        }
    }
}

/// Says whether the link is there, and takes note of what it was when asked.
fn is_up(link: &mut Option<watch::Receiver<LinkState>>) -> bool {
    link.as_mut().is_none_or(|link| link.borrow_and_update().is_up())
}

/// Waits until the link is back; for ever if there is none to wait for.
async fn turned_up(link: &mut Option<watch::Receiver<LinkState>>) {
    if let Some(link) = link
        && link.wait_for(|state| !state.is_up()).await.is_ok()
        && link.wait_for(LinkState::is_up).await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
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
