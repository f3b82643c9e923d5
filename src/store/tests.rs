//! The ledger on a real file.

use std::time::Duration;

use super::*;
use crate::clock::{BootMoment, Reading};
use crate::domain::*;

mod clock;
mod cloud;
mod growing;
mod heard;
mod keeping;
mod kept;
mod notes;
mod orders;
mod own;
mod plans;
mod returning;
mod search;
mod turns;
mod upgrade;

fn sid(n: u8) -> CallSid {
    format!("CA{n:032x}").parse().unwrap()
}

fn at(ms: i64) -> UnixMillis {
    UnixMillis::new(1_790_000_000_000 + ms)
}

fn call(n: u8, status: &str, ms: i64) -> NewCall {
    NewCall {
        call_sid: sid(n),
        parent_call_sid: None,
        direction: Direction::Inbound,
        origin: Origin::Number,
        from_number: "+15550100".to_owned(),
        to_number: "+15550199".to_owned(),
        call_status: status.to_owned(),
        at: at(ms),
        boot: None,
        clock_synced: true,
        live_copy: true,
    }
}

fn status(n: u8, word: &str, end: Option<EndReason>, duration_s: Option<u32>) -> StatusUpdate {
    StatusUpdate { call: call(n, word, 70_000), end, ended_at: None, duration_s, now: at(70_000) }
}

/// What both clocks show.
fn reading(ms: i64) -> Reading {
    let since_boot = Duration::from_millis(u64::try_from(ms + 3_600_000).unwrap());
    let boot = BootMoment { boot_id: Some("boot".to_owned()), since_boot };
    Reading { at: at(ms), boot, synchronised: true }
}

fn booted() -> BootMoment {
    reading(500).boot
}

fn stream(n: u8) -> NewStream {
    NewStream {
        call: call(n, "in-progress", 500),
        stream_sid: format!("MZ{n:032x}").parse().unwrap(),
        verified: true,
        boot: booted(),
    }
}

fn finish(id: CallId, samples: u64) -> Finish {
    let track = |party: Party, rate: RateHz| NewTrack {
        party,
        source: TrackSource::Stream,
        rate,
        part_no: 1,
        path: format!("recordings/x/{}/{party}_{}Hz.wav", id.0, rate.get()),
        origin: Some(Samples8k::ZERO),
        lead: Samples8k::ZERO,
        samples: Samples8k::new(samples).at(rate),
        size_bytes: 44 + 2 * Samples8k::new(samples).at(rate),
        salvaged: false,
    };
    Finish {
        call: id,
        tracks: Party::ALL
            .iter()
            .flat_map(|p| [track(*p, RateHz::Hz8000), track(*p, RateHz::Hz16000)])
            .collect(),
        gaps: vec![GapRow {
            party: Party::Agent,
            source: TrackSource::Stream,
            start: Samples8k::new(800),
            end: Samples8k::new(960),
            reason: GapReason::Lost,
        }],
        reason: EndReason::Completed,
        ended_at: at(63_400),
        ended_boot: None,
        at: at(64_000),
        trouble: None,
    }
}

fn transcript() -> TranscriptRow {
    TranscriptRow {
        source: TrackSource::Stream,
        language: "en".to_owned(),
        model: "tiny.en-q8_0".to_owned(),
        dropped: 0,
        segments: vec![SegmentRow {
            party: Party::Technician,
            start_ms: 420,
            end_ms: 3100,
            text: "the capacitor is gone".to_owned(),
            confidence: 0.93,
            avg_logprob: -0.07,
            no_speech_prob: 0.01,
            words: vec![
                WordRow { text: "the".to_owned(), start_ms: 420, end_ms: 610 },
                WordRow { text: "\"capacitor\"".to_owned(), start_ms: 640, end_ms: 1400 },
            ],
        }],
    }
}

struct Ledger {
    store: Store,
    _folder: tempfile::TempDir,
}

fn ledger() -> Ledger {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
    Ledger { store, _folder: folder }
}

impl Ledger {
    async fn row(&self, n: u8) -> Call {
        self.store.call(&sid(n)).await.unwrap().unwrap().call
    }

