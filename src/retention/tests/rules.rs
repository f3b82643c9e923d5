//! Days, room, the clock, and what others have to say first.

use super::house::*;
use crate::clock::Clock as _;
use crate::domain::*;
use crate::retention::*;
use crate::store::*;

fn days(audio: u32) -> Policy {
    Policy { audio: Some(DAY * audio), ..Policy::default() }
}

#[tokio::test]
async fn what_is_past_its_days_goes_with_a_row_in_the_audit_trail_and_nothing_is_left_of_it() {
    let house = House::new(days(30));
    house.call(1).await;
    house.archive(1).await;
    house.pass(29 * DAY).await;
    assert_eq!(house.files(1).await.len(), 4, "not yet");
    house.pass(2 * DAY).await;
    house.pass(HOUR).await;
    assert_eq!((house.files(1).await.len(), house.on_disk()), (0, 0));
    assert!(house.store.garbage().await.unwrap().is_empty());
    let audit = house.audit("purge");
    assert_eq!(audit.len(), 1);
    assert!(
        audit[0].contains("\"why\":\"expired\"") && audit[0].contains("\"rests_on\":\"archive\"")
    );
    let call = house.store.call(&sid(1)).await.unwrap().unwrap().call;
    assert!(call.sound_purged_at.is_some() && call.words_purged_at.is_none());
    assert!(house.store.transcript(&sid(1)).await.unwrap().is_some(), "its words stay");
}

#[tokio::test]
async fn only_copies_stay_until_the_configuration_says_otherwise() {
    for (only_copies, left) in [(OnlyCopies::Keep, 2), (OnlyCopies::WhenExpired, 0)] {
        let house = House::new(Policy { only_copies, ..days(30) });
        house.call(1).await;
        house.settle(Stage::Archive, Output::Archived { objects: vec![] }).await;
        house.pass(31 * DAY).await;
        house.pass(HOUR).await;
        assert_eq!(house.files(1).await.len(), left, "{only_copies:?}");
    }
}

#[tokio::test]
async fn nothing_goes_while_the_clock_is_not_synchronised_or_has_just_jumped() {
    let house = House::new(days(30));
    house.call(1).await;
    house.archive(1).await;
    house.pass(HOUR).await;
    let ten_years = house.clock.now().plus(3650 * DAY);
    house.clock.jump_to(ten_years, false);
    house.pass(2 * HOUR).await;
    assert_eq!(house.files(1).await.len(), 4, "nobody knows what time it is");
    assert!(house.keeper.purge("anna", u64::MAX).await.unwrap().is_none(), "not even if asked");
    let forecast = house.keeper.forecast(0).await.unwrap();
    assert!(forecast.clock.unwrap().contains("not synchronised"));
    house.clock.jump_to(ten_years, true);
    house.keeper.look().await.unwrap();
    house.keeper.tidy().await.unwrap();
    assert_eq!(house.files(1).await.len(), 4, "it says so for no time yet");
}

#[tokio::test]
async fn a_held_call_stays_whatever_is_wanted_until_it_is_released() {
    let house = House::new(days(1));
    house.call(1).await;
    house.archive(1).await;
    house.store.hold(sid(1), None, "anna".to_owned(), BORN).await.unwrap();
    house.pass(40 * DAY).await;
    house.pass(HOUR).await;
    house.keeper.purge("anna", u64::MAX).await.unwrap().unwrap();
    assert_eq!(house.files(1).await.len(), 4);
    house.store.release(sid(1), "anna".to_owned(), BORN).await.unwrap();
    house.keeper.purge("anna", 0).await.unwrap().unwrap();
    assert_eq!(house.files(1).await.len(), 0);
}

#[tokio::test]
async fn a_person_gets_the_room_asked_for_in_order_and_the_forecast_says_the_same() {
    let house = House::new(Policy::default());
    for n in 1..=2 {
        house.call(n).await;
        house.archive(n).await;
        house.clock.advance(HOUR);
    }
    let forecast = house.keeper.forecast(1).await.unwrap();
    let done = house.keeper.purge("anna", 1).await.unwrap().unwrap();
    assert_eq!(done.freed_bytes, forecast.plan.freed_bytes());
    assert_eq!(
        house.files(1).await,
        ["agent_8000Hz.wav", "technician_16000Hz.wav", "technician_8000Hz.wav"]
    );
    house.keeper.purge("anna", 300).await.unwrap().unwrap();
    assert_eq!(house.files(1).await, ["agent_8000Hz.wav", "technician_8000Hz.wav"]);
    assert_eq!(house.files(2).await.len(), 2, "what is made again goes of all calls first");
    house.keeper.purge("anna", 1).await.unwrap().unwrap();
    assert_eq!(house.files(1).await, ["technician_8000Hz.wav"], "then what the archive has");
    assert_eq!(house.audit("purge").len(), 4);
}

