//! What the house has to do with the world outside: the link, Twilio's copies, the archive.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::house::named;
use crate::capture::Recorder;
use crate::clock::SharedClock;
use crate::cloud::{
    FetchOptions, FetchWork, ReconcileOptions, Reconciler, SplitOptions, SplitWork, StartOptions,
    Starter,
};
use crate::config::Config;
use crate::domain::CallSid;
use crate::pipeline::{self, Due, IsLive, Link, Probe, Runner, Throttle, Work};
use crate::store::Store;
use crate::twilio::rest::{Client, Timeouts};
use crate::vault::Vault;

/// Recordings fetched at once: a slow one does not hold up the others, and more would only share
/// the same line.
const FETCHES: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// What is shared by everything that looks outside.
#[derive(Clone)]
pub(super) struct Outside {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) clock: SharedClock,
    pub(super) due: Due,
    pub(super) recorder: Recorder,
    twilio: Option<Twilio>,
}

/// Twilio's REST API, as soon as an account is set.
#[derive(Clone)]
struct Twilio {
    client: Client,
    link: Link,
}

impl Outside {
    /// Opens the link, if there is an account to speak for.
    pub(super) async fn open(
        config: &Config,
        (store, vault): (&Store, &Vault),
        clock: &SharedClock,
        due: &Due,
        recorder: &Recorder,
    ) -> anyhow::Result<Self> {
        let twilio = match (&config.twilio.api, &config.twilio.account_sid) {
            (Some(credentials), Some(account)) => {
                let client =
                    Client::new(credentials.clone(), account.clone(), Timeouts::default())?;
                let link = Link::open(store.clone(), Arc::clone(clock), probe(&client))
                    .await
                    .context("the ledger cannot be read")?;
                Some(Twilio { client, link })
            }
            _ => None,
        };
        Ok(Self {
            store: store.clone(),
            vault: vault.clone(),
            clock: Arc::clone(clock),
            due: due.clone(),
            recorder: recorder.clone(),
            twilio,
        })
    }

    /// Returns the link, if there is one.
    pub(super) fn link(&self) -> Option<Link> {
        self.twilio.as_ref().map(|twilio| twilio.link.clone())
    }

    /// Makes what asks Twilio to record calls.
    pub(super) fn starter(
        &self,
        config: &Config,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Option<Starter> {
        let public_url = config.server.public_url.as_ref()?;
        Some(Starter::new(StartOptions {
            client: self.twilio.as_ref()?.client.clone(),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            status_callback: public_url.callback("/twilio/recording-status"),
            tasks: tasks.clone(),
            stop: stop.clone(),
        }))
    }

    /// Starts everything that looks outside, and what makes its finds the calls' own.
    pub(super) fn start(
        &self,
        config: &Config,
        rooms: &mut JoinSet<&'static str>,
        stop: &CancellationToken,
    ) {
        let split = SplitWork::new(SplitOptions {
            store: self.store.clone(),
            vault: self.vault.clone(),
            rates: config.recording.rates.clone(),
        });
        let split = self.runner(Arc::new(split), NonZeroUsize::MIN, None);
        rooms.spawn(named("the split stage", split.run(stop.clone())));
        let Some(Twilio { client, link }) = &self.twilio else { return };
        let fetch = FetchWork::new(FetchOptions {
            client: client.clone(),
            store: self.store.clone(),
            vault: self.vault.clone(),
            clock: Arc::clone(&self.clock),
            throttle: self.throttle(config.twilio.bandwidth_limit),
        });
        let fetch = self.runner(Arc::new(fetch), FETCHES, Some(link.clone()));
        rooms.spawn(named("the fetch stage", fetch.run(stop.clone())));
        rooms.spawn(named("the link", link.clone().run(stop.clone())));
        let recorder = self.recorder.clone();
        let reconciler = Reconciler::new(ReconcileOptions {
            client: client.clone(),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            due: self.due.clone(),
            link: link.clone(),
            every: config.twilio.reconcile_every,
            hangup: Arc::new(move |sid: &CallSid| recorder.call_ended(sid)),
        });
        rooms.spawn(named("the reconciliation", reconciler.run(stop.clone())));
    }

    fn runner(&self, work: Arc<dyn Work>, parallel: NonZeroUsize, link: Option<Link>) -> Runner {
        Runner::new(pipeline::Options {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            due: self.due.clone(),
            work,
            parallel,
            link,
        })
    }

    fn throttle(&self, limit_bytes_per_s: Option<u64>) -> Throttle {
        let recorder = self.recorder.clone();
        let is_live: IsLive = Arc::new(move || recorder.live_count() > 0);
        Throttle::new(Arc::clone(&self.clock), limit_bytes_per_s, is_live)
    }
}

fn probe(client: &Client) -> Probe {
    let client = client.clone();
    Arc::new(move || {
        let client = client.clone();
        Box::pin(async move { client.probe().await.map_err(|error| error.to_string()) })
    })
}
