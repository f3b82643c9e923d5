use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use super::*;
use crate::clock::SystemClock;
use crate::domain::{Party, UnixMillis};
use crate::vault::{Options, PartNo, VoiceCopy};

fn open_one() -> (tempfile::TempDir, Vault, OpenTrack) {
    let root = tempfile::tempdir().unwrap();
    // Nothing ticks by itself in an hour.
    let sync_every = Duration::from_hours(1);
    let options = Options { root: root.path().to_owned(), sync_every };
    let vault = Vault::open(options, Arc::new(SystemClock)).unwrap();
    let call_sid = format!("CA{}", "0".repeat(32)).parse().unwrap();
    let folder = vault.folder(&call_sid, UnixMillis::new(0)).unwrap();
    let name = TrackName {
        part_no: PartNo::FIRST,
        party: Party::Agent,
        copy: VoiceCopy::First,
        rate: RateHz::Hz8000,
    };
    let track = vault.open_track(&folder, name).unwrap();
    (root, vault, track)
}

/// Puts under the track a file that takes everything and makes nothing durable, as a card does
/// that is dying: the kernel refuses to `fdatasync` `/dev/null`.
fn let_the_disk_die(track: &mut OpenTrack) {
    let dead = OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
    assert!(dead.sync_data().is_err());
    let TrackFile { path, folder, name, .. } = &*track.file;
    let file = Arc::new(TrackFile::new(dead, path.clone(), folder.clone(), *name));
    file.appended.store(track.file.appended.load(Ordering::Relaxed), Ordering::Relaxed);
    track.file.file.unlock().unwrap();
    track.vault.inner.ticks.remove(track.id);
    track.id = track.vault.inner.ticks.add(Arc::clone(&file));
    track.file = file;
}

#[test]
fn a_file_that_was_not_made_durable_is_never_trusted_again() {
    let (_root, vault, mut track) = open_one();
    track.append(&[1, 2, 3]).unwrap();
    assert!(track.fault().is_none());
    let_the_disk_die(&mut track);
    vault.sync_now();

    assert_eq!(track.fault().unwrap().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(vault.sync_health().faults, 1);
    assert!(matches!(track.append(&[4]), Err(Error::Faulted { .. })));
    assert_eq!(track.samples(), 3, "what was refused is not counted");
    vault.sync_now();
    assert_eq!(vault.sync_health().faults, 1, "it is not asked again");
    let part = track.file.path.clone();
    let failed = track.seal().unwrap_err();
    assert!(matches!(failed.error(), Error::Faulted { .. }));
    assert!(part.exists());
}

#[test]
fn what_the_disk_failed_to_keep_is_written_anew_before_it_is_sealed() {
    let (_root, vault, mut track) = open_one();
    track.append(&[1, 2, 3]).unwrap();
    let_the_disk_die(&mut track);
    vault.sync_now();
    let (folder, part) = (track.folder().clone(), track.file.path.clone());
    let failed_inode = std::fs::metadata(&part).unwrap().ino();
    drop(track);

    let salvage = vault.salvage(&folder).unwrap();
    assert!(salvage.failed.is_empty());
    let [sealed] = salvage.tracks.as_slice() else { panic!("{salvage:?}") };
    let sealed_path = vault.absolute(sealed.path());
    assert_ne!(std::fs::metadata(&sealed_path).unwrap().ino(), failed_inode);
    assert_eq!(std::fs::read(&sealed_path).unwrap()[44..], [1, 0, 2, 0, 3, 0]);
    let left: Vec<_> = std::fs::read_dir(part.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no part and no copy: {left:?}");
}

#[test]
fn a_seal_that_the_disk_refuses_leaves_the_sound_to_salvage() {
    let (_root, vault, mut track) = open_one();
    track.append(&[1, 2, 3]).unwrap();
    let_the_disk_die(&mut track);
    let folder = track.folder().clone();
    let failed = track.seal().unwrap_err();
    assert!(matches!(failed.error(), Error::Faulted { .. }), "found out by the seal itself");
    assert_eq!(vault.salvage(&folder).unwrap().tracks[0].samples(), 3);
}

#[test]
fn a_track_as_long_as_a_wav_can_be_asks_for_the_next_part() {
    let (_root, _vault, mut track) = open_one();
    track.file.appended.store(WAV_DATA_BYTES_MAX - 2, Ordering::Relaxed);
    assert!(matches!(track.append(&[1, 2]), Err(Error::TooLong { .. })));
    track.append(&[1]).unwrap();
    assert!(matches!(track.append(&[1]), Err(Error::TooLong { .. })));
    assert_eq!(track.samples(), WAV_DATA_BYTES_MAX / 2);
}

#[test]
fn appending_does_not_wait_while_the_disk_is_busy_with_a_tick() {
    let (_root, vault, mut track) = open_one();
    std::thread::scope(|scope| {
        // The state of a tick that hangs in fdatasync: its turn is taken, the header is free.
        let turn = vault.inner.ticks.take_turn();
        let (done, finished) = std::sync::mpsc::sync_channel(0);
        scope.spawn(move || {
            track.append(&[1; 160]).unwrap();
            done.send(track.samples()).unwrap();
        });
        assert_eq!(finished.recv_timeout(Duration::from_secs(10)), Ok(160));
        drop(turn);
    });
}

#[test]
fn a_file_in_which_nothing_happens_costs_the_card_nothing() {
    let (_root, vault, mut track) = open_one();
    assert!(!track.file.has_news());
    track.append(&[1]).unwrap();
    assert!(track.file.has_news(), "sound to make durable");
    vault.sync_now();
    assert!(track.file.has_news(), "a header to bring up to it");
    vault.sync_now();
    assert!(!track.file.has_news());
}
