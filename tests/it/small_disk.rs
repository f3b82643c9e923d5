//! A day of calls on a disk of 256 MiB: it is never filled below the floor, the ledger always takes
//! changes, no live call is hurt, and no sound is lost that is nowhere else.
//!
//! The disk is real: ext4 in an image, mounted in a mount namespace of its own that ends with the
//! process. The clock is moved by hand; vault, ledger and keeper are the real ones. Part of the
//! long run, and for root only.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fieldtape::clock::{Clock as _, ManualClock};
use fieldtape::domain::{
    CallSid, EndReason, Party, RateHz, Samples8k, Stage, TrackSource, UnixMillis,
};
use fieldtape::pipeline::Due;
use fieldtape::retention::{Elsewhere, Keeper, KeeperOptions, Policy, Says, Witness, sweep};
use fieldtape::store::{
    ArchiveObject, CallId, Finish, NewCall, NewTrack, Output, SegmentRow, Settlement, Store,
    TranscriptRow,
};
use fieldtape::vault::{
    self, Folder, Mark, OpenTrack, PartNo, RelPath, TrackName, Vault, VoiceCopy,
};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

const NAME: &str = "small_disk::a_day_of_calls_never_fills_a_disk_of_256_mib_below_its_floor";
const INSIDE: &str = "FIELDTAPE_SMALL_DISK";
const DISK_MIB: u64 = 256;
const FLOOR_BYTES: u64 = 32 << 20;
const LINES: usize = 2;
const STEP: Duration = Duration::from_secs(5);
const DAY_STEPS: u64 = 24 * 3600 / 5;

/// While the archive is away nothing but 16 kHz files may go.
const ARCHIVE_AWAY: std::ops::Range<u64> = DAY_STEPS / 3..DAY_STEPS / 3 + 3600 / 5 * 3;

/// How long a call waits for its upload.
const UPLOAD_STEPS: u64 = 12;

#[test]
fn a_day_of_calls_never_fills_a_disk_of_256_mib_below_its_floor() {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return live_a_day(Path::new(&folder));
    }
    match run_inside() {
        Ok(()) => {}
        // Straight to stderr: what a passing test prints is not shown.
        Err(lack) => writeln!(std::io::stderr(), "skipped: {NAME}: {lack}").unwrap(),
    }
}

/// Runs this test again, as a process in a mount namespace of its own.
fn run_inside() -> Result<(), String> {
    if std::env::var_os("FIELDTAPE_LONG").is_none() {
        return Err("part of the long run (FIELDTAPE_LONG=1)".to_owned());
    }
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let root = root.unwrap();
    let (image, disk) = (root.path().join("image"), root.path().join("disk"));
    std::fs::create_dir(&disk).unwrap();
    let file = std::fs::File::create(&image).unwrap();
    file.set_len(DISK_MIB << 20).unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image).output();
    if !made.as_ref().is_ok_and(|made| made.status.success()) {
        return Err(format!("mkfs.ext4 makes no file system: {made:?}"));
    }
    let script =
        "mount -o loop,noatime \"$1\" \"$2\" || exit 77; exec \"$3\" --exact \"$4\" --nocapture";
    let program = std::env::current_exe().unwrap();
    let ran = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .args([&image, &disk, &program])
        .arg(NAME)
        .env(INSIDE, &disk)
        .status();
    match ran {
        Ok(status) if status.success() => Ok(()),
        Ok(status) if status.code() == Some(77) => Err("a loop mount needs root".to_owned()),
        Ok(status) => panic!("inside the namespace: {status}"),
        Err(error) => Err(format!("unshare: {error}")),
    }
}

/// The archive: what it has of each file, by its hash, somewhere that is not this disk.
#[derive(Debug, Default)]
struct Archive {
    hashes: HashMap<String, String>,
    away: bool,
}

/// A call that is being heard.
struct Live {
    sid: CallSid,
    id: CallId,
    tracks: Vec<OpenTrack>,
    steps_left: u64,
    heard: u64,
}

/// A day at the office.
struct Day {
    root: PathBuf,
    store: Store,
    vault: Vault,
    clock: Arc<ManualClock>,
    archive: Arc<Mutex<Archive>>,
    keeper: Keeper,
    sweep: KeeperOptions,
    rng: StdRng,
    lines: Vec<Option<Live>>,
    /// Finished calls and when their upload is done.
    uploads: Vec<(u64, CallSid)>,
    /// Every sealed file, with its hash.
    sealed: HashMap<String, String>,
    calls: u32,
    refused: u32,
    least_free: u64,
    worst: Mark,
}

fn live_a_day(root: &Path) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut day = Day::new(root);
        for step in 0..DAY_STEPS {
            day.step(step).await;
        }
        let Day { calls, refused, least_free, worst, .. } = &day;
        let (kept, sealed) = (day.store.kept_bytes().await.unwrap(), day.sealed.len());
        writeln!(
            std::io::stderr(),
            "small disk: {calls} calls heard, {refused} at Twilio only, {sealed} files sealed, \
             {kept} bytes kept, least free {least_free}, worst mark {worst:?}"
        )
        .unwrap();
        assert!(*calls > 100 && *refused > 0, "{calls} calls, {refused} refused");
        assert_eq!(*worst, Mark::Black, "the archive was away long enough to be in need");
        assert!(*refused < *calls / 4, "{refused} of {calls} refused");
        day.all_is_had().await;
        day.somebody_else_fills_the_disk().await;
    });
}

