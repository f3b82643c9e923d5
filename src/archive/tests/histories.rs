//! The one property that outranks all others: whatever happens, in whatever order, Twilio's copy
//! is never deleted while it is the only good one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::model::Model;
use super::server::{Lie, Server};
use crate::archive::evidence::Homes;
use crate::archive::fingerprint::Fingerprint;
use crate::archive::keep::{Keeper, Wanted};
use crate::archive::proof::{Facts, Fetched, Times, may_delete};
use crate::archive::remote::Look;
use crate::archive::{Error, Remote};
use crate::clock::{Clock as _, ManualClock};
use crate::domain::{RecordingSid, StageStatus, UnixMillis};
use crate::store::ArchiveObject;
use crate::vault::{self, Vault};

/// Histories against the store without a socket.
const HISTORIES: u64 = 10_000;

/// Lived side by side, each in a world of its own: one reads a file while another is judged.
const LANES: usize = 8;

/// Histories against the real server.
const HISTORIES_ON_A_SOCKET: u64 = 300;

const DAY: Duration = Duration::from_hours(24);
const TEN_YEARS: Duration = Duration::from_hours(24 * 3653);
const STATUSES: [StageStatus; 5] = [
    StageStatus::Completed,
    StageStatus::Completed,
    StageStatus::Skipped,
    StageStatus::Failed,
    StageStatus::Pending,
];
const LIES: [Lie; 12] = [
    Lie::None,
    Lie::None,
    Lie::None,
    Lie::KeepsNothing,
    Lie::TellsWhatItNeverKept,
    Lie::KeepsGarbage,
    Lie::KeepsHonestGarbage,
    Lie::KeepsHalf,
    Lie::OpaqueMarks,
    Lie::Says(503, "SlowDown"),
    Lie::Says(403, "AccessDenied"),
    Lie::Says(404, "NoSuchBucket"),
];

/// Either store.
enum Far {
    Model(Model),
    Server(Server),
}

impl Far {
    fn lie(&self, lie: Lie) {
        match self {
            Self::Model(model) => model.lie(lie),
            Self::Server(server) => server.lie(lie),
        }
    }

    fn object(&self, key: &str) -> Option<Vec<u8>> {
        match self {
            Self::Model(model) => model.object(key),
            Self::Server(server) => server.object(key),
        }
    }

    fn alter(&self, key: &str, alter: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) {
        match self {
            Self::Model(model) => model.alter(key, alter),
            Self::Server(server) if server.object(key).is_some() => server.alter(key, alter),
            Self::Server(_) => {}
        }
    }
}

/// What stays the same from history to history.
struct Stage {
    vault: Vault,
    root: tempfile::TempDir,
    far: Far,
    remote: Remote,
}

impl Stage {
    fn new(far: Far, remote: Remote) -> Self {
        let root = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(UnixMillis::new(0)));
        let options = vault::Options { root: root.path().to_owned(), sync_every: DAY };
        Self { vault: Vault::open(options, clock).unwrap(), root, far, remote }
    }
}

/// One recording and everything that can happen to it.
struct World<'a> {
    stage: &'a Stage,
    rng: StdRng,
    sid: RecordingSid,
    sound: Vec<u8>,
    path: String,
    /// The time as it is, and how far our clock is from it.
    truth: ManualClock,
    off: i64,
    synchronised: bool,
    created: UnixMillis,
    at_twilio: bool,
    facts: Facts,
    known: Vec<ArchiveObject>,
}

