//! Twilio's copies: news of them in any order, the stages that follow, what they fill.

use super::*;

pub(super) fn recording(n: u8, status: &str) -> CloudUpdate {
    CloudUpdate {
        recording_sid: rec(n),
        call_sid: sid(n),
        status: status.to_owned(),
        channels: (status == "completed").then_some(2),
        duration_s: (status == "completed").then_some(63),
        source: Some("StartCallRecordingTwiML".to_owned()),
        track: None,
        started_at: Some(at(100)),
        error_code: None,
        at: at(65_000),
    }
}

pub(super) fn rec(n: u8) -> RecordingSid {
    format!("RE{n:032x}").parse().unwrap()
}

pub(super) fn fetched(n: u8) -> Fetched {
    Fetched {
        recording_sid: rec(n),
        path: format!("recordings/x/{n}/cloud.wav"),
        size_bytes: 2_016_044,
        sha256: "ab".repeat(32),
        channels: 2,
        frames: 504_000,
        rate_hz: 8000,
    }
}

pub(super) async fn stages(store: &Store, n: u8) -> Vec<(Stage, StageStatus)> {
    let detail = store.call(&sid(n)).await.unwrap().unwrap();
    detail.stages.iter().map(|row| (row.stage, row.status)).collect()
}

pub(super) async fn settle(store: &Store, stage: Stage, settlement: Settlement) {
    let claim = store.claim(stage, at(90_000)).await.unwrap().expect("it is due");
    store.settle(claim, settlement, at(90_000)).await.unwrap();
}

pub(super) async fn heard(store: &Store, n: u8) -> CallId {
    let id = store.announce_call(call(n, "in-progress", 0), None).await.unwrap();
    store.finish_call(finish(id, 8000)).await.unwrap();
    store.call_status(status(n, "completed", Some(EndReason::Completed), Some(63))).await.unwrap();
    id
}

#[tokio::test]
async fn each_stage_makes_the_next_one_due_down_to_the_deletion() {
    use StageStatus::{Completed, Pending, Skipped};
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
    heard(&store, 1).await;
    store.cloud_recording(recording(1, "completed")).await.unwrap();
    assert!(!store.cloud_recording(recording(1, "completed")).await.unwrap(), "it is known");
    assert!(!store.cloud_recording(recording(1, "in-progress")).await.unwrap(), "it is past");

    let output = Output::Transcript { transcript: transcript(), spent: vec![] };
    settle(&store, Stage::Transcript, Settlement::Done(output)).await;
    assert!(
        !stages(&store, 1).await.iter().any(|(stage, _)| *stage == Stage::Archive),
        "the archive waits for what is still on its way"
    );
    store.recording_fetched(fetched(1), at(80_000)).await.unwrap();
    settle(&store, Stage::Fetch, Settlement::Done(Output::Fetched)).await;
    let split = Split {
        recordings: vec![(rec(1), Some(-4_500))],
        fills: vec![Fill {
            recording_sid: rec(1),
            party: Party::Agent,
            start: Samples8k::new(800),
            end: Samples8k::new(900),
        }],
        ..Split::default()
    };
    settle(&store, Stage::Split, Settlement::Done(Output::Split(split))).await;
    let output = Output::Transcript { transcript: transcript(), spent: vec![] };
    settle(&store, Stage::Transcript, Settlement::Done(output)).await;
    settle(&store, Stage::Archive, Settlement::Done(Output::Archived { objects: vec![] })).await;
    settle(&store, Stage::Delete, Settlement::Nothing).await;
    assert_eq!(
        stages(&store, 1).await,
        [
            (Stage::Fetch, Completed),
            (Stage::Split, Completed),
            (Stage::Transcript, Completed),
            (Stage::Summary, Pending),
            (Stage::Archive, Completed),
            (Stage::Delete, Skipped),
        ]
    );
    let detail = store.call(&sid(1)).await.unwrap().unwrap();
    let gaps: Vec<_> = detail.gaps.iter().map(|gap| (gap.start.get(), gap.end.get())).collect();
    assert_eq!(gaps, [(900, 960)], "what was filled is no gap any more");
    assert_eq!(detail.fills.len(), 1);
    assert_eq!(detail.cloud_recordings[0].origin_8k, Some(-4_500));
    assert_eq!(store.take_up(Stage::Delete, at(95_000)).await.unwrap(), 1);
    assert_eq!(stages(&store, 1).await[5], (Stage::Delete, Pending), "asked for later");
}

#[tokio::test]
async fn a_fill_closes_just_what_it_covers() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
    let id = store.announce_call(call(1, "in-progress", 0), None).await.unwrap();
    let gap = |start, end, reason| GapRow {
        party: Party::Technician,
        source: TrackSource::Stream,
        start: Samples8k::new(start),
        end: Samples8k::new(end),
        reason,
    };
    let gaps = vec![
        gap(0, 1000, GapReason::Lost),
        gap(2000, 2500, GapReason::Paused),
        gap(3000, 4000, GapReason::Disconnected),
    ];
    store.finish_call(Finish { gaps, ..finish(id, 8000) }).await.unwrap();
    store.cloud_recording(recording(1, "completed")).await.unwrap();
    store.recording_fetched(fetched(1), at(80_000)).await.unwrap();
    let fill = |start, end| Fill {
        recording_sid: rec(1),
        party: Party::Technician,
        start: Samples8k::new(start),
        end: Samples8k::new(end),
    };
    let fills = vec![fill(200, 600), fill(1900, 3500)];
    let split = Split { recordings: vec![(rec(1), Some(0))], fills, ..Split::default() };
    settle(&store, Stage::Fetch, Settlement::Done(Output::Fetched)).await;
    settle(&store, Stage::Split, Settlement::Done(Output::Split(split))).await;
    let detail = store.call(&sid(1)).await.unwrap().unwrap();
    let left: Vec<_> = detail.gaps.iter().map(|gap| (gap.start.get(), gap.end.get())).collect();
    assert_eq!(left, [(0, 200), (600, 1000), (2000, 2500), (3500, 4000)]);
}