    /// A call that ran its whole course up to a due transcript.
    async fn finished(&self, n: u8) -> CallId {
        let id = self.store.stream_started(stream(n)).await.unwrap().call;
        self.store.sound_began(id, (at(600), booted()), "recordings/x".to_owned()).unwrap();
        self.store.finish_call(finish(id, 502_400)).await.unwrap();
        id
    }
}

#[tokio::test]
async fn status_callbacks_in_any_order_and_number_end_in_the_same_row() {
    let words = [
        status(1, "initiated", None, None),
        status(1, "ringing", None, None),
        status(1, "in-progress", None, None),
        status(1, "completed", Some(EndReason::Completed), Some(63)),
    ];
    let mut ends = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [3, 0, 3, 1], [2, 3, 3, 0]] {
        let ledger = ledger();
        for index in order {
            ledger.store.call_status(words[index].clone()).await.unwrap();
        }
        let row = ledger.row(1).await;
        ends.push((row.call_status, row.end_reason, row.duration, row.transcript_status));
    }
    let want = (
        "completed".to_owned(),
        Some(EndReason::Completed),
        Some((63, DurationSource::Twilio)),
        StageStatus::Skipped,
    );
    assert!(ends.iter().all(|end| *end == want), "{ends:#?}");
}

#[tokio::test]
async fn a_call_that_nobody_took_has_nothing_to_write_down() {
    let ledger = ledger();
    ledger.store.announce_call(call(1, "ringing", 0), None).await.unwrap();
    let done = ledger
        .store
        .call_status(status(1, "no-answer", Some(EndReason::NoAnswer), Some(0)))
        .await
        .unwrap();
    assert!(done.ended && !done.created);
    let row = ledger.row(1).await;
    assert_eq!(row.duration, Some((70, DurationSource::CreatedAt)), "zero is no figure");
    assert_eq!(row.recording_status, RecordingStatus::Pending);
    assert_eq!(row.transcript_status, StageStatus::Skipped);
}

#[tokio::test]
async fn a_finished_call_has_its_files_its_gaps_a_length_and_a_due_transcript() {
    let ledger = ledger();
    let id = ledger.finished(1).await;
    ledger.store.finish_call(finish(id, 502_400)).await.unwrap();
    let detail = ledger.store.call(&sid(1)).await.unwrap().unwrap();
    assert_eq!(detail.tracks.len(), 4, "told twice is told once");
    assert_eq!(detail.gaps.len(), 1);
    assert_eq!(detail.call.recording_status, RecordingStatus::Completed);
    assert_eq!(detail.call.transcript_status, StageStatus::Pending);
    assert_eq!(detail.call.duration, Some((63, DurationSource::Timestamps)));
    assert_eq!(detail.call.folder.as_deref(), Some("recordings/x"));
    let late = status(1, "completed", Some(EndReason::Completed), Some(64));
    ledger.store.call_status(late).await.unwrap();
    assert_eq!(ledger.row(1).await.duration, Some((64, DurationSource::Twilio)));
}

#[tokio::test]
async fn a_call_with_any_sound_lasts_at_least_a_second() {
    let ledger = ledger();
    let id = ledger.store.stream_started(stream(1)).await.unwrap().call;
    ledger.store.sound_began(id, (at(600), booted()), "recordings/x".to_owned()).unwrap();
    let short = Finish { ended_at: at(640), ..finish(id, 160) };
    ledger.store.finish_call(short).await.unwrap();
    assert_eq!(ledger.row(1).await.duration, Some((1, DurationSource::Timestamps)));
}

#[tokio::test]
async fn a_stream_without_a_single_frame_is_a_failed_recording_in_plain_words() {
    let ledger = ledger();
    let id = ledger.store.stream_started(stream(1)).await.unwrap().call;
    let mut nothing = finish(id, 0);
    nothing.tracks.clear();
    nothing.gaps.clear();
    nothing.trouble = Some("Twilio opened a stream and sent no sound".to_owned());
    ledger.store.finish_call(nothing).await.unwrap();
    let row = ledger.row(1).await;
    assert_eq!(row.recording_status, RecordingStatus::Failed);
    assert_eq!(row.transcript_status, StageStatus::Skipped);
    assert_eq!(row.last_error.as_deref(), Some("Twilio opened a stream and sent no sound"));
}

