//! Calls that the office orders, and the legs of calls.

use super::*;

const KEY: &str = "key-of-the-order";

fn ordered(n: u8, ms: i64) -> NewCall {
    NewCall {
        direction: Direction::Outbound,
        origin: Origin::Rest,
        from_number: "+15550199".to_owned(),
        to_number: "+15550100".to_owned(),
        ..call(n, "queued", ms)
    }
}

fn told(n: u8, word: &str, end: Option<EndReason>, duration_s: Option<u32>) -> StatusUpdate {
    let call = NewCall { call_status: word.to_owned(), ..ordered(n, 3000) };
    StatusUpdate { call, end, ended_at: None, duration_s, now: at(70_000) }
}

async fn order(ledger: &Ledger) {
    let done = ledger.store.order_call(ordered(1, 0), KEY.to_owned(), booted()).await.unwrap();
    assert_eq!(done, Ordered::Now);
}

async fn rows(ledger: &Ledger) -> Vec<CallSid> {
    let page = ledger.store.calls(CallFilter::default(), None, 10).await.unwrap();
    page.calls.into_iter().map(|call| call.call_sid).collect()
}

#[tokio::test]
async fn an_order_takes_the_name_that_twilio_has_for_it_and_stays_one_row() {
    let ledger = ledger();
    order(&ledger).await;
    for _ in 0..2 {
        ledger.store.order_placed(KEY.to_owned(), sid(2)).await.unwrap();
    }
    assert_eq!(rows(&ledger).await, [sid(2)]);
    let by_first = ledger.store.call(&sid(1)).await.unwrap().unwrap();
    assert_eq!(by_first.call.call_sid, sid(2), "the page that was opened first leads there");
    ledger
        .store
        .call_status(told(2, "completed", Some(EndReason::Completed), Some(9)))
        .await
        .unwrap();
    let row = ledger.row(2).await;
    assert_eq!(row.duration, Some((9, DurationSource::Twilio)));
    ledger.store.order_placed(KEY.to_owned(), sid(3)).await.unwrap();
    assert_eq!(rows(&ledger).await, [sid(2)], "the first name stands");
}

#[tokio::test]
async fn news_that_came_before_the_name_was_known_is_the_same_call() {
    let ledger = ledger();
    // A webhook without the key came first, of a call that is unlike the order.
    ledger.store.announce_call(call(2, "in-progress", 500), None).await.unwrap();
    order(&ledger).await;
    ledger.store.order_placed(KEY.to_owned(), sid(2)).await.unwrap();
    assert_eq!(rows(&ledger).await, [sid(2)]);
    assert_eq!(ledger.row(2).await.created_at, at(0), "since it was ordered");
}

#[tokio::test]
async fn what_twilios_lists_tell_of_an_ordered_call_finds_its_row_and_another_does_not() {
    let ledger = ledger();
    order(&ledger).await;
    ledger.store.order_unanswered(KEY.to_owned(), "nobody knows".to_owned()).await.unwrap();
    assert_eq!(ledger.row(1).await.last_error.as_deref(), Some("nobody knows"));
    let far = NewCall { to_number: "+15550177".to_owned(), ..ordered(3, 1000) };
    let later = ordered(4, 600_000);
    let incoming = call(5, "ringing", 1000);
    for other in [far, later, incoming] {
        ledger.store.announce_call(other, None).await.unwrap();
    }
    assert_eq!(rows(&ledger).await.len(), 4);
    ledger.store.call_status(told(2, "busy", Some(EndReason::Busy), None)).await.unwrap();
    let row = ledger.row(2).await;
    assert_eq!((row.end_reason, row.last_error), (Some(EndReason::Busy), None));
    assert_eq!(rows(&ledger).await.len(), 4, "one call, one row");
}

#[tokio::test]
async fn an_order_that_a_stop_cut_off_is_settled_by_who_has_read_twilios_lists() {
    let ledger = ledger();
    order(&ledger).await;
    assert_eq!(ledger.store.settle_orders(reading(60_000)).await.unwrap(), 0, "it is too young");
    assert_eq!(ledger.store.settle_orders(reading(600_000)).await.unwrap(), 1);
    let row = ledger.row(1).await;
    assert_eq!((row.call_status.as_str(), row.end_reason), ("failed", Some(EndReason::Failed)));
    assert!(row.last_error.unwrap().contains("nobody was rung"));
    assert_eq!(row.transcript_status, StageStatus::Skipped);
    // It rang after all.
    ledger.store.order_placed(KEY.to_owned(), sid(2)).await.unwrap();
    ledger.store.call_status(told(2, "in-progress", None, None)).await.unwrap();
    let row = ledger.row(2).await;
    assert!(row.is_live() && row.last_error.is_none(), "{row:?}");
}

