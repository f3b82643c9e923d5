use std::sync::Arc;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::domain::*;
use crate::store::*;
use crate::vault::{PartNo, TrackName, VoiceCopy};

fn call(sid: &CallSid, at: UnixMillis) -> NewCall {
    NewCall {
        call_sid: sid.clone(),
        parent_call_sid: None,
        direction: Direction::Inbound,
        origin: Origin::Number,
        from_number: String::new(),
        to_number: String::new(),
        call_status: "completed".to_owned(),
        at,
        clock_synced: true,
        live_copy: true,
    }
}

#[tokio::test]
async fn a_sweep_hashes_what_is_kept_and_deletes_what_was_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let manual = Arc::new(ManualClock::new(UnixMillis::new(1_790_000_000_000)));
    let clock: SharedClock = manual.clone();
    let options =
        vault::Options { root: folder.path().to_owned(), sync_every: Duration::from_secs(1) };
    let vault = Vault::open(options, Arc::clone(&clock)).unwrap();
    let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
    let sid: CallSid = format!("CA{:032x}", 1).parse().unwrap();
    let now = manual.now();
    let place = vault.folder(&sid, now).unwrap();
    let tracks: Vec<_> = [RateHz::Hz8000, RateHz::Hz16000]
        .into_iter()
        .map(|rate| {
            let name = TrackName {
                part_no: PartNo::FIRST,
                party: Party::Agent,
                copy: VoiceCopy::First,
                rate,
            };
            let mut track = vault.open_track(&place, name).unwrap();
            track.append(&[1, 2, 3]).unwrap();
            track.seal().unwrap()
        })
        .collect();
    let id = store.announce_call(call(&sid, now), None).await.unwrap();
    let rows = tracks.iter().map(|sealed| NewTrack {
        party: sealed.party(),
        source: TrackSource::Stream,
        rate: sealed.rate(),
        part_no: 1,
        path: sealed.path().as_str().to_owned(),
        origin: Some(Samples8k::ZERO),
        lead: crate::domain::Samples8k::ZERO,
        samples: sealed.samples(),
        size_bytes: sealed.bytes(),
        salvaged: false,
    });
    let finish = Finish {
        call: id,
        tracks: rows.collect(),
        gaps: vec![],
        reason: EndReason::Completed,
        ended_at: now,
        at: now,
        trouble: None,
    };
    store.finish_call(finish).await.unwrap();
    let claim = store.claim(Stage::Transcript, now).await.unwrap().unwrap();
    let transcript = TranscriptRow {
        source: TrackSource::Stream,
        language: "en".to_owned(),
        model: "m".to_owned(),
        dropped: 0,
        segments: vec![],
    };
    let wide = tracks[1].path();
    let spent = vec![wide.as_str().to_owned()];
    let done = Settlement::Done(Output::Transcript { transcript, spent });
    store.settle(claim, done, now).await.unwrap();
    assert!(vault.absolute(wide).exists(), "the row goes before the file");

    let options = Options { store: store.clone(), vault: vault.clone(), clock };
    sweep(&options).await.unwrap();
    sweep(&options).await.unwrap();
    assert!(!vault.absolute(wide).exists() && vault.absolute(tracks[0].path()).exists());
    let detail = store.call(&sid).await.unwrap().unwrap();
    let hash = vault.hash(tracks[0].path()).unwrap();
    assert_eq!(detail.tracks[0].sha256.as_deref(), Some(hash.as_str()));
    assert!(store.garbage().await.unwrap().is_empty());
}