#[tokio::test]
async fn a_token_is_good_once_and_for_ten_minutes() {
    let ledger = ledger();
    let store = &ledger.store;
    let id = store.announce_call(call(1, "ringing", 0), Some("aa".to_owned())).await.unwrap();
    store.announce_call(call(1, "ringing", 0), Some("bb".to_owned())).await.unwrap();
    let spend = |hash: &str, ms| store.spend_token(hash.to_owned(), sid(1), reading(ms));
    assert_eq!(spend("cc", 1).await.unwrap(), TokenVerdict::Unknown);
    let stolen = store.spend_token("aa".to_owned(), sid(2), reading(1)).await.unwrap();
    assert_eq!(stolen, TokenVerdict::Unknown, "another call's");
    assert_eq!(spend("aa", 1).await.unwrap(), TokenVerdict::Good(id));
    assert_eq!(spend("aa", 2).await.unwrap(), TokenVerdict::Spent);
    assert_eq!(spend("bb", 600_001).await.unwrap(), TokenVerdict::Expired);
}

#[tokio::test]
async fn an_attempt_is_counted_when_it_is_claimed_and_only_one_worker_gets_it() {
    let ledger = ledger();
    ledger.finished(1).await;
    let claim = ledger.store.claim(Stage::Transcript, at(64_000)).await.unwrap().unwrap();
    assert_eq!((claim.attempt(), claim.call_sid()), (1, &sid(1)));
    assert!(ledger.store.claim(Stage::Transcript, at(99_000)).await.unwrap().is_none());
    let row = ledger.row(1).await;
    assert_eq!((row.transcript_status, row.retry_count), (StageStatus::Processing, 0));
    drop(claim); // as a crash would
    assert_eq!(
        ledger.store.put_back_claims(2, std::time::Duration::ZERO, at(70_000)).await.unwrap(),
        1
    );
    assert_eq!(ledger.row(1).await.retry_count, 1, "the attempt it took down counts");
    let claim = ledger.store.claim(Stage::Transcript, at(70_000)).await.unwrap().unwrap();
    assert_eq!(claim.attempt(), 2);
    drop(claim);
    ledger.store.put_back_claims(2, std::time::Duration::ZERO, at(71_000)).await.unwrap();
    let row = ledger.row(1).await;
    assert_eq!(row.transcript_status, StageStatus::Failed, "it cannot loop for ever");
    assert!(row.last_error.unwrap().contains("stopped"));
    let retried = ledger.store.retry(sid(1), Some(Stage::Transcript), at(72_000)).await.unwrap();
    assert_eq!(retried, Retried::Queued(vec![Stage::Transcript]));
    let again = ledger.store.retry(sid(1), None, at(72_000)).await.unwrap();
    assert_eq!(again, Retried::NothingFailed);
    assert_eq!(ledger.store.retry(sid(9), None, at(0)).await.unwrap(), Retried::UnknownCall);
}

#[tokio::test]
async fn settling_writes_the_result_and_the_status_together() {
    let ledger = ledger();
    ledger.finished(1).await;
    let claim = ledger.store.claim(Stage::Transcript, at(64_000)).await.unwrap().unwrap();
    let later = Settlement::Later {
        why: "no model".to_owned(),
        waiting_for: Some(WaitingFor::Model),
        at: at(65_000),
        counted: false,
    };
    ledger.store.settle(claim, later, at(64_100)).await.unwrap();
    let row = ledger.row(1).await;
    assert_eq!((row.retry_count, row.waiting_for), (0, Some(WaitingFor::Model)), "given back");
    assert!(ledger.store.claim(Stage::Transcript, at(64_900)).await.unwrap().is_none());
    assert_eq!(ledger.store.next_due(Stage::Transcript).await.unwrap(), Some(at(65_000)));
    let claim = ledger.store.claim(Stage::Transcript, at(65_000)).await.unwrap().unwrap();
    let spent = vec![format!("recordings/x/{}/agent_16000Hz.wav", claim.call().0)];
    let done = Settlement::Done(Output::Transcript { transcript: transcript(), spent });
    ledger.store.settle(claim, done, at(66_000)).await.unwrap();
    let row = ledger.row(1).await;
    assert_eq!((row.transcript_status, row.last_error), (StageStatus::Completed, None));
    assert_eq!(ledger.store.transcript(&sid(1)).await.unwrap().unwrap(), transcript());
    let left = ledger.store.backlog().await.unwrap();
    let left: Vec<Stage> = left.iter().map(|row| row.stage).collect();
    assert_eq!(left, [Stage::Archive, Stage::Summary], "it is time for them now");
    let garbage = ledger.store.garbage().await.unwrap();
    assert_eq!(garbage.len(), 1, "the row of a file goes before the file does");
    assert_eq!(ledger.store.call(&sid(1)).await.unwrap().unwrap().tracks.len(), 3);
    ledger.store.forget_garbage(garbage[0].clone(), at(80_000)).await.unwrap();
    assert!(ledger.store.garbage().await.unwrap().is_empty());
}

