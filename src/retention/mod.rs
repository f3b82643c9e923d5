//! What is looked after, by time: files that the ledger has given up go, calls that nobody speaks
//! of any more are ended, what was recorded gets the hash by which it can be proved later, and what
//! was dated by a clock that was not synchronised is put right when it is.
//!
//! Invariant: nothing is deleted here that still has a row; the row goes first, in the transaction
//! that made the file superfluous. Nothing ends or goes because a wall clock moved. Files are hashed a few at a time, so that a card that also
//! takes live calls is not kept busy.
//!
//! Not here: how long anything is kept.

mod time;

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::store::{Store, StoreError};
use crate::vault::{self, RelPath, Vault};

pub use time::keep_time;

/// How often it looks.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Twilio ends a call after four hours unless told otherwise; one that is older and has no stream
/// has ended, and the word of it was lost.
const CALL_AGE_MAX: Duration = Duration::from_mins(4 * 60 + 5);

/// Files hashed in one sweep: four calls' worth.
const HASHES_MAX: u32 = 16;

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
    store.note_alive(now).await?;
    let ended = store.end_stale_calls(CALL_AGE_MAX, clock.reading()).await?;
    if ended > 0 {
        tracing::warn!(
            event = "call.ended",
            "{ended} calls had no word for four hours and are taken for ended"
        );
    }
    for path in store.garbage().await? {
        match with_file(vault, &path, Vault::remove).await {
            Ok(()) => store.forget_garbage(path).await?,
            Err(error) => {
                tracing::error!(error, "{path} cannot be deleted; it is tried again");
            }
        }
    }
    for file in store.tracks_without_hash(HASHES_MAX).await? {
        let path = file.path.clone();
        match with_file(vault, &path, Vault::hash).await {
            Ok(sha256) => store.track_hashed(file, sha256).await?,
            Err(error) => {
                tracing::error!(error, "{path} is in the ledger and cannot be read");
            }
        }
    }
    Ok(())
}

/// Does something with a file of the ledger's, off the async threads.
async fn with_file<T: Send + 'static>(
    vault: &Vault,
    path: &str,
    act: fn(&Vault, &RelPath) -> Result<T, vault::Error>,
) -> Result<T, String> {
    let (vault, text) = (vault.clone(), path.to_owned());
    let acted = tokio::task::spawn_blocking(move || {
        let path: RelPath = text.parse().map_err(|error: vault::BadPath| error.to_string())?;
        act(&vault, &path).map_err(|error| error.to_string())
    });
    acted.await.unwrap_or_else(|broken| Err(broken.to_string()))
}

#[cfg(test)]
mod tests;
