//! One call that ended, with a real ledger, real files, a real S3 server and Twilio's wire.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::at_once;
use super::options;
use super::server::Server;
use super::twilio::Twilio;
use crate::archive::fingerprint::Fingerprint;
use crate::archive::*;
use crate::clock::{Clock as _, ManualClock};
use crate::domain::*;
use crate::pipeline::{Verdict, Work};
use crate::store::*;
use crate::vault::{self, Vault};

pub(super) const BORN: UnixMillis = UnixMillis::new(1_790_000_000_000);
pub(super) const FOLDER: &str = "recordings/2026/09/21/CA00000000000000000000000000000001";
pub(super) const DAY: Duration = Duration::from_hours(24);

pub(super) fn call_sid() -> CallSid {
    format!("CA{:032x}", 1).parse().unwrap()
}

pub(super) fn recording() -> RecordingSid {
    format!("RE{:032x}", 1).parse().unwrap()
}

pub(super) struct House {
    root: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) clock: Arc<ManualClock>,
    pub(super) s3: Server,
    pub(super) twilio: Twilio,
}

impl House {
    /// A call that ended, was fetched, split and transcribed.
    pub(super) async fn with_a_call() -> Self {
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

    pub(super) async fn end_a_call(&self) {
        let call = NewCall {
            call_sid: call_sid(),
            parent_call_sid: None,
            direction: Direction::Inbound,
            origin: Origin::Number,
            from_number: "+15550100".to_owned(),
            to_number: "+15550199".to_owned(),
            call_status: "completed".to_owned(),
            at: BORN,
            boot: None,
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
            ended_boot: None,
            at: BORN,
            trouble: None,
        };
        self.store.finish_call(finish).await.unwrap();
    }

    pub(super) async fn bring_the_recording(&self) {
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
        self.fetch().await;
    }

    /// Settles everything up to the transcript as if the recording had been fetched.
    pub(super) async fn fetch(&self) {
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

    pub(super) fn write(&self, path: &str, text: &str) -> Fingerprint {
        let bytes = text.repeat(100).into_bytes();
        std::fs::create_dir_all(self.root.path().join(FOLDER)).unwrap();
        std::fs::write(self.file(path), &bytes).unwrap();
        Fingerprint::of(&bytes)
    }

    pub(super) fn file(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(super) async fn settle(&self, stage: Stage, output: Output) {
        let claim = self.store.claim(stage, self.clock.now()).await.unwrap();
        let claim = claim.unwrap_or_else(|| panic!("{stage} is due"));
        self.store.settle(claim, Settlement::Done(output), self.clock.now()).await.unwrap();
    }

    pub(super) fn remote(&self) -> Remote {
        Remote::open(&options(&self.s3.endpoint), at_once()).unwrap()
    }

    pub(super) async fn claim(&self, stage: Stage) -> Claim {
        self.store.retry(call_sid(), Some(stage), self.clock.now()).await.unwrap();
        self.store.claim(stage, self.clock.now()).await.unwrap().expect("it is due")
    }

    /// Runs a stage once and settles it.
    pub(super) async fn run(&self, stage: Stage, work: &dyn Work) -> Verdict {
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
            Verdict::GivesWay => Settlement::GivenBack,
            Verdict::Nothing => Settlement::Nothing,
            Verdict::Never { why } => Settlement::Never { why: why.clone() },
            Verdict::Again { why } | Verdict::Unreachable { why } | Verdict::Waits { why, .. } => {
                later(why)
            }
        };
        self.store.settle(claim, settlement, at).await.unwrap();
        verdict
    }

    pub(super) async fn archive(&self) -> Verdict {
        let work = ArchiveWork::new(ArchiveWorkOptions {
            store: self.store.clone(),
            vault: self.vault.clone(),
            remote: Some(self.remote()),
            render: render(),
        });
        self.run(Stage::Archive, &work).await
    }

    pub(super) fn deleting(&self) -> DeleteWorkOptions {
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

    pub(super) async fn delete(&self) -> Verdict {
        self.run(Stage::Delete, &DeleteWork::new(self.deleting())).await
    }

    pub(super) fn sql(&self) -> rusqlite::Connection {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
        rusqlite::Connection::open_with_flags(self.root.path().join("fieldtape.db"), flags).unwrap()
    }

    pub(super) fn audit(&self) -> Vec<(String, serde_json::Value)> {
        let db = self.sql();
        let mut rows = db.prepare("select action, detail from audit order by id").unwrap();
        let rows = rows.query_map([], |row| {
            let (action, detail): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((action, serde_json::from_str(&detail).unwrap()))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    pub(super) async fn settle_a_new_transcript(&self) {
        self.sql()
            .execute(
                "update stages set status = 'pending' where stage in ('transcript', 'archive')",
                [],
            )
            .unwrap();
        self.settle(Stage::Transcript, said("Good evening.")).await;
    }

    pub(super) fn make_due(&self, stage: Stage) {
        let sql = "update stages set status = 'pending', next_attempt_at_ms = 0 where stage = ?1";
        assert_eq!(self.sql().execute(sql, [stage.as_str()]).unwrap(), 1);
    }
}

pub(super) fn cloud() -> String {
    format!("{FOLDER}/cloud_{}.wav", recording())
}

pub(super) fn said(text: &str) -> Output {
    let segment = SegmentRow {
        party: Party::Agent,
        start_ms: 0,
        end_ms: 900,
        text: text.to_owned(),
        confidence: 0.9,
        avg_logprob: -0.1,
        no_speech_prob: 0.0,
        words: Vec::new(),
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

pub(super) fn render() -> Render {
    Arc::new(|_, transcript| {
        let words: Vec<_> = transcript.segments.iter().map(|said| said.text.clone()).collect();
        Rendered { json: format!("{words:?}"), txt: words.join("\n") }
    })
}
