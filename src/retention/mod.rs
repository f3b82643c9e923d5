//! What goes, by time: files that the ledger has given up, and calls that nobody speaks of any
//! more.
//!
//! Invariant: nothing is deleted here that still has a row; the row goes first, in the transaction
//! that made the file superfluous.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::store::{Store, StoreError};
use crate::vault::{RelPath, Vault};

/// How often it looks.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Twilio ends a call after four hours unless told otherwise; one that is older and has no stream
/// has ended, and the word of it was lost.
const CALL_AGE_MAX: Duration = Duration::from_mins(4 * 60 + 5);

/// What the sweep needs.
#[derive(Clone)]
pub struct Options {
    /// The ledger.
    pub store: Store,
    /// The recordings.
    pub vault: Vault,
    /// The time.
    pub clock: SharedClock,
}

/// Sweeps until `stop`.
pub async fn run(options: Options, stop: CancellationToken) {
    let mut beat = interval(SWEEP_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        if let Err(error) = sweep(&options).await {
            tracing::error!(error = %error, "the ledger does not answer the sweep");
        }
    }
}

/// Looks once.
pub async fn sweep(options: &Options) -> Result<(), StoreError> {
    let Options { store, vault, clock } = options;
    let now = clock.now();
    let ended = store.end_stale_calls(now.minus(CALL_AGE_MAX), now).await?;
    if ended > 0 {
        tracing::warn!(
            event = "call.ended",
            "{ended} calls had no word for four hours and are taken for ended"
        );
    }
    for path in store.garbage().await? {
        let vault = vault.clone();
        let text = path.clone();
        let removed = tokio::task::spawn_blocking(move || match text.parse::<RelPath>() {
            Ok(path) => vault.remove(&path).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        });
        match removed.await {
            Ok(Ok(())) => store.forget_garbage(path).await?,
            Ok(Err(error)) => {
                tracing::error!(error, "{path} cannot be deleted; it is tried again");
            }
            Err(_panicked) => {}
        }
    }
    Ok(())
}
