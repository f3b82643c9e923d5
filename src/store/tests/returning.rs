//! Calls whose sound comes back, or comes at last.

use super::*;

#[tokio::test]
async fn an_interrupted_call_is_live_again_when_its_stream_returns() {
    let ledger = ledger();
    let id = ledger.finished(1).await;
    ledger.store.announce_call(call(2, "ringing", 0), None).await.unwrap();
    let cut = Finish { call: id, reason: EndReason::Interrupted, ..finish(id, 502_400) };
    let other = ledger.store.stream_started(stream(2)).await.unwrap().call;
    ledger.store.finish_call(Finish { call: other, tracks: vec![], ..cut }).await.unwrap();
    assert_eq!(ledger.row(2).await.end_reason, Some(EndReason::Interrupted));
    let again = NewStream { stream_sid: format!("MZ{:032x}", 99).parse().unwrap(), ..stream(2) };
    ledger.store.stream_started(again).await.unwrap();
    let row = ledger.row(2).await;
    assert!(row.is_live());
    assert_eq!(row.recording_status, RecordingStatus::Recording);
    let open = ledger.store.open_calls().await.unwrap();
    assert_eq!(open.iter().map(|call| call.call_sid.clone()).collect::<Vec<_>>(), [sid(2)]);
}

#[tokio::test]
async fn a_call_sealed_again_while_its_words_are_written_down_is_due_again() {
    let ledger = ledger();
    let id = ledger.finished(1).await;
    let claim = ledger.store.claim(Stage::Transcript, at(64_000)).await.unwrap().unwrap();
    let mut second = finish(id, 8_000);
    for track in &mut second.tracks {
        track.part_no = 2;
        track.path = track.path.replace("Hz", "-2Hz");
    }
    ledger.store.finish_call(second).await.unwrap();
    let done = |spent| Settlement::Done(Output::Transcript { transcript: transcript(), spent });
    ledger.store.settle(claim, done(Vec::new()), at(66_000)).await.unwrap();
    assert_eq!(ledger.row(1).await.transcript_status, StageStatus::Pending);
    let claim = ledger.store.claim(Stage::Transcript, at(66_000)).await.unwrap().unwrap();
    ledger.store.settle(claim, done(Vec::new()), at(67_000)).await.unwrap();
    assert_eq!(ledger.row(1).await.transcript_status, StageStatus::Completed);
}

#[tokio::test]
async fn a_copy_at_twilio_that_is_heard_of_after_the_end_is_not_passed_over() {
    let ledger = ledger();
    let end = status(1, "completed", Some(EndReason::Completed), Some(63));
    ledger.store.call_status(end).await.unwrap();
    assert_eq!(ledger.row(1).await.transcript_status, StageStatus::Skipped, "nothing was heard");
    let word = |word: &str| CloudUpdate {
        recording_sid: format!("RE{}", "7".repeat(32)).parse().unwrap(),
        call_sid: sid(1),
        status: word.to_owned(),
        channels: Some(2),
        duration_s: None,
        source: None,
        track: None,
        started_at: None,
        error_code: None,
        at: at(80_000),
    };
    ledger.store.cloud_recording(word("in-progress")).await.unwrap();
    let row = ledger.row(1).await;
    let statuses = [row.transcript_status, row.summary_status, row.archive_status];
    assert_eq!(statuses, [StageStatus::Pending; 3], "there will be sound");
    ledger.store.cloud_recording(word("absent")).await.unwrap();
    let row = ledger.row(1).await;
    assert_eq!(row.recording_status, RecordingStatus::Failed);
    assert_eq!(row.transcript_status, StageStatus::Skipped, "there will be none after all");
    assert!(row.last_error.unwrap().contains("Twilio made no recording"));
}
