//! Summaries of calls in a real ledger.

mod played;
mod server;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::work::by_rule;
use super::*;
use crate::clock::BootMoment;
use crate::domain::*;
use crate::pipeline::{Verdict, Work};
use crate::store::*;

pub(super) struct Ledger {
    pub(super) store: Store,
    _folder: tempfile::TempDir,
}

pub(super) fn sid(n: u32) -> CallSid {
    format!("CA{n:032x}").parse().unwrap()
}

pub(super) fn at(ms: i64) -> UnixMillis {
    UnixMillis::new(1_790_000_000_000 + ms)
}

fn call(n: u32) -> NewCall {
    NewCall {
        call_sid: sid(n),
        parent_call_sid: None,
        direction: Direction::Inbound,
        origin: Origin::Number,
        from_number: "+15125550143".to_owned(),
        to_number: "+15125550199".to_owned(),
        call_status: "ringing".to_owned(),
        at: at(0),
        boot: None,
        clock_synced: true,
        live_copy: true,
    }
}

pub(super) fn said(party: Party, start_ms: u64, text: &str) -> SegmentRow {
    SegmentRow {
        party,
        start_ms,
        end_ms: start_ms + 60 * text.len() as u64,
        text: text.to_owned(),
        confidence: 0.9,
        avg_logprob: -0.1,
        no_speech_prob: 0.0,
        words: Vec::new(),
    }
}

pub(super) fn transcript(segments: Vec<SegmentRow>) -> TranscriptRow {
    TranscriptRow {
        source: TrackSource::Stream,
        language: "en".to_owned(),
        model: "tiny.en-q8_0".to_owned(),
        dropped: 0,
        segments,
    }
}