#[tokio::test]
async fn what_the_archive_lost_is_archived_again_and_who_cannot_be_asked_keeps_it_here() {
    let house = House::new(days(1));
    house.call(1).await;
    house.archive(1).await;
    house.call(2).await;
    house.archive(2).await;
    house.clock.advance(2 * DAY);
    house.far.lock().unwrap().silent = true;
    let done = house.keeper.purge("anna", 0).await.unwrap().unwrap();
    assert_eq!(done.withheld.len(), 4, "two files of two calls");
    assert!(done.withheld.iter().all(|piece| piece.why == "nobody answers"), "{done:?}");
    assert_eq!(house.files(1).await, ["agent_8000Hz.wav", "technician_8000Hz.wav"]);
    house.far.lock().unwrap().silent = false;
    house.far.lock().unwrap().archive.retain(|key, _| !key.contains(sid(1).as_str()));
    house.keeper.purge("anna", 0).await.unwrap().unwrap();
    assert_eq!(house.files(1).await.len(), 2, "it is all there is");
    assert_eq!(house.files(2).await.len(), 0);
    let call = house.store.call(&sid(1)).await.unwrap().unwrap().call;
    assert_eq!(call.archive_status, StageStatus::Pending, "and goes there again");
}

#[tokio::test]
async fn a_damaged_file_is_no_reason_to_let_the_good_one_go() {
    let house = House::new(Policy::default());
    house.call(1).await;
    house.settle(Stage::Archive, Output::Archived { objects: vec![] }).await;
    let detail = house.store.call(&sid(1)).await.unwrap().unwrap();
    let narrow = detail.tracks.iter().find(|track| track.rate == RateHz::Hz8000).unwrap();
    let file = house.path(&narrow.path);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let done = house.keeper.purge("anna", u64::MAX).await.unwrap().unwrap();
    assert_eq!(done.withheld.len(), 1);
    assert!(done.withheld[0].why.contains("not what was recorded"), "{done:?}");
    let expected = ["agent_16000Hz.wav", "agent_8000Hz.wav", "technician_8000Hz.wav"];
    assert_eq!(house.files(1).await, expected);
}

#[tokio::test]
async fn recordings_take_up_no_more_than_max_bytes() {
    let house = House::new(Policy { max_bytes: Some(1200), ..Policy::default() });
    for n in 1..=4 {
        house.call(n).await;
        house.archive(n).await;
        house.clock.advance(HOUR);
    }
    assert!(house.store.kept_bytes().await.unwrap() > 1200);
    house.keeper.look().await.unwrap();
    house.keeper.tidy().await.unwrap();
    let kept = house.store.kept_bytes().await.unwrap();
    assert!(kept <= 1200, "{kept}");
    assert!(!house.files(4).await.is_empty(), "the newest stay longest");
}

#[tokio::test]
async fn when_most_of_everything_is_past_its_days_at_once_a_person_has_to_say_so() {
    let house = House::new(days(1));
    for n in 1..=60 {
        house.call(n).await;
        house.archive(n).await;
    }
    house.pass(40 * DAY).await;
    house.pass(HOUR).await;
    assert_eq!(house.files(7).await.len(), 4);
    assert_eq!(house.keeper.seen().bulk, Some(240));
    let done = house.keeper.purge("anna", 0).await.unwrap().unwrap();
    assert_eq!((done.pieces, house.on_disk(), house.keeper.seen().bulk), (240, 0, None));
}

#[tokio::test]
async fn twilios_copy_that_went_from_here_is_not_fetched_again_and_not_deleted_there() {
    let house = House::new(Policy::default());
    let call = house.call(1).await;
    let update = CloudUpdate {
        recording_sid: recording(1),
        call_sid: sid(1),
        status: "completed".to_owned(),
        channels: Some(2),
        duration_s: Some(1),
        source: None,
        track: None,
        started_at: None,
        error_code: None,
        at: BORN,
    };
    house.store.cloud_recording(update.clone()).await.unwrap();
    let folder = house.store.call(&sid(1)).await.unwrap().unwrap().call.folder.unwrap();
    let path = format!("{folder}/cloud_{}.wav", recording(1));
    std::fs::write(house.path(&path), "twilio").unwrap();
    let fetched = Fetched {
        recording_sid: recording(1),
        path: path.clone(),
        size_bytes: 6,
        sha256: house.vault.hash(&path.parse().unwrap()).unwrap(),
        channels: 2,
        frames: 1,
        rate_hz: 8000,
    };
    house.store.recording_fetched(fetched, BORN).await.unwrap();
    house.settle(Stage::Fetch, Output::Fetched).await;
    let split = Split { recordings: vec![(recording(1), Some(0))], ..Split::default() };
    house.settle(Stage::Split, Output::Split(split)).await;
    house.settle(Stage::Transcript, said()).await;
    house.settle(Stage::Archive, Output::Archived { objects: vec![] }).await;
    house.settle(Stage::Delete, Output::Deleted).await;
    house.far.lock().unwrap().twilio.insert(recording(1));
    house.keeper.purge("anna", u64::MAX).await.unwrap().unwrap();
    assert!(!house.path(&path).exists());
    let detail = house.store.call(&sid(1)).await.unwrap().unwrap();
    assert!(detail.cloud_recordings[0].purged_at.is_some());
    assert_eq!(house.files(1).await.len(), 2);
    let later = CloudUpdate { duration_s: Some(2), at: BORN.plus(HOUR), ..update };
    house.store.cloud_recording(later).await.unwrap();
    assert!(house.store.claim(Stage::Fetch, BORN.plus(DAY)).await.unwrap().is_none());
    let _ = call;
}
