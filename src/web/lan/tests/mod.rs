//! The page and the API on a real ledger and real files.

mod answers;
mod copies;
mod doors;
mod hostile;
mod keeping;
mod live;
mod login;
mod notes;
mod pages;
mod queue;
mod search;
mod sound;
mod summary;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{Gate, LanState, Prices, router};
use crate::access::Access;
use crate::audio::wav_header;
use crate::clock::{BootMoment, ManualClock, Reading};
use crate::domain::*;
use crate::health::{Check, CheckState, Health};
use crate::pipeline::Due;
use crate::retention::{Keeper, KeeperOptions, Policy};
use crate::store::*;
use crate::transcribe::{LiveBoard, Machine, Schedule};
use crate::vault::{self, Vault};

/// An office with a page on a loopback address.
struct Office {
    folder: tempfile::TempDir,
    store: Store,
    board: LiveBoard,
    /// How many calls are live, as the schedule is told.
    live_calls: Arc<AtomicUsize>,
    clock: Arc<ManualClock>,
    health: watch::Sender<Health>,
    state: LanState,
    page: Router,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Makes sure that it is a problem of that status, and returns it.
    #[track_caller]
    fn problem(&self, status: u16) -> serde_json::Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for key in ["type", "title", "detail"] {
            assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
        }
        problem
    }
}

fn sid(n: u32) -> CallSid {
    format!("CA{n:032x}").parse().unwrap()
}

fn at(ms: i64) -> UnixMillis {
    UnixMillis::new(1_790_000_000_000 + ms)
}

fn new_call(n: u32, status: &str) -> NewCall {
    NewCall {
        call_sid: sid(n),
        parent_call_sid: None,
        direction: Direction::Inbound,
        origin: Origin::Number,
        from_number: "+15125550143".to_owned(),
        to_number: "+15125550199".to_owned(),
        call_status: status.to_owned(),
        at: at(i64::from(n) * 1000),
        boot: None,
        clock_synced: true,
        live_copy: true,
    }
}

/// No call of these tests is of this boot, so their times stand as they are told.
fn booted() -> BootMoment {
    BootMoment { boot_id: None, since_boot: Duration::from_mins(1) }
}

fn reading(ms: i64) -> Reading {
    Reading { at: at(ms), boot: booted(), synchronised: true }
}

impl Office {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
        let clock = Arc::new(ManualClock::new(at(3_600_000)));
        let board = LiveBoard::default();
        let live_calls = Arc::new(AtomicUsize::new(0));
        let schedule = {
            let live_calls = Arc::clone(&live_calls);
            let machine = Machine::new(2, &folder.path().join("machine"));
            Schedule::new(
                clock.clone(),
                machine,
                Arc::new(move || live_calls.load(Ordering::SeqCst)),
            )
        };
        let vault = Vault::open(
            vault::Options { root: folder.path().to_owned(), sync_every: Duration::from_secs(1) },
            clock.clone(),
        );
        let keeper = Keeper::new(KeeperOptions {
            store: store.clone(),
            vault: vault.unwrap(),
            clock: clock.clone(),
            due: Due::default(),
            policy: Policy::default(),
            min_free_bytes: 0,
            rates: vec![RateHz::Hz8000],
            calls_max: 4,
            live: Arc::new(|| 0),
            witness: None,
        });
        let (health, watched) = watch::channel(Health { live_calls: 0, ..health_of(Vec::new()) });
        let access = Access::open(store.clone(), clock.clone()).await.unwrap();
        let state = LanState {
            access,
            https: false,
            store: store.clone(),
            data_dir: folder.path().to_owned(),
            board: board.clone(),
            schedule: schedule.clone(),
            clock: clock.clone(),
            due: Due::default(),
            link: None,
            dialler: None,
            keeper: keeper.clone(),
            prices: Prices::default(),
            has_archive: false,
            health: watched,
            microphone: None,
            stopping: CancellationToken::new(),
        };
        let page =
            router(state.clone(), Gate::new("127.0.0.1:8080".parse().unwrap(), "depot", &[]));
        Self { folder, store, board, live_calls, clock, health, state, page }
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        ask(&self.page, request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(get(path).body(Body::empty()).unwrap()).await
    }

    /// Begins a call that is being heard.
    async fn live_call(&self, n: u32) -> CallId {
        let stream = NewStream {
            call: new_call(n, "in-progress"),
            stream_sid: format!("MZ{n:032x}").parse().unwrap(),
            verified: true,
            boot: booted(),
        };
        let call = self.store.stream_started(stream).await.unwrap().call;
        self.store
            .sound_began(call, (at(i64::from(n) * 1000), booted()), format!("recordings/{n}"))
            .unwrap();
        call
    }