#[tokio::test]
async fn an_outage_is_no_attempt_and_what_waits_for_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
    heard(&store, 1).await;
    store.cloud_recording(recording(1, "completed")).await.unwrap();
    assert!(store.link_down(reading(70_000), "no route to Twilio".to_owned()).await.unwrap());
    assert!(!store.link_down(reading(71_000), "still none".to_owned()).await.unwrap(), "no news");
    heard(&store, 2).await;
    store.cloud_recording(recording(2, "completed")).await.unwrap();
    for n in [1, 2] {
        let detail = store.call(&sid(n)).await.unwrap().unwrap();
        let fetch = &detail.stages[0];
        assert_eq!((fetch.stage, fetch.attempts), (Stage::Fetch, 0), "{n}");
        assert_eq!(fetch.waiting_for, Some(WaitingFor::Network), "{n}");
        assert_eq!(detail.call.waiting_for, None, "its words can be written down meanwhile");
    }
    let output = Output::Transcript { transcript: transcript(), spent: vec![] };
    settle(&store, Stage::Transcript, Settlement::Done(output)).await;
    let row = store.call(&sid(1)).await.unwrap().unwrap().call;
    assert_eq!((row.waiting_for, row.retry_count), (Some(WaitingFor::Network), 0));
    let ended = store.link_up(reading(60_000)).await.unwrap().unwrap();
    assert_eq!(ended.to, Some(at(70_000)), "a clock put back ends no outage before it began");
    assert_eq!(store.link_up(reading(73_000)).await.unwrap(), None);
    let told = store.recovered(7, 6, at(60_000)).await.unwrap().unwrap();
    assert_eq!((told.calls_recovered, told.recordings_recovered), (7, 6));
    assert_eq!(store.call(&sid(2)).await.unwrap().unwrap().call.waiting_for, None);
    assert_eq!(store.queue(10).await.unwrap().len(), 4, "two copies, one transcript, one summary");
}

#[tokio::test]
async fn a_time_switched_off_is_an_outage_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
    assert_eq!(store.was_off(reading(0), 120_000).await.unwrap(), None, "the first start of all");
    store.note_alive(at(60_000)).await.unwrap();
    assert_eq!(store.was_off(reading(100_000), 120_000).await.unwrap(), None, "a mere restart");
    let outage = store.was_off(reading(29_000_000), 120_000).await.unwrap().unwrap();
    assert_eq!((outage.from, outage.to), (at(100_000), Some(at(29_000_000))));
}

#[tokio::test]
async fn what_twilio_never_made_has_failed_in_plain_words_and_can_be_retried() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
    heard(&store, 1).await;
    let mut absent = recording(1, "absent");
    absent.error_code = Some("16104".to_owned());
    store.cloud_recording(absent).await.unwrap();
    let row = store.call(&sid(1)).await.unwrap().unwrap().call;
    assert_eq!(
        row.last_error.as_deref(),
        Some("Twilio made no recording of this call (absent, error 16104)")
    );
    assert_eq!(row.recording_status, RecordingStatus::Completed, "the box heard it itself");
    assert_eq!(store.retry_all_failed(at(99_000)).await.unwrap(), [(sid(1), Stage::Fetch)]);
}

#[tokio::test]
async fn the_oldest_call_is_worked_on_first_whenever_it_became_known() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
    for (n, ms) in [(1, 50_000), (2, 10_000), (3, 30_000)] {
        let update = StatusUpdate {
            call: call(n, "completed", ms),
            end: Some(EndReason::Completed),
            ended_at: Some(at(ms + 5_000)),
            duration_s: Some(5),
            now: at(ms),
        };
        store.call_status(update).await.unwrap();
        store.cloud_recording(recording(n, "completed")).await.unwrap();
    }
    let mut order = Vec::new();
    while let Some(claim) = store.claim(Stage::Fetch, at(90_000)).await.unwrap() {
        order.push(claim.call_sid().clone());
    }
    assert_eq!(order, [sid(2), sid(3), sid(1)]);
}

#[tokio::test]
async fn swapping_the_parties_is_remembered_and_audited() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
    heard(&store, 1).await;
    let swapped = store.swap_parties(sid(1), "local".to_owned(), at(80_000)).await.unwrap();
    assert_eq!(swapped, Some(true));
    let read = store.call(&sid(1)).await.unwrap().unwrap();
    assert!(read.tracks[0].path.contains("technician"), "the technician's file is the agent's now");
    let recorded = store.call_as_recorded(&sid(1)).await.unwrap().unwrap();
    assert!(recorded.tracks[0].path.contains("agent"));
    assert_eq!(store.swap_parties(sid(9), "local".to_owned(), at(0)).await.unwrap(), None);
}
