//! What the house has to do with the world outside: the link, Twilio's copies, the archive.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::wing::Wing;
use crate::archive::{
    ArchiveWork, ArchiveWorkOptions, DeleteWork, DeleteWorkOptions, Eraser, EraserOptions, Remote,
    Rendered, Witness,
};
use crate::capture::Recorder;
use crate::clock::SharedClock;
use crate::cloud::{
    FetchOptions, FetchWork, ReconcileOptions, Reconciler, SplitOptions, SplitWork, StartOptions,
    Starter,
};
use crate::config::{CloudRecording, Config};
use crate::domain::{CallSid, Stage};
use crate::pipeline::{self, Due, IsLive, Link, Probe, Runner, Throttle, Work};
use crate::store::{CallDetail, Store, TranscriptRow};
use crate::transcribe::{Format, written};
use crate::twilio::rest::{Client, Timeouts};
use crate::vault::Vault;

/// Recordings fetched at once: a slow one does not hold up the others, and more would only share
/// the same line.
const FETCHES: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// Calls archived at once; the line is the limit, not the number.
const UPLOADS: NonZeroUsize = NonZeroUsize::MIN;

/// What is shared by everything that looks outside.
#[derive(Clone)]
pub(super) struct Outside {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) clock: SharedClock,
    pub(super) due: Due,
    pub(super) recorder: Recorder,
    twilio: Option<Twilio>,
    remote: Option<Remote>,
}

/// Twilio's REST API, as soon as an account is set.
#[derive(Clone)]
struct Twilio {
    client: Client,
    link: Link,
}

impl Outside {
    /// Opens the link, if there is an account to speak for, and the archive, if there is one.
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
        let remote = match &config.archive {
            Some(archive) => {
                let throttle = throttle(clock, recorder, archive.bandwidth_limit);
                Some(Remote::open(&archive.place, throttle).context("archive")?)
            }
            None => None,
        };
        Ok(Self {
            store: store.clone(),
            vault: vault.clone(),
            clock: Arc::clone(clock),
            due: due.clone(),
            recorder: recorder.clone(),
            twilio,
            remote,
        })
    }

    /// Makes what asks whether things are still there that are relied on; none when there is
    /// nowhere to ask.
    pub(super) fn witness(&self) -> Option<Witness> {
        let twilio = self.twilio.as_ref().map(|twilio| twilio.client.clone());
        if twilio.is_none() && self.remote.is_none() {
            return None;
        }
        let known = (self.store.clone(), Arc::clone(&self.clock));
        Some(Witness::new(known, self.remote.clone(), twilio))
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
    pub(super) async fn start(&self, config: &Config, starter: Option<Starter>, wing: &mut Wing) {
        let split = SplitWork::new(SplitOptions {
            store: self.store.clone(),
            vault: self.vault.clone(),
            rates: config.recording.rates.clone(),
        });
        let split = self.runner(Arc::new(split), NonZeroUsize::MIN, None);
        wing.spawn("the split stage", split.run(wing.stop()));
        self.start_archive(config, wing).await;
        if let Some(twilio) = &self.twilio {
            let by_rest = config.twilio.cloud_recording == CloudRecording::Rest;
            self.start_twilio(config, twilio, starter.filter(|_| by_rest), wing);
        }
    }

    /// Starts the archive's two stages. They run without an archive too, to say that there is
    /// nothing to do; what an earlier configuration skipped is taken up.
    async fn start_archive(&self, config: &Config, wing: &mut Wing) {
        let (remote, deletion) = (self.remote.clone(), config.twilio.deletion);
        for (stage, wanted) in
            [(Stage::Archive, remote.is_some()), (Stage::Delete, deletion.is_some())]
        {
            if !wanted {
                continue;
            }
            if let Err(error) = self.store.take_up(stage, self.clock.now()).await {
                tracing::error!(stage = %stage, error = %error, "the {stage} of earlier calls is not taken up before the next start: the ledger does not take it");
            }
        }
        let archive = ArchiveWork::new(ArchiveWorkOptions {
            store: self.store.clone(),
            vault: self.vault.clone(),
            remote: remote.clone(),
            render: Arc::new(render),
        });
        let link = self.link().filter(|_| remote.is_some());
        let archive = self.runner(Arc::new(archive), UPLOADS, link);
        wing.spawn("the archive stage", archive.run(wing.stop()));
        let delete = DeleteWork::new(DeleteWorkOptions {
            store: self.store.clone(),
            vault: self.vault.clone(),
            clock: Arc::clone(&self.clock),
            remote,
            twilio: self.twilio.as_ref().map(|twilio| twilio.client.clone()),
            asked_for: deletion.is_some(),
            delete_after: deletion.map_or(std::time::Duration::MAX, |deletion| deletion.after),
        });
        let link = self.link().filter(|_| deletion.is_some());
        let delete = self.runner(Arc::new(delete), NonZeroUsize::MIN, link);
        wing.spawn("the delete stage", delete.run(wing.stop()));
        let eraser = Eraser::new(EraserOptions {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            due: self.due.clone(),
            link: self.link(),
            remote: self.remote.clone(),
            twilio: self.twilio.as_ref().map(|twilio| twilio.client.clone()),
        });
        wing.spawn("the eraser", eraser.run(wing.stop()));
    }

    /// Starts what is asked of Twilio.
    fn start_twilio(
        &self,
        config: &Config,
        Twilio { client, link }: &Twilio,
        starter: Option<Starter>,
        wing: &mut Wing,
    ) {
        let fetch = FetchWork::new(FetchOptions {
            client: client.clone(),
            store: self.store.clone(),
            vault: self.vault.clone(),
            clock: Arc::clone(&self.clock),
            throttle: throttle(&self.clock, &self.recorder, config.twilio.bandwidth_limit),
        });
        let fetch = self.runner(Arc::new(fetch), FETCHES, Some(link.clone()));
        wing.spawn("the fetch stage", fetch.run(wing.stop()));
        wing.spawn("the link", link.clone().run(wing.stop()));
        let recorder = self.recorder.clone();
        let reconciler = Reconciler::new(ReconcileOptions {
            client: client.clone(),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            due: self.due.clone(),
            link: link.clone(),
            every: config.twilio.reconcile_every,
            hangup: Arc::new(move |sid: &CallSid| recorder.call_ended(sid)),
            starter,
        });
        wing.spawn("the reconciliation", reconciler.run(wing.stop()));
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
}

fn throttle(clock: &SharedClock, recorder: &Recorder, limit_bytes_per_s: Option<u64>) -> Throttle {
    let recorder = recorder.clone();
    let is_live: IsLive = Arc::new(move || recorder.live_count() > 0);
    Throttle::new(Arc::clone(clock), limit_bytes_per_s, is_live)
}

/// Writes a conversation down for the archive.
fn render(detail: &CallDetail, transcript: &TranscriptRow) -> Rendered {
    let sid = &detail.call.call_sid;
    Rendered {
        json: written(sid, transcript, Format::Json),
        txt: written(sid, transcript, Format::Txt),
    }
}

fn probe(client: &Client) -> Probe {
    let client = client.clone();
    Arc::new(move || {
        let client = client.clone();
        Box::pin(async move { client.probe().await.map_err(|error| error.to_string()) })
    })
}
