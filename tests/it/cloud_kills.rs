//! Kill -9 at any instant of download, archive and deletion: each recording is visible exactly
//! once, nothing unfinished has a final name, and nothing is deleted without proof.
//!
//! Thirty kills a run; `FIELDTAPE_LONG=1` makes it three hundred. `FIELDTAPE_SEED` plays it again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fieldtape::clock::{Clock as _, SystemClock};
use fieldtape::config::{Environment, Lookup as _};
use fieldtape::domain::CallSid;
use fieldtape::simulate::cloud::{CallScript, Cloud, Media};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::support::{Appliance, Home, S3, Wall, twilio_api, within};

/// How long the last run may take to finish what the kills left.
const DONE_WITHIN: Duration = Duration::from_mins(5);

/// How long a kill waits for the stage it is aimed at.
const AIMED_FOR: Duration = Duration::from_secs(30);

/// A recording as it is at Twilio.
struct Original {
    call: CallSid,
    sid: String,
    wav: Vec<u8>,
}

/// The appliance's machine: a clock that is synchronised, as the machine of the tests may not be.
struct Machine {
    home: Home,
    wall: Wall,
}

impl Machine {
    fn new(home: Home) -> Self {
        let wall = Wall::new(home.path());
        Self { home, wall }
    }

    async fn start(&self) -> Appliance {
        self.wall.start(&self.home).await
    }
}

fn place(cloud: &Cloud, dice: &mut StdRng) -> Original {
    // Old enough to be deleted, young enough to be in the lists.
    let started = SystemClock.now().minus(Duration::from_mins(24 * 60 + 20));
    let length = Duration::from_secs(dice.random_range(2..6));
    let media = Media::noise(2, length, dice.random());
    let wav = media.wav();
    let call = cloud.place_call(CallScript::inbound(started, length).recorded(media));
    let sid = cloud.recordings_of(&call)[0].sid.to_string();
    Original { call, sid, wav }
}

/// Checks what must hold at every instant.
fn check(home: &Home, cloud: &Cloud, s3: &S3, originals: &[Original]) {
    let mut final_files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in files_below(&home.data_dir().join("recordings")) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(sid) = name.strip_prefix("cloud_").and_then(|name| name.strip_suffix(".wav")) {
            assert!(final_files.insert(sid.to_owned(), file).is_none(), "{name} is there twice");
        }
    }
    let proofs: Vec<String> = home.ledger().audit("delete-at-twilio");
    let before: Vec<String> = home.ledger().audit("prove-deletion");
    for original in originals {
        let here = final_files.get(&original.sid);
        if let Some(file) = here {
            assert!(std::fs::read(file).unwrap() == original.wav, "{} is not whole", original.sid);
        }
        let recording = cloud.recordings_of(&original.call).remove(0);
        if recording.deleted {
            let told = |rows: &[String]| rows.iter().any(|row| row.contains(&original.sid));
            assert!(told(&proofs) || told(&before), "{} went without proof", original.sid);
            let file = here.expect("what is deleted there is here");
            let key = file.strip_prefix(home.data_dir()).unwrap().to_str().unwrap();
            let archived = std::fs::read(s3.object(key)).expect("and in the archive");
            assert!(archived == original.wav, "{} is archived whole", original.sid);
        }
    }
}

/// Waits until a stage is being worked on; says whether it was seen to be.
async fn under_way(home: &Home, stage: &str) -> bool {
    let ledger = home.ledger();
    let deadline = Instant::now() + AIMED_FOR;
    while Instant::now() < deadline {
        if ledger.is_under_way(Some(stage)) {
            return true;
        }
        // A stage of a short recording is over in some milliseconds.
        sleep(Duration::from_millis(1)).await;
    }
    false
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_between_fetching_and_deleting_nothing_is_lost_or_doubled() {
    let seed = Environment.get("FIELDTAPE_SEED").and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    println!("FIELDTAPE_SEED={seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let kills = if Environment.get("FIELDTAPE_LONG").is_some() { 300 } else { 30 };
    let (cloud, s3) = (twilio_api().await, S3::start().await);
    let home = Home::with_speech()
        .with("twilio.api_url", cloud.url())
        .with("twilio.reconcile_every", "10s")
        .with("twilio.delete", true);
    let machine = Machine::new(s3.archive_of(home));
    let (mut originals, mut hit) = (Vec::new(), BTreeSet::new());
    // Every other kill is aimed, at each of these in turn.
    let mut aims =
        [None, Some("fetch"), None, Some("archive"), None, Some("delete")].iter().cycle();
    for _ in 0..kills {
        originals.push(place(&cloud, &mut dice));
        let mut appliance = machine.start().await;
        match aims.next() {
            Some(&Some(stage)) => {
                if under_way(&machine.home, stage).await {
                    hit.insert(stage);
                }
            }
            _ => sleep(Duration::from_millis(dice.random_range(0..1500))).await,
        }
        sleep(Duration::from_millis(dice.random_range(0..10))).await;
        appliance.signal(Signal::KILL);
        appliance.ended().await;
        check(&machine.home, &cloud, &s3, &originals);
    }
    let deleted_while_killed =
        originals.iter().filter(|one| cloud.recordings_of(&one.call)[0].deleted).count();
    assert_eq!(hit.len(), 3, "each stage was killed while it was under way: {hit:?}");
    println!("{deleted_while_killed} of {kills} were deleted at Twilio by then");
    let appliance = machine.start().await;
    // What was killed five times in the middle waits, or has failed: a person has it go on.
    machine.home.run(&["retry", "--all-failed"]).await;
    machine.home.run(&["queue", "run"]).await;
    for original in &originals {
        let path = format!("/api/v1/calls/{}", original.call);
        within(DONE_WITHIN, "the recording is archived and gone at Twilio", async || {
            let response = appliance.get(&path).await;
            if response.status() != 200 {
                return None;
            }
            let call: serde_json::Value = response.json().await.unwrap();
            let copies = call["cloud_recordings"].as_array().unwrap();
            assert_eq!(copies.len(), 1, "{call:#}");
            (!copies[0]["twilio_deleted_at"].is_null() && call["archive_status"] == "completed")
                .then_some(())
        })
        .await;
        assert!(cloud.recordings_of(&original.call)[0].deleted);
    }
    check(&machine.home, &cloud, &s3, &originals);
    appliance.stop().await;
}
