//! The two stages whole: a real ledger, real files, a real S3 server, and Twilio's wire.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::task::JoinSet;

use super::super::fingerprint::Fingerprint;
use super::server::{Lie, Server};
use super::*;
use crate::clock::Clock as _;
use crate::domain::*;
use crate::pipeline::Verdict;
use crate::store::*;
use crate::twilio::rest;
use crate::twilio::rest::{Client, Credentials, Timeouts};
use crate::vault::{self, Vault};

const BORN: UnixMillis = UnixMillis::new(1_790_000_000_000);
const FOLDER: &str = "recordings/2026/09/21/CA00000000000000000000000000000001";
const ACCOUNT: &str = "AC00000000000000000000000000000001";
const DAY: Duration = Duration::from_hours(24);

/// Twilio's copies, on a socket.
struct Twilio {
    shared: Arc<Played>,
    origin: String,
    _serving: JoinSet<()>,
}

struct Played {
    clock: Arc<ManualClock>,
    recordings: Mutex<HashMap<String, &'static str>>,
    seen: Mutex<Vec<String>>,
    /// Does what it is asked and says that it is in trouble.
    mumbles: Mutex<bool>,
}

impl Twilio {
    async fn start(clock: Arc<ManualClock>) -> Self {
        let (recordings, seen, mumbles) = Default::default();
        let shared = Arc::new(Played { clock, recordings, seen, mumbles });
        shared.recordings.lock().unwrap().insert(recording().to_string(), "completed");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { shared, origin, _serving: serving }
    }

    fn client(&self) -> Client {
        let origin = rest::Origin::parse(&self.origin).unwrap();
        let credentials = Credentials::new(origin, ACCOUNT, "token").unwrap();
        Client::new(credentials, ACCOUNT.parse().unwrap(), Timeouts::default()).unwrap()
    }

    fn has(&self) -> bool {
        self.shared.recordings.lock().unwrap().contains_key(recording().as_str())
    }

    fn deletions(&self) -> usize {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|method| *method == "DELETE").count()
    }
}

fn rfc2822(at: UnixMillis) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.get()).unwrap();
    moment.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