    /// Ends it with these files: party, part, origin and samples at 8 kHz.
    async fn end_call(&self, n: u32, call: CallId, files: &[(Party, u32, u64, &[i16])]) {
        let tracks = files.iter().map(|(party, part_no, origin, samples)| {
            let path = format!("recordings/{n}/{party}-{part_no}_8000Hz.wav");
            let bytes = wav_bytes(samples);
            self.put_file(&path, &bytes);
            NewTrack {
                party: *party,
                source: TrackSource::Stream,
                rate: RateHz::Hz8000,
                part_no: *part_no,
                path,
                origin: Some(Samples8k::new(*origin)),
                lead: crate::domain::Samples8k::ZERO,
                samples: samples.len() as u64,
                size_bytes: bytes.len() as u64,
                salvaged: false,
            }
        });
        let gaps = vec![GapRow {
            party: Party::Technician,
            source: TrackSource::Stream,
            start: Samples8k::from_millis(1_000),
            end: Samples8k::from_millis(3_500),
            reason: GapReason::Disconnected,
        }];
        let finish = Finish {
            call,
            tracks: tracks.collect(),
            gaps,
            reason: EndReason::Completed,
            ended_at: at(i64::from(n) * 1000 + 63_000),
            ended_boot: None,
            at: at(i64::from(n) * 1000 + 64_000),
            trouble: None,
        };
        self.store.finish_call(finish).await.unwrap();
    }

    /// A call that is over, with a second of each party.
    async fn finished_call(&self, n: u32) {
        let call = self.live_call(n).await;
        let (agent, technician) = (ramp(8000, 3), ramp(8000, -5));
        let files: [(Party, u32, u64, &[i16]); 2] =
            [(Party::Agent, 1, 0, &agent), (Party::Technician, 1, 0, &technician)];
        self.end_call(n, call, &files).await;
    }

    /// Settles the transcript that is due, whichever call's it is.
    async fn settle(&self, settlement: Settlement) {
        let claim = self.store.claim(Stage::Transcript, at(3_600_000)).await.unwrap().unwrap();
        self.store.settle(claim, settlement, at(3_600_000)).await.unwrap();
    }

    async fn transcribe(&self, lines: &[(Party, u64, &str)]) {
        let segments = lines.iter().map(|(party, start_ms, text)| SegmentRow {
            party: *party,
            start_ms: *start_ms,
            end_ms: start_ms + 900,
            text: (*text).to_owned(),
            confidence: 0.9,
            avg_logprob: -0.105,
            no_speech_prob: 0.0,
            words: Vec::new(),
        });
        let transcript = TranscriptRow {
            source: TrackSource::Stream,
            language: "en".to_owned(),
            model: "tiny.en-q8_0".to_owned(),
            dropped: 0,
            segments: segments.collect(),
        };
        self.settle(Settlement::Done(Output::Transcript { transcript, spent: Vec::new() })).await;
    }

    fn put_file(&self, path: &str, bytes: &[u8]) {
        let file = self.folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }

    /// The audit trail, oldest first: who, what, which part.
    fn trail(&self) -> Vec<String> {
        let path = self.folder.path().join("fieldtape.db");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = rusqlite::Connection::open_with_flags(path, flags).unwrap();
        let mut found = db
            .prepare("select actor, action, coalesce(detail, '') from audit order by id")
            .unwrap();
        let rows = found.query_map([], |row| {
            let [actor, action, detail]: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
            Ok(format!("{actor} {action} {detail}"))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }
}

/// A request as a browser on the box makes it.
fn get(path: &str) -> axum::http::request::Builder {
    Request::get(path).header("host", "localhost:8080")
}

async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Samples that are all different, so that a wrong place shows.
fn ramp(count: i16, step: i16) -> Vec<i16> {
    (0..count).map(|n| n.wrapping_mul(step)).collect()
}

fn wav_bytes(samples: &[i16]) -> Vec<u8> {
    let mut bytes = wav_header(RateHz::Hz8000, 1, samples.len() as u64 * 2).to_vec();
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

fn health_of(checks: Vec<Check>) -> Health {
    Health { checks, ready: true, live_calls: 2, instance: "this run".to_owned() }
}

fn check(name: &str, state: CheckState) -> Check {
    let fix = (state != CheckState::Ok).then(|| "mend it".to_owned());
    Check { name: name.to_owned(), state, detail: format!("{name} is so"), fix }
}
