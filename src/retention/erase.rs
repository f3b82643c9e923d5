//! Erasing here: what the ledger has given up goes from the disk, the ledger's file is folded, and
//! the certificate is written as things stand.

use super::KeeperOptions;
use super::certificate::{as_json, as_text};
use super::sweep::throw_out;
use crate::store::{Item, ItemKind, Place, StoreError, Tried};
use crate::vault::{BadPath, Folder};

/// Things looked at in one go; the rest has its turn in the next.
const ITEMS_MAX: u32 = 1000;

/// Does what is to be done here for every erasure, as far as it can be done now.
pub(super) async fn here(options: &KeeperOptions) -> Result<(), StoreError> {
    let KeeperOptions { store, clock, .. } = options;
    let due = store.erasure_items_due(Place::Here, clock.now(), ITEMS_MAX).await?;
    if !due.is_empty() {
        throw_out(options).await?;
    }
    // The files are gone by now, or their folder keeps the rest back.
    for item in due {
        let tried = match item.kind {
            ItemKind::Folder => remove_folder(options, &item).await,
            ItemKind::Journal => fold(options).await?,
            ItemKind::Call
            | ItemKind::Transcript
            | ItemKind::File
            | ItemKind::Object
            | ItemKind::Recording => None,
        };
        if let Some(tried) = tried {
            store.erasure_tried(item, tried, clock.now()).await?;
        }
    }
    tell(options).await
}

async fn remove_folder(options: &KeeperOptions, item: &Item) -> Option<Tried> {
    let (vault, now) = (options.vault.clone(), options.clock.now());
    let later = |why: String| Some(Tried::Later { why, at: now, counted: true });
    let folder: Folder = match item.name.parse() {
        Ok(folder) => folder,
        Err(error) => return later(BadPath::to_string(&error)),
    };
    match tokio::task::spawn_blocking(move || vault.remove_folder(&folder)).await {
        Ok(Ok(0)) => Some(Tried::Gone { note: None }),
        Ok(Ok(left)) => {
            Some(Tried::Gone { note: Some(format!("{left} unfinished files were in it")) })
        }
        Ok(Err(error)) => later(error.to_string()),
        Err(broken) => later(broken.to_string()),
    }
}

async fn fold(options: &KeeperOptions) -> Result<Option<Tried>, StoreError> {
    let now = options.clock.now();
    Ok(Some(match options.store.fold().await {
        Ok(true) => Tried::Gone { note: Some("what was deleted is overwritten in it".to_owned()) },
        Ok(false) => {
            let why = "somebody is reading what was there before".to_owned();
            Tried::Later { why, at: now, counted: false }
        }
        Err(StoreError::Sqlite(error)) => {
            Tried::Later { why: error.to_string(), at: now, counted: true }
        }
        Err(error) => return Err(error),
    }))
}

/// Writes the certificates whose erasures have changed.
async fn tell(options: &KeeperOptions) -> Result<(), StoreError> {
    let KeeperOptions { store, vault, clock, .. } = options;
    for erasure in store.erasures_untold().await? {
        let (json, text) = (as_json(&erasure), as_text(&erasure));
        let (vault, id, page) = (vault.clone(), erasure.id.clone(), format!("{json:#}\n"));
        let written = tokio::task::spawn_blocking(move || {
            vault.keep_certificate(&format!("{id}.json"), &page)?;
            vault.keep_certificate(&format!("{id}.txt"), &text)
        });
        let written = written.await.map_err(|broken| broken.to_string());
        match written.and_then(|written| written.map_err(|error| error.to_string())) {
            Ok(()) => {
                if erasure.finished_at.is_some() {
                    tracing::info!(
                        event = "erased",
                        "erasure {} is finished; its certificate is in certificates/{}.txt",
                        erasure.id,
                        erasure.id
                    );
                }
                store.erasure_told(erasure, json.to_string(), clock.now()).await?;
            }
            Err(error) => {
                tracing::error!(
                    error,
                    "the certificate of an erasure cannot be written; it is tried again"
                );
            }
        }
    }
    Ok(())
}
