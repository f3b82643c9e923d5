//! The house while the data folder can be used: every room, built up the stair.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::heart::Heart;
use super::outside::Outside;
use super::upgrade::Upgrade;
use super::wing::Wing;
use super::wishes::{Wishes, keep_fixed};
use super::{Ports, data, doors, ear, health, keeping, speech, summary};
use crate::access::Access;
use crate::capture::{self, Recorder, Salvaged, salvage_open_calls, salvage_strays};
use crate::clock::SharedClock;
use crate::cloud::Starter;
use crate::config::Config;
use crate::domain::TrackSource;
use crate::health::{Check, Health};
use crate::microphone::Microphone;
use crate::pipeline::{self, Due};
use crate::retention::Keeper;
use crate::store::{SignOfLife, Store};
use crate::summarize::Server;
use crate::transcribe::{LiveBoard, LiveCalls, Machine, Schedule, Speech};
use crate::vault::Vault;
use crate::web::serve::Listener;

/// Attempts that may end the whole process before a stage is given up.
const CLAIMS_LOST_MAX: u32 = 5;

/// A stop shorter than this is a restart: Twilio tries its callbacks again for so long.
const OFF_LEAST_MS: u64 = 120_000;

/// How long live calls may take to be sealed when the program stops. The promise is 5 s.
const SEAL_WITHIN: Duration = Duration::from_secs(20);

/// The rooms.
pub(super) struct House {
    pub(super) config: Config,
    pub(super) clock: SharedClock,
    pub(super) access: Access,
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) due: Due,
    pub(super) board: LiveBoard,
    pub(super) speech: Arc<Speech>,
    /// For words while people speak: a process of its own where there are cores for one, so that
    /// they do not wait for a window of a finished call.
    pub(super) live_speech: Arc<Speech>,
    pub(super) schedule: Schedule,
    pub(super) recorder: Recorder,
    /// What writes summaries, if they are not made on the box.
    pub(super) summarizer: Option<Arc<Server>>,
    pub(super) microphone: Option<Microphone>,
    pub(super) outside: Outside,
    pub(super) keeper: Keeper,
    pub(super) starter: Option<Starter>,
    pub(super) calls: TaskTracker,
    pub(super) admin: Arc<Listener>,
    pub(super) heart: Heart,
    /// What came of the last upgrade.
    pub(super) version: Check,
}

impl House {
    /// Opens the data folder and takes in what a crash left there.
    pub(super) async fn open(
        config: &Config,
        clock: &SharedClock,
        (upgrade, alive): (&Upgrade, &SignOfLife),
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let data_dir = config.server.data_dir.clone();
        let (vault, store) = data::open(config, clock, (upgrade, alive)).await?;
        let back = store
            .put_back_claims(CLAIMS_LOST_MAX, pipeline::BACKOFF_MAX, clock.now())
            .await
            .context("the ledger cannot be written")?;
        if back > 0 {
            tracing::warn!(
                event = "resumed",
                "{back} stages were under way when fieldtape stopped; they go on"
            );
        }
        note_absence(&store, clock).await?;
        let agent = config.recording.agent_source.beside();
        let salvaged = salvage_open_calls(&store, &vault, clock, agent).await?;
        tell_salvaged(salvaged);
        // Not before: until here the appliance without a data folder answers there.
        let admin = doors::bind_admin(config)?;
        let (finished_speech, live_speech) = speech::start(config, &Machine::this())?;
        let (due, calls) = (Due::default(), TaskTracker::new());
        let recorder = Recorder::new(capture::Options {
            vault: vault.clone(),
            store: store.clone(),
            clock: Arc::clone(clock),
            due: due.clone(),
            limits: limits(config),
            agent,
            tasks: calls.clone(),
            stop: stop.clone(),
        });
        let summarizer = summary::server(config)?;
        let microphone = ear::start(config, &recorder, clock)?;
        let schedule = {
            let recorder = recorder.clone();
            let live_calls: LiveCalls = Arc::new(move || recorder.live_count());
            Schedule::new(Arc::clone(clock), Machine::this(), live_calls)
        };
        let access = Access::open(store.clone(), Arc::clone(clock)).await?;
        let heart = Heart::default();
        let outside = Outside::open(config, (&store, &vault), clock, &due, &recorder).await?;
        let keeper = keeping::keeper(config, (&store, &vault), clock, &recorder, &outside, &due);
        let folder = data_dir.display();
        tracing::info!(event = "opened", "the ledger and the recordings are in {folder}");
        Ok(Self {
            config: config.clone(),
            clock: Arc::clone(clock),
            access,
            store,
            vault,
            due,
            board: LiveBoard::default(),
            speech: finished_speech,
            live_speech,
            schedule,
            recorder,
            summarizer,
            microphone,
            outside,
            keeper,
            starter: None,
            calls,
            admin: Arc::new(admin),
            heart,
            version: upgrade.check(),
        })
    }

