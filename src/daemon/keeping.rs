//! The keeper as the daemon sets it up.

use std::sync::Arc;

use super::outside::Outside;
use crate::archive::{self, Testimony};
use crate::capture::Recorder;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::pipeline::Due;
use crate::retention::{CountLive, Elsewhere, Keeper, KeeperOptions, Says, Witness};
use crate::store::Store;
use crate::vault::Vault;

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
