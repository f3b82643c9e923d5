#![expect(clippy::cast_possible_truncation, reason = "test sounds are short")]

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use sha2::Digest as _;
use tempfile::TempDir;

use super::*;
use crate::audio::WavReader;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::{Party, RateHz};

const NEVER: Duration = Duration::from_hours(1);

pub(super) fn open_at(root: &Path) -> Vault {
    let options = Options { root: root.to_owned(), sync_every: NEVER };
    Vault::open(options, Arc::new(SystemClock)).unwrap()
}

pub(super) fn new_vault() -> (TempDir, Vault) {
    let root = tempfile::tempdir().unwrap();
    let vault = open_at(root.path());
    (root, vault)
}

pub(super) fn sid(number: u32) -> CallSid {
    format!("CA{number:032x}").parse().unwrap()
}

pub(super) fn new_folder(vault: &Vault) -> Folder {
    vault.folder(&sid(1), UnixMillis::new(1_709_251_200_000)).unwrap()
}

pub(super) fn name(party: Party, rate: RateHz) -> TrackName {
    TrackName { part_no: PartNo::FIRST, party, copy: VoiceCopy::First, rate }
}

pub(super) const AGENT: TrackName = TrackName {
    part_no: PartNo::FIRST,
    party: Party::Agent,
    copy: VoiceCopy::First,
    rate: RateHz::Hz8000,
};

pub(super) fn all_four() -> Vec<TrackName> {
    let rates = [RateHz::Hz8000, RateHz::Hz16000];
    Party::ALL.iter().flat_map(|party| rates.map(|rate| name(*party, rate))).collect()
}

pub(super) fn speech(samples: usize) -> Vec<i16> {
    (0..samples).map(|n| ((n * 7919 % 65_521) as u16).cast_signed()).collect()
}

pub(super) fn part(vault: &Vault, folder: &Folder, name: TrackName) -> PathBuf {
    open::part_path(&vault.absolute(&folder.track(name)))
}

/// Bytes of sound that a file's header claims.
fn claimed(path: &Path) -> u32 {
    let bytes = std::fs::read(path).unwrap();
    let riff = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
    let data = u32::from_le_bytes(bytes[40..44].try_into().unwrap());
    assert_eq!(riff, data + 36);
    assert!(u64::from(data) + 44 <= bytes.len() as u64, "claims what is not there");
    data
}

#[track_caller]
pub(super) fn check_sealed(vault: &Vault, track: &SealedTrack, expected: &[i16]) {
    let path = vault.absolute(track.path());
    assert_eq!(u64::from(claimed(&path)), 2 * expected.len() as u64);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), track.bytes());
    assert_eq!(track.samples(), expected.len() as u64);
    let mut reader = hound::WavReader::open(&path).unwrap();
    assert_eq!(reader.spec().sample_rate, track.rate().get());
    assert_eq!(reader.spec().channels, 1);
    assert!(reader.samples::<i16>().map(Result::unwrap).eq(expected.iter().copied()));
    assert!(!open::part_path(&path).exists());
}

#[test]
fn a_sealed_track_is_to_the_bit_what_was_appended() {
    let (_root, vault) = new_vault();
    let folder = new_folder(&vault);
    let samples = speech(12_345);
    let mut track = vault.open_track(&folder, AGENT).unwrap();
    for piece in samples.chunks(160) {
        track.append(piece).unwrap();
    }
    let path = part(&vault, &folder, AGENT);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let sealed = track.seal().unwrap();
    check_sealed(&vault, &sealed, &samples);
    assert_eq!(sealed.path().as_str(), format!("{folder}/agent_8000Hz.wav"));
    assert!(!sealed.salvaged());
}

#[test]
fn a_header_never_claims_what_no_finished_sync_has_covered() {
    let (_root, vault) = new_vault();
    let folder = new_folder(&vault);
    let mut track = vault.open_track(&folder, AGENT).unwrap();
    let path = part(&vault, &folder, AGENT);
    assert_eq!(claimed(&path), 0);
    track.append(&speech(100)).unwrap();
    assert_eq!(claimed(&path), 0, "nothing is durable yet");
    vault.sync_now();
    assert_eq!(claimed(&path), 0, "this sync was not finished when the header was written");
    track.append(&speech(50)).unwrap();
    vault.sync_now();
    assert_eq!(claimed(&path), 200, "what the sync before has covered");
    vault.sync_now();
    assert_eq!(claimed(&path), 300);

    let reader = WavReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.frames(), 150, "a valid file all the time");
}