    /// Runs until `stop`, then takes the house down: calls are sealed first, the ledger goes last.
    pub(super) async fn run(
        mut self,
        ports: Arc<Ports>,
        wishes: Wishes,
        mut read: watch::Receiver<Arc<Config>>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let (health, _) = watch::channel(health::first(&ports.instance));
        let site = Site { ports, wishes, health, stop, answers: TaskTracker::new() };
        let mut wings = self.start(&site).await;
        // Without systemd there is nobody to tell.
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        let ended = loop {
            tokio::select! {
                biased;
                () = site.stop.cancelled() => break None,
                ended = wings.ended() => break Some(ended),
                Ok(()) = read.changed() => {
                    let wanted = Arc::clone(&read.borrow_and_update());
                    if let Err(error) = self.take(&wanted, &site, &mut wings).await {
                        site.wishes.refuse(&format!("{error:#}"));
                    }
                }
            }
        };
        site.stop.cancel();
        self.close(wings, &site.answers).await;
        match ended {
            None => Ok(()),
            Some(Ok(name)) => bail!("{name} ended unasked"),
            Some(Err(error)) => Err(error).context("a task of fieldtape broke"),
        }
    }

    /// Takes new settings while calls go on: what they change is closed and built anew. Whatever can
    /// fail comes first, so that they are taken whole or not at all.
    async fn take(
        &mut self,
        wanted: &Config,
        site: &Site,
        wings: &mut Wings,
    ) -> anyhow::Result<()> {
        let mut config = wanted.clone();
        let until_restart = keep_fixed(&self.config, &mut config);
        let speech = speech_part(&config) != speech_part(&self.config);
        let speech = speech.then(|| speech::start(&config, &Machine::this())).transpose()?;
        let summarizer = (config.summary != self.config.summary)
            .then(|| summary::server(&config))
            .transpose()?;
        let outside = if outside_part(&config) == outside_part(&self.config) {
            None
        } else {
            let rooms = (&self.store, &self.vault);
            Some(Outside::open(&config, rooms, &self.clock, &self.due, &self.recorder).await?)
        };
        site.ports.certificates.reload(&config).map_err(anyhow::Error::msg)?;
        let changed = config != self.config;
        self.config = config;
        self.recorder.set_limits(limits(&self.config));
        self.vault.set_sync_every(self.config.recording.sync_every);
        if let Some((finished, live)) = speech {
            self.speech.stop();
            self.live_speech.stop();
            replace(&mut wings.speech, site, &self.heart).await;
            (self.speech, self.live_speech) = (finished, live);
            // Calls in progress are heard anew from their beginning.
            self.board.clear();
            self.start_speech(&mut wings.speech);
        }
        if let Some(summarizer) = summarizer {
            replace(&mut wings.summary, site, &self.heart).await;
            self.summarizer = summarizer;
            self.start_summaries(&mut wings.summary);
        }
        if let Some(outside) = outside {
            replace(&mut wings.outside, site, &self.heart).await;
            self.outside = outside;
            self.start_outside(&mut wings.outside, site).await;
        }
        if changed {
            replace(&mut wings.keeping, site, &self.heart).await;
            let rooms = (&self.store, &self.vault);
            let (recorder, outside) = (&self.recorder, &self.outside);
            self.keeper =
                keeping::keeper(&self.config, rooms, &self.clock, recorder, outside, &self.due);
            self.start_keeping(&mut wings.keeping);
            replace(&mut wings.doors, site, &self.heart).await;
            self.open_doors(&mut wings.doors, site);
        }
        site.wishes.took(&self.config, &until_restart);
        Ok(())
    }