impl<'a> World<'a> {
    fn new(stage: &'a Stage, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let created = UnixMillis::new(1_790_000_000_000);
        let sound: Vec<u8> = (0..rng.random_range(1..400)).map(|_| rng.random()).collect();
        let path = format!("recordings/2026/11/21/CA{seed:032x}/cloud_RE{seed:032x}.wav");
        let here = Fingerprint::of(&sound);
        let fetched = Fetched {
            path: path.clone(),
            size_bytes: here.size_bytes,
            sha256: here.sha256,
            channels: 2,
        };
        let facts = Facts {
            asked_for: rng.random_bool(0.97),
            hold: rng.random_bool(0.05),
            fetch: Some(StageStatus::Completed),
            split: Some(StageStatus::Completed),
            transcript: Some(StageStatus::Completed),
            archive: None,
            has_archive: rng.random_bool(0.8),
            fetched: Some(fetched),
        };
        let sid = format!("RE{seed:032x}").parse().unwrap();
        let (off, synchronised, at_twilio) = (0, true, true);
        let truth = ManualClock::new(created);
        let known = Vec::new();
        let world = Self {
            stage,
            rng,
            sid,
            sound,
            path,
            truth,
            off,
            synchronised,
            created,
            at_twilio,
            facts,
            known,
        };
        world.fetch();
        world
    }

    fn file(&self) -> PathBuf {
        self.stage.root.path().join(&self.path)
    }

    fn fetch(&self) {
        std::fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        std::fs::write(self.file(), &self.sound).unwrap();
    }

    fn here_is_good(&self) -> bool {
        std::fs::read(self.file()).is_ok_and(|bytes| bytes == self.sound)
    }

    fn far_is_good(&self) -> bool {
        self.facts.has_archive && self.stage.far.object(&self.path) == Some(self.sound.clone())
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        match self.rng.random_range(0..3) {
            0 => bytes.truncate(bytes.len() / 2),
            1 => bytes.push(0),
            _ => {
                let at = self.rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << self.rng.random_range(0..8);
            }
        }
    }

    fn lose_here(&mut self) {
        let Ok(mut bytes) = std::fs::read(self.file()) else { return };
        if bytes.is_empty() || self.rng.random_bool(0.4) {
            std::fs::remove_file(self.file()).unwrap();
        } else {
            self.spoil(&mut bytes);
            std::fs::write(self.file(), bytes).unwrap();
        }
    }

    fn lose_there(&mut self) {
        let Some(mut bytes) = self.stage.far.object(&self.path) else { return };
        let whole = bytes.is_empty() || self.rng.random_bool(0.4);
        if !whole {
            self.spoil(&mut bytes);
        }
        self.stage.far.alter(&self.path, |_| (!whole).then_some(bytes));
    }

    /// Something happens.
    async fn step(&mut self) {
        match self.rng.random_range(0..20) {
            0..4 => self.truth.advance(Duration::from_mins(self.rng.random_range(1..1500))),
            4 => {
                let ten_years = i64::try_from(TEN_YEARS.as_millis()).unwrap();
                let near = self.rng.random_range(-200_000..200_000);
                self.off = *[0, 0, near, ten_years, -ten_years].choose(&mut self.rng).unwrap();
                self.synchronised = self.rng.random_bool(0.8);
            }
            5 => self.off = 0,
            6 => self.synchronised = true,
            7 => self.lose_here(),
            8 => self.lose_there(),
            // A file that was lost is fetched anew, as long as Twilio has it.
            9 if self.at_twilio => self.fetch(),
            10 => self.facts.hold = self.rng.random_bool(0.3),
            11 => self.facts.transcript = STATUSES.choose(&mut self.rng).copied(),
            12 => self.facts.split = STATUSES.choose(&mut self.rng).copied(),
            13 => self.stage.far.lie(*LIES.choose(&mut self.rng).unwrap()),
            14..17 => self.archive().await,
            // A callback that comes again and again wakes the stage, and is evidence of nothing.
            _ => {
                for _ in 0..self.rng.random_range(1..4) {
                    self.delete().await;
                }
            }
        }
    }

