//! How the appliance is: looked at all the time, told to the page, the probes and systemd.

use std::path::PathBuf;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::heart::Heart;
use crate::capture::Recorder;
use crate::clock::SharedClock;
use crate::pipeline::{Link, LinkState};
use crate::retention::Keeper;
use crate::store::{Backlog, Store, StoreError};
use crate::transcribe::ModelFiles;
use crate::vault::Vault;
use crate::web::door::Settings;
use crate::web::health::{Check, CheckState, Health};

/// How often everything is looked at. At each look at which every loop has answered the watchdog is
/// fed, and systemd waits 30 s.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often the ledger and the disk are proved by writing to them; each proof costs the card a
/// few blocks.
const PROVE_EVERY: u32 = 6;

/// How long a look at one thing may take before it counts as failing.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// Looks after the appliance.
pub(super) struct Watcher {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) recorder: Recorder,
    pub(super) clock: SharedClock,
    pub(super) settings: watch::Receiver<Settings>,
    pub(super) model: String,
    pub(super) model_dirs: Vec<PathBuf>,
    pub(super) min_free_bytes: u64,
    pub(super) link: Option<Link>,
    pub(super) heart: Heart,
    pub(super) keeper: Keeper,
}

/// What is known before the first look: nothing, and that is not good.
pub(super) fn first() -> Health {
    Health {
        checks: vec![check("start", CheckState::Degraded, "fieldtape is starting", None)],
        ready: false,
        live_calls: 0,
    }
}

impl Watcher {
    /// Looks until `stop`. What is found by writing is kept between two proofs.
    pub(super) async fn run(self, told: watch::Sender<Health>, stop: CancellationToken) {
        let mut beat = interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut proved = (self.ledger().await, self.disk().await);
        for round in 0_u32.. {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = beat.tick() => {}
            }
            if round % PROVE_EVERY == PROVE_EVERY - 1 {
                proved = (self.ledger().await, self.disk().await);
            }
            let backlog = timeout(PATIENCE, self.store.backlog()).await;
            let backlog = backlog.unwrap_or(Err(StoreError::Overloaded));
            let health = self.look(&proved, &backlog).await;
            tell(&told, health, backlog.as_deref().unwrap_or_default());
            self.feed_watchdog();
        }
    }

    /// Feeds it if every loop goes round. A disk or network that does not answer is no reason to be
    /// killed: that is told as trouble, and what is being heard stays in memory.
    fn feed_watchdog(&self) {
        let silent = self.heart.ask();
        if silent.is_empty() {
            // Without systemd there is nobody to feed.
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            return;
        }
        let silent = silent.join(", ");
        tracing::error!(
            event = "stuck",
            error = silent,
            "{silent}: not going round; if that lasts, systemd starts fieldtape anew"
        );
    }

    async fn look(
        &self,
        proved: &(Check, Check),
        backlog: &Result<Vec<Backlog>, StoreError>,
    ) -> Health {
        let (ledger, disk) = proved.clone();
        let ready = ledger.state != CheckState::Failing && disk.state != CheckState::Failing;
        let checks = vec![
            self.configuration(),
            self.signatures(),
            ledger,
            disk,
            self.space().await,
            self.sync(),
            self.model().await,
            self.clock(),
            self.link(),
            stages(backlog),
            self.queue().await,
            self.retention(),
        ];
        let live_calls = u32::try_from(self.recorder.live_count()).unwrap_or(u32::MAX);
        Health { checks, ready, live_calls }
    }

    fn configuration(&self) -> Check {
        let settings = self.settings.borrow();
        let name = "configuration";
        if settings.gatekeeper.is_none() {
            return check(
                name,
                CheckState::Degraded,
                "no call can come in yet: Twilio's account is not set up",
                Some(
                    "set twilio.account_sid, twilio.auth_token and server.public_url in the configuration, then restart or send SIGHUP",
                ),
            );
        }
        let answering = &settings.answering;
        if answering.agent_identity.is_none() && answering.agent_number.is_none() {
            return check(
                name,
                CheckState::Failing,
                "callers cannot be connected to anybody",
                Some("set twilio.agent_number or twilio.agent_identity"),
            );
        }
        if answering.announcement.trim().is_empty() {
            let detail = "callers are not told that they are recorded";
            return check(
                name,
                CheckState::Ok,
                detail,
                Some("set consent.announcement if the law where you are asks for it"),
            );
        }
        check(name, CheckState::Ok, "account, agent and announcement are set", None)
    }

    fn signatures(&self) -> Check {
        let settings = self.settings.borrow();
        if settings.gatekeeper.as_ref().is_some_and(|gatekeeper| gatekeeper.door.is_none()) {
            return check(
                "signatures",
                CheckState::Failing,
                "anybody can place calls into this box: twilio.validate_signatures is false",
                Some("set it to true; false is for a bench on loopback"),
            );
        }
        check("signatures", CheckState::Ok, "only what Twilio signed is let in", None)
    }

    async fn ledger(&self) -> Check {
        let name = "ledger";
        match timeout(PATIENCE, self.store.prove_writable()).await {
            Ok(Ok(())) => check(name, CheckState::Ok, "takes changes", None),
            Ok(Err(error)) => check(
                name,
                CheckState::Failing,
                format!("takes no changes: {error}"),
                Some("free or repair the disk; calls are connected meanwhile"),
            ),
            Err(_) => check(
                name,
                CheckState::Failing,
                "has not answered for four seconds",
                Some("the disk is slow or failing: replace the card"),
            ),
        }
    }

    async fn disk(&self) -> Check {
        let vault = self.vault.clone();
        let probed = tokio::task::spawn_blocking(move || vault.probe_writable());
        let fix = Some("free, mount or replace the disk; Twilio's copies have the calls meanwhile");
        match timeout(PATIENCE, probed).await {
            Ok(Ok(Ok(()))) => check("disk", CheckState::Ok, "takes recordings", None),
            Ok(Ok(Err(error))) => {
                check("disk", CheckState::Failing, format!("takes no recordings: {error}"), fix)
            }
            Ok(Err(_)) | Err(_) => {
                check("disk", CheckState::Failing, "has not answered for four seconds", fix)
            }
        }
    }

    fn sync(&self) -> Check {
        let health = self.vault.sync_health();
        let fix = Some("the disk is slow or failing: replace the card");
        if !health.alive {
            return check(
                "sync",
                CheckState::Failing,
                "recordings are no longer made safe against power cuts",
                Some("restart fieldtape"),
            );
        }
        if let Some(stuck) = health.stuck_for() {
            let seconds = stuck.as_secs();
            return check(
                "sync",
                CheckState::Failing,
                format!("the disk has been writing for {seconds} s"),
                fix,
            );
        }
        check("sync", CheckState::Ok, "recordings are made safe as they grow", None)
    }

    async fn model(&self) -> Check {
        let (model, dirs) = (self.model.clone(), self.model_dirs.clone());
        let looked = tokio::task::spawn_blocking(move || ModelFiles::find(&model, &dirs));
        match timeout(PATIENCE, looked).await {
            Ok(Ok(Ok(files))) => {
                check("model", CheckState::Ok, format!("{} is there", files.name), None)
            }
            Ok(Ok(Err(error))) => check(
                "model",
                CheckState::Degraded,
                error.to_string(),
                Some("calls are recorded; transcripts are made when the model is there"),
            ),
            Ok(Err(_)) | Err(_) => {
                check("model", CheckState::Degraded, "could not be looked for", None)
            }
        }
    }

    fn link(&self) -> Check {
        let name = "link";
        let state = self.link.as_ref().map(|link| link.watch().borrow().clone());
        match state {
            None => check(
                name,
                CheckState::Ok,
                "no account is set, so nothing is asked of Twilio",
                None,
            ),
            Some(LinkState::Up) => check(name, CheckState::Ok, "Twilio can be reached", None),
            Some(LinkState::Down { why }) => check(
                name,
                CheckState::Degraded,
                why,
                Some(
                    "calls are recorded and transcribed here; what needs the network waits, and goes on by itself",
                ),
            ),
        }
    }

    fn clock(&self) -> Check {
        if self.clock.synchronised() {
            return check("clock", CheckState::Ok, "is synchronised", None);
        }
        check(
            "clock",
            CheckState::Degraded,
            "is not synchronised: calls may be dated wrongly",
            Some("connect the box to the network, or set up a time server"),
        )
    }
}

