//! Keeps the search index whole: calls from before there was one are put into it, and what was
//! deleted is taken out of its pages; a little at a time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::store::{Store, StoreError};

/// Calls of one change to the ledger: it is held up for tens of milliseconds at most.
const CALLS_AT_ONCE: u32 = 25;

/// The pause after each, in which others have the ledger.
const PAUSE: Duration = Duration::from_millis(100);

/// The pause after a ledger that did not answer.
const LEDGER_PAUSE: Duration = Duration::from_secs(30);

/// How soon the index begins to forget what was deleted.
const FORGETS_WITHIN: Duration = Duration::from_mins(1);

/// Runs until `stop`.
pub(super) async fn run(store: Store, clock: SharedClock, stop: CancellationToken) {
    let mut told = false;
    loop {
        let pause = match work(&store, &mut told).await {
            Ok(true) => PAUSE,
            Ok(false) => FORGETS_WITHIN,
            Err(error) => {
                tracing::error!(error = %error, "the search index could not be written; it is tried again");
                LEDGER_PAUSE
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = clock.sleep(pause) => {}
        }
    }
}

/// Does a little; says whether there is more.
async fn work(store: &Store, told: &mut bool) -> Result<bool, StoreError> {
    let left = store.index_some(CALLS_AT_ONCE).await?;
    if left > 0 {
        if !std::mem::replace(told, true) {
            tracing::info!(event = "indexing", "{left} calls are yet to be made searchable");
        }
        return Ok(true);
    }
    if std::mem::take(told) {
        tracing::info!(event = "indexed", "every call is searchable now");
    }
    store.forget_some().await
}
