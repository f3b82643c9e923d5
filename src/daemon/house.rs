//! The house while the data folder can be used: every room, built up the stair.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::health::{self, Watcher};
use super::heart::Heart;
use super::outside::Outside;
use super::{Ports, doors, index, speech};
use crate::access::Access;
use crate::capture::{self, Recorder, salvage_open_calls, salvage_strays};
use crate::clock::SharedClock;
use crate::cloud::Starter;
use crate::config::{Config, Keep16k};
use crate::pipeline::{self, Due, Runner, Work};
use crate::retention;
use crate::store::Store;
use crate::summarize::{Server, SummaryWork, SummaryWorkOptions};
use crate::transcribe::{
    LiveBoard, LiveCalls, LiveWriter, Machine, Schedule, Speech, TranscriptWork,
    TranscriptWorkOptions,
};
use crate::vault::{self, Vault};
use crate::web::door::{DoorState, Inside, Settings};
use crate::web::health::Health;
use crate::web::lan::{Gate, LanState};
use crate::web::serve::Listener;
use crate::web::{admin, door, lan};

/// Attempts that may end the whole process before a stage is given up.
const CLAIMS_LOST_MAX: u32 = 5;

/// A stop shorter than this is a restart: Twilio tries its callbacks again for so long.
const OFF_LEAST_MS: u64 = 120_000;

/// How long live calls may take to be sealed when the program stops. The promise is 5 s.
const SEAL_WITHIN: Duration = Duration::from_secs(20);

/// The rooms.
pub(super) struct House {
    config: Config,
    clock: SharedClock,
    access: Access,
    store: Store,
    vault: Vault,
    due: Due,
    board: LiveBoard,
    speech: Arc<Speech>,
    /// For words while people speak: a process of its own where there are cores for one, so that
    /// they do not wait for a window of a finished call.
    live_speech: Arc<Speech>,
    schedule: Schedule,
    recorder: Recorder,
    outside: Outside,
    calls: TaskTracker,
    admin: Arc<Listener>,
    heart: Heart,
}

