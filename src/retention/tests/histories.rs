//! Random histories of the real keeper, with a real ledger and real files.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::house::*;
use crate::domain::*;
use crate::retention::*;
use crate::store::*;

const HISTORIES: u64 = 40;
const CALLS: u32 = 4;

/// Each call's sounds: the names of the files that hold it.
fn sounds(n: u32) -> [(u32, [&'static str; 2]); 2] {
    [
        (n, ["agent_8000Hz.wav", "agent_16000Hz.wav"]),
        (n, ["technician_8000Hz.wav", "technician_16000Hz.wav"]),
    ]
}

impl House {
    /// Which sounds are had, here with the bytes that were recorded, or in the archive.
    async fn had(&self, good: &HashSet<String>) -> HashSet<(u32, [&'static str; 2])> {
        let mut had = HashSet::new();
        for n in 1..=CALLS {
            let detail = self.store.call(&sid(n)).await.unwrap().unwrap();
            let folder = detail.call.folder.unwrap();
            for sound in sounds(n) {
                let is_had = sound.1.iter().any(|name| {
                    let path = format!("{folder}/{name}");
                    let bytes = std::fs::read(self.path(&path)).ok();
                    let here = bytes.is_some() && !good.contains(&path);
                    here || self.far.lock().unwrap().archive.contains_key(&path)
                });
                if is_had {
                    had.insert(sound);
                }
            }
        }
        had
    }
}

impl House {
    /// Something happens; returns what was spoilt by it, if it was nobody's decision: a card that
    /// forgets, an archive that loses.
    async fn happen(&self, rng: &mut StdRng) -> Option<String> {
        let n = rng.random_range(1..=CALLS);
        match rng.random_range(0..9) {
            0 => return self.spoil(n, rng).await,
            1 => return Some(self.forget(n)),
            2 => self.far.lock().unwrap().silent = rng.random(),
            3 if rng.random() => {
                self.store.hold(sid(n), None, "anna".to_owned(), BORN).await.unwrap();
            }
            3 => {
                self.store.release(sid(n), "anna".to_owned(), BORN).await.unwrap();
            }
            4..6 => self.pass(HOUR * rng.random_range(1..600)).await,
            _ => {
                let more = if rng.random() { rng.random_range(0..1500) } else { 0 };
                self.keeper.purge("anna", more).await.unwrap();
            }
        }
        None
    }

    async fn spoil(&self, n: u32, rng: &mut StdRng) -> Option<String> {
        let detail = self.store.call(&sid(n)).await.unwrap().unwrap();
        let path = detail.tracks.first()?.path.clone();
        let file = self.path(&path);
        let mut bytes = std::fs::read(&file).unwrap();
        let at = rng.random_range(44..bytes.len());
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        Some(path)
    }

    fn forget(&self, n: u32) -> String {
        let lost = sid(n).to_string();
        self.far.lock().unwrap().archive.retain(|key, _| !key.contains(&lost));
        format!("the archive's of {n}")
    }
}

async fn live(seed: u64) -> u64 {
    let mut rng = StdRng::seed_from_u64(seed);
    let some_days = |rng: &mut StdRng| rng.random_bool(0.5).then(|| DAY * rng.random_range(1..60));
    let policy = Policy {
        audio: some_days(&mut rng),
        wide: some_days(&mut rng),
        words: some_days(&mut rng),
        max_bytes: rng.random_bool(0.3).then(|| rng.random_range(200..2000)),
        ..Policy::default()
    };
    let house = House::new(policy);
    let mut ids = Vec::new();
    for n in 1..=CALLS {
        ids.push(house.call(n).await);
        if rng.random_bool(0.6) {
            house.archive(n).await;
        } else {
            house.settle(Stage::Archive, Output::Archived { objects: vec![] }).await;
        }
    }
    let mut spoilt = HashSet::new();
    for _ in 0..rng.random_range(6..16) {
        let had = house.had(&spoilt).await;
        match house.happen(&mut rng).await {
            Some(path) => {
                spoilt.insert(path);
            }
            None => assert!(had.is_subset(&house.had(&spoilt).await), "history {seed}"),
        }
    }
    assert!(house.store.garbage().await.unwrap().is_empty());
    let known: usize = {
        let mut known = 0;
        for n in 1..=CALLS {
            known += house.files(n).await.len();
        }
        known
    };
    assert_eq!(house.on_disk(), known, "no file without a row, history {seed}");
    16 - known as u64
}

#[tokio::test]
async fn no_only_copy_is_deleted_by_the_real_keeper_either() {
    let mut purged = 0;
    for seed in 0..HISTORIES {
        purged += live(seed).await;
    }
    assert!(purged > HISTORIES * 4, "{purged}: what may go does go");
}
