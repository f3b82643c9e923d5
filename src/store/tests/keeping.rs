//! What a person decides: pauses and holds.

use super::*;

#[tokio::test]
async fn a_paused_stage_is_not_claimed_until_it_is_resumed_and_a_restart_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fieldtape.db");
    let ledger = Ledger { store: Store::open(&path).unwrap(), _folder: folder };
    ledger.finished(1).await;
    let store = &ledger.store;
    assert!(store.pause(Some(Stage::Transcript), "anna".to_owned(), at(1)).await.unwrap());
    assert!(!store.pause(Some(Stage::Transcript), "ben".to_owned(), at(2)).await.unwrap());
    assert!(store.claim(Stage::Transcript, at(70_000)).await.unwrap().is_none());
    assert_eq!(
        store.next_due(Stage::Transcript).await.unwrap(),
        None,
        "nobody looks at it at once"
    );
    let again = Store::open(&path).unwrap();
    let pauses = again.pauses().await.unwrap();
    let one = Pause { stage: Some(Stage::Transcript), since: at(1), actor: "anna".to_owned() };
    assert_eq!(pauses, [one]);
    assert!(again.claim(Stage::Transcript, at(70_000)).await.unwrap().is_none());
    again.pause(None, "anna".to_owned(), at(3)).await.unwrap();
    assert_eq!(again.pauses().await.unwrap()[0].stage, None, "the pause of everything comes first");
    again.resume(Some(Stage::Transcript), "anna".to_owned(), at(4)).await.unwrap();
    assert!(again.claim(Stage::Transcript, at(70_000)).await.unwrap().is_none(), "all is paused");
    assert!(again.resume(None, "anna".to_owned(), at(5)).await.unwrap());
    assert!(!again.resume(None, "anna".to_owned(), at(6)).await.unwrap());
    assert!(again.claim(Stage::Transcript, at(70_000)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_held_call_keeps_even_what_its_transcript_has_spent() {
    let ledger = ledger();
    ledger.finished(1).await;
    let hold =
        |note: &str| ledger.store.hold(sid(1), Some(note.to_owned()), "anna".to_owned(), at(1));
    assert_eq!(hold("a dispute").await.unwrap(), Held::Changed);
    assert_eq!(hold("twice").await.unwrap(), Held::AsBefore);
    let row = ledger.row(1).await;
    assert_eq!((row.hold, row.hold_note.as_deref()), (true, Some("a dispute")));
    let claim = ledger.store.claim(Stage::Transcript, at(70_000)).await.unwrap().unwrap();
    let spent = vec!["recordings/x/1/agent_16000Hz.wav".to_owned()];
    let done = Settlement::Done(Output::Transcript { transcript: transcript(), spent });
    ledger.store.settle(claim, done, at(70_000)).await.unwrap();
    assert!(ledger.store.garbage().await.unwrap().is_empty());
    assert_eq!(ledger.store.call(&sid(1)).await.unwrap().unwrap().tracks.len(), 4);
    let released = ledger.store.release(sid(1), "ben".to_owned(), at(2)).await.unwrap();
    assert_eq!(released, Held::Changed);
    assert_eq!(ledger.row(1).await.hold_note, None);
    let unknown = ledger.store.hold(sid(9), None, "ben".to_owned(), at(2)).await.unwrap();
    assert_eq!(unknown, Held::UnknownCall);
}
