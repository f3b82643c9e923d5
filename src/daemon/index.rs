//! Puts calls from before there was a search index into it, a few at a time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::store::Store;

/// Calls of one change to the ledger: it is held up for tens of milliseconds at most.
const CALLS_AT_ONCE: u32 = 25;

/// The pause after each, in which others have the ledger.
const PAUSE: Duration = Duration::from_millis(100);

/// The pause after a ledger that did not answer.
const LEDGER_PAUSE: Duration = Duration::from_secs(30);

/// Runs until `stop`; it has nothing to do once all are in.
pub(super) async fn run(store: Store, clock: SharedClock, stop: CancellationToken) {
    let mut told = false;
    loop {
        let pause = match store.index_some(CALLS_AT_ONCE).await {
            Ok(0) => break,
            Ok(left) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!(
                        event = "indexing",
                        "{left} calls are yet to be made searchable"
                    );
                }
                PAUSE
            }
            Err(error) => {
                tracing::error!(error = %error, "calls could not be made searchable; it is tried again");
                LEDGER_PAUSE
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = clock.sleep(pause) => {}
        }
    }
    if told {
        tracing::info!(event = "indexed", "every call is searchable now");
    }
    stop.cancelled().await;
}
