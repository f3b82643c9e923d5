//! How the appliance is: looked at all the time, told to the page, the probes and systemd.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::certificates::Certificates;
use super::ear;
use super::heart::Heart;
use super::sight::{Looking, Sight};
use crate::capture::Recorder;
use crate::clock::{SharedClock, Synchronised};
use crate::health::{self, Account, Check, CheckState, Health};
use crate::microphone;
use crate::pipeline::Link;
use crate::retention::Keeper;
use crate::store::{Backlog, Store, StoreError};
use crate::vault::Vault;
use crate::web::door::Settings;

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
    pub(super) refused: watch::Receiver<Option<String>>,
    pub(super) sight: Sight,
    pub(super) min_free_bytes: u64,
    pub(super) link: Option<Link>,
    pub(super) way_in: watch::Receiver<Check>,
    pub(super) microphone: Option<microphone::Status>,
    pub(super) certificates: Arc<Certificates>,
    pub(super) instance: Arc<str>,
    pub(super) heart: Heart,
    pub(super) keeper: Keeper,
    pub(super) version: Check,
}

/// What is known before the first look: nothing, and that is not good.
pub(super) fn first(instance: &str) -> Health {
    Health {
        checks: vec![Check::warn("start", "fieldtape is starting", "wait for some seconds")],
        ready: false,
        live_calls: 0,
        instance: instance.to_owned(),
    }
}

impl Watcher {
    /// Looks until `stop`. What is found by writing is kept between two proofs.
    pub(super) async fn run(self, told: watch::Sender<Health>, stop: CancellationToken) {
        let mut beat = interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looking = Looking::default();
        let mut proved = (self.ledger().await, self.disk().await);
        let mut microphone = self.microphone.clone();
        for round in 0_u32.. {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = beat.tick() => {}
                // What is missing is loud from the first second.
                () = ear::changed(&mut microphone) => {}
            }
            if round % PROVE_EVERY == PROVE_EVERY - 1 {
                proved = (self.ledger().await, self.disk().await);
            }
            let backlog = timeout(PATIENCE, self.store.backlog()).await;
            let backlog = backlog.unwrap_or(Err(StoreError::Overloaded));
            let health = self.look(&proved, &backlog, &mut looking).await;
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
        looking: &mut Looking,
    ) -> Health {
        let (ledger, disk) = proved.clone();
        let ready = ledger.state != CheckState::Fail && disk.state != CheckState::Fail;
        let mut checks = vec![self.version.clone()];
        checks.extend(self.refused());
        checks.extend(self.settings());
        checks.extend([ledger, disk, self.space().await, self.sync()]);
        let first_call = timeout(PATIENCE, self.store.first_call_at()).await;
        // What the ledger does not tell is told by its own check.
        let first_call = first_call.unwrap_or(Ok(None)).unwrap_or(None);
        checks.extend(looking.at(&self.sight, first_call, PATIENCE).await);
        checks.push(health::clock(Synchronised::of(&*self.clock)));
        if let Some(link) = &self.link {
            checks.push(health::link(link.found().as_ref()));
        }
        checks.push(self.way_in.borrow().clone());
        let now = self.clock.since_boot();
        checks.extend(self.microphone.as_ref().map(|microphone| ear::look(microphone, now)));
        checks.extend(self.certificates.checks());
        checks.extend([stages(backlog), self.queue().await, self.retention()]);
        let live_calls = u32::try_from(self.recorder.live_count()).unwrap_or(u32::MAX);
        Health { checks, ready, live_calls, instance: self.instance.to_string() }
    }

    /// What a person has written since, and cannot be used.
    fn refused(&self) -> Option<Check> {
        let why = self.refused.borrow().clone()?;
        Some(Check::warn(
            "configuration",
            format!("as it is now cannot be used, and what was read before is: {why}"),
            "correct it and reload; with it as it is fieldtape would not start again",
        ))
    }

