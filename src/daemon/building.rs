//! What goes round in the house, wing by wing.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::watch;

use super::health::Watcher;
use super::house::{House, Site, Wings, strays};
use super::names::hostname;
use super::sight::Sight;
use super::way_in::WayIn;
use super::wing::Wing;
use super::{doors, index, speech};
use crate::access::Access;
use crate::config::Keep16k;
use crate::health::Check;
use crate::microphone::Microphone;
use crate::pipeline::{self, Runner, Work};
use crate::retention;
use crate::summarize::{SummaryWork, SummaryWorkOptions};
use crate::transcribe::{LiveWriter, TranscriptWork, TranscriptWorkOptions};
use crate::web::door::{DoorState, Inside};
use crate::web::lan::{Gate, LanState};
use crate::web::{admin, door, lan};

impl House {
    /// Starts everything that goes round.
    pub(super) async fn start(&mut self, site: &Site) -> Wings {
        let empty = || Wing::new(&site.stop, &self.heart);
        let mut wings = Wings {
            base: empty(),
            keeping: empty(),
            speech: empty(),
            summary: empty(),
            outside: empty(),
            doors: empty(),
        };
        self.start_base(&mut wings.base);
        self.start_keeping(&mut wings.keeping);
        self.start_speech(&mut wings.speech);
        self.start_summaries(&mut wings.summary);
        self.start_outside(&mut wings.outside, site).await;
        self.open_doors(&mut wings.doors, site);
        wings
    }

    fn start_base(&self, wing: &mut Wing) {
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        wing.spawn("the clock", retention::keep_time(store, clock, wing.stop()));
        let indexing = index::run(self.store.clone(), Arc::clone(&self.clock), wing.stop());
        wing.spawn("the search index", indexing);
        self.calls.spawn(strays(
            (self.store.clone(), self.vault.clone()),
            self.config.recording.agent_source.beside(),
            self.clock.clone(),
            self.due.clone(),
        ));
    }

    /// Starts what looks after what is kept.
    pub(super) fn start_keeping(&self, wing: &mut Wing) {
        wing.spawn("the keeper", self.keeper.clone().run(wing.stop()));
    }

    /// Starts what makes speech into text.
    pub(super) fn start_speech(&self, wing: &mut Wing) {
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
        wing.spawn("the transcript stage", runner.run(wing.stop()));
        if self.config.transcription.live {
            let recorder = self.recorder.clone();
            let writer = LiveWriter::new(
                Arc::clone(&self.live_speech),
                self.board.clone(),
                Arc::clone(&self.clock),
                speech::language(&self.config),
                move || recorder.live().into_iter().map(speech::live_source).collect(),
            );
            wing.spawn("live transcription", writer.run(wing.stop()));
        }
    }

    /// Starts what sums calls up.
    pub(super) fn start_summaries(&self, wing: &mut Wing) {
        let schedule = self.schedule.clone();
        let work = SummaryWork::new(SummaryWorkOptions {
            store: self.store.clone(),
            looked_at: Arc::new(move || schedule.looked_at()),
            server: self.summarizer.clone(),
        });
        let runner = Runner::new(pipeline::Options {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            due: self.due.clone(),
            work: Arc::new(work),
            parallel: NonZeroUsize::MIN,
            link: None,
        });
        wing.spawn("the summary stage", runner.run(wing.stop()));
    }

    /// Starts what looks outside.
    pub(super) async fn start_outside(&mut self, wing: &mut Wing, site: &Site) {
        self.starter = self.outside.starter(&self.config, &self.calls, &site.stop);
        self.outside.start(&self.config, self.starter.clone(), wing).await;
    }

    /// Opens the doors, and begins to look at how everything is.
    pub(super) fn open_doors(&self, wing: &mut Wing, site: &Site) {
        let way_in = WayIn {
            settings: site.wishes.answering(),
            clock: Arc::clone(&self.clock),
            link: self.outside.link(),
            instance: Arc::clone(&site.ports.instance),
        };
        let watcher = self.watcher(site, way_in.start(wing));
        wing.spawn("health", watcher.run(site.health.clone(), wing.stop()));
        let lan_state = LanState {
            access: self.access.clone(),
            https: self.config.server.lan_tls.is_some(),
            store: self.store.clone(),
            data_dir: self.config.server.data_dir.clone(),
            board: self.board.clone(),
            schedule: self.schedule.clone(),
            clock: Arc::clone(&self.clock),
            due: self.due.clone(),
            link: self.outside.link(),
            dialler: self.outside.dialler(&self.config, &self.calls),
            keeper: self.keeper.clone(),
            prices: self.config.twilio.prices.clone(),
            has_archive: self.config.archive.is_some(),
            health: site.health.subscribe(),
            microphone: self.microphone.as_ref().map(Microphone::status),
            stopping: wing.stop(),
        };
        let gate = Gate::new(self.config.server.lan_listen, &hostname(), &[]);
        announce_first_run(&self.access, &gate);
        let page = lan::router(lan_state.clone(), gate);
        let inside = Inside {
            store: self.store.clone(),
            recorder: self.recorder.clone(),
            starter: self.starter.clone(),
        };
        let door = door::router(DoorState {
            settings: site.wishes.answering(),
            inside: Some(inside),
            clock: Arc::clone(&self.clock),
            instance: Arc::clone(&site.ports.instance),
            // A stream goes on when the doors are opened anew.
            stop: site.stop.clone(),
        });
        doors::spawn_doors(&site.ports, (door, page), wing, &site.answers);
        doors::spawn_admin(&self.admin, admin::router(lan_state), wing, &site.answers);
    }

    fn watcher(&self, site: &Site, way_in: watch::Receiver<Check>) -> Watcher {
        Watcher {
            store: self.store.clone(),
            vault: self.vault.clone(),
            recorder: self.recorder.clone(),
            clock: Arc::clone(&self.clock),
            settings: site.wishes.answering(),
            refused: site.wishes.refused(),
            sight: Sight::new(&self.config, &self.clock),
            min_free_bytes: self.config.recording.min_free_bytes,
            link: self.outside.link(),
            way_in,
            microphone: self.microphone.as_ref().map(Microphone::status),
            certificates: Arc::clone(&site.ports.certificates),
            instance: Arc::clone(&site.ports.instance),
            heart: self.heart.clone(),
            version: self.version.clone(),
            keeper: self.keeper.clone(),
        }
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