async fn answer(State(played): State<Arc<Played>>, request: Request) -> Response {
    played.seen.lock().unwrap().push(request.method().to_string());
    let name = request.uri().path().rsplit('/').next().unwrap().replace(".json", "");
    let status = played.recordings.lock().unwrap().get(&name).copied();
    let date = [(header::DATE, rfc2822(played.clock.now()))];
    let Some(status) = status else {
        return (StatusCode::NOT_FOUND, date, r#"{"code":20404}"#).into_response();
    };
    if *request.method() == Method::DELETE {
        played.recordings.lock().unwrap().remove(&name);
        let mumbles = *played.mumbles.lock().unwrap();
        let status = if mumbles { StatusCode::BAD_GATEWAY } else { StatusCode::NO_CONTENT };
        return (status, date).into_response();
    }
    let json = serde_json::json!({
        "sid": name, "account_sid": ACCOUNT, "call_sid": call_sid().as_str(), "status": status,
        "channels": 2, "duration": "1", "source": "StartCallRecordingTwiML",
        "date_created": rfc2822(BORN), "start_time": rfc2822(BORN),
    });
    (StatusCode::OK, date, json.to_string()).into_response()
}

fn call_sid() -> CallSid {
    format!("CA{:032x}", 1).parse().unwrap()
}

fn recording() -> RecordingSid {
    format!("RE{:032x}", 1).parse().unwrap()
}

struct House {
    root: tempfile::TempDir,
    store: Store,
    vault: Vault,
    clock: Arc<ManualClock>,
    s3: Server,
    twilio: Twilio,
}

impl House {
    /// A call that ended, was fetched, split and transcribed.
    async fn with_a_call() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(&root.path().join("fieldtape.db")).unwrap();
        let clock = Arc::new(ManualClock::new(BORN));
        let options = vault::Options { root: root.path().to_owned(), sync_every: DAY };
        let vault = Vault::open(options, clock.clone()).unwrap();
        let twilio = Twilio::start(clock.clone()).await;
        let house = Self { root, store, vault, clock, s3: Server::start().await, twilio };
        house.end_a_call().await;
        house.bring_the_recording().await;
        house
    }

    async fn end_a_call(&self) {
        let call = NewCall {
            call_sid: call_sid(),
            parent_call_sid: None,
            direction: Direction::Inbound,
            origin: Origin::Number,
            from_number: "+15550100".to_owned(),
            to_number: "+15550199".to_owned(),
            call_status: "completed".to_owned(),
            at: BORN,
            clock_synced: true,
            live_copy: true,
        };
        let id = self.store.announce_call(call, None).await.unwrap();
        let track = |party: Party| {
            let path = format!("{FOLDER}/{party}_8000Hz.wav");
            NewTrack {
                party,
                source: TrackSource::Stream,
                rate: RateHz::Hz8000,
                part_no: 1,
                size_bytes: self.write(&path, party.as_str()).size_bytes,
                path,
                origin: Some(Samples8k::ZERO),
                lead: Samples8k::ZERO,
                samples: 8000,
                salvaged: false,
            }
        };
        let finish = Finish {
            call: id,
            tracks: Party::ALL.iter().map(|party| track(*party)).collect(),
            gaps: vec![],
            reason: EndReason::Completed,
            ended_at: BORN,
            at: BORN,
            trouble: None,
        };
        self.store.finish_call(finish).await.unwrap();
    }

    async fn bring_the_recording(&self) {
        let news = CloudUpdate {
            recording_sid: recording(),
            call_sid: call_sid(),
            status: "completed".to_owned(),
            channels: Some(2),
            duration_s: Some(1),
            source: None,
            track: None,
            started_at: Some(BORN),
            error_code: None,
            at: BORN,
        };
        self.store.cloud_recording(news).await.unwrap();
        let here = self.write(&cloud(), "both");
        let fetched = Fetched {
            recording_sid: recording(),
            path: cloud(),
            size_bytes: here.size_bytes,
            sha256: here.sha256,
            channels: 2,
            frames: 8000,
            rate_hz: 8000,
        };
        self.store.recording_fetched(fetched, BORN).await.unwrap();
        let split = Split { recordings: vec![(recording(), Some(0))], ..Split::default() };
        self.settle(Stage::Fetch, Output::Fetched).await;
        self.settle(Stage::Split, Output::Split(split)).await;
        self.settle(Stage::Transcript, said("Good morning.")).await;
    }

    fn write(&self, path: &str, text: &str) -> Fingerprint {
        let bytes = text.repeat(100).into_bytes();
        std::fs::create_dir_all(self.root.path().join(FOLDER)).unwrap();
        std::fs::write(self.file(path), &bytes).unwrap();
        Fingerprint::of(&bytes)
    }

    fn file(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    async fn settle(&self, stage: Stage, output: Output) {
        let claim = self.store.claim(stage, self.clock.now()).await.unwrap();
        let claim = claim.unwrap_or_else(|| panic!("{stage} is due"));
        self.store.settle(claim, Settlement::Done(output), self.clock.now()).await.unwrap();
    }

    fn remote(&self) -> Remote {
        Remote::open(&options(&self.s3.endpoint), at_once()).unwrap()
    }

    async fn claim(&self, stage: Stage) -> Claim {
        self.store.retry(call_sid(), Some(stage), self.clock.now()).await.unwrap();
        self.store.claim(stage, self.clock.now()).await.unwrap().expect("it is due")
    }

    /// Runs a stage once and settles it.
    async fn run(&self, stage: Stage, work: &dyn crate::pipeline::Work) -> Verdict {
        let claim = self.claim(stage).await;
        let verdict = work.run(&claim).await;
        let at = self.clock.now();
        let later = |why: &String| Settlement::Later {
            why: why.clone(),
            waiting_for: None,
            at,
            counted: true,
        };
        let settlement = match &verdict {
            Verdict::Done(output) => Settlement::Done(output.clone()),
            Verdict::Nothing => Settlement::Nothing,
            Verdict::Never { why } => Settlement::Never { why: why.clone() },
            Verdict::Again { why } | Verdict::Unreachable { why } => later(why),
            Verdict::Waits { why, .. } => later(why),
        };
        self.store.settle(claim, settlement, at).await.unwrap();
        verdict
    }

    async fn archive(&self) -> Verdict {
        let work = ArchiveWork::new(ArchiveWorkOptions {
            store: self.store.clone(),
            vault: self.vault.clone(),
            remote: Some(self.remote()),
            render: render(),
        });
        self.run(Stage::Archive, &work).await
    }

    fn deleting(&self) -> DeleteWorkOptions {
        DeleteWorkOptions {
            store: self.store.clone(),
            vault: self.vault.clone(),
            clock: self.clock.clone(),
            remote: Some(self.remote()),
            twilio: Some(self.twilio.client()),
            asked_for: true,
            delete_after: DAY,
        }
    }

    async fn delete(&self) -> Verdict {
        self.run(Stage::Delete, &DeleteWork::new(self.deleting())).await
    }

    fn sql(&self) -> rusqlite::Connection {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
        rusqlite::Connection::open_with_flags(self.root.path().join("fieldtape.db"), flags).unwrap()
    }

    fn audit(&self) -> Vec<(String, serde_json::Value)> {
        let db = self.sql();
        let mut rows = db.prepare("select action, detail from audit order by id").unwrap();
        let rows = rows.query_map([], |row| {
            let (action, detail): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((action, serde_json::from_str(&detail).unwrap()))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }
}

fn cloud() -> String {
    format!("{FOLDER}/cloud_{}.wav", recording())
}

fn said(text: &str) -> Output {
    let segment = SegmentRow {
        party: Party::Agent,
        start_ms: 0,
        end_ms: 900,
        text: text.to_owned(),
        confidence: 0.9,
        avg_logprob: -0.1,
        no_speech_prob: 0.0,
    };
    let transcript = TranscriptRow {
        source: TrackSource::Cloud,
        language: "en".to_owned(),
        model: "tiny.en".to_owned(),
        dropped: 0,
        segments: vec![segment],
    };
    Output::Transcript { transcript, spent: vec![] }
}

fn render() -> Render {
    Arc::new(|_, transcript| {
        let words: Vec<_> = transcript.segments.iter().map(|said| said.text.clone()).collect();
        Rendered { json: format!("{words:?}"), txt: words.join("\n") }
    })
}

fn puts(seen: &[String]) -> Vec<String> {
    let puts = seen.iter().filter_map(|seen| seen.strip_prefix("PUT "));
    puts.map(|key| key.rsplit('/').next().unwrap().trim_end_matches('?').to_owned()).collect()
}

#[tokio::test]
async fn a_call_is_archived_whole_with_its_manifest_last() {
    let house = House::with_a_call().await;
    let verdict = house.archive().await;
    let Verdict::Done(Output::Archived { objects }) = verdict else { panic!("{verdict:?}") };
    let names = puts(&house.s3.seen());
    let cloud_name = format!("cloud_{}.wav", recording());
    let expected = [
        cloud_name.as_str(),
        "agent_8000Hz.wav",
        "technician_8000Hz.wav",
        "transcript.json",
        "transcript.txt",
        "manifest.json",
    ];
    assert_eq!(names, expected);
    assert_eq!(house.store.archive_objects(&call_sid()).await.unwrap().len(), objects.len());
    for object in &objects {
        let held = house.s3.object(&object.key).unwrap();
        assert_eq!(Fingerprint::of(&held).sha256, object.sha256, "{}", object.key);
    }
    let page = house.s3.object(&format!("{FOLDER}/manifest.json")).unwrap();
    let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
    assert_eq!(page["call"]["from_number"], "+15550100");
    assert_eq!(page["call"]["created_at"], "2026-09-21T14:13:20Z");
    assert_eq!(page["files"].as_array().unwrap().len(), 5);
    assert_eq!(page["files"][0]["recording_sid"], recording().as_str());
    assert_eq!(page["files"][1]["track"]["party"], "agent");
    assert_eq!(page["transcript"]["model"], "tiny.en");
    let detail = house.store.call(&call_sid()).await.unwrap().unwrap();
    assert!(detail.tracks.iter().all(|track| track.sha256.is_some()), "hashed in passing");
}

#[tokio::test]
async fn what_the_archive_shows_already_is_not_sent_again() {
    let house = House::with_a_call().await;
    house.archive().await;
    house.settle_a_new_transcript().await;
    house.s3.seen();
    assert!(matches!(house.archive().await, Verdict::Done(_)));
    let seen = house.s3.seen();
    let changed = ["transcript.json", "transcript.txt", "manifest.json"];
    assert_eq!(puts(&seen), changed, "the words are others now");
    assert!(!seen.iter().any(|seen| seen.starts_with("GET")), "nothing is read back");
}

impl House {
    async fn settle_a_new_transcript(&self) {
        self.sql()
            .execute(
                "update stages set status = 'pending' where stage in ('transcript', 'archive')",
                [],
            )
            .unwrap();
        self.settle(Stage::Transcript, said("Good evening.")).await;
    }

    fn make_due(&self, stage: Stage) {
        let sql = "update stages set status = 'pending', next_attempt_at_ms = 0 where stage = ?1";
        assert_eq!(self.sql().execute(sql, [stage.as_str()]).unwrap(), 1);
    }
}

#[tokio::test]
async fn a_file_that_was_altered_here_is_told_and_replaces_nothing() {
    let house = House::with_a_call().await;
    house.archive().await;
    let good = house.s3.object(&cloud()).unwrap();
    house.write(&cloud(), "bots");
    house.make_due(Stage::Archive);
    let verdict = house.archive().await;
    let Verdict::Never { why } = verdict else { panic!("{verdict:?}") };
    assert!(why.contains("is not the file that was recorded"), "{why}");
    assert_eq!(house.s3.object(&cloud()).unwrap(), good);
}

#[tokio::test]
async fn an_archive_that_fails_is_told_and_tried_for_ever() {
    let house = House::with_a_call().await;
    for (lie, counts) in [
        (Lie::KeepsNothing, true),
        (Lie::KeepsHalf, true),
        (Lie::Says(503, "SlowDown"), true),
        (Lie::Says(403, "AccessDenied"), false),
        (Lie::Says(404, "NoSuchBucket"), false),
    ] {
        house.s3.lie(lie);
        let verdict = house.archive().await;
        assert_eq!(matches!(verdict, Verdict::Again { .. }), counts, "{lie:?}: {verdict:?}");
        assert_eq!(matches!(verdict, Verdict::Never { .. }), !counts, "{lie:?}: {verdict:?}");
    }
    house.s3.lie(Lie::None);
    assert!(matches!(house.archive().await, Verdict::Done(_)));
}

#[tokio::test]
async fn without_an_archive_there_is_nothing_to_do() {
    let house = House::with_a_call().await;
    let work = ArchiveWork::new(ArchiveWorkOptions {
        store: house.store.clone(),
        vault: house.vault.clone(),
        remote: None,
        render: render(),
    });
    assert_eq!(house.run(Stage::Archive, &work).await, Verdict::Nothing);
    house.clock.advance(DAY);
    let delete = DeleteWork::new(DeleteWorkOptions { remote: None, ..house.deleting() });
    assert_eq!(house.run(Stage::Delete, &delete).await, Verdict::Done(Output::Deleted));
    assert!(house.audit()[1].1["read_back_from_archive"].is_null(), "and that is what is said");
}

#[tokio::test]
async fn twilios_copy_goes_with_a_row_that_says_why_it_could() {
    let house = House::with_a_call().await;
    house.archive().await;
    house.clock.advance(DAY);
    assert_eq!(house.delete().await, Verdict::Done(Output::Deleted));
    assert!(!house.twilio.has());
    let audit = house.audit();
    let actions: Vec<_> = audit.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["prove-deletion", "delete-at-twilio"]);
    let proof = &audit[1].1;
    let sha256 = Fingerprint::of(&std::fs::read(house.file(&cloud())).unwrap()).sha256;
    assert_eq!(proof["outcome"], "deleted");
    assert_eq!(proof["reread_here"]["sha256"], sha256);
    assert_eq!(proof["read_back_from_archive"]["sha256"], sha256);
    assert_eq!(proof["age_s"], 86_400);
    let detail = house.store.call(&call_sid()).await.unwrap().unwrap();
    assert_eq!(detail.cloud_recordings[0].twilio_deleted_at, Some(BORN.plus(DAY)));
    house.make_due(Stage::Delete);
    assert_eq!(house.delete().await, Verdict::Done(Output::Deleted));
    assert_eq!(house.twilio.deletions(), 1, "asked for once");
}

#[tokio::test]
async fn nothing_is_deleted_while_anything_speaks_against_it() {
    let house = House::with_a_call().await;
    house.archive().await;
    let young = house.delete().await;
    let waits = |why: &Verdict, word: WaitingFor| match why {
        Verdict::Waits { waiting_for, .. } => assert_eq!(*waiting_for, word, "{why:?}"),
        other => panic!("{other:?}"),
    };
    waits(&young, WaitingFor::Clock);
    house.clock.advance(DAY);
    house.clock.jump_to(house.clock.now(), false);
    waits(&house.delete().await, WaitingFor::Clock);
    house.clock.jump_to(house.clock.now(), true);
    house.sql().execute("update calls set hold = 1", []).unwrap();
    waits(&house.delete().await, WaitingFor::Recording);
    house.sql().execute("update calls set hold = 0", []).unwrap();
    house.twilio.shared.recordings.lock().unwrap().insert(recording().to_string(), "processing");
    waits(&house.delete().await, WaitingFor::Recording);
    house.twilio.shared.recordings.lock().unwrap().insert(recording().to_string(), "completed");
    house
        .sql()
        .execute("update stages set status = 'failed' where stage = 'transcript'", [])
        .unwrap();
    waits(&house.delete().await, WaitingFor::Model);
    house
        .sql()
        .execute("update stages set status = 'completed' where stage = 'transcript'", [])
        .unwrap();
    let not_asked = DeleteWork::new(DeleteWorkOptions { asked_for: false, ..house.deleting() });
    assert_eq!(house.run(Stage::Delete, &not_asked).await, Verdict::Nothing);
    house.make_due(Stage::Delete);
    house.s3.lie(Lie::Says(503, "SlowDown"));
    assert!(matches!(house.delete().await, Verdict::Again { .. }));
    house.s3.lie(Lie::None);
    std::fs::write(house.file(&cloud()), "noise").unwrap();
    assert!(matches!(house.delete().await, Verdict::Never { .. }), "its copy here is bad");
    std::fs::remove_file(house.file(&cloud())).unwrap();
    assert!(matches!(house.delete().await, Verdict::Never { .. }), "its copy here is gone");
    assert_eq!((house.twilio.deletions(), house.audit().len()), (0, 0));
    house.write(&cloud(), "both");
    assert_eq!(house.delete().await, Verdict::Done(Output::Deleted), "nothing else was wrong");
}

#[tokio::test]
async fn what_the_archive_lost_is_put_there_again_before_twilios_copy_goes() {
    for (alter, what) in [(None, "lost"), (Some(b"rotten".repeat(66)), "rotten")] {
        let house = House::with_a_call().await;
        house.archive().await;
        let good = house.s3.object(&cloud()).unwrap();
        house.s3.alter(&cloud(), |_| alter);
        house.clock.advance(DAY);
        house.s3.lie(Lie::KeepsGarbage);
        assert!(matches!(house.delete().await, Verdict::Again { .. }), "{what}");
        assert!(house.twilio.has(), "{what}");
        house.s3.lie(Lie::None);
        assert_eq!(house.delete().await, Verdict::Done(Output::Deleted), "{what}");
        assert_eq!(house.s3.object(&cloud()).unwrap(), good, "{what}");
    }
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_has_its_proof_all_the_same() {
    let house = House::with_a_call().await;
    house.archive().await;
    house.clock.advance(DAY);
    *house.twilio.shared.mumbles.lock().unwrap() = true;
    assert!(matches!(house.delete().await, Verdict::Again { .. }));
    assert_eq!(house.delete().await, Verdict::Done(Output::Deleted));
    assert_eq!(house.twilio.deletions(), 1, "it was not there to be deleted again");
    let audit = house.audit();
    assert_eq!(audit[0].0, "prove-deletion");
    assert_eq!(audit[1].1["outcome"], "was not there");
}
