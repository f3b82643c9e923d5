//! What changes under a stage that is done, or under way: it is due again, and nothing is passed
//! over.

use super::cloud::{fetched, heard, rec, recording, settle, stages};
use super::*;

fn written_down() -> Output {
    Output::Transcript { transcript: transcript(), spent: vec![] }
}

fn split() -> Output {
    Output::Split(Split { recordings: vec![(rec(1), Some(0))], ..Split::default() })
}

async fn stage(store: &Store, wanted: Stage) -> Option<StageStatus> {
    stages(store, 1).await.into_iter().find(|(stage, _)| *stage == wanted).map(|(_, word)| word)
}

/// A call with Twilio's copy, archived.
async fn archived(store: &Store) -> CallId {
    let id = heard(store, 1).await;
    store.cloud_recording(recording(1, "completed")).await.unwrap();
    store.recording_fetched(fetched(1), at(80_000)).await.unwrap();
    settle(store, Stage::Fetch, Settlement::Done(Output::Fetched)).await;
    settle(store, Stage::Split, Settlement::Done(split())).await;
    settle(store, Stage::Transcript, Settlement::Done(written_down())).await;
    settle(store, Stage::Archive, Settlement::Done(Output::Archived { objects: vec![] })).await;
    id
}

#[tokio::test]
async fn a_copy_that_was_never_made_is_told_of_when_the_call_ends_at_last() {
    let ledger = ledger();
    ledger.store.announce_call(call(1, "in-progress", 0), None).await.unwrap();
    ledger.store.cloud_recording(recording(1, "absent")).await.unwrap();
    let end = status(1, "completed", Some(EndReason::Completed), Some(63));
    ledger.store.call_status(end).await.unwrap();
    let row = ledger.row(1).await;
    assert_eq!(row.recording_status, RecordingStatus::Failed);
    assert_eq!(row.transcript_status, StageStatus::Skipped);
    assert!(row.last_error.unwrap().contains("Twilio made no recording"));
}

#[tokio::test]
async fn what_was_heard_up_to_its_end_only_after_the_copy_was_split_is_filled_too() {
    let ledger = ledger();
    let store = &ledger.store;
    let id = store.announce_call(call(1, "in-progress", 0), None).await.unwrap();
    store.cloud_recording(recording(1, "completed")).await.unwrap();
    store.recording_fetched(fetched(1), at(60_000)).await.unwrap();
    settle(store, Stage::Fetch, Settlement::Done(Output::Fetched)).await;
    settle(store, Stage::Split, Settlement::Done(split())).await;
    store.finish_call(finish(id, 8000)).await.unwrap();
    assert_eq!(stage(store, Stage::Split).await, Some(StageStatus::Pending));
    let detail = store.call(&sid(1)).await.unwrap().unwrap();
    assert!(!detail.cloud_recordings[0].split);
    // Told once more, it is no news.
    settle(store, Stage::Split, Settlement::Done(split())).await;
    store.finish_call(finish(id, 8000)).await.unwrap();
    assert_eq!(stage(store, Stage::Split).await, Some(StageStatus::Completed));
}

#[tokio::test]
async fn what_comes_while_a_stage_is_under_way_makes_it_due_again_however_it_ends() {
    let endings = [
        Settlement::Done(Output::Archived { objects: vec![] }),
        Settlement::Nothing,
        Settlement::Never { why: "the bucket is gone".to_owned() },
    ];
    for ending in endings {
        let ledger = ledger();
        let store = &ledger.store;
        archived(store).await;
        store.retry(sid(1), Some(Stage::Archive), at(90_000)).await.unwrap();
        assert!(store.swap_parties(sid(1), "ann".to_owned(), at(91_000)).await.unwrap().is_some());
        let claim = store.claim(Stage::Archive, at(92_000)).await.unwrap().unwrap();
        store.finish_call(finish_again(store).await).await.unwrap();
        let claimed = store.claim(Stage::Split, at(93_000)).await.unwrap().unwrap();
        store.settle(claimed, Settlement::Done(split()), at(94_000)).await.unwrap();
        store.settle(claim, ending.clone(), at(95_000)).await.unwrap();
        assert_eq!(stage(store, Stage::Archive).await, Some(StageStatus::Pending), "{ending:?}");
    }
}

/// The same call, with a second part.
async fn finish_again(store: &Store) -> Finish {
    let detail = store.open_calls().await.unwrap();
    assert!(detail.is_empty(), "it is over");
    let id = store.announce_call(call(1, "completed", 0), None).await.unwrap();
    let mut again = finish(id, 4000);
    for track in &mut again.tracks {
        track.part_no = 2;
        track.path = track.path.replace("Hz", "-2Hz");
    }
    again
}