impl House {
    /// Opens the data folder and takes in what a crash left there.
    pub(super) async fn open(
        config: &Config,
        clock: &SharedClock,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let data_dir = config.server.data_dir.clone();
        let (vault, store) = open_data(config, clock).await?;
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
        let salvaged = salvage_open_calls(&store, &vault, clock).await?;
        if salvaged.calls > 0 {
            tracing::warn!(
                event = "salvaged",
                "{} calls were cut off when fieldtape stopped; {} files were sealed for them",
                salvaged.calls,
                salvaged.tracks
            );
        }
        // Not before: until here the appliance without a data folder answers there.
        let admin = doors::bind_admin(config)?;
        let (finished_speech, live_speech) = speech::start(config, &Machine::this())?;
        let (due, calls) = (Due::default(), TaskTracker::new());
        let recorder = Recorder::new(capture::Options {
            vault: vault.clone(),
            store: store.clone(),
            clock: Arc::clone(clock),
            due: due.clone(),
            rates: config.recording.rates.clone(),
            calls_max: config.server.max_calls,
            boot_id: boot_id(),
            tasks: calls.clone(),
            stop: stop.clone(),
        });
        let schedule = {
            let recorder = recorder.clone();
            let live_calls: LiveCalls = Arc::new(move || recorder.live_count());
            Schedule::new(Arc::clone(clock), Machine::this(), live_calls)
        };
        let access = Access::open(store.clone(), Arc::clone(clock)).await?;
        let heart = Heart::default();
        let outside =
            Outside::open(config, (&store, &vault), clock, (&due, &heart), &recorder).await?;
        tracing::info!(
            event = "opened",
            "the ledger and the recordings are in {}",
            data_dir.display()
        );
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
            outside,
            calls,
            admin: Arc::new(admin),
            heart,
        })
    }

    /// Runs until `stop`, then takes the house down: calls are sealed first, the ledger goes last.
    pub(super) async fn run(
        self,
        ports: Arc<Ports>,
        settings: watch::Receiver<Settings>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let (health, watched) = watch::channel(health::first());
        let looks = self.watcher(settings.clone());
        let answers = TaskTracker::new();
        let mut rooms = self.start_rooms(&stop)?;
        let starter = self.outside.starter(&self.config, &self.calls, &stop);
        self.outside.start(&self.config, starter.clone(), &mut rooms, &stop).await?;
        rooms.spawn(self.heart.beating("health", looks.run(health, stop.clone())));
        self.open_doors(&ports, (settings, watched), starter, &stop, &answers);
        // Without systemd there is nobody to tell.
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            ended = rooms.join_next() => ended,
        };
        stop.cancel();
        self.close(rooms, answers).await;
        match ended {
            None => Ok(()),
            Some(Ok(name)) => bail!("{name} ended unasked"),
            Some(Err(error)) => Err(error).context("a task of fieldtape broke"),
        }
    }

    fn start_rooms(&self, stop: &CancellationToken) -> anyhow::Result<JoinSet<&'static str>> {
        let mut rooms = JoinSet::new();
        let work: Arc<dyn Work> = Arc::new(TranscriptWork::new(TranscriptWorkOptions {
            store: self.store.clone(),
            vault: self.vault.clone(),
            clock: Arc::clone(&self.clock),
            speech: Arc::clone(&self.speech),
            schedule: self.schedule.clone(),
            language: speech::language(&self.config),
            wide_is_spent: self.config.recording.keep_16k == Keep16k::UntilTranscribed,
        }));
        let runner = Runner::new(pipeline::Options {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            due: self.due.clone(),
            work,
            parallel: NonZeroUsize::MIN,
            link: None,
        });
        rooms.spawn(self.heart.beating("the transcript stage", runner.run(stop.clone())));
        rooms.spawn(self.heart.beating("the summary stage", self.summaries()?.run(stop.clone())));
        let indexing = index::run(self.store.clone(), Arc::clone(&self.clock), stop.clone());
        rooms.spawn(async move {
            indexing.await;
            "the search index"
        });
        let sweep = retention::Options {
            store: self.store.clone(),
            vault: self.vault.clone(),
            clock: Arc::clone(&self.clock),
        };
        rooms.spawn(self.heart.beating("the sweep", retention::run(sweep, stop.clone())));
        if self.config.transcription.live {
            let recorder = self.recorder.clone();
            let writer = LiveWriter::new(
                Arc::clone(&self.live_speech),
                self.board.clone(),
                Arc::clone(&self.clock),
                speech::language(&self.config),
                move || recorder.live().into_iter().map(speech::live_source).collect(),
            );
            rooms.spawn(self.heart.beating("live transcription", writer.run(stop.clone())));
        }
        self.calls.spawn(strays(
            self.store.clone(),
            self.vault.clone(),
            self.clock.clone(),
            self.due.clone(),
        ));
        Ok(rooms)
    }

    fn summaries(&self) -> anyhow::Result<Runner> {
        let schedule = self.schedule.clone();
        let server = self.config.summary.clone();
        let work = SummaryWork::new(SummaryWorkOptions {
            store: self.store.clone(),
            looked_at: Arc::new(move || schedule.looked_at()),
            server: server.map(Server::new).transpose().context("no line to the summary server")?,
        });
        Ok(Runner::new(pipeline::Options {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            due: self.due.clone(),
            work: Arc::new(work),
            parallel: NonZeroUsize::MIN,
            link: None,
        }))
    }

    fn watcher(&self, settings: watch::Receiver<Settings>) -> Watcher {
        Watcher {
            store: self.store.clone(),
            vault: self.vault.clone(),
            recorder: self.recorder.clone(),
            clock: Arc::clone(&self.clock),
            settings,
            model: self.config.transcription.model.clone(),
            model_dirs: speech::model_dirs(&self.config),
            min_free_bytes: self.config.recording.min_free_bytes,
            link: self.outside.link(),
            heart: self.heart.clone(),
        }
    }

    fn open_doors(
        &self,
        ports: &Arc<Ports>,
        (settings, health): (watch::Receiver<Settings>, watch::Receiver<Health>),
        starter: Option<Starter>,
        stop: &CancellationToken,
        answers: &TaskTracker,
    ) {
        let lan_state = LanState {
            access: self.access.clone(),
            https: false,
            store: self.store.clone(),
            data_dir: self.config.server.data_dir.clone(),
            board: self.board.clone(),
            schedule: self.schedule.clone(),
            clock: Arc::clone(&self.clock),
            due: self.due.clone(),
            link: self.outside.link(),
            health,
            stopping: stop.clone(),
        };
        let uname = rustix::system::uname();
        let hostname = uname.nodename().to_string_lossy();
        let gate = Gate::new(self.config.server.lan_listen, &hostname, &[]);
        announce_first_run(&self.access, &gate);
        let page = lan::router(lan_state.clone(), gate);
        let inside = Inside { store: self.store.clone(), recorder: self.recorder.clone(), starter };
        let door = door::router(DoorState {
            settings,
            inside: Some(inside),
            clock: Arc::clone(&self.clock),
            stop: stop.clone(),
        });
        doors::spawn_doors(ports, (door, page), &self.heart, stop, answers);
        doors::spawn_admin(&self.admin, admin::router(lan_state), stop, answers);
    }

    async fn close(self, mut rooms: JoinSet<&'static str>, answers: TaskTracker) {
        self.calls.close();
        if tokio::time::timeout(SEAL_WITHIN, self.calls.wait()).await.is_err() {
            tracing::error!(
                event = "stopping",
                "not every call could be sealed in time; the rest is salvaged at the next start"
            );
        }
        self.speech.stop();
        self.live_speech.stop();
        while rooms.join_next().await.is_some() {}
        answers.close();
        if tokio::time::timeout(doors::CLOSE_WITHIN, answers.wait()).await.is_err() {
            tracing::warn!(event = "stopping", "a connection did not end in time");
        }
        tracing::info!(event = "stopped", "fieldtape has stopped; everything heard is on disk");
    }
}

