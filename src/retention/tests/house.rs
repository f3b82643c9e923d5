//! A box with finished calls: a real ledger, real files, an archive and a Twilio that are asked.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::{Clock as _, ManualClock};
use crate::domain::*;
use crate::pipeline::Due;
use crate::retention::*;
use crate::store::*;
use crate::vault::{self, PartNo, RelPath, TrackName, Vault, VoiceCopy};

pub(super) const BORN: UnixMillis = UnixMillis::new(1_790_000_000_000);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);

/// What is elsewhere.
#[derive(Debug, Default)]
pub(super) struct Far {
    /// What the archive has, by key: its hash.
    pub(super) archive: HashMap<String, String>,
    /// What Twilio has.
    pub(super) twilio: HashSet<RecordingSid>,
    /// Whether anybody answers.
    pub(super) silent: bool,
}

pub(super) struct House {
    root: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) clock: Arc<ManualClock>,
    pub(super) far: Arc<Mutex<Far>>,
    pub(super) options: KeeperOptions,
    pub(super) keeper: Keeper,
}

pub(super) fn sid(n: u32) -> CallSid {
    format!("CA{n:032x}").parse().unwrap()
}

pub(super) fn recording(n: u32) -> RecordingSid {
    format!("RE{n:032x}").parse().unwrap()
}

impl House {
    pub(super) fn new(policy: Policy) -> Self {
        // Hundreds of calls are sealed here, and nobody pulls the plug.
        let memory = std::path::Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let root = root.unwrap();
        let clock = Arc::new(ManualClock::new(BORN));
        let options = vault::Options { root: root.path().to_owned(), sync_every: HOUR };
        let vault = Vault::open(options, clock.clone()).unwrap();
        let store = Store::open(&root.path().join("fieldtape.db")).unwrap();
        let far = Arc::new(Mutex::new(Far::default()));
        let asked = Arc::clone(&far);
        let witness: Witness = Arc::new(move |what| {
            let says = asked.lock().unwrap().says(&what);
            Box::pin(async move { says })
        });
        let options = KeeperOptions {
            store: store.clone(),
            vault: vault.clone(),
            clock: clock.clone(),
            due: Due::default(),
            policy,
            min_free_bytes: 0,
            rates: vec![RateHz::Hz8000, RateHz::Hz16000],
            calls_max: 4,
            live: Arc::new(|| 0),
            witness: Some(witness),
        };
        let keeper = Keeper::new(options.clone());
        Self { root, store, vault, clock, far, options, keeper }
    }

    /// A call that ended now, with both parties at both rates, hashed, its transcript written.
    pub(super) async fn call(&self, n: u32) -> CallId {
        let now = self.clock.now();
        let folder = self.vault.folder(&sid(n), now).unwrap();
        let new = NewCall {
            call_status: "completed".to_owned(),
            ..NewCall::unknown(sid(n), self.clock.reading())
        };
        let id = self.store.adopt_call(new, Some(folder.as_str().to_owned())).await.unwrap();
        let mut tracks = Vec::new();
        for party in Party::ALL {
            for rate in [RateHz::Hz8000, RateHz::Hz16000] {
                let name = TrackName {
                    part_no: PartNo::FIRST,
                    party: *party,
                    copy: VoiceCopy::First,
                    rate,
                };
                let mut track = self.vault.open_track(&folder, name).unwrap();
                let parts = [n, rate.get(), if *party == Party::Agent { 1 } else { 2 }];
                let sound = parts.map(|part| i16::try_from(part).unwrap());
                track.append(&sound.repeat(rate.get() as usize / 1000)).unwrap();
                let sealed = track.seal().unwrap();
                tracks.push(NewTrack {
                    party: *party,
                    source: TrackSource::Stream,
                    rate,
                    part_no: 1,
                    path: sealed.path().as_str().to_owned(),
                    origin: Some(Samples8k::ZERO),
                    lead: Samples8k::ZERO,
                    samples: sealed.samples(),
                    size_bytes: sealed.bytes(),
                    salvaged: false,
                });
            }
        }
        let finish = Finish {
            call: id,
            tracks,
            gaps: vec![],
            reason: EndReason::Completed,
            ended_at: now,
            ended_boot: None,
            at: now,
            trouble: None,
        };
        self.store.finish_call(finish).await.unwrap();
        self.settle(Stage::Transcript, said()).await;
        let summary = self.store.claim(Stage::Summary, now).await.unwrap().expect("it is due");
        self.store.settle(summary, Settlement::Nothing, now).await.unwrap();
        sweep(&self.options).await.unwrap();
        id
    }