#[test]
fn tracks_become_durable_by_themselves_and_the_beat_ends_with_the_last_of_them() {
    let root = tempfile::tempdir().unwrap();
    let options = Options { root: root.path().to_owned(), sync_every: Duration::from_millis(50) };
    let vault = Vault::open(options, Arc::new(SystemClock)).unwrap();
    let folder = new_folder(&vault);
    let mut track = vault.open_track(&folder, AGENT).unwrap();
    let path = part(&vault, &folder, AGENT);
    let ticks = Arc::downgrade(&vault.inner.ticks);
    drop(vault);

    track.append(&speech(100)).unwrap();
    let give_up = SystemClock.since_boot() + Duration::from_secs(30);
    while claimed(&path) < 200 {
        assert!(SystemClock.since_boot() < give_up, "an open track keeps the beat going");
        std::thread::yield_now();
    }
    drop(track);
    assert!(ticks.upgrade().is_none(), "the thread was joined");
}

#[test]
fn health_says_how_long_the_last_sync_took() {
    let (_root, vault) = new_vault();
    let mut track = vault.open_track(&new_folder(&vault), AGENT).unwrap();
    assert_eq!(vault.sync_health(), SyncHealth { alive: true, ..SyncHealth::default() });
    track.append(&[1]).unwrap();
    vault.sync_now();
    let health = vault.sync_health();
    assert!(health.last.is_some() && health.running_for.is_none() && health.faults == 0);
}

#[test]
fn a_name_that_is_taken_is_never_written_over() {
    let (_root, vault) = new_vault();
    let folder = new_folder(&vault);
    assert_eq!(vault.next_part_no(&folder, Party::Agent).unwrap(), PartNo::FIRST);
    let track = vault.open_track(&folder, AGENT).unwrap();
    assert!(matches!(vault.open_track(&folder, AGENT), Err(Error::Exists { .. })), "a part");
    track.seal().unwrap();
    assert!(matches!(vault.open_track(&folder, AGENT), Err(Error::Exists { .. })), "a track");
    let next = vault.next_part_no(&folder, Party::Agent).unwrap();
    assert_eq!(next.get(), 2);
    let second = vault.open_track(&folder, TrackName { part_no: next, ..AGENT }).unwrap();
    assert_eq!(second.sealed_path().file_name(), "agent-2_8000Hz.wav");
    assert_eq!(vault.next_part_no(&folder, Party::Agent).unwrap().get(), 3);
}

#[test]
fn a_data_folder_that_others_can_look_into_is_closed_to_them() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("a/b/data");
    let _vault = open_at(&data);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    for made in ["a", "a/b", "a/b/data", "a/b/data/recordings"] {
        assert_eq!(mode(&root.path().join(made)), 0o700, "{made}");
    }
    for wide in [&data, &data.join("recordings")] {
        std::fs::set_permissions(wide, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let vault = open_at(&data);
    assert_eq!((mode(&data), mode(&data.join("recordings"))), (0o700, 0o700));
    let folder = new_folder(&vault);
    assert_eq!(mode(&vault.folder_path(&folder)), 0o700);

    let shared = root.path().join("tmp");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o1777)).unwrap();
    let _vault = open_at(&shared);
    assert_eq!(mode(&shared), 0o1777, "everybody's folder stays everybody's");
    assert_eq!(mode(&shared.join("recordings")), 0o700);
}

#[test]
fn a_data_folder_that_is_a_file_is_an_error_and_no_panic() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "").unwrap();
    for bad in [&file, &file.join("below")] {
        let options = Options { root: bad.clone(), sync_every: NEVER };
        assert!(Vault::open(options, Arc::new(SystemClock)).is_err(), "{}", bad.display());
    }
}

#[test]
fn a_folder_can_be_made_again_and_after_its_day_was_removed() {
    let (root, vault) = new_vault();
    let folder = new_folder(&vault);
    assert_eq!(new_folder(&vault), folder);
    std::fs::remove_dir_all(root.path().join("recordings/2024")).unwrap();
    assert!(matches!(vault.open_track(&folder, AGENT), Err(Error::Missing { .. })));
    assert_eq!(new_folder(&vault), folder);
    vault.open_track(&folder, AGENT).unwrap().seal().unwrap();
}

#[test]
fn a_file_is_read_hashed_and_removed_by_its_path() {
    let (_root, vault) = new_vault();
    let mut track = vault.open_track(&new_folder(&vault), AGENT).unwrap();
    track.append(&speech(100_000)).unwrap();
    let sealed = track.seal().unwrap();
    let path: RelPath = sealed.path().as_str().parse().unwrap();
    let mut bytes = Vec::new();
    vault.open_read(&path).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 200_044);
    assert_eq!(vault.hash(&path).unwrap(), format!("{:x}", sha2::Sha256::digest(&bytes)));
    vault.remove(&path).unwrap();
    vault.remove(&path).unwrap();
    assert!(matches!(vault.open_read(&path), Err(Error::Missing { .. })));
    assert!(matches!(vault.hash(&path), Err(Error::Missing { .. })));
}