#[tokio::test]
async fn the_same_number_is_not_rung_while_it_rings_or_may_ring() {
    let ledger = ledger();
    order(&ledger).await;
    let again = async |n, ms, key: &str| {
        ledger.store.order_call(ordered(n, ms), key.to_owned(), booted()).await.unwrap()
    };
    assert_eq!(again(5, 1000, "b").await, Ordered::Before(sid(1)));
    ledger.store.order_placed(KEY.to_owned(), sid(2)).await.unwrap();
    assert_eq!(again(5, 1000, "b").await, Ordered::Before(sid(2)));
    // Its end was never told.
    assert_eq!(again(6, 600_000, "c").await, Ordered::Now);
    ledger
        .store
        .order_failed("c".to_owned(), "no line".to_owned(), reading(601_000))
        .await
        .unwrap();
    assert_eq!(again(7, 602_000, "d").await, Ordered::Now);
    assert_eq!(ledger.row(6).await.last_error.as_deref(), Some("no line"));
}

#[tokio::test]
async fn a_leg_has_no_row_of_its_own_and_its_end_and_length_are_not_the_calls() {
    let ledger = ledger();
    let leg = |word: &str, end, duration_s| {
        let mut update = status(7, word, end, duration_s);
        update.call.parent_call_sid = Some(sid(1));
        update.call.to_number = "+15550142".to_owned();
        update
    };
    // Twilio's list tells of the leg before its call.
    assert!(ledger.store.call_status(leg("ringing", None, None)).await.unwrap().changed);
    ledger.store.announce_call(call(1, "in-progress", 0), None).await.unwrap();
    ledger.store.call_status(leg("in-progress", None, None)).await.unwrap();
    let over = leg("completed", Some(EndReason::Completed), Some(5));
    assert!(ledger.store.call_status(over.clone()).await.unwrap().changed);
    assert!(!ledger.store.call_status(over).await.unwrap().changed, "repeated");
    assert!(!ledger.store.call_status(leg("ringing", None, None)).await.unwrap().changed, "late");
    let detail = ledger.store.call(&sid(1)).await.unwrap().unwrap();
    assert!(detail.call.is_live() && detail.call.duration.is_none(), "the call goes on");
    assert_eq!(detail.call.call_status, "in-progress");
    let [leg] = &detail.legs[..] else { panic!("{:?}", detail.legs) };
    assert_eq!((leg.call_status.as_str(), leg.duration_s), ("completed", Some(5)));
    assert!(leg.answered_at.is_some());
    assert_eq!(rows(&ledger).await, [sid(1)]);
    // A recording that is told of under the leg's name is the call's, and so is a stream.
    let recording = CloudUpdate {
        recording_sid: format!("RE{:032x}", 1).parse().unwrap(),
        call_sid: sid(7),
        status: "in-progress".to_owned(),
        channels: Some(2),
        duration_s: None,
        source: None,
        track: None,
        started_at: None,
        error_code: None,
        at: at(2),
    };
    ledger.store.cloud_recording(recording).await.unwrap();
    let place = ledger.store.stream_started(stream(7)).await.unwrap();
    let detail = ledger.store.call(&sid(7)).await.unwrap().unwrap();
    assert_eq!((detail.call.call_sid, detail.call.id), (sid(1), place.call));
    assert_eq!(detail.cloud_recordings.len(), 1);
}

#[tokio::test]
async fn of_a_call_that_was_declined_nothing_of_twilios_is_fetched() {
    let ledger = ledger();
    let stamp = Stamp {
        how: "said",
        sha256: "ab".repeat(32),
        language: Some("en-US".to_owned()),
        voice: None,
    };
    let given = Given { token_hash: Some("aa".to_owned()), stamp: Some(stamp) };
    ledger.store.announce_call(call(1, "in-progress", 0), given).await.unwrap();
    ledger.store.declined(call(1, "in-progress", 4000)).await.unwrap();
    let spent = ledger.store.spend_token("aa".to_owned(), sid(1), reading(5000)).await.unwrap();
    assert_eq!(spent, TokenVerdict::Unknown, "no stream of it is taken");
    let recording = CloudUpdate {
        recording_sid: format!("RE{:032x}", 1).parse().unwrap(),
        call_sid: sid(1),
        status: "completed".to_owned(),
        channels: Some(2),
        duration_s: Some(3),
        source: Some("Trunking".to_owned()),
        track: None,
        started_at: None,
        error_code: None,
        at: at(2),
    };
    ledger.store.cloud_recording(recording).await.unwrap();
    ledger
        .store
        .call_status(status(1, "completed", Some(EndReason::Completed), Some(9)))
        .await
        .unwrap();
    ledger.store.settle_unheard(Duration::ZERO, reading(9_000_000)).await.unwrap();
    let detail = ledger.store.call(&sid(1)).await.unwrap().unwrap();
    assert_eq!(detail.call.declined_at, Some(at(4000)));
    assert_eq!(detail.call.recording_status, RecordingStatus::Pending, "there was to be none");
    assert!(
        // Its summary says that there is nothing, and why.
        detail
            .stages
            .iter()
            .all(|row| { row.status == StageStatus::Skipped || row.stage == Stage::Summary }),
        "{:?}",
        detail.stages
    );
    let [told] = &detail.announcements[..] else { panic!("{:?}", detail.announcements) };
    assert_eq!((told.place_ms, told.how.as_str(), &told.leg), (0, "said", &sid(1)));
}
