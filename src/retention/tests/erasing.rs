//! Erasing here: every trace goes, the certificate says so, and late news changes nothing.

use super::house::*;
use crate::clock::Clock as _;
use crate::domain::*;
use crate::retention::*;
use crate::store::*;

impl House {
    async fn erase(&self, of: ErasureOf, id: &str) -> Begun {
        let wish = NewErasure {
            id: id.to_owned(),
            of,
            actor: "anna".to_owned(),
            at: self.clock.now(),
            clock_synced: true,
            has_archive: false,
        };
        let begun = self.store.erase(wish).await.unwrap();
        self.keeper.erase_here().await.unwrap();
        begun
    }

    async fn certificate(&self, id: &str) -> Erasure {
        self.store.erasure(id.to_owned()).await.unwrap().unwrap()
    }

    fn ledger_holds(&self, text: &str) -> bool {
        ["fieldtape.db", "fieldtape.db-wal"].iter().any(|name| {
            let bytes = std::fs::read(self.path(name)).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }
}

fn statuses(erasure: &Erasure, place: Place) -> Vec<(&'static str, &'static str)> {
    let items = erasure.items.iter().filter(|item| item.place == place);
    items.map(|item| (item.kind.as_str(), item.status.as_str())).collect()
}

#[tokio::test]
async fn of_an_erased_call_nothing_is_left_on_the_disk_or_in_the_ledgers_file() {
    let house = House::new(Policy::default());
    house.call(1).await;
    house.call(2).await;
    let folder = house.store.call(&sid(1)).await.unwrap().unwrap().call.folder.unwrap();
    std::fs::write(house.path(&format!("{folder}/cloud_x.wav.part")), "unfinished").unwrap();
    assert!(house.ledger_holds("the capacitor is gone"));
    assert_eq!(house.erase(ErasureOf::Call(sid(1)), "ER1").await, Begun::Begun);
    assert_eq!(house.erase(ErasureOf::Call(sid(2)), "ER2").await, Begun::Begun);
    assert!(house.store.call(&sid(1)).await.unwrap().is_none());
    assert_eq!(house.on_disk(), 0);
    assert!(!house.path(&folder).exists());
    assert!(!house.ledger_holds("the capacitor is gone"), "the words are overwritten");
    let erasure = house.certificate("ER1").await;
    assert!(
        statuses(&erasure, Place::Here).iter().all(|(_, status)| *status == "done"),
        "{erasure:?}"
    );
    assert_eq!(statuses(&erasure, Place::Twilio), [("call", "pending")]);
    assert_eq!(erasure.finished_at, None, "Twilio has not been asked");
    let file = std::fs::read_to_string(house.path("certificates/ER1.txt")).unwrap();
    assert!(file.contains("unfinished files were in it") && file.contains("SHA-256"), "{file}");
    let json = std::fs::read_to_string(house.path("certificates/ER1.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["state"], "pending");
    assert_eq!(json["here"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn late_news_of_an_erased_call_makes_no_row_and_a_late_recording_goes_too() {
    let house = House::new(Policy::default());
    house.call(1).await;
    house.erase(ErasureOf::Call(sid(1)), "ER1").await;
    let again = NewCall::unknown(sid(1), house.clock.reading());
    let now = house.clock.now();
    let news =
        StatusUpdate { call: again.clone(), end: None, ended_at: None, duration_s: None, now };
    let outcome = house.store.call_status(news).await.unwrap();
    assert_eq!(outcome, StatusOutcome { created: false, changed: false, ended: false });
    assert!(matches!(
        house.store.announce_call(again.clone(), None).await,
        Err(StoreError::Erased)
    ));
    let leg = NewCall { call_sid: sid(2), parent_call_sid: Some(sid(1)), ..again };
    let news = StatusUpdate { call: leg.clone(), end: None, ended_at: None, duration_s: None, now };
    assert!(!house.store.call_status(news).await.unwrap().changed);
    assert!(matches!(house.store.announce_call(leg, None).await, Err(StoreError::Erased)));
    let update = CloudUpdate {
        recording_sid: recording(7),
        call_sid: sid(1),
        status: "completed".to_owned(),
        channels: Some(2),
        duration_s: Some(1),
        source: None,
        track: None,
        started_at: None,
        error_code: None,
        at: house.clock.now(),
    };
    assert!(!house.store.cloud_recording(update.clone()).await.unwrap());
    house.store.cloud_recording(update).await.unwrap();
    assert!(house.store.call(&sid(1)).await.unwrap().is_none());
    let erasure = house.certificate("ER1").await;
    let expected = [("call", "pending"), ("recording", "pending")];
    assert_eq!(statuses(&erasure, Place::Twilio), expected);
}

#[tokio::test]
async fn a_held_or_live_call_is_not_erased_and_by_number_the_others_are() {
    let house = House::new(Policy::default());
    for n in 1..=3 {
        house.call(n).await;
    }
    let number = "+15550143";
    house.set_number(number);
    house.store.hold(sid(1), None, "anna".to_owned(), BORN).await.unwrap();
    let mut live = NewCall::unknown(sid(4), house.clock.reading());
    number.clone_into(&mut live.from_number);
    house.store.announce_call(live, None).await.unwrap();
    assert_eq!(house.erase(ErasureOf::Call(sid(1)), "ER1").await, Begun::Held);
    assert_eq!(house.erase(ErasureOf::Call(sid(4)), "ER1").await, Begun::Live);
    assert_eq!(house.erase(ErasureOf::Call(sid(9)), "ER1").await, Begun::Nothing);
    let of = ErasureOf::Number(number.to_owned());
    let found = house.store.erasable(of.clone()).await.unwrap();
    let kept: Vec<bool> = found.iter().map(|call| call.kept().is_some()).collect();
    assert_eq!(kept, [true, false, false, true]);
    assert_eq!(house.erase(of, "ER2").await, Begun::Begun);
    let erasure = house.certificate("ER2").await;
    assert_eq!(erasure.subject, "…0143");
    let kept: Vec<_> =
        erasure.items.iter().filter(|item| item.status == ItemStatus::Kept).collect();
    assert_eq!(kept.len(), 2);
    assert!(house.store.call(&sid(1)).await.unwrap().is_some());
    assert!(house.store.call(&sid(2)).await.unwrap().is_none());
    let page = as_text(&erasure);
    assert!(page.contains("…0143") && !page.contains(number), "{page}");
    assert!(house.audit("erase").iter().all(|detail| !detail.contains(number)));
}

#[tokio::test]
async fn work_under_way_is_waited_for_and_what_it_brings_goes_too() {
    let house = House::new(Policy::default());
    house.call(1).await;
    let claim = house.store.claim(Stage::Archive, house.clock.now()).await.unwrap().unwrap();
    assert_eq!(house.erase(ErasureOf::Call(sid(1)), "ER1").await, Begun::Begun);
    assert!(house.store.call(&sid(1)).await.unwrap().is_some(), "the archive is being written to");
    let again = house.erase(ErasureOf::Call(sid(1)), "ER2").await;
    assert_eq!(again, Begun::Already("ER1".to_owned()));
    let object = ArchiveObject {
        key: "recordings/late.wav".to_owned(),
        path: None,
        size_bytes: 7,
        sha256: "ab".repeat(32),
        etag: None,
    };
    let done = Settlement::Done(Output::Archived { objects: vec![object] });
    house.store.settle(claim, done, house.clock.now()).await.unwrap();
    assert!(house.store.claim(Stage::Delete, house.clock.now()).await.unwrap().is_none());
    assert_eq!(house.store.take_erasing(house.clock.now(), true).await.unwrap(), 1);
    house.keeper.erase_here().await.unwrap();
    let erasure = house.certificate("ER1").await;
    let objects: Vec<_> =
        erasure.items.iter().filter(|item| item.place == Place::Archive).collect();
    assert!(objects.iter().any(|item| item.name == "recordings/late.wav"));
    assert!(objects.iter().any(|item| item.name.ends_with("/manifest.json")));
    assert_eq!(house.on_disk(), 0);
}

#[tokio::test]
async fn a_transcript_that_is_being_made_is_dropped_with_its_call() {
    let house = House::new(Policy::default());
    let call = house.call(1).await;
    house.store.retry(sid(1), Some(Stage::Transcript), house.clock.now()).await.unwrap();
    house.make_due(Stage::Transcript);
    let claim = house.store.claim(Stage::Transcript, house.clock.now()).await.unwrap().unwrap();
    assert_eq!(house.erase(ErasureOf::Call(sid(1)), "ER1").await, Begun::Begun);
    assert!(house.store.call(&sid(1)).await.unwrap().is_none());
    let window = HeardWindow {
        path: "a.wav".to_owned(),
        from_sample: 0,
        to_sample: 1,
        found: "{}".to_owned(),
    };
    assert!(house.store.keep_heard(call, "m".to_owned(), window).await.is_err());
    house.store.settle(claim, Settlement::Done(said()), house.clock.now()).await.unwrap();
    assert!(house.store.transcript(&sid(1)).await.unwrap().is_none());
}
