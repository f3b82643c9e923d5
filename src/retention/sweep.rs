//! What is looked after every minute: calls that nobody speaks of any more are ended, files that
//! the ledger has given up go, what was recorded gets the hash by which it can be proved later.

use std::time::Duration;

use super::KeeperOptions;
use crate::store::StoreError;
use crate::vault::{self, RelPath, Vault};

/// Twilio ends a call after four hours unless told otherwise; one that is older and has no stream
/// has ended, and the word of it was lost.
const CALL_AGE_MAX: Duration = Duration::from_mins(4 * 60 + 5);

/// Files hashed in one sweep: four calls' worth.
const HASHES_MAX: u32 = 16;

/// Looks once.
pub async fn sweep(options: &KeeperOptions) -> Result<(), StoreError> {
    let KeeperOptions { store, vault, clock, .. } = options;
    store.note_alive(clock.now()).await?;
    let ended = store.end_stale_calls(CALL_AGE_MAX, clock.reading()).await?;
    if ended > 0 {
        tracing::warn!(
            event = "call.ended",
            "{ended} calls had no word for four hours and are taken for ended"
        );
    }
    throw_out(options).await?;
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

/// Deletes the files that the ledger has given up: each file, its name on the disk, then the note.
pub(super) async fn throw_out(options: &KeeperOptions) -> Result<(), StoreError> {
    let KeeperOptions { store, vault, clock, .. } = options;
    for path in store.garbage().await? {
        match with_file(vault, &path, Vault::remove).await {
            Ok(()) => store.forget_garbage(path, clock.now()).await?,
            Err(error) => {
                tracing::error!(error, "{path} cannot be deleted; it is tried again");
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
