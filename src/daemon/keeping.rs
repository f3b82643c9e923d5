//! The keeper as the daemon sets it up, and what is told of the room, the rules and the queue.

use std::sync::Arc;

use tokio::time::timeout;

use super::health::{PATIENCE, Watcher};
use super::outside::Outside;
use crate::archive::{self, Testimony};
use crate::capture::Recorder;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::health::{self, Check, CheckState};
use crate::pipeline::Due;
use crate::retention::{CountLive, Elsewhere, Keeper, KeeperOptions, Says, Witness};
use crate::store::Store;
use crate::vault::{Mark, Vault};

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
    /// The disk against what the owner wants left free, and against the lines that the keeper draws.
    pub(super) async fn space(&self) -> Check {
        let vault = self.vault.clone();
        let asked = tokio::task::spawn_blocking(move || vault.space());
        let free = match timeout(PATIENCE, asked).await {
            Ok(Ok(Ok(space))) => Ok(space.free_bytes),
            Ok(Ok(Err(error))) => Err(error.to_string()),
            Ok(Err(_)) | Err(_) => Err("it has not answered for four seconds".to_owned()),
        };
        let check = health::space(free, self.min_free_bytes);
        if check.state != CheckState::Ok {
            return check;
        }
        let free = check.detail;
        match self.vault.mark() {
            Mark::Black | Mark::Spent => Check::fail(
                "space",
                format!(
                    "{free}: only for calls that are live, new ones are recorded at Twilio only"
                ),
                "look at the storage page for what is kept back and why, or fit a larger disk",
            ),
            Mark::Red => Check::warn(
                "space",
                format!(
                    "{free}, for less than an hour of as many calls as may be: whatever may go makes room"
                ),
                "look at the storage page for what is kept back and why",
            ),
            Mark::Amber | Mark::Green => Check::ok("space", free),
        }
    }

    /// A pause is what a person wanted, and easily forgotten.
    pub(super) async fn queue(&self) -> Check {
        let name = "queue";
        let pauses = timeout(PATIENCE, self.store.pauses()).await;
        let Ok(Ok(pauses)) = pauses else {
            return Check::unknown(name, "the ledger does not say whether it is paused");
        };
        let Some(pause) = pauses.first() else {
            return Check::ok(name, "goes on");
        };
        let what = pause.stage.map_or_else(|| "every stage".to_owned(), |stage| stage.to_string());
        let minutes = self.clock.now().since(pause.since).as_secs() / 60;
        let detail = format!("{what} is paused for {minutes} min, by {}", pause.actor);
        Check::warn(name, detail, "resume it on the queue's page, or with fieldtape queue resume")
    }

    pub(super) fn retention(&self) -> Check {
        let (name, seen) = ("retention", self.keeper.seen());
        if let Some(count) = seen.bulk {
            let detail = format!("{count} pieces are past their days at once, so nothing goes");
            let fix = "check [retention] and the clock; fieldtape purge does it if it is right";
            return Check::warn(name, detail, fix);
        }
        let withheld = seen.last.as_ref().and_then(|last| last.withheld.first());
        if let Some(piece) = withheld {
            let detail = format!("{} was to go and stayed: {}", piece.name, piece.why);
            return Check::warn(
                name,
                detail,
                "see what the next purge would do on the storage page",
            );
        }
        Check::ok(name, "what is to go goes")
    }
}
