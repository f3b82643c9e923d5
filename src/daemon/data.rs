//! The data folder: recordings and ledger, opened.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::upgrade::Upgrade;
use crate::care::LEDGER;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::store::{self, SignOfLife, Store, StoreError};
use crate::vault::{self, Vault};

/// Opens recordings and ledger, off the async threads: on a failing disk this takes its time.
pub(super) async fn open(
    config: &Config,
    clock: &SharedClock,
    (upgrade, alive): (&Upgrade, &SignOfLife),
) -> anyhow::Result<(Vault, Store)> {
    let options = vault::Options {
        root: config.server.data_dir.clone(),
        sync_every: config.recording.sync_every,
    };
    let (clock, alive, went_back) = (Arc::clone(clock), Arc::clone(alive), upgrade.went_back());
    tokio::task::spawn_blocking(move || {
        let ledger = options.root.join(LEDGER);
        let vault = Vault::open(options, clock)?;
        vault.probe_writable()?;
        let store = match Store::open_telling(&ledger, &alive) {
            Err(StoreError::TooNew { .. }) if went_back => {
                put_ledger_back(&ledger)?;
                Store::open_telling(&ledger, &alive)?
            }
            opened => opened?,
        };
        Ok((vault, store))
    })
    .await
    .context("opening the data folder broke")?
}

/// This version is back, and the newer one has changed the ledger so that this one may not open it.
/// What was recorded meanwhile is found by the search for strays.
fn put_ledger_back(ledger: &Path) -> Result<(), StoreError> {
    let store::PutBack { from, newer } = store::put_back(ledger)?;
    tracing::warn!(
        event = "upgrade.ledger-put-back",
        "the ledger is again as it was before the upgrade ({}); recordings made since are taken in from their files; the newer ledger is kept as {}",
        from.display(),
        newer.display()
    );
    Ok(())
}
