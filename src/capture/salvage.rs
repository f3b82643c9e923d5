//! What a crash or a power cut left behind, taken in at start. From here on such a call goes the
//! same way as any other.

use std::collections::{BTreeMap, HashSet};

use super::scribe::chain;
use crate::clock::{Reading, SharedClock};
use crate::domain::{EndReason, Samples8k, TrackSource, UnixMillis};
use crate::store::{Finish, NewCall, NewTrack, OpenCall, Store, StoreError};
use crate::vault::{Error, Folder, SealedTrack, Vault, VoiceCopy};

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
/// What was heard beside Twilio's line is taken to come from where the `agent` is heard now.
pub async fn salvage_open_calls(
    store: &Store,
    vault: &Vault,
    clock: &SharedClock,
    agent: Option<TrackSource>,
) -> Result<Salvaged, StoreError> {
    let mut salvaged = Salvaged::default();
    for open in store.open_calls().await? {
        let folder = open.folder.as_deref().and_then(|text| text.parse::<Folder>().ok());
        let found = match folder {
            Some(folder) => look_into(vault, folder).await,
            None => Ok(Found::default()),
        };
        match found {
            Ok(found) => take_in((store, clock, agent), &open, found, &mut salvaged).await?,
            Err(error) => {
                let sid = &open.call_sid;
                tracing::error!(call.sid = %sid, event = "recording.failed", error = %chain(&error), "what a crash left of {sid} cannot be read now; it is tried again at the next start");
            }
        }
    }
    Ok(salvaged)
}

/// Takes in what no open call speaks of: part files, and sealed calls without a track in the ledger.
/// A ledger that was lost, restored or put back leaves both. This walks all folders, so it runs beside
/// the live calls, whose folders it leaves alone.
pub async fn salvage_strays(
    store: &Store,
    vault: &Vault,
    clock: &SharedClock,
    agent: Option<TrackSource>,
) -> Result<Salvaged, StoreError> {
    let mut salvaged = Salvaged::default();
    let Some(folders) = search(vault, Vault::stray_parts).await else { return Ok(salvaged) };
    for folder in folders {
        let open = match adopt(store, clock, &folder, clock.now()).await {
            Ok(open) => open,
            // Its folder goes with the rest of it.
            Err(StoreError::Erased) => continue,
            Err(error) => return Err(error),
        };
        match look_into(vault, folder).await {
            Ok(found) => take_in((store, clock, agent), &open, found, &mut salvaged).await?,
            Err(error) => {
                tracing::error!(call.sid = %open.call_sid, error = %chain(&error), "a stray part file cannot be taken in");
            }
        }
    }
    let Some(days) = search(vault, Vault::days).await else { return Ok(salvaged) };
    for day in days {
        let Some(folders) = search(vault, move |vault| Ok(vault.folders_of(&day))).await else {
            continue;
        };
        let sids = folders.iter().map(|folder| folder.call_sid().clone()).collect();
        let without: HashSet<_> = store.calls_without_tracks(sids).await?.into_iter().collect();
        for folder in folders.into_iter().filter(|one| without.contains(one.call_sid())) {
            take_in_sealed((store, clock, agent), vault, folder, &mut salvaged).await?;
        }
    }
    Ok(salvaged)
}

/// Takes in a call that was sealed, and then forgotten with the ledger that knew it.
async fn take_in_sealed(
    (store, clock, agent): (&Store, &SharedClock, Option<TrackSource>),
    vault: &Vault,
    folder: Folder,
    salvaged: &mut Salvaged,
) -> Result<(), StoreError> {
    let written_at = vault.last_written(&folder);
    let found = match look_into(vault, folder.clone()).await {
        Ok(found) if found.tracks.is_empty() => return Ok(()),
        Ok(found) => found,
        Err(error) => {
            tracing::error!(call.sid = %folder.call_sid(), error = %chain(&error), "a call that the ledger does not know cannot be taken in");
            return Ok(());
        }
    };
    let length = i64::try_from(length(&found.tracks).as_millis()).unwrap_or(0);
    let ended_at = written_at.unwrap_or_else(|| clock.now());
    let started_at = UnixMillis::new(ended_at.get().saturating_sub(length));
    let open = adopt(store, clock, &folder, started_at).await?;
    take_in((store, clock, agent), &open, found, salvaged).await
}

/// Searches the recordings, off the async threads; what cannot be searched now is at the next start.
async fn search<T: Send + 'static>(
    vault: &Vault,
    find: impl FnOnce(&Vault) -> Result<T, Error> + Send + 'static,
) -> Option<T> {
    let vault = vault.clone();
    match tokio::task::spawn_blocking(move || find(&vault)).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::error!(error = %chain(&error), "the recordings cannot be searched for what a crash left");
            None
        }
        Err(_panicked) => None,
    }
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
    at: UnixMillis,
) -> Result<OpenCall, StoreError> {
    // When it was is known from nothing that is sure.
    let then = Reading { synchronised: false, at, ..clock.reading() };
    let mut call = NewCall::unknown(folder.call_sid().clone(), then);
    call.boot = None;
    let call_sid = call.call_sid.clone();
    let text = folder.as_str().to_owned();
    let call = store.adopt_call(call, Some(text.clone())).await?;
    Ok(OpenCall { call, call_sid, folder: Some(text), started_at: at })
}

