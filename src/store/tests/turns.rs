//! Whose turn it is within a stage.

use super::*;

#[tokio::test]
async fn the_oldest_call_is_first_unless_others_go_before_it_and_then_the_newest_of_those() {
    let ledger = ledger();
    for n in 1..=4 {
        let id = ledger.store.stream_started(stream(n)).await.unwrap().call;
        let began = at(i64::from(n) * 1000);
        ledger.store.sound_began(id, (began, booted()), "recordings/x".to_owned()).unwrap();
        ledger.store.finish_call(finish(id, 502_400)).await.unwrap();
    }
    let (stage, now) = (Stage::Transcript, at(99_000));
    let looked_at = [sid(2), sid(3), sid(9)];
    let due = ledger.store.due_among(stage, &looked_at, now).await.unwrap();
    assert_eq!(due, Some(sid(3)));
    let mut order = Vec::new();
    while let Some(claim) = ledger.store.claim_first(stage, &looked_at, now).await.unwrap() {
        order.push(claim.call_sid().clone());
    }
    assert_eq!(order, [sid(3), sid(2), sid(1), sid(4)]);
    assert_eq!(ledger.store.due_among(stage, &looked_at, now).await.unwrap(), None);
}

#[tokio::test]
async fn a_claim_that_is_given_back_cost_no_attempt_and_is_due() {
    let ledger = ledger();
    ledger.finished(1).await;
    let claim = ledger.store.claim(Stage::Transcript, at(99_000)).await.unwrap().unwrap();
    ledger.store.settle(claim, Settlement::GivenBack, at(99_001)).await.unwrap();
    let row = ledger.row(1).await;
    assert_eq!((row.transcript_status, row.retry_count), (StageStatus::Pending, 0));
    assert_eq!(row.last_error, None);
    let claim = ledger.store.claim(Stage::Transcript, at(99_001)).await.unwrap().unwrap();
    assert_eq!(claim.attempt(), 1);
}