impl Day {
    fn new(root: &Path) -> Self {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(1_790_000_000_000)));
        let options = vault::Options { root: root.to_owned(), sync_every: Duration::from_secs(1) };
        let vault = Vault::open(options, clock.clone()).unwrap();
        let store = Store::open(&root.join("fieldtape.db")).unwrap();
        let archive = Arc::new(Mutex::new(Archive::default()));
        let asked = Arc::clone(&archive);
        let witness: Witness = Arc::new(move |what| {
            let archive = asked.lock().unwrap();
            let says = match what {
                _ if archive.away => Says::Unknown { why: "no route".to_owned() },
                Elsewhere::Archive(object)
                    if archive.hashes.get(&object.key) == Some(&object.sha256) =>
                {
                    Says::There
                }
                other => Says::Gone { why: format!("{other:?}") },
            };
            Box::pin(async move { says })
        });
        let sweep = KeeperOptions {
            store: store.clone(),
            vault: vault.clone(),
            clock: clock.clone(),
            due: Due::default(),
            policy: Policy::default(),
            min_free_bytes: FLOOR_BYTES,
            rates: vec![RateHz::Hz8000, RateHz::Hz16000],
            calls_max: LINES,
            live: Arc::new(|| LINES),
            witness: Some(witness),
        };
        Self {
            root: root.to_owned(),
            keeper: Keeper::new(sweep.clone()),
            store,
            vault,
            clock,
            archive,
            sweep,
            rng: StdRng::seed_from_u64(256),
            lines: (0..LINES).map(|_| None).collect(),
            uploads: Vec::new(),
            sealed: HashMap::new(),
            calls: 0,
            refused: 0,
            least_free: u64::MAX,
            worst: Mark::Green,
        }
    }

    async fn step(&mut self, step: u64) {
        self.archive.lock().unwrap().away = ARCHIVE_AWAY.contains(&step);
        for line in 0..LINES {
            match self.lines[line].take() {
                Some(live) => self.lines[line] = self.hear(live, step).await,
                None if self.rng.random_bool(0.007) => self.lines[line] = self.ring().await,
                None => {}
            }
        }
        self.upload(step).await;
        self.clock.advance(STEP);
        self.keeper.look().await.unwrap();
        if step.is_multiple_of(12) {
            self.keeper.tidy().await.unwrap();
            self.store.prove_writable().await.unwrap();
        }
        let free = self.vault.space().unwrap().free_bytes;
        self.least_free = self.least_free.min(free);
        self.worst = self.worst.max(self.vault.mark());
        assert!(free >= FLOOR_BYTES, "step {step}: {free} bytes are free");
    }

    /// Somebody rings: the call is heard, or Twilio alone records it.
    async fn ring(&mut self) -> Option<Live> {
        if self.vault.mark() >= Mark::Black {
            self.refused += 1;
            return None;
        }
        self.calls += 1;
        let now = self.clock.now();
        let sid: CallSid = format!("CA{:032x}", self.calls).parse().unwrap();
        let folder = self.vault.folder(&sid, now).unwrap();
        let call = NewCall::unknown(sid.clone(), self.clock.reading());
        let id = self.store.adopt_call(call, Some(folder.as_str().to_owned())).await.unwrap();
        let tracks = tracks(&self.vault, &folder);
        let steps_left = self.rng.random_range(12..48);
        Some(Live { sid, id, tracks, steps_left, heard: 0 })
    }

    async fn hear(&mut self, mut live: Live, step: u64) -> Option<Live> {
        for track in &mut live.tracks {
            append(track, STEP, self.calls);
        }
        live.heard += 1;
        live.steps_left -= 1;
        if live.steps_left > 0 {
            return Some(live);
        }
        self.end(live, step).await;
        None
    }

    async fn end(&mut self, live: Live, step: u64) {
        let sealed = self.vault.seal_all(live.tracks).into_iter().map(Result::unwrap);
        let mut rows = Vec::new();
        for file in sealed {
            let hash = self.vault.hash(file.path()).unwrap();
            self.sealed.insert(file.path().as_str().to_owned(), hash);
            rows.push(NewTrack {
                party: file.party(),
                source: TrackSource::Stream,
                rate: file.rate(),
                part_no: 1,
                path: file.path().as_str().to_owned(),
                origin: Some(Samples8k::ZERO),
                lead: Samples8k::ZERO,
                samples: file.samples(),
                size_bytes: file.bytes(),
                salvaged: false,
            });
        }
        let now = self.clock.now();
        let finish = Finish {
            call: live.id,
            tracks: rows,
            gaps: vec![],
            reason: EndReason::Completed,
            ended_at: now,
            ended_boot: None,
            at: now,
            trouble: None,
        };
        self.store.finish_call(finish).await.unwrap();
        sweep(&self.sweep).await.unwrap();
        self.settle(Stage::Transcript, said()).await;
        self.uploads.push((step + UPLOAD_STEPS, live.sid));
    }

    async fn settle(&self, stage: Stage, output: Output) {
        let claim = self.store.claim(stage, self.clock.now()).await.unwrap().expect("it is due");
        self.store.settle(claim, Settlement::Done(output), self.clock.now()).await.unwrap();
    }

    /// The oldest call whose upload has had its time is in the archive now.
    async fn upload(&mut self, step: u64) {
        let due = self.uploads.first().is_some_and(|(at, _)| *at <= step);
        if !due || self.archive.lock().unwrap().away {
            return;
        }
        let (_, sid) = self.uploads.remove(0);
        let detail = self.store.call(&sid).await.unwrap().unwrap();
        let mut objects = Vec::new();
        for track in &detail.tracks {
            let sha256 = self.sealed[&track.path].clone();
            let path: RelPath = track.path.parse().unwrap();
            assert_eq!(self.vault.hash(&path).unwrap(), sha256, "{path}");
            self.archive.lock().unwrap().hashes.insert(track.path.clone(), sha256.clone());
            objects.push(ArchiveObject {
                key: track.path.clone(),
                path: Some(track.path.clone()),
                size_bytes: track.size_bytes,
                sha256,
                etag: None,
            });
        }
        self.settle(Stage::Archive, Output::Archived { objects }).await;
    }

    /// Every party's sound is here with the bytes that were sealed, or in the archive.
    async fn all_is_had(&self) {
        for (path, hash) in self.sealed.iter().filter(|(path, _)| path.contains("_8000Hz")) {
            let archived = self.archive.lock().unwrap().hashes.get(path) == Some(hash);
            let here = self.vault.hash(&path.parse().unwrap()).is_ok_and(|found| found == *hash);
            assert!(here || archived, "{path} is nowhere");
        }
        assert!(self.store.garbage().await.unwrap().is_empty());
    }

    /// A hog takes every byte while a call is live: it loses nothing for a minute, and the ledger
    /// takes changes all the while.
    async fn somebody_else_fills_the_disk(&mut self) {
        self.clock.advance(Duration::from_hours(1));
        let mut live = loop {
            self.keeper.look().await.unwrap();
            if let Some(live) = self.ring().await {
                break live;
            }
            self.clock.advance(Duration::from_mins(2));
        };
        let hog = std::fs::File::create(self.root.join("hog")).unwrap();
        fill(&hog);
        assert_eq!(self.vault.space().unwrap().free_bytes, 0);
        for _ in 0..12 {
            for track in &mut live.tracks {
                append(track, STEP, self.calls);
            }
            self.vault.sync_now();
            for _ in 0..10 {
                self.store.prove_writable().await.unwrap();
            }
        }
        let faults = self.vault.sync_health().faults;
        assert_eq!(faults, 0, "all of it was made durable");
        for sealed in self.vault.seal_all(live.tracks) {
            let sealed = sealed.unwrap();
            assert_eq!(sealed.samples(), 60 * u64::from(sealed.rate().get()));
        }
        self.clock.advance(STEP);
        self.keeper.look().await.unwrap();
        assert_eq!(self.vault.mark(), Mark::Spent);
    }
}