    pub(super) async fn settle(&self, stage: Stage, output: Output) {
        let claim = self.store.claim(stage, self.clock.now()).await.unwrap().expect("it is due");
        self.store.settle(claim, Settlement::Done(output), self.clock.now()).await.unwrap();
    }

    /// Has the archive show what is here of a call whose archiving is due.
    pub(super) async fn archive(&self, n: u32) {
        let claim = self.store.claim(Stage::Archive, self.clock.now()).await.unwrap();
        let claim = claim.expect("it is due");
        assert_eq!(*claim.call_sid(), sid(n));
        let detail = self.store.call(&sid(n)).await.unwrap().unwrap();
        let mut objects = Vec::new();
        for track in &detail.tracks {
            let path: RelPath = track.path.parse().unwrap();
            let sha256 = self.vault.hash(&path).unwrap();
            self.far.lock().unwrap().archive.insert(track.path.clone(), sha256.clone());
            objects.push(ArchiveObject {
                key: track.path.clone(),
                path: Some(track.path.clone()),
                size_bytes: track.size_bytes,
                sha256,
                etag: None,
            });
        }
        let done = Settlement::Done(Output::Archived { objects });
        self.store.settle(claim, done, self.clock.now()).await.unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The files of a call that the ledger knows, by their last names.
    pub(super) async fn files(&self, n: u32) -> Vec<String> {
        let Some(detail) = self.store.call(&sid(n)).await.unwrap() else { return Vec::new() };
        let mut names = Vec::new();
        for track in detail.tracks {
            assert!(self.path(&track.path).exists(), "{}", track.path);
            names.push(track.path.rsplit('/').next().unwrap().to_owned());
        }
        names.sort();
        names
    }

    /// Every file below the recordings.
    pub(super) fn on_disk(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        count(&self.path("recordings"))
    }

    pub(super) fn audit(&self, action: &str) -> Vec<String> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = rusqlite::Connection::open_with_flags(self.path("fieldtape.db"), flags).unwrap();
        let mut rows = db
            .prepare("select coalesce(detail, '') from audit where action = ?1 order by id")
            .unwrap();
        rows.query_map([action], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Lets time pass as the keeper sees it, a minute at a time for the first and then at once.
    pub(super) async fn pass(&self, time: Duration) {
        self.keeper.look().await.unwrap();
        self.clock.advance(time);
        self.keeper.look().await.unwrap();
        self.keeper.tidy().await.unwrap();
    }
}

impl Far {
    fn says(&self, what: &Elsewhere) -> Says {
        if self.silent {
            return Says::Unknown { why: "nobody answers".to_owned() };
        }
        let there = match what {
            Elsewhere::Archive(archived) => {
                self.archive.get(&archived.key) == Some(&archived.sha256)
            }
            Elsewhere::Twilio(sid) => self.twilio.contains(sid),
        };
        if there { Says::There } else { Says::Gone { why: "it is not there".to_owned() } }
    }
}

pub(super) fn said() -> Output {
    let segment = SegmentRow {
        party: Party::Technician,
        start_ms: 0,
        end_ms: 900,
        text: "the capacitor is gone".to_owned(),
        confidence: 0.9,
        avg_logprob: -0.1,
        no_speech_prob: 0.0,
        words: Vec::new(),
    };
    let transcript = TranscriptRow {
        source: TrackSource::Stream,
        language: "en".to_owned(),
        model: "m".to_owned(),
        dropped: 0,
        segments: vec![segment],
    };
    Output::Transcript { transcript, spent: vec![] }
}

impl House {
    fn sql(&self) -> rusqlite::Connection {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
        rusqlite::Connection::open_with_flags(self.path("fieldtape.db"), flags).unwrap()
    }

    /// Gives every call that number.
    pub(super) fn set_number(&self, number: &str) {
        self.sql().execute("update calls set from_number = ?1", [number]).unwrap();
    }

    pub(super) fn make_due(&self, stage: Stage) {
        let sql = "update stages set status = 'pending', next_attempt_at_ms = 0 where stage = ?1";
        self.sql().execute(sql, [stage.as_str()]).unwrap();
    }
}
