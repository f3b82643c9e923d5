//! How far a transcript under way has come.

use super::*;

fn window(path: &str, from_sample: u64, to_sample: u64) -> HeardWindow {
    HeardWindow {
        path: path.to_owned(),
        from_sample,
        to_sample,
        found: format!("{{\"to\":{to_sample}}}"),
    }
}

async fn keep(store: &Store, call: CallId, manner: &str, window: HeardWindow) {
    store.keep_heard(call, manner.to_owned(), window).await.unwrap();
}

async fn heard(store: &Store, call: CallId, manner: &str) -> Vec<HeardWindow> {
    store.heard(call, manner.to_owned()).await.unwrap()
}

#[tokio::test]
async fn windows_come_back_in_order_and_another_manner_begins_anew() {
    let ledger = ledger();
    let store = &ledger.store;
    let (one, other) = (ledger.finished(1).await, ledger.finished(2).await);
    keep(store, one, "tiny", window("b.wav", 0, 480_000)).await;
    keep(store, one, "tiny", window("a.wav", 480_000, 900_000)).await;
    keep(store, one, "tiny", window("a.wav", 0, 480_000)).await;
    keep(store, one, "tiny", window("a.wav", 480_000, 910_000)).await;
    keep(store, other, "tiny", window("c.wav", 0, 1)).await;
    let windows = [("a.wav", 0, 480_000), ("a.wav", 480_000, 910_000), ("b.wav", 0, 480_000)]
        .map(|(p, f, t)| window(p, f, t));
    assert_eq!(heard(store, one, "tiny").await, windows);
    assert_eq!(heard(store, one, "base").await, []);
    keep(store, one, "base", window("a.wav", 0, 400_000)).await;
    assert_eq!(heard(store, one, "tiny").await, [], "of another model");
    assert_eq!(heard(store, one, "base").await.len(), 1);
    assert_eq!(heard(store, other, "tiny").await.len(), 1, "another call's stay");
}

#[tokio::test]
async fn what_was_heard_is_kept_by_a_failure_and_goes_when_it_is_written_down() {
    let ledger = ledger();
    let call = ledger.finished(1).await;
    let claim = ledger.store.claim(Stage::Transcript, at(99_000)).await.unwrap().unwrap();
    keep(&ledger.store, call, "tiny", window("a.wav", 0, 1)).await;
    let never = Settlement::Never { why: "the model is broken".to_owned() };
    ledger.store.settle(claim, never, at(99_000)).await.unwrap();
    assert_eq!(heard(&ledger.store, call, "tiny").await.len(), 1);
    ledger.store.retry(sid(1), Some(Stage::Transcript), at(99_000)).await.unwrap();
    let claim = ledger.store.claim(Stage::Transcript, at(99_001)).await.unwrap().unwrap();
    let done = Output::Transcript { transcript: transcript(), spent: Vec::new() };
    ledger.store.settle(claim, Settlement::Done(done), at(99_002)).await.unwrap();
    assert_eq!(heard(&ledger.store, call, "tiny").await, []);
}

#[tokio::test]
async fn a_transcript_that_gets_on_is_never_given_up_for_being_cut_off() {
    let ledger = ledger();
    let call = ledger.finished(1).await;
    for cut in 0..20_u32 {
        let now = at(99_000 + i64::from(cut));
        let claim = ledger.store.claim(Stage::Transcript, now).await.unwrap();
        let _lost = claim.expect("it is due again");
        let at = u64::from(cut);
        keep(&ledger.store, call, "tiny", window("a.wav", at, at + 1)).await;
        ledger.store.put_back_claims(5, std::time::Duration::ZERO, now).await.unwrap();
    }
    assert_eq!(ledger.row(1).await.transcript_status, StageStatus::Pending);
}