#[test]
fn a_probe_leaves_nothing_behind_and_notices_that_nothing_can_be_written() {
    let (root, vault) = new_vault();
    vault.probe_writable().unwrap();
    assert_eq!(std::fs::read_dir(root.path().join("recordings")).unwrap().count(), 0);
    let space = vault.space().unwrap();
    assert!(space.free_bytes > 0 && space.free_bytes <= space.total_bytes);
    std::fs::remove_dir(root.path().join("recordings")).unwrap();
    assert!(matches!(vault.probe_writable(), Err(Error::Missing { .. })));
}

/// A small file system, where the user may mount one.
struct SmallDisk {
    at: TempDir,
}

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let size = format!("size={size}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "fieldtape-test"])
            .arg(at.path())
            .output();
        mount.is_ok_and(|mount| mount.status.success()).then_some(Self { at })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.at.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{:?}", self.at.path());
    }
}

#[test]
fn a_full_disk_costs_nothing_that_was_appended_and_goes_on_once_there_is_room() {
    let Some(disk) = SmallDisk::mount("1m") else {
        println!("NOT MEASURED: only root may mount a small disk");
        return;
    };
    let vault = open_at(disk.at.path());
    // So full that nothing can be set aside for what comes.
    let hog = disk.at.path().join("hog");
    std::fs::write(&hog, vec![1; 400_000]).unwrap();
    let mut track = vault.open_track(&new_folder(&vault), AGENT).unwrap();
    let samples = speech(400_000);
    let mut pieces = samples.chunks(3001).peekable();
    let refused = loop {
        match track.append(pieces.peek().unwrap()) {
            Ok(()) => drop(pieces.next()),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Full { .. }), "{refused}");
    assert!(matches!(vault.probe_writable(), Err(Error::Full { .. })));
    vault.sync_now();
    std::fs::remove_file(&hog).unwrap();
    vault.probe_writable().unwrap();
    for piece in pieces.by_ref().take(20) {
        track.append(piece).unwrap();
    }
    let appended = track.samples() as usize;
    check_sealed(&vault, &track.seal().unwrap(), &samples[..appended]);
}

#[test]
fn who_fills_the_disk_takes_nothing_from_what_is_live() {
    let Some(disk) = SmallDisk::mount("2m") else {
        println!("NOT MEASURED: only root may mount a small disk");
        return;
    };
    let vault = open_at(disk.at.path());
    let mut track = vault.open_track(&new_folder(&vault), AGENT).unwrap();
    let hog = disk.at.path().join("hog");
    assert!(std::fs::write(&hog, vec![1; 2_000_000]).is_err(), "it takes all that there is");
    assert_eq!(vault.space().unwrap().free_bytes, 0);
    // A minute at 8 kHz.
    let samples = speech(480_000);
    for piece in samples.chunks(400) {
        track.append(piece).unwrap();
    }
    let sealed = track.seal().unwrap();
    check_sealed(&vault, &sealed, &samples);
    std::fs::remove_file(&hog).unwrap();
    let meta = std::fs::metadata(vault.absolute(sealed.path())).unwrap();
    let blocks = std::os::unix::fs::MetadataExt::blocks(&meta) * 512;
    assert!(blocks < meta.len() + 8192, "{blocks}: what was set aside is given back");
}

#[test]
fn a_track_cut_short_by_a_full_disk_seals_without_the_torn_piece() {
    let Some(disk) = SmallDisk::mount("1m") else {
        println!("NOT MEASURED: only root may mount a small disk");
        return;
    };
    let vault = open_at(disk.at.path());
    let mut track = vault.open_track(&new_folder(&vault), AGENT).unwrap();
    track.append(&speech(1000)).unwrap();
    assert!(matches!(track.append(&speech(900_000)), Err(Error::Full { .. })));
    assert_eq!(track.samples(), 1000);
    check_sealed(&vault, &track.seal().unwrap(), &speech(1000));
}

#[test]
fn sixteen_calls_are_sealed_well_within_five_seconds() {
    let (_root, vault) = new_vault();
    let mut tracks = Vec::new();
    for call in 0..16 {
        let folder = vault.folder(&sid(call), UnixMillis::new(0)).unwrap();
        for name in all_four() {
            let mut track = vault.open_track(&folder, name).unwrap();
            track.append(&speech(8000)).unwrap();
            tracks.push(track);
        }
    }
    let began = SystemClock.since_boot();
    let sealed = vault.seal_all(tracks);
    let took = SystemClock.since_boot().saturating_sub(began);
    println!("sealing {} tracks took {took:?}", sealed.len());
    assert_eq!(sealed.len(), 64);
    let order = (0..16).flat_map(|call| all_four().into_iter().map(move |name| (sid(call), name)));
    for (sealed, (call_sid, name)) in sealed.into_iter().zip(order) {
        let sealed = sealed.unwrap();
        assert_eq!((sealed.folder().call_sid(), sealed.name()), (&call_sid, name));
        check_sealed(&vault, &sealed, &speech(8000));
    }
    assert!(took < Duration::from_secs(5), "{took:?}");
}
