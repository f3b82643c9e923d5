//! The ledger as it was before an upgrade, kept and put back.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;

use super::super::{put_back, schema};
use super::upgrade::{quiet, v1};
use super::*;

/// Makes a newer program's ledger of it, which this one may not open.
fn forbid(ledger: &Path) {
    let db = connection::open_writer(ledger).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    db.execute("update meta set value = '99' where key = 'min_reader'", []).unwrap();
    // As a killed program leaves it: what was changed is still beside the file.
    let files = [ledger.to_owned(), ledger.with_extension("db-wal")];
    let left = files.each_ref().map(|path| std::fs::read(path).unwrap());
    assert!(!left[1].is_empty());
    connection::close(db);
    for (path, bytes) in files.iter().zip(left) {
        std::fs::write(path, bytes).unwrap();
    }
}

fn kept(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("before-upgrade"));
    let names = entries.into_iter().flatten().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn version(path: &Path) -> u32 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = Connection::open_with_flags(path, flags).unwrap();
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// Makes a ledger of version 1 of what is there, and has it upgraded.
fn upgrade_again(folder: &Path) {
    for name in ["fieldtape.db", "fieldtape.db-wal", "fieldtape.db-shm"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    upgrade(&v1(folder));
}

fn upgrade(ledger: &Path) {
    let mut db = connection::open_writer(ledger).unwrap();
    schema::upgrade(&mut db, &quiet()).unwrap();
    connection::close(db);
}

#[test]
fn a_ledger_is_kept_as_it_was_before_it_is_upgraded() {
    let folder = tempfile::tempdir().unwrap();
    let path = v1(folder.path());
    upgrade(&path);
    assert_eq!(kept(folder.path()), ["ledger-000001-v1.db"]);
    let copy = folder.path().join("before-upgrade/ledger-000001-v1.db");
    assert_eq!((version(&copy), version(&path)), (1, schema::VERSION));
    assert!(ledger_faults(&copy).unwrap().is_empty());
    upgrade(&path);
    assert_eq!(kept(folder.path()).len(), 1, "nothing to upgrade, nothing to keep");
}

#[test]
fn a_new_ledger_leaves_nothing_to_keep() {
    let folder = tempfile::tempdir().unwrap();
    upgrade(&folder.path().join("fieldtape.db"));
    assert!(kept(folder.path()).is_empty());
}

#[test]
fn the_last_three_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        upgrade_again(folder.path());
    }
    let expected = ["ledger-000003-v1.db", "ledger-000004-v1.db", "ledger-000005-v1.db"];
    assert_eq!(kept(folder.path()), expected);
}

#[test]
fn a_damaged_ledger_is_not_upgraded() {
    let folder = tempfile::tempdir().unwrap();
    let path = v1(folder.path());
    let db = connection::open_writer(&path).unwrap();
    db.execute_batch("pragma foreign_keys = off").unwrap();
    db.execute("insert into stages values (4711, 'fetch', 'pending', 0, null, null, 0, 0)", [])
        .unwrap();
    connection::close(db);
    let refused = Store::open(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    assert_eq!(version(&path), 1, "untouched");
    assert!(kept(folder.path()).is_empty());
}

#[test]
fn it_gives_signs_of_life_while_a_large_ledger_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = v1(folder.path());
    let mut db = connection::open_writer(&path).unwrap();
    db.execute("insert into meta (key, value) values ('large', hex(zeroblob(4000000)))", [])
        .unwrap();
    let signs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&signs);
    let alive: SignOfLife = Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    schema::upgrade(&mut db, &alive).unwrap();
    assert!(signs.load(Ordering::Relaxed) >= 5, "{signs:?} for 8 MB");
}

#[tokio::test]
async fn the_ledger_from_before_is_put_back_and_the_newer_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = v1(folder.path());
    upgrade(&path);
    forbid(&path);
    let refused = Store::open(&path).unwrap_err();
    assert!(matches!(refused, StoreError::TooNew { .. }), "{refused}");
    // As a power cut in the middle of an earlier attempt leaves it.
    std::fs::write(folder.path().join("fieldtape.db.coming"), "half").unwrap();
    let PutBack { from, newer } = put_back(&path).unwrap();
    assert!(from.ends_with("ledger-000001-v1.db"), "{from:?}");
    assert_eq!((version(&path), version(&newer)), (1, 99));
    assert!(ledger_faults(&newer).unwrap().is_empty());
    let store = Store::open(&path).unwrap();
    assert!(store.call(&sid(1)).await.unwrap().is_some());
    let all: Vec<PathBuf> = kept(folder.path()).iter().map(PathBuf::from).collect();
    assert_eq!(all.len(), 3, "two from before, and the newer one: {all:?}");
}

#[test]
fn of_those_from_before_the_newest_sound_one_that_can_be_opened_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        upgrade_again(folder.path());
    }
    let before = folder.path().join("before-upgrade");
    std::fs::write(before.join("ledger-000003-v1.db"), "no ledger").unwrap();
    forbid(&folder.path().join("before-upgrade/ledger-000002-v1.db"));
    let ledger = folder.path().join("fieldtape.db");
    forbid(&ledger);
    assert!(put_back(&ledger).unwrap().from.ends_with("ledger-000001-v1.db"));
    std::fs::remove_dir_all(&before).unwrap();
    forbid(&ledger);
    let refused = put_back(&ledger).unwrap_err();
    assert!(matches!(refused, StoreError::NothingKept { .. }), "{refused}");
    assert_eq!(version(&ledger), 99, "untouched");
}

#[tokio::test]
async fn sound_that_is_to_be_deleted_is_no_call_without_tracks() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
    let path = format!("recordings/2024/03/01/{}/agent_8000Hz.wav", sid(1));
    let given_up = store.write(move |tx| {
        tx.execute("insert into garbage values (?1, 'erased', 0)", [path])?;
        Ok(())
    });
    given_up.await.unwrap();
    let without = store.calls_without_tracks(vec![sid(1), sid(2)]).await.unwrap();
    assert_eq!(without, [sid(2)]);
}