async fn take_in(
    (store, clock, agent): (&Store, &SharedClock, Option<TrackSource>),
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
    let is_whole = !found.tracks.is_empty() && sealed_now == 0;
    let why =
        if is_whole { "had no end in the ledger" } else { "was cut off when fieldtape stopped" };
    tracing::warn!(
        call.sid = %sid, event = "recording.salvaged", duration_ms = length.as_millis(),
        "{sid} {why}: {seconds:.1} s of it are safe"
    );
    store
        .finish_call(Finish {
            call: open.call,
            tracks: found
                .tracks
                .iter()
                .map(|t| new_track(t, source_of(t, &found.tracks, agent)))
                .collect(),
            gaps: Vec::new(),
            reason: EndReason::Interrupted,
            ended_at,
            // As far behind its beginning as it is long.
            ended_boot: None,
            at: clock.now(),
            trouble: found.trouble,
        })
        .await?;
    salvaged.calls += 1;
    salvaged.tracks += u32::try_from(sealed_now).unwrap_or(u32::MAX);
    Ok(())
}

/// Where a file's sound came from: beside what came over Twilio's line it is the agent's own.
fn source_of(track: &SealedTrack, all: &[SealedTrack], agent: Option<TrackSource>) -> TrackSource {
    let is_line = |track: &SealedTrack| track.name().copy == VoiceCopy::Line;
    let has_line = all.iter().any(|other| other.party() == track.party() && is_line(other));
    if has_line && !is_line(track) {
        agent.unwrap_or(TrackSource::Microphone)
    } else {
        TrackSource::Stream
    }
}

fn new_track(sealed: &SealedTrack, source: TrackSource) -> NewTrack {
    NewTrack {
        party: sealed.party(),
        source,
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::{CallSid, Party, RateHz};
    use crate::vault::{self, PartNo, TrackName};

    const MIDNIGHT: UnixMillis = UnixMillis::new(1_709_251_200_000);

    fn sid(number: u8) -> CallSid {
        format!("CA{number:032x}").parse().unwrap()
    }

    /// Seals a second of both parties of a call.
    fn seal(vault: &Vault, number: u8) {
        let folder = vault.folder(&sid(number), MIDNIGHT).unwrap();
        for party in Party::ALL {
            let (party, rate) = (*party, RateHz::Hz8000);
            let name = TrackName { part_no: PartNo::FIRST, party, copy: VoiceCopy::Line, rate };
            let mut track = vault.open_track(&folder, name).unwrap();
            track.append(&[7; 8000]).unwrap();
            track.seal().unwrap();
        }
    }

    fn open(root: &Path, ledger: &str) -> (Store, Vault, SharedClock) {
        let clock: SharedClock = Arc::new(SystemClock);
        let options = vault::Options { root: root.to_owned(), sync_every: Duration::from_secs(1) };
        let vault = Vault::open(options, Arc::clone(&clock)).unwrap();
        (Store::open(&root.join(ledger)).unwrap(), vault, clock)
    }

    #[tokio::test]
    async fn sealed_calls_that_a_ledger_does_not_know_are_taken_in_once() {
        let root = tempfile::tempdir().unwrap();
        let (store, vault, clock) = open(root.path(), "fieldtape.db");
        for number in 1..=4 {
            seal(&vault, number);
        }
        std::fs::create_dir(root.path().join("recordings/2024/03/01").join(sid(9).as_str()))
            .unwrap();
        // The webhook of 2 is known, and that it is over; 3 is live.
        for number in [2, 3] {
            let call = NewCall::unknown(sid(number), Reading { at: MIDNIGHT, ..clock.reading() });
            let call = store.announce_call(call, None).await.unwrap();
            if number == 2 {
                let (at, tracks, gaps) = (MIDNIGHT, Vec::new(), Vec::new());
                let reason = EndReason::Completed;
                let over = Finish {
                    call,
                    tracks,
                    gaps,
                    reason,
                    ended_at: at,
                    ended_boot: None,
                    at,
                    trouble: None,
                };
                store.finish_call(over).await.unwrap();
            }
        }
        let salvaged = salvage_strays(&store, &vault, &clock, None).await.unwrap();
        assert_eq!(salvaged, Salvaged { calls: 3, tracks: 0 }, "1, 2 and 4");
        for number in [1, 2, 4] {
            let detail = store.call(&sid(number)).await.unwrap().unwrap();
            assert_eq!(detail.tracks.len(), 2, "both parties of {number}");
        }
        let unknown = store.call(&sid(1)).await.unwrap().unwrap().call;
        assert_eq!(unknown.duration.map(|(seconds, _)| seconds), Some(1), "by its files");
        assert!(unknown.created_at.get() > MIDNIGHT.get(), "when they were written");
        assert!(store.call(&sid(3)).await.unwrap().unwrap().tracks.is_empty(), "it is live");
        assert!(store.call(&sid(9)).await.unwrap().is_none(), "it has no sound");
        let again = salvage_strays(&store, &vault, &clock, None).await.unwrap();
        assert_eq!(again, Salvaged::default());
    }
}