    async fn archive(&mut self) {
        let (Some(fetched), true) = (&self.facts.fetched, self.facts.has_archive) else { return };
        let wanted = Wanted {
            path: fetched.path.clone(),
            size_bytes: fetched.size_bytes,
            sha256: Some(fetched.sha256.clone()),
            recording_sid: None,
        };
        let Stage { vault, remote, .. } = self.stage;
        let keeper = Keeper { remote, vault, known: &self.known, look: Look::Told };
        let held = self.far_is_good();
        match keeper.file(&wanted).await {
            Ok(object) => {
                self.known = vec![object];
                self.facts.archive = Some(StageStatus::Completed);
            }
            Err(Error::Altered { .. }) => {
                assert_eq!(held, self.far_is_good(), "a bad file took a good one's place");
            }
            Err(_) => {}
        }
    }

    async fn delete(&mut self) {
        if !self.at_twilio || self.facts.judge().is_err() {
            return;
        }
        let truth = self.truth.now();
        let times = Times {
            delete_after: DAY,
            now: UnixMillis::new(truth.get() + self.off),
            synchronised: self.synchronised,
            twilio_now: self.rng.random_bool(0.95).then_some(truth),
            created: Some(self.created),
            status: "completed".to_owned(),
            channels: Some(2),
        };
        if times.judge().is_err() {
            return;
        }
        let Stage { vault, remote, .. } = self.stage;
        let remote = self.facts.has_archive.then_some(remote);
        let homes = Homes { vault, remote, known: &self.known };
        let Ok(mut evidence) = homes.evidence(self.sid.clone(), self.facts.clone(), times).await
        else {
            return;
        };
        if self.rng.random_bool(0.05) {
            self.facts.hold = true;
        }
        evidence.facts = self.facts.clone();
        if may_delete(evidence).is_err() {
            return;
        }
        assert!(truth.since(self.created) >= DAY, "too young");
        assert!(self.facts.asked_for && !self.facts.hold, "held");
        assert!(self.here_is_good(), "the file here was not good");
        assert!(!self.facts.has_archive || self.far_is_good(), "the archive's copy was not good");
        // In the very moment before the request arrives, one of two homes burns down.
        if self.facts.has_archive && self.rng.random_bool(0.1) {
            if self.rng.random_bool(0.5) { self.lose_here() } else { self.lose_there() }
        }
        self.at_twilio = false;
        assert!(self.here_is_good() || self.far_is_good(), "the only good copy was deleted");
    }
}

/// Lives through histories and counts those that ended with the copy at Twilio deleted.
async fn live(stage: &Stage, histories: impl Iterator<Item = u64>) -> u64 {
    let mut deleted = 0;
    for seed in histories {
        if let Far::Model(model) = &stage.far {
            model.empty();
        }
        stage.far.lie(Lie::None);
        let mut world = World::new(stage, seed);
        let steps = world.rng.random_range(8..40);
        let lived = std::panic::AssertUnwindSafe(async {
            for _ in 0..steps {
                world.step().await;
            }
        });
        let lived = futures_util::FutureExt::catch_unwind(lived).await;
        assert!(lived.is_ok(), "history {seed}");
        deleted += u64::from(!world.at_twilio);
        std::fs::remove_dir_all(world.file().parent().unwrap()).unwrap();
    }
    deleted
}

#[tokio::test]
async fn in_ten_thousand_histories_the_only_good_copy_is_never_deleted() {
    let lanes = (0..LANES as u64).map(|lane| async move {
        let model = Model::default();
        let stage = Stage::new(Far::Model(model.clone()), model.remote());
        live(&stage, (lane..HISTORIES).step_by(LANES)).await
    });
    let deleted: u64 = futures_util::future::join_all(lanes).await.into_iter().sum();
    assert!(deleted > HISTORIES / 10, "{deleted}: what may go does go");
}

#[tokio::test]
async fn nor_is_it_with_a_real_server_that_lies() {
    let server = Server::start().await;
    let remote = Remote::open(&super::options(&server.endpoint), super::at_once()).unwrap();
    let stage = Stage::new(Far::Server(server), remote);
    let deleted = live(&stage, 0..HISTORIES_ON_A_SOCKET).await;
    assert!(deleted > HISTORIES_ON_A_SOCKET / 10, "{deleted}: what may go does go");
}