fn tracks(vault: &Vault, folder: &Folder) -> Vec<OpenTrack> {
    let mut tracks = Vec::new();
    for party in Party::ALL {
        for rate in [RateHz::Hz8000, RateHz::Hz16000] {
            let name =
                TrackName { part_no: PartNo::FIRST, party: *party, copy: VoiceCopy::First, rate };
            tracks.push(vault.open_track(folder, name).unwrap());
        }
    }
    tracks
}

/// Appends so much sound, a second at a time, which may not fail: that would hurt the call.
fn append(track: &mut OpenTrack, length: Duration, n: u32) {
    let rate = track.name().rate.get();
    let sample = i16::try_from(n % 30_000).unwrap();
    let second = vec![sample; usize::try_from(rate).unwrap()];
    for _ in 0..length.as_secs() {
        track.append(&second).unwrap();
    }
}

/// Writes until not one byte more is taken.
fn fill(mut hog: &std::fs::File) {
    for size in [1 << 20, 4096, 1] {
        let block = vec![1; size];
        while hog.write(&block).is_ok() {}
    }
}

fn said() -> Output {
    let segment = SegmentRow {
        party: Party::Agent,
        start_ms: 0,
        end_ms: 900,
        text: "Good morning.".to_owned(),
        confidence: 0.9,
        avg_logprob: -0.1,
        no_speech_prob: 0.0,
        words: Vec::new(),
    };
    let transcript = TranscriptRow {
        source: TrackSource::Stream,
        language: "en".to_owned(),
        model: "scribe".to_owned(),
        dropped: 0,
        segments: vec![segment],
    };
    Output::Transcript { transcript, spent: Vec::new() }
}