#[tokio::test]
async fn a_call_whose_parties_are_swapped_is_archived_again() {
    let ledger = ledger();
    archived(&ledger.store).await;
    assert_eq!(stage(&ledger.store, Stage::Archive).await, Some(StageStatus::Completed));
    ledger.store.swap_parties(sid(1), "ann".to_owned(), at(95_000)).await.unwrap();
    assert_eq!(stage(&ledger.store, Stage::Archive).await, Some(StageStatus::Pending));
}

#[tokio::test]
async fn a_stage_put_off_by_a_clock_that_was_years_ahead_is_due() {
    let ledger = ledger();
    let store = &ledger.store;
    heard(store, 1).await;
    let ahead = at(0).plus(std::time::Duration::from_hours(10 * 365 * 24));
    let claim = store.claim(Stage::Transcript, ahead).await.unwrap().unwrap();
    let later = Settlement::Later {
        why: "the disk was slow".to_owned(),
        waiting_for: None,
        at: ahead.plus(std::time::Duration::from_mins(15)),
        counted: true,
    };
    store.settle(claim, later, ahead).await.unwrap();
    assert!(store.claim(Stage::Transcript, ahead).await.unwrap().is_none(), "not yet, by then");
    assert!(store.claim(Stage::Transcript, at(95_000)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_hash_is_put_down_only_for_the_file_that_was_read() {
    let ledger = ledger();
    let store = &ledger.store;
    archived(store).await;
    let file = store.tracks_without_hash(10).await.unwrap().remove(0);
    store.recording_lost(rec(1), at(96_000)).await.unwrap();
    store.recording_fetched(fetched(1), at(97_000)).await.unwrap();
    let rewritten = Rewritten { path: file.path.clone(), samples: 8000, size_bytes: 16_044 };
    let claim = store.claim(Stage::Fetch, at(97_000)).await.unwrap().unwrap();
    store.settle(claim, Settlement::Done(Output::Fetched), at(98_000)).await.unwrap();
    let claim = store.claim(Stage::Split, at(98_000)).await.unwrap().unwrap();
    let split = Split { rewritten: vec![rewritten], ..Split::default() };
    store.settle(claim, Settlement::Done(Output::Split(split)), at(99_000)).await.unwrap();
    store.track_hashed(file.clone(), "0".repeat(64)).await.unwrap();
    let hashes = async |path: &str| {
        let detail = store.call(&sid(1)).await.unwrap().unwrap();
        detail.tracks.into_iter().find(|track| track.path == path).unwrap().sha256
    };
    assert_eq!(hashes(&file.path).await, None, "it was written anew meanwhile");
    for file in store.tracks_without_hash(10).await.unwrap() {
        store.track_hashed(file, "1".repeat(64)).await.unwrap();
    }
    assert_eq!(hashes(&file.path).await, Some("1".repeat(64)));
}

#[tokio::test]
async fn a_copy_that_was_lost_here_is_due_again_unless_twilio_has_it_no_more() {
    let ledger = ledger();
    let store = &ledger.store;
    archived(store).await;
    store.recording_lost(rec(1), at(85_000)).await.unwrap();
    assert_eq!(stage(store, Stage::Fetch).await, Some(StageStatus::Pending));
    store.recording_fetched(fetched(1), at(86_000)).await.unwrap();
    settle(store, Stage::Fetch, Settlement::Done(Output::Fetched)).await;
    assert_eq!(stage(store, Stage::Split).await, Some(StageStatus::Pending), "made again of it");
    store.recording_deleted(rec(1), "{}".to_owned(), at(97_000)).await.unwrap();
    store.recording_lost(rec(1), at(98_000)).await.unwrap();
    let detail = store.call(&sid(1)).await.unwrap().unwrap();
    assert!(detail.cloud_recordings[0].path.is_some(), "what is here is all there is");
}

#[tokio::test]
async fn calls_under_way_that_were_heard_and_are_not_recorded_at_twilio_are_found() {
    let ledger = ledger();
    let store = &ledger.store;
    for n in 1..=3 {
        store.stream_started(stream(n)).await.unwrap();
    }
    store.announce_call(call(4, "in-progress", 500), None).await.unwrap();
    store.cloud_recording(recording(1, "in-progress")).await.unwrap();
    store.cloud_recording(recording(3, "failed")).await.unwrap();
    assert_eq!(store.calls_without_copy(at(0)).await.unwrap(), [sid(2), sid(3)]);
    store.call_status(status(2, "completed", Some(EndReason::Completed), Some(1))).await.unwrap();
    assert_eq!(store.calls_without_copy(at(0)).await.unwrap(), [sid(3)], "it is over");
    assert_eq!(store.calls_without_copy(at(600)).await.unwrap(), [], "it is too old");
}
