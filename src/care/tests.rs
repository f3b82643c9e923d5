use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{ManualClock, SharedClock};
use crate::domain::*;
use crate::store::*;
use crate::vault::{self, PartNo, TrackName, Vault, VoiceCopy};

const NOW: UnixMillis = UnixMillis::new(1_790_000_000_000);

/// A data folder with one call, and its open ledger.
struct Box {
    root: tempfile::TempDir,
    store: Store,
    vault: Vault,
    tracks: Vec<String>,
}

fn sid() -> CallSid {
    format!("CA{:032x}", 1).parse().unwrap()
}

fn quiet(_done: u64, _total: u64) {}

impl Box {
    async fn with_a_call() -> Self {
        let root = tempfile::tempdir().unwrap();
        let clock: SharedClock = Arc::new(ManualClock::new(NOW));
        let options =
            vault::Options { root: root.path().to_owned(), sync_every: Duration::from_secs(1) };
        let vault = Vault::open(options, clock).unwrap();
        let store = Store::open(&root.path().join(LEDGER)).unwrap();
        let folder = vault.folder(&sid(), NOW).unwrap();
        let track = |party| {
            let name = TrackName {
                part_no: PartNo::FIRST,
                party,
                copy: VoiceCopy::First,
                rate: RateHz::Hz8000,
            };
            let mut track = vault.open_track(&folder, name).unwrap();
            track.append(&[1, 2, 3, 4]).unwrap();
            track.seal().unwrap()
        };
        let sealed: Vec<_> = Party::ALL.iter().map(|party| track(*party)).collect();
        let call = NewCall {
            call_sid: sid(),
            parent_call_sid: None,
            direction: Direction::Inbound,
            origin: Origin::Number,
            from_number: String::new(),
            to_number: String::new(),
            call_status: "completed".to_owned(),
            at: NOW,
            boot: None,
            clock_synced: true,
            live_copy: true,
        };
        let id = store.announce_call(call, None).await.unwrap();
        let rows = sealed.iter().map(|sealed| NewTrack {
            party: sealed.party(),
            source: TrackSource::Stream,
            rate: sealed.rate(),
            part_no: 1,
            path: sealed.path().as_str().to_owned(),
            origin: Some(Samples8k::ZERO),
            lead: Samples8k::ZERO,
            samples: sealed.samples(),
            size_bytes: sealed.bytes(),
            salvaged: false,
        });
        let finish = Finish {
            call: id,
            tracks: rows.collect(),
            gaps: vec![],
            reason: EndReason::Completed,
            ended_at: NOW,
            ended_boot: None,
            at: NOW,
            trouble: None,
        };
        store.finish_call(finish).await.unwrap();
        for file in store.tracks_without_hash(10).await.unwrap() {
            let hash = files::content(&root.path().join(&file.path)).unwrap().sha256;
            store.track_hashed(file, hash).await.unwrap();
        }
        let tracks = sealed.iter().map(|sealed| sealed.path().as_str().to_owned()).collect();
        Self { root, store, vault, tracks }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn back_up(&self, to: &Path) -> Saved {
        back_up(self.path(), to, NOW, &mut quiet).unwrap()
    }

    fn look(&self, depth: Depth) -> Found {
        look(self.path(), depth, &mut quiet).unwrap()
    }

    /// Changes a byte of sound.
    fn spoil(&self, at: &Path, track: usize) {
        spoil(&at.join(&self.tracks[track]));
    }
}

fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn what_is_restored_is_what_was_saved_while_the_ledger_was_in_use() {
    let house = Box::with_a_call().await;
    let (to, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let part = house.vault.folder(&sid(), NOW).unwrap();
    let name = TrackName {
        part_no: PartNo::FIRST.next(),
        party: Party::Agent,
        copy: VoiceCopy::First,
        rate: RateHz::Hz8000,
    };
    let mut live = house.vault.open_track(&part, name).unwrap();
    live.append(&[5, 6]).unwrap();
    assert_eq!(last_backup(house.path()), None);
    let saved = house.back_up(to.path());
    assert_eq!((saved.files, saved.copied, saved.damaged.len()), (4, 4, 0));
    assert_eq!(last_backup(house.path()), Some(NOW), "when it was made is known here");
    let again = house.back_up(to.path());
    assert_eq!((again.files, again.copied), (4, 2), "the ledger, and what is still growing");
    assert_eq!(drill(to.path(), &mut quiet).unwrap().files, 4);
    let data = new.path().join("data");
    let restored = restore(to.path(), &data, &mut quiet).unwrap();
    assert_eq!((restored.files, restored.damaged.len(), restored.made_at), (4, 0, NOW));
    assert_eq!(last_backup(&data), Some(NOW));
    for track in &house.tracks {
        let (here, there) = (house.path().join(track), data.join(track));
        assert_eq!(fs::read(here).unwrap(), fs::read(there).unwrap());
    }
    let found = look(&data, Depth::Bytes, &mut quiet).unwrap();
    assert!(found.is_sound() && found.files == 2, "{found:?}");
    assert_eq!(found.under_way.len(), 1, "the next start takes it in");
    let store = Store::open(&data.join(LEDGER)).unwrap();
    let call = store.call(&sid()).await.unwrap().unwrap();
    assert_eq!(call.tracks.len(), 2);
    assert!(matches!(
        restore(to.path(), &data, &mut quiet),
        Err(CareError::Exists { path }) if path.ends_with(LEDGER)
    ));
}

#[tokio::test]
async fn a_restore_that_was_stopped_goes_on() {
    let house = Box::with_a_call().await;
    let (to, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    house.back_up(to.path());
    restore(to.path(), new.path(), &mut quiet).unwrap();
    fs::remove_file(new.path().join(LEDGER)).unwrap();
    fs::remove_file(new.path().join(&house.tracks[1])).unwrap();
    assert_eq!(restore(to.path(), new.path(), &mut quiet).unwrap().files, 3);
    // What is there and is another's is not touched.
    fs::remove_file(new.path().join(LEDGER)).unwrap();
    house.spoil(new.path(), 0);
    assert!(matches!(restore(to.path(), new.path(), &mut quiet), Err(CareError::Exists { .. })));
}

#[tokio::test]
async fn a_damaged_file_here_takes_no_good_ones_place() {
    let house = Box::with_a_call().await;
    let to = tempfile::tempdir().unwrap();
    house.back_up(to.path());
    house.spoil(house.path(), 0);
    fs::remove_file(house.path().join(&house.tracks[1])).unwrap();
    // As if the backup had to look again.
    fs::remove_file(to.path().join(&house.tracks[1])).unwrap();
    let saved = house.back_up(to.path());
    assert_eq!(saved.damaged.len(), 1, "{saved:?}");
    assert!(saved.damaged[0].contains("is gone"), "{saved:?}");
    let good = fs::read(to.path().join(&house.tracks[0])).unwrap();
    assert_ne!(good, fs::read(house.path().join(&house.tracks[0])).unwrap());
    let restored = drill(to.path(), &mut quiet).unwrap();
    assert_eq!(restored.damaged.len(), 1, "what was lost on both sides is told: {restored:?}");
}

#[tokio::test]
async fn a_damaged_ledger_is_not_saved_over_a_good_one() {
    let house = Box::with_a_call().await;
    let to = tempfile::tempdir().unwrap();
    house.back_up(to.path());
    let before = fs::read(to.path().join("manifest.json")).unwrap();
    let worn = tempfile::tempdir().unwrap();
    let ledger = worn.path().join(LEDGER);
    copy_ledger(&house.path().join(LEDGER), &ledger).unwrap();
    let mut bytes = fs::read(&ledger).unwrap();
    for byte in &mut bytes[8192..24_576] {
        *byte = 0x5a;
    }
    fs::write(&ledger, bytes).unwrap();
    let failed = back_up(worn.path(), to.path(), NOW.plus(Duration::from_secs(1)), &mut quiet);
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(fs::read(to.path().join("manifest.json")).unwrap(), before);
    assert_eq!(drill(to.path(), &mut quiet).unwrap().damaged.len(), 0);
}

#[tokio::test]
async fn a_backup_that_rotted_is_told_and_gives_no_file_a_false_name() {
    let house = Box::with_a_call().await;
    let (to, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    house.back_up(to.path());
    house.spoil(to.path(), 0);
    assert_eq!(drill(to.path(), &mut quiet).unwrap().damaged.len(), 1);
    let restored = restore(to.path(), new.path(), &mut quiet).unwrap();
    assert!(restored.damaged[0].contains("is not what was saved"), "{restored:?}");
    assert!(!new.path().join(&house.tracks[0]).exists());
    let found = look(new.path(), Depth::Sizes, &mut quiet).unwrap();
    assert_eq!(found.faults.len(), 1, "{found:?}");
}

#[tokio::test]
async fn a_manifest_leads_nowhere_else() {
    let house = Box::with_a_call().await;
    let (to, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    house.back_up(to.path());
    let manifest = fs::read_to_string(to.path().join("manifest.json")).unwrap();
    for strange in ["../../outside.wav", "/etc/passwd", "recordings/../../x.wav", "fieldtape.db"] {
        let told = manifest.replace(&house.tracks[0], strange);
        fs::write(to.path().join("manifest.json"), told).unwrap();
        let refused = restore(to.path(), new.path(), &mut quiet);
        assert!(matches!(refused, Err(CareError::NoBackup { .. })), "{strange}: {refused:?}");
    }
    let told = manifest.replace("ledger-", "../ledger-");
    fs::write(to.path().join("manifest.json"), told).unwrap();
    assert!(restore(to.path(), new.path(), &mut quiet).is_err());
    fs::remove_file(to.path().join("manifest.json")).unwrap();
    let none = drill(to.path(), &mut quiet).unwrap_err();
    assert!(none.to_string().contains("it is no backup"), "{none}");
}

#[tokio::test]
async fn a_look_finds_what_is_gone_cut_altered_and_unknown() {
    let house = Box::with_a_call().await;
    assert!(house.look(Depth::Bytes).is_sound());
    house.spoil(house.path(), 0);
    assert!(house.look(Depth::Sizes).is_sound(), "only reading it through tells");
    let found = house.look(Depth::Bytes);
    assert!(found.faults[0].what.contains("is altered"), "{found:?}");
    let second = house.path().join(&house.tracks[1]);
    let whole = fs::read(&second).unwrap();
    fs::write(&second, &whole[..whole.len() - 2]).unwrap();
    assert!(house.look(Depth::Sizes).faults[0].what.contains("bytes, not"));
    fs::write(&second, vec![0; whole.len()]).unwrap();
    assert!(house.look(Depth::Sizes).faults[0].what.contains("no sound file"));
    fs::remove_file(&second).unwrap();
    assert!(house.look(Depth::Sizes).faults[0].what.contains("is gone"));
    fs::write(&second, &whole).unwrap();
    let stray = house.path().join(&house.tracks[0]).with_file_name("agent-9_8000Hz.wav");
    fs::write(&stray, &whole).unwrap();
    fs::write(stray.with_extension("wav.damaged"), &whole).unwrap();
    let found = house.look(Depth::Sizes);
    assert_eq!((found.faults.len(), found.set_aside.len()), (1, 1), "{found:?}");
    assert!(found.faults[0].what.contains("not in the ledger"));
    assert!(house.store.call(&sid()).await.unwrap().is_some(), "and changed nothing");
}