/// What this program made of service-call.wav.
pub(super) fn service_call() -> TranscriptRow {
    #[derive(Deserialize)]
    struct Word {
        text: String,
        start_s: f64,
        end_s: f64,
    }
    #[derive(Deserialize)]
    struct Segment {
        speaker: String,
        start_s: f64,
        end_s: f64,
        text: String,
        confidence: f64,
        words: Vec<Word>,
    }
    #[derive(Deserialize)]
    struct File {
        segments: Vec<Segment>,
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a minute of ms")]
    let ms = |seconds: f64| (seconds * 1000.0).round() as u64;
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assets/service-call.transcript.json");
    let file: File = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let segments = file.segments.into_iter().map(|segment| SegmentRow {
        party: segment.speaker.parse().unwrap(),
        start_ms: ms(segment.start_s),
        end_ms: ms(segment.end_s),
        text: segment.text,
        confidence: segment.confidence,
        avg_logprob: -0.2,
        no_speech_prob: 0.0,
        words: segment
            .words
            .into_iter()
            .map(|word| WordRow {
                text: word.text,
                start_ms: ms(word.start_s),
                end_ms: ms(word.end_s),
            })
            .collect(),
    });
    transcript(segments.collect())
}

/// What two people say in three hours, about many things.
pub(super) fn long_call() -> TranscriptRow {
    let things = ["valve", "pump", "filter", "sensor", "gauge", "cable", "fan", "relay"];
    let mut segments = Vec::new();
    for n in 0..1800_u64 {
        let thing = things[usize::try_from(n).unwrap() % things.len()];
        let (party, text) = match n % 6 {
            0 => (Party::Agent, format!("What about the {thing} in room {n}?")),
            1 => {
                (Party::Technician, format!("The {thing} is leaking and it reads {} bar.", n % 90))
            }
            2 => (Party::Technician, "Give me a moment.".to_owned()),
            3 => (Party::Agent, "All right, okay.".to_owned()),
            4 => (Party::Technician, format!("I will replace the {thing} on Monday, number {n}.")),
            _ => (Party::Agent, "Great, thank you.".to_owned()),
        };
        segments.push(said(party, n * 6000, &text));
    }
    transcript(segments)
}

impl Ledger {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
        Self { store, _folder: folder }
    }

    /// A call that ended so, without sound.
    async fn soundless(&self, n: u32, reason: EndReason) {
        self.store.announce_call(call(n), None).await.unwrap();
        let status = call(n);
        let call = NewCall { call_status: reason.as_str().to_owned(), at: at(500), ..status };
        let now = at(500);
        let update =
            StatusUpdate { call, end: Some(reason), ended_at: None, duration_s: None, now };
        self.store.call_status(update).await.unwrap();
    }

    /// A call of so many seconds of sound whose transcript is due.
    pub(super) async fn heard(&self, n: u32, seconds: u64, reason: EndReason, gaps: Vec<GapRow>) {
        let id = self.store.announce_call(call(n), None).await.unwrap();
        let track = |party: &Party| NewTrack {
            party: *party,
            source: TrackSource::Stream,
            rate: RateHz::Hz8000,
            part_no: 1,
            path: format!("recordings/{n}/{party}_8000Hz.wav"),
            origin: Some(Samples8k::ZERO),
            lead: Samples8k::ZERO,
            samples: seconds * 8000,
            size_bytes: 44 + seconds * 16_000,
            salvaged: false,
        };
        let finish = Finish {
            call: id,
            tracks: Party::ALL.iter().map(track).collect(),
            gaps,
            reason,
            ended_at: at(1000 * i64::try_from(seconds).unwrap()),
            at: at(1000 * i64::try_from(seconds).unwrap()),
            ended_boot: None,
            trouble: None,
        };
        let booted = BootMoment { boot_id: None, since_boot: Duration::ZERO };
        self.store.sound_began(id, (at(0), booted), format!("recordings/{n}")).unwrap();
        self.store.finish_call(finish).await.unwrap();
    }

    /// Writes down what was said in the call whose transcript is due.
    pub(super) async fn write_down(&self, transcript: TranscriptRow) {
        let claim = self.store.claim(Stage::Transcript, at(9_000_000)).await.unwrap().unwrap();
        let output = Output::Transcript { transcript, spent: Vec::new() };
        self.store.settle(claim, Settlement::Done(output), at(9_000_001)).await.unwrap();
    }

    /// A call with these words, and a minute of sound.
    pub(super) async fn told(&self, n: u32, transcript: TranscriptRow) -> Told {
        let last = transcript.segments.iter().map(|segment| segment.end_ms).max().unwrap_or(0);
        self.heard(n, (last / 1000).max(60) + 1, EndReason::Completed, Vec::new()).await;
        self.write_down(transcript).await;
        self.store.told(&sid(n)).await.unwrap().unwrap()
    }

    /// Does what is due.
    async fn sum_up(&self) -> bool {
        let work = SummaryWork::new(SummaryWorkOptions {
            store: self.store.clone(),
            looked_at: Arc::new(Vec::new),
            server: None,
        });
        let Some(claim) = self.store.claim(Stage::Summary, at(99_000_000)).await.unwrap() else {
            return false;
        };
        let Verdict::Done(output) = work.run(&claim).await else { panic!("not done") };
        self.store.settle(claim, Settlement::Done(output), at(99_000_000)).await.unwrap();
        true
    }

    pub(super) async fn summary(&self, n: u32) -> (StageStatus, Option<SummaryRow>) {
        let detail = self.store.call(&sid(n)).await.unwrap().unwrap();
        (detail.call.summary_status, detail.summary)
    }
}

fn rule(told: &Told) -> SummaryRow {
    by_rule(told).summary
}

fn gap(start_ms: u64, end_ms: u64) -> GapRow {
    GapRow {
        party: Party::Technician,
        source: TrackSource::Stream,
        start: Samples8k::from_millis(start_ms),
        end: Samples8k::from_millis(end_ms),
        reason: GapReason::Lost,
    }
}