/// Tells everybody who listens, and the log what has changed.
fn tell(told: &watch::Sender<Health>, health: Health, backlog: &[Backlog]) {
    let undone: u64 = backlog.iter().map(|stage| stage.pending + stage.processing).sum();
    let live = health.live_calls;
    let mut status = format!("{live} calls live, {undone} stages to do");
    if let Some(trouble) = health.troubles().first() {
        status = format!("{status}; {}: {}", trouble.name, trouble.detail);
    }
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(&[NotifyState::Status(&status)]);
    for check in &health.checks {
        let stood = told.borrow().checks.iter().find(|c| c.name == check.name).map(|c| c.state);
        if stood != Some(check.state) {
            log_change(check, stood);
        }
    }
    told.send_replace(health);
}

fn stages(backlog: &Result<Vec<Backlog>, StoreError>) -> Check {
    match backlog {
        Err(error) => check("work", CheckState::Failing, format!("is not known: {error}"), None),
        Ok(stages) => {
            let failed: u64 = stages.iter().map(|stage| stage.failed).sum();
            if failed == 0 {
                return check("work", CheckState::Ok, "nothing has failed", None);
            }
            check(
                "work",
                CheckState::Degraded,
                format!(
                    "{failed} {} failed",
                    if failed == 1 { "stage has" } else { "stages have" }
                ),
                Some("open the calls marked failed; each says why and has a Retry button"),
            )
        }
    }
}

pub(super) fn check(
    name: &str,
    state: CheckState,
    detail: impl Into<String>,
    fix: Option<&str>,
) -> Check {
    Check { name: name.to_owned(), state, detail: detail.into(), fix: fix.map(str::to_owned) }
}

fn log_change(check: &Check, stood: Option<CheckState>) {
    let Check { name, state, detail, fix } = check;
    let fix = fix.as_deref().unwrap_or("nothing to do");
    match state {
        CheckState::Ok if stood.is_none() => {}
        CheckState::Ok => {
            tracing::info!(event = "health.recovered", check = name, "{name}: {detail}");
        }
        CheckState::Degraded => {
            tracing::warn!(
                event = "health.degraded",
                check = name,
                error = detail,
                "{name}: {detail}; {fix}"
            );
        }
        CheckState::Failing => {
            tracing::error!(
                event = "health.failing",
                check = name,
                error = detail,
                "{name}: {detail}; {fix}"
            );
        }
    }
}
