//! The keeper as the daemon sets it up, and what is told of the room, the rules and the queue.

use std::sync::Arc;

use tokio::time::timeout;

use super::health::{PATIENCE, Watcher, check};
use super::outside::Outside;
use crate::archive::{self, Testimony};
use crate::capture::Recorder;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::pipeline::Due;
use crate::retention::{CountLive, Elsewhere, Keeper, KeeperOptions, Says, Witness};
use crate::store::Store;
use crate::vault::{Mark, Space, Vault};
use crate::web::health::{Check, CheckState};

/// Makes the keeper of what is kept.
pub(super) fn keeper(
    config: &Config,
    (store, vault): (&Store, &Vault),
    clock: &SharedClock,
    recorder: &Recorder,
    outside: &Outside,
    due: &Due,
) -> Keeper {
    let recorder = recorder.clone();
    let live: CountLive = Arc::new(move || recorder.live_count());
    Keeper::new(KeeperOptions {
        store: store.clone(),
        vault: vault.clone(),
        clock: Arc::clone(clock),
        due: due.clone(),
        policy: config.retention.clone(),
        min_free_bytes: config.recording.min_free_bytes,
        rates: config.recording.rates.clone(),
        calls_max: config.server.max_calls,
        live,
        witness: outside.witness().map(witness),
    })
}

/// Has the archive and Twilio asked.
fn witness(asked: archive::Witness) -> Witness {
    Arc::new(move |what: Elsewhere| {
        let asked = asked.clone();
        Box::pin(async move {
            let testimony = match &what {
                Elsewhere::Archive(archived) => asked.archive(archived).await,
                Elsewhere::Twilio(sid) => asked.recording(sid).await,
            };
            match testimony {
                Testimony::There => Says::There,
                Testimony::Gone { why } => Says::Gone { why },
                Testimony::Unknown { why } => Says::Unknown { why },
            }
        })
    })
}

impl Watcher {
    pub(super) async fn space(&self) -> Check {
        let vault = self.vault.clone();
        let asked = tokio::task::spawn_blocking(move || vault.space());
        let name = "space";
        let Ok(Ok(Ok(Space { free_bytes: free, .. }))) = timeout(PATIENCE, asked).await else {
            return check(
                name,
                CheckState::Failing,
                "the disk does not say how much is free",
                None,
            );
        };
        let megabytes = free / 1_000_000;
        if free < self.min_free_bytes {
            return check(
                name,
                CheckState::Failing,
                format!("only {megabytes} MB are free, less than recording.min_free"),
                Some("delete what is not needed or fit a larger disk before recordings fail"),
            );
        }
        match self.vault.mark() {
            Mark::Black | Mark::Spent => check(
                name,
                CheckState::Failing,
                format!(
                    "{megabytes} MB are free: only for calls that are live, new ones are recorded at Twilio only"
                ),
                Some(
                    "look at the storage page for what is kept back and why, or fit a larger disk",
                ),
            ),
            Mark::Red => check(
                name,
                CheckState::Degraded,
                format!(
                    "{megabytes} MB are free, for less than an hour of as many calls as may be: whatever may go makes room"
                ),
                Some("look at the storage page for what is kept back and why"),
            ),
            Mark::Amber | Mark::Green => {
                check(name, CheckState::Ok, format!("{megabytes} MB are free"), None)
            }
        }
    }

    /// A pause is what a person wanted, and easily forgotten.
    pub(super) async fn queue(&self) -> Check {
        let name = "queue";
        let pauses = timeout(PATIENCE, self.store.pauses()).await;
        let Ok(Ok(pauses)) = pauses else {
            return check(name, CheckState::Degraded, "it is not known whether it is paused", None);
        };
        let Some(pause) = pauses.first() else {
            return check(name, CheckState::Ok, "goes on", None);
        };
        let what = pause.stage.map_or_else(|| "every stage".to_owned(), |stage| stage.to_string());
        let minutes = self.clock.now().since(pause.since).as_secs() / 60;
        let detail = format!("{what} is paused for {minutes} min, by {}", pause.actor);
        let fix = "resume it on the queue's page, or with fieldtape queue resume";
        check(name, CheckState::Degraded, detail, Some(fix))
    }

    pub(super) fn retention(&self) -> Check {
        let (name, seen) = ("retention", self.keeper.seen());
        if let Some(count) = seen.bulk {
            let detail = format!("{count} pieces are past their days at once, so nothing goes");
            let fix = "check [retention] and the clock; fieldtape purge does it if it is right";
            return check(name, CheckState::Degraded, detail, Some(fix));
        }
        let withheld = seen.last.as_ref().and_then(|last| last.withheld.first());
        if let Some(piece) = withheld {
            let detail = format!("{} was to go and stayed: {}", piece.name, piece.why);
            let fix = "see what the next purge would do on the storage page";
            return check(name, CheckState::Degraded, detail, Some(fix));
        }
        check(name, CheckState::Ok, "what is to go goes", None)
    }
}