/// Everything that was said, as one text.
fn all(transcript: &TranscriptRow) -> String {
    transcript.segments.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_service_call_is_summed_up_in_its_own_words() {
    let ledger = Ledger::new();
    let words = service_call();
    let row = rule(&ledger.told(1, words.clone()).await);
    assert_eq!((row.outcome, row.engine.as_str()), (Outcome::Talked, "extractive"));
    assert!((row.covers - 1.0).abs() < f64::EPSILON);
    for part in [
        "Technician: I am at the pump station on River Road, and the main compressor will not start.",
        "It reads 42, and it should be around 90.",
        "The serial number is 7315-082.",
        "the old capacitor is swollen",
        "85 90",
        "I will order another capacitor for the van and close the ticket this afternoon.",
    ] {
        assert!(row.text.contains(part), "{part}\n{}", row.text);
    }
    assert!(!row.text.contains("Good morning") && !row.text.contains("Who am I"), "{}", row.text);
    for statement in &row.statements {
        assert!(all(&words).contains(&statement.text), "{}", statement.text);
        assert_eq!(statement.places.len(), 1);
    }
    let actions: Vec<_> =
        row.actions.iter().map(|a| (a.text.as_str(), a.who.as_slice(), a.due.as_deref())).collect();
    assert_eq!(
        actions,
        [
            ("Then please replace it.", &[Party::Technician][..], None),
            (
                "I will order another capacitor for the van and close the ticket this afternoon.",
                &[Party::Agent],
                Some("this afternoon")
            ),
            ("thank you i will drive to the next customer bye", &[Party::Technician], None),
        ]
    );
    let serial = row.statements.iter().find(|s| s.text.contains("7315")).unwrap();
    assert_eq!(serial.places, [Stretch { start_ms: 40_896, end_ms: 44_702 }]);
}

#[tokio::test]
async fn the_same_words_give_the_same_summary() {
    let ledger = Ledger::new();
    let told = ledger.told(1, long_call()).await;
    assert_eq!(rule(&told), rule(&told.clone()));
}

#[tokio::test]
async fn a_call_without_words_gets_a_line_that_is_true_of_it() {
    let ledger = Ledger::new();
    for (n, reason, outcome, ended_by, text) in [
        (1, EndReason::NoAnswer, Outcome::NoAnswer, None, "Nobody answered."),
        (2, EndReason::Busy, Outcome::Busy, None, "The other side was engaged."),
        (3, EndReason::Failed, Outcome::Failed, None, "The call could not be placed."),
        (
            4,
            EndReason::Canceled,
            Outcome::Canceled,
            Some(EndedBy::Caller),
            "The caller hung up before anybody answered.",
        ),
        (
            5,
            EndReason::Completed,
            Outcome::NotHeard,
            None,
            "The call lasted 1 second, and there is no recording of it: nothing is known of what \
             was said.",
        ),
    ] {
        ledger.soundless(n, reason).await;
        assert!(ledger.sum_up().await, "{reason}");
        let (status, row) = ledger.summary(n).await;
        let row = row.unwrap();
        assert_eq!(status, StageStatus::Skipped, "there was nothing to sum up");
        assert_eq!((row.outcome, row.ended_by, row.text.as_str()), (outcome, ended_by, text));
        assert!(row.actions.is_empty() && row.statements.is_empty());
    }
}

#[tokio::test]
async fn a_call_that_was_not_to_be_recorded_says_so() {
    let ledger = Ledger::new();
    ledger.soundless(1, EndReason::Completed).await;
    ledger.store.declined(call(1)).await.unwrap();
    assert!(ledger.sum_up().await);
    let text = ledger.summary(1).await.1.unwrap().text;
    assert_eq!(text, "It was not recorded: the key was pressed that says so.");
}

#[tokio::test]
async fn a_call_in_which_nobody_speaks_says_so() {
    let ledger = Ledger::new();
    ledger.heard(1, 63, EndReason::Completed, Vec::new()).await;
    ledger.write_down(transcript(Vec::new())).await;
    assert!(ledger.sum_up().await);
    let (status, row) = ledger.summary(1).await;
    let row = row.unwrap();
    assert_eq!((status, row.outcome), (StageStatus::Completed, Outcome::NobodySpoke));
    assert_eq!(row.text, "Nobody spoke: 63 seconds without a word.");

    ledger.heard(2, 63, EndReason::Completed, Vec::new()).await;
    ledger.write_down(TranscriptRow { dropped: 2, ..transcript(Vec::new()) }).await;
    assert!(ledger.sum_up().await);
    let row = ledger.summary(2).await.1.unwrap();
    assert_eq!(row.outcome, Outcome::Unclear);
    assert!(row.covers < 0.01 && row.text.contains("2 stretches were too unclear"), "{row:?}");
}

#[tokio::test]
async fn too_little_for_a_summary_is_shown_whole() {
    let ledger = Ledger::new();
    let words = transcript(vec![said(Party::Technician, 0, "Hello? Is anybody there?")]);
    let row = rule(&ledger.told(1, words).await);
    assert_eq!(
        row.text,
        "Only the technician is heard.\nToo little was said for a summary; this is all of it.\n\
         Technician: Hello?\nTechnician: Is anybody there?"
    );
}

#[tokio::test]
async fn what_was_not_heard_is_never_passed_over() {
    let ledger = Ledger::new();
    ledger.heard(1, 60, EndReason::Interrupted, vec![gap(1000, 7000)]).await;
    ledger.write_down(TranscriptRow { dropped: 1, ..service_call() }).await;
    let row = rule(&ledger.store.told(&sid(1)).await.unwrap().unwrap());
    assert_eq!((row.outcome, row.ended_by), (Outcome::CutOff, Some(EndedBy::Recorder)));
    assert!(row.text.starts_with("The recording was cut off before the call ended."));
    assert!(row.text.ends_with(
        "6.0 s of what was said did not arrive.\nOne stretch was too unclear to be written down; \
         listen there."
    ));
    // 6 of 2 x 66.7 s, and one of 14 stretches.
    assert!((0.88..0.89).contains(&row.covers), "{}", row.covers);
    let slight = ledger.told(2, service_call()).await;
    let mut detail = slight.detail.clone();
    detail.gaps = vec![gap(1000, 1001)];
    let row = rule(&Told { detail, ..slight });
    assert!(row.covers < 1.0 && row.text.ends_with("0.1 s of what was said did not arrive."));
}

#[tokio::test]
async fn three_hours_are_summed_up_whole_and_what_has_no_room_is_counted() {
    let ledger = Ledger::new();
    let words = long_call();
    let row = rule(&ledger.told(1, words.clone()).await);
    assert!((row.covers - 1.0).abs() < f64::EPSILON);
    assert!(row.statements.len() <= 26 && row.text.len() < 4000, "{}", row.text);
    assert!(row.text.contains("more sentences with numbers or times are in the transcript."));
    assert!(row.text.contains("more promises and requests are not listed."));
    assert!(row.statements.iter().all(|statement| all(&words).contains(&statement.text)));
    let parties: std::collections::BTreeSet<_> =
        row.statements.iter().filter_map(|statement| statement.party).collect();
    assert_eq!(parties.len(), 2, "both are heard");
}

#[tokio::test]
async fn a_summary_follows_the_words_and_whoever_said_them() {
    let ledger = Ledger::new();
    ledger.told(1, service_call()).await;
    assert!(ledger.sum_up().await);
    let (status, before) = ledger.summary(1).await;
    assert_eq!(status, StageStatus::Completed);
    assert!(!ledger.sum_up().await, "once is enough");
    let item = before.unwrap().actions[0].id.unwrap();
    assert!(
        ledger.store.mark_action((sid(1), item), true, "anna".to_owned(), at(7)).await.unwrap()
    );
    assert!(
        !ledger.store.mark_action((sid(2), item), true, "anna".to_owned(), at(7)).await.unwrap()
    );
    ledger.store.swap_parties(sid(1), "anna".to_owned(), at(9_100_000)).await.unwrap();
    assert!(ledger.sum_up().await, "due again");
    let after = ledger.summary(1).await.1.unwrap();
    assert!(after.text.contains("Agent: I am at the pump station"), "{}", after.text);
    assert_eq!(after.actions[0].done_at, Some(at(7)), "what is done stays done");
    assert_eq!(after.actions[1].done_at, None);
}

#[tokio::test]
async fn a_call_without_words_that_gets_some_after_all_is_summed_up_anew() {
    let ledger = Ledger::new();
    ledger.soundless(1, EndReason::Completed).await;
    assert!(ledger.sum_up().await);
    let update = CloudUpdate {
        recording_sid: format!("RE{}", "7".repeat(32)).parse().unwrap(),
        call_sid: sid(1),
        status: "in-progress".to_owned(),
        channels: Some(2),
        duration_s: None,
        source: None,
        track: None,
        started_at: None,
        error_code: None,
        at: at(80_000),
    };
    ledger.store.cloud_recording(update).await.unwrap();
    assert_eq!(ledger.summary(1).await, (StageStatus::Pending, None), "nobody knows yet");
    assert!(!ledger.sum_up().await);
}
