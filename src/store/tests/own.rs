//! A party's own microphone beside Twilio's copies.

use super::cloud::{fetched, rec, recording, settle, stages};
use super::*;

/// A call whose agent was heard by a microphone too.
async fn heard(store: &Store) -> CallId {
    let id = store.announce_call(call(1, "in-progress", 0), None).await.unwrap();
    let mut finish = finish(id, 8000);
    let own = |rate: RateHz| NewTrack {
        source: TrackSource::Microphone,
        path: format!("recordings/x/{}/own_{}Hz.wav", id.0, rate.get()),
        rate,
        samples: Samples8k::new(8000).at(rate),
        ..finish.tracks[0].clone()
    };
    let own = [own(RateHz::Hz8000), own(RateHz::Hz16000)];
    finish.tracks.extend(own);
    store.finish_call(finish).await.unwrap();
    id
}

#[tokio::test]
async fn a_swap_leaves_the_microphone_with_whom_it_belongs_to_and_has_the_words_made_anew() {
    let ledger = ledger();
    let store = &ledger.store;
    heard(store).await;
    let words = Output::Transcript { transcript: transcript(), spent: vec![] };
    settle(store, Stage::Transcript, Settlement::Done(words)).await;
    store.swap_parties(sid(1), "ann".to_owned(), at(90_000)).await.unwrap();
    let detail = store.call(&sid(1)).await.unwrap().unwrap();
    for track in &detail.tracks {
        let agents = track.source == TrackSource::Microphone || track.path.contains("technician");
        assert_eq!(track.party == Party::Agent, agents, "{track:?}");
    }
    let due = stages(store, 1).await;
    assert!(due.contains(&(Stage::Transcript, StageStatus::Pending)), "{due:?}");
}

#[tokio::test]
async fn what_a_microphone_has_not_heard_of_a_longer_call_is_a_gap() {
    let ledger = ledger();
    let store = &ledger.store;
    let id = heard(store).await;
    store.cloud_recording(recording(1, "completed")).await.unwrap();
    store.recording_fetched(fetched(1), at(80_000)).await.unwrap();
    settle(store, Stage::Fetch, Settlement::Done(Output::Fetched)).await;
    let longer = |name: &str, rate: RateHz| Rewritten {
        path: format!("recordings/x/{}/{name}_{}Hz.wav", id.0, rate.get()),
        samples: Samples8k::new(12_000).at(rate),
        size_bytes: 44 + 2 * Samples8k::new(12_000).at(rate),
    };
    let split = Split {
        recordings: vec![(rec(1), Some(0))],
        rewritten: vec![
            longer("own", RateHz::Hz8000),
            longer("own", RateHz::Hz16000),
            longer("technician", RateHz::Hz8000),
        ],
        ..Split::default()
    };
    settle(store, Stage::Split, Settlement::Done(Output::Split(split))).await;
    let detail = store.call(&sid(1)).await.unwrap().unwrap();
    let own: Vec<_> = detail.gaps.iter().filter(|gap| gap.source.is_own()).collect();
    let [gap] = own[..] else { panic!("{own:?}") };
    assert_eq!((gap.start.get(), gap.end.get()), (8000, 12_000));
    assert_eq!((gap.party, gap.reason), (Party::Agent, GapReason::Disconnected));
}