    async fn close(self, wings: Wings, answers: &TaskTracker) {
        self.calls.close();
        if tokio::time::timeout(SEAL_WITHIN, self.calls.wait()).await.is_err() {
            tracing::error!(
                event = "stopping",
                "not every call could be sealed in time; the rest is salvaged at the next start"
            );
        }
        self.speech.stop();
        self.live_speech.stop();
        wings.close().await;
        answers.close();
        if tokio::time::timeout(doors::CLOSE_WITHIN, answers.wait()).await.is_err() {
            tracing::warn!(event = "stopping", "a connection did not end in time");
        }
        tracing::info!(event = "stopped", "fieldtape has stopped; everything heard is on disk");
    }
}

/// What the house stands on while it runs.
pub(super) struct Site {
    pub(super) ports: Arc<Ports>,
    pub(super) wishes: Wishes,
    pub(super) health: watch::Sender<Health>,
    pub(super) stop: CancellationToken,
    /// Who waits for connections.
    pub(super) answers: TaskTracker,
}

/// Everything that goes round.
pub(super) struct Wings {
    /// What stays as it is for as long as the house stands.
    pub(super) base: Wing,
    pub(super) keeping: Wing,
    pub(super) speech: Wing,
    pub(super) summary: Wing,
    pub(super) outside: Wing,
    pub(super) doors: Wing,
}

impl Wings {
    async fn ended(&mut self) -> Result<&'static str, JoinError> {
        tokio::select! {
            ended = self.base.ended() => ended,
            ended = self.keeping.ended() => ended,
            ended = self.speech.ended() => ended,
            ended = self.summary.ended() => ended,
            ended = self.outside.ended() => ended,
            ended = self.doors.ended() => ended,
        }
    }

    async fn close(self) {
        let Self { base, keeping, speech, summary, outside, doors } = self;
        for wing in [doors, outside, summary, speech, keeping, base] {
            wing.close().await;
        }
    }
}

/// Closes a wing and makes an empty one in its place.
async fn replace(wing: &mut Wing, site: &Site, heart: &Heart) {
    std::mem::replace(wing, Wing::new(&site.stop, heart)).close().await;
}

/// What speech is made into text by.
fn speech_part(config: &Config) -> impl PartialEq + use<'_> {
    (&config.transcription, config.recording.keep_16k)
}

/// What is asked of the world outside, and by what.
fn outside_part(config: &Config) -> impl PartialEq + use<'_> {
    let Config { server, twilio, archive, recording, .. } = config;
    let asked = (&twilio.api, &twilio.account_sid, &server.public_url, archive);
    let how = (twilio.cloud_recording, twilio.reconcile_every, twilio.deletion);
    (asked, how, twilio.bandwidth_limit, &recording.rates)
}

fn limits(config: &Config) -> capture::Limits {
    capture::Limits { rates: config.recording.rates.clone(), calls_max: config.server.max_calls }
}

/// Callbacks sent while fieldtape was not running are gone for good: that was an outage too.
async fn note_absence(store: &Store, clock: &SharedClock) -> anyhow::Result<()> {
    let absence = store.was_off(clock.reading(), OFF_LEAST_MS).await;
    if let Some(outage) = absence.context("the ledger cannot be written")? {
        let minutes = outage.to.unwrap_or(outage.from).since(outage.from).as_secs() / 60;
        tracing::warn!(
            event = "absent",
            "fieldtape was not running for {minutes} min; Twilio is asked what happened meanwhile"
        );
    }
    Ok(())
}

fn tell_salvaged(salvaged: Salvaged) {
    let Salvaged { calls, tracks } = salvaged;
    if calls > 0 {
        tracing::warn!(
            event = "salvaged",
            "{calls} calls were cut off when fieldtape stopped; {tracks} files were sealed for them"
        );
    }
}

pub(super) async fn strays(
    (store, vault): (Store, Vault),
    agent: Option<TrackSource>,
    clock: SharedClock,
    due: Due,
) {
    match salvage_strays(&store, &vault, &clock, agent).await {
        Ok(salvaged) if salvaged.calls > 0 => {
            tracing::warn!(
                event = "salvaged",
                "{} calls were taken in that the ledger did not know",
                salvaged.calls
            );
            due.ring();
        }
        Ok(_) => {}
        Err(error) => {
            tracing::error!(error = %error, "stray recordings could not be taken in; it is tried again at the next start");
        }
    }
}