    /// What a person has set.
    fn settings(&self) -> [Check; 3] {
        let settings = self.settings.borrow();
        let gatekeeper = settings.gatekeeper.as_ref();
        let answering = &settings.answering;
        let has_agent = answering.agent_identity.is_some() || answering.agent_number.is_some();
        [
            health::account(Account {
                is_set: gatekeeper.is_some(),
                token_is_stored: false,
                has_agent,
            }),
            health::consent(answering.announcement.told(answering.decline_key.is_some())),
            health::signatures(gatekeeper.is_none_or(|gatekeeper| gatekeeper.door.is_some())),
        ]
    }

    async fn ledger(&self) -> Check {
        let name = "ledger";
        match timeout(PATIENCE, self.store.prove_writable()).await {
            Ok(Ok(())) => Check::ok(name, "takes changes"),
            Ok(Err(error)) => Check::fail(
                name,
                format!("takes no changes: {error}"),
                "free or repair the disk; calls are connected meanwhile",
            ),
            Err(_) => Check::fail(
                name,
                "has not answered for four seconds",
                "the disk is slow or failing: replace the card",
            ),
        }
    }

    async fn disk(&self) -> Check {
        let vault = self.vault.clone();
        let probed = tokio::task::spawn_blocking(move || vault.probe_writable());
        let fix = "free, mount or replace the disk; Twilio's copies have the calls meanwhile";
        match timeout(PATIENCE, probed).await {
            Ok(Ok(Ok(()))) => Check::ok("disk", "takes recordings"),
            Ok(Ok(Err(error))) => Check::fail("disk", format!("takes no recordings: {error}"), fix),
            Ok(Err(_)) | Err(_) => Check::fail("disk", "has not answered for four seconds", fix),
        }
    }

    fn sync(&self) -> Check {
        let (name, health) = ("sync", self.vault.sync_health());
        if !health.alive {
            let what = "recordings are no longer made safe against power cuts";
            return Check::fail(name, what, "restart fieldtape");
        }
        if let Some(stuck) = health.stuck_for() {
            let what = format!("the disk has been writing for {} s", stuck.as_secs());
            return Check::fail(name, what, "the disk is slow or failing: replace the card");
        }
        Check::ok(name, "recordings are made safe as they grow")
    }
}

/// Tells everybody who listens, and the log what has changed.
fn tell(told: &watch::Sender<Health>, health: Health, backlog: &[Backlog]) {
    let undone: u64 = backlog.iter().map(|stage| stage.pending + stage.processing).sum();
    let live = health.live_calls;
    let mut status = format!("{live} calls live, {undone} stages to do");
    if let Some(trouble) = health.troubles().first() {
        // systemd would take a second line for another message.
        status = format!("{status}; {}: {}", trouble.name, trouble.detail.replace('\n', " "));
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
    let name = "work";
    let stages = match backlog {
        Ok(stages) => stages,
        Err(error) => {
            let what = format!("is not known: {error}");
            return Check::fail(name, what, "see the check \"ledger\"");
        }
    };
    let failed: u64 = stages.iter().map(|stage| stage.failed).sum();
    let what = match failed {
        0 => return Check::ok(name, "nothing has failed"),
        1 => "1 stage has failed".to_owned(),
        more => format!("{more} stages have failed"),
    };
    Check::warn(name, what, "open the calls marked failed; each says why and has a Retry button")
}

fn log_change(check: &Check, stood: Option<CheckState>) {
    let Check { name, state, detail, fix } = check;
    let fix = fix.as_deref().unwrap_or("nothing to do");
    match state {
        CheckState::Ok | CheckState::Unknown if !check.is_trouble() && stood.is_none() => {}
        CheckState::Ok | CheckState::Unknown if !check.is_trouble() => {
            tracing::info!(event = "health.recovered", check = name, "{name}: {detail}");
        }
        CheckState::Ok | CheckState::Unknown | CheckState::Warn => {
            tracing::warn!(
                event = "health.degraded",
                check = name,
                error = detail,
                "{name}: {detail}; {fix}"
            );
        }
        CheckState::Fail => {
            tracing::error!(
                event = "health.failing",
                check = name,
                error = detail,
                "{name}: {detail}; {fix}"
            );
        }
    }
}