#[tokio::test]
async fn recording_callbacks_are_kept_whatever_the_order_even_before_their_call() {
    let ledger = ledger();
    let word = |status: &str, ms| CloudUpdate {
        recording_sid: format!("RE{}", "7".repeat(32)).parse().unwrap(),
        call_sid: sid(1),
        status: status.to_owned(),
        channels: Some(2),
        duration_s: (status == "completed").then_some(63),
        source: Some("StartCallRecordingTwiML".to_owned()),
        track: Some("both".to_owned()),
        started_at: Some(at(100)),
        error_code: None,
        at: at(ms),
    };
    assert!(ledger.store.cloud_recording(word("completed", 1)).await.unwrap());
    assert!(!ledger.store.cloud_recording(word("in-progress", 2)).await.unwrap(), "late");
    assert!(!ledger.store.cloud_recording(word("completed", 3)).await.unwrap(), "repeated");
    ledger.store.announce_call(call(1, "ringing", 10), None).await.unwrap();
    let detail = ledger.store.call(&sid(1)).await.unwrap().unwrap();
    assert_eq!(detail.cloud_recordings[0].status, "completed");
    assert_eq!(detail.cloud_recordings[0].duration_s, Some(63));
    assert_eq!(detail.call.recording_status, RecordingStatus::Recording, "not here yet");
}

#[tokio::test]
async fn calls_are_listed_newest_first_in_pages_that_do_not_shift() {
    let ledger = ledger();
    for n in 1..=5 {
        ledger.store.announce_call(call(n, "ringing", i64::from(n) * 10), None).await.unwrap();
    }
    let mut child = call(6, "ringing", 60);
    child.parent_call_sid = Some(sid(1));
    ledger.store.announce_call(child, None).await.unwrap();
    let first = ledger.store.calls(CallFilter::default(), None, 2).await.unwrap();
    ledger.store.announce_call(call(7, "ringing", 90), None).await.unwrap();
    let cursor = Cursor::from_text(&first.next.unwrap().to_text()).unwrap();
    let second = ledger.store.calls(CallFilter::default(), Some(cursor), 10).await.unwrap();
    let sids: Vec<CallSid> =
        first.calls.iter().chain(&second.calls).map(|call| call.call_sid.clone()).collect();
    assert_eq!(sids, [sid(5), sid(4), sid(3), sid(2), sid(1)]);
    assert!(second.next.is_none());
    let none = CallFilter { number: Some("+1".to_owned()), ..CallFilter::default() };
    assert!(ledger.store.calls(none, None, 10).await.unwrap().calls.is_empty());
}

#[tokio::test]
async fn the_audit_trail_cannot_be_changed() {
    let ledger = ledger();
    let entry = AuditEntry {
        at: at(0),
        actor: "local".to_owned(),
        action: "play".to_owned(),
        call_sid: Some(sid(1)),
        detail: None,
    };
    ledger.store.audit(entry).await.unwrap();
    let refused =
        ledger.store.write(|tx| Ok(tx.execute("delete from audit", [])?)).await.unwrap_err();
    assert!(refused.to_string().contains("append only"), "{refused}");
}

#[tokio::test]
async fn a_call_nobody_speaks_of_any_more_is_ended() {
    let ledger = ledger();
    ledger.store.announce_call(call(1, "in-progress", 0), None).await.unwrap();
    ledger.store.announce_call(call(2, "in-progress", 9_000_000), None).await.unwrap();
    let ended =
        ledger.store.end_stale_calls(Duration::from_secs(9999), reading(10_000_000)).await.unwrap();
    assert_eq!(ended, 1);
    assert!(!ledger.row(1).await.is_live() && ledger.row(2).await.is_live());
}