/// Says by which code the first user is made, where somebody could come from the network.
fn announce_first_run(access: &Access, gate: &Gate) {
    if gate.is_loopback() {
        return;
    }
    if let Some(code) = access.first_code() {
        tracing::warn!(
            event = "first-run",
            "nobody can log in yet: the code for the first user is {}, for an hour; later `fieldtape user add --first` prints another",
            code.reveal()
        );
    }
}

/// Callbacks sent while fieldtape was not running are gone for good: that was an outage too.
async fn note_absence(store: &Store, clock: &SharedClock) -> anyhow::Result<()> {
    let absence = store.was_off(clock.now(), OFF_LEAST_MS).await;
    if let Some(outage) = absence.context("the ledger cannot be written")? {
        let minutes = clock.now().since(outage.from).as_secs() / 60;
        tracing::warn!(
            event = "absent",
            "fieldtape was not running for {minutes} min; Twilio is asked what happened meanwhile"
        );
    }
    Ok(())
}

async fn strays(store: Store, vault: Vault, clock: SharedClock, due: Due) {
    match salvage_strays(&store, &vault, &clock).await {
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

/// Opens recordings and ledger, off the async threads: on a failing disk this takes its time.
async fn open_data(config: &Config, clock: &SharedClock) -> anyhow::Result<(Vault, Store)> {
    let options = vault::Options {
        root: config.server.data_dir.clone(),
        sync_every: config.recording.sync_every,
    };
    let clock = Arc::clone(clock);
    tokio::task::spawn_blocking(move || {
        let root = options.root.clone();
        let vault = Vault::open(options, clock)?;
        vault.probe_writable()?;
        let store = Store::open(&root.join("fieldtape.db"))?;
        Ok((vault, store))
    })
    .await
    .context("opening the data folder broke")?
}

/// Which boot this is, so that a stream's monotonic time can be compared with another's.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}
