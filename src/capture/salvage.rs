//! What a crash or a power cut left behind, taken in at start. From here on such a call goes the
//! same way as any other.

use std::collections::BTreeMap;

use super::scribe::chain;
use crate::clock::SharedClock;
use crate::domain::{EndReason, Samples8k, TrackSource, UnixMillis};
use crate::store::{Finish, NewCall, NewTrack, OpenCall, Store, StoreError};
use crate::vault::{Error, Folder, SealedTrack, Vault};

/// What was taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Calls that were open and are ended now.
    pub calls: u32,
    /// Files sealed for them.
    pub tracks: u32,
}

/// Ends every call that the ledger holds open, with what its folder holds. Run before new calls
/// are taken: only folders of open calls are looked into, so it is quick however many there are.
pub async fn salvage_open_calls(
    store: &Store,
    vault: &Vault,
    clock: &SharedClock,
) -> Result<Salvaged, StoreError> {
    let mut salvaged = Salvaged::default();
    for open in store.open_calls().await? {
        let folder = open.folder.as_deref().and_then(|text| text.parse::<Folder>().ok());
        let found = match folder {
            Some(folder) => look_into(vault, folder).await,
            None => Ok(Found::default()),
        };
        match found {
            Ok(found) => take_in(store, clock, &open, found, &mut salvaged).await?,
            Err(error) => {
                let sid = &open.call_sid;
                tracing::error!(call.sid = %sid, event = "recording.failed", error = %chain(&error), "what a crash left of {sid} cannot be read now; it is tried again at the next start");
            }
        }
    }
    Ok(salvaged)
}

/// Takes in part files that no open call speaks of: left by a ledger that was lost or restored.
/// This walks all folders, so it runs beside the live calls, whose folders it leaves alone.
pub async fn salvage_strays(
    store: &Store,
    vault: &Vault,
    clock: &SharedClock,
) -> Result<Salvaged, StoreError> {
    let mut salvaged = Salvaged::default();
    let walk = vault.clone();
    let folders = match tokio::task::spawn_blocking(move || walk.stray_parts()).await {
        Ok(Ok(folders)) => folders,
        Ok(Err(error)) => {
            tracing::error!(error = %chain(&error), "the recordings cannot be searched for what a crash left");
            return Ok(salvaged);
        }
        Err(_panicked) => return Ok(salvaged),
    };
    for folder in folders {
        let open = match adopt(store, clock, &folder).await {
            Ok(open) => open,
            // Its folder goes with the rest of it.
            Err(StoreError::Erased) => continue,
            Err(error) => return Err(error),
        };
        match look_into(vault, folder).await {
            Ok(found) => take_in(store, clock, &open, found, &mut salvaged).await?,
            Err(error) => {
                tracing::error!(call.sid = %open.call_sid, error = %chain(&error), "a stray part file cannot be taken in");
            }
        }
    }
    Ok(salvaged)
}

#[derive(Debug, Default)]
struct Found {
    tracks: Vec<SealedTrack>,
    trouble: Option<String>,
}

async fn look_into(vault: &Vault, folder: Folder) -> Result<Found, Error> {
    let vault = vault.clone();
    let looked = tokio::task::spawn_blocking(move || vault.salvage(&folder)).await;
    match looked {
        Ok(Ok(salvage)) => {
            let trouble = salvage.failed.first().map(|failed| chain(failed));
            Ok(Found { tracks: salvage.tracks, trouble })
        }
        // The folder's name is written down before the folder is made.
        Ok(Err(Error::Missing { .. })) | Err(_) => Ok(Found::default()),
        Ok(Err(error)) => Err(error),
    }
}

async fn adopt(
    store: &Store,
    clock: &SharedClock,
    folder: &Folder,
) -> Result<OpenCall, StoreError> {
    let at = clock.now();
    let call = NewCall::unknown(folder.call_sid().clone(), at, false);
    let call_sid = call.call_sid.clone();
    let text = folder.as_str().to_owned();
    let call = store.adopt_call(call, Some(text.clone())).await?;
    Ok(OpenCall { call, call_sid, folder: Some(text), started_at: at })
}

async fn take_in(
    store: &Store,
    clock: &SharedClock,
    open: &OpenCall,
    found: Found,
    salvaged: &mut Salvaged,
) -> Result<(), StoreError> {
    let sealed_now = found.tracks.iter().filter(|track| track.salvaged()).count();
    let length = length(&found.tracks);
    let ended_at = UnixMillis::new(
        open.started_at.get().saturating_add(i64::try_from(length.as_millis()).unwrap_or(0)),
    );
    let (sid, seconds) = (&open.call_sid, length.as_secs_f64());
    tracing::warn!(
        call.sid = %sid, event = "recording.salvaged", duration_ms = length.as_millis(),
        "{sid} was cut off when fieldtape stopped: {seconds:.1} s of it are safe"
    );
    store
        .finish_call(Finish {
            call: open.call,
            tracks: found.tracks.iter().map(new_track).collect(),
            gaps: Vec::new(),
            reason: EndReason::Interrupted,
            ended_at,
            at: clock.now(),
            trouble: found.trouble,
        })
        .await?;
    salvaged.calls += 1;
    salvaged.tracks += u32::try_from(sealed_now).unwrap_or(u32::MAX);
    Ok(())
}

fn new_track(sealed: &SealedTrack) -> NewTrack {
    NewTrack {
        party: sealed.party(),
        source: TrackSource::Stream,
        rate: sealed.rate(),
        part_no: sealed.part_no().get(),
        path: sealed.path().as_str().to_owned(),
        origin: None,
        lead: Samples8k::ZERO,
        samples: sealed.samples(),
        size_bytes: sealed.bytes(),
        salvaged: sealed.salvaged(),
    }
}

/// How long the parts are, one behind the other.
fn length(tracks: &[SealedTrack]) -> Samples8k {
    let mut parts: BTreeMap<u32, u64> = BTreeMap::new();
    for track in tracks {
        let samples = track.samples() * 8000 / u64::from(track.rate().get());
        let longest = parts.entry(track.part_no().get()).or_default();
        *longest = samples.max(*longest);
    }
    Samples8k::new(parts.values().sum())
}
