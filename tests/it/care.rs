//! Looking after what is recorded: the queue, a retry of everything, a swap, an export.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fieldtape::clock::{Clock as _, ManualClock};
use fieldtape::domain::{CallSid, Party, Stage, TrackSource, UnixMillis};
use fieldtape::simulate::Sound;
use fieldtape::store::{
    CloudUpdate, Fetched, Output, SegmentRow, Settlement, Store, TranscriptRow,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Answer, Home, fresh_recording_sid, noise};

/// A moment after all that happens here.
const LATER: UnixMillis = UnixMillis::new(4_000_000_000_000);

/// The ledger of an appliance that is not running.
fn ledger(home: &Home) -> Store {
    Store::open(&home.data_dir().join("fieldtape.db")).unwrap()
}

/// Records a call on a running appliance and stops it.
async fn recorded(home: &Home) -> CallSid {
    let appliance = home.start().await;
    let report = appliance.play(Sound::stereo(noise(1, 400), noise(2, 400)), |_| {}).await;
    appliance.await_recorded(&report.call_sid).await;
    appliance.stop().await;
    report.call_sid
}

async fn settle(store: &Store, stage: Stage, settlement: Settlement) {
    let claim = store.claim(stage, LATER).await.unwrap().expect("it is due");
    store.settle(claim, settlement, UnixMillis::new(0)).await.unwrap();
}

/// Puts the words of a call into the ledger.
async fn written_down(store: &Store) {
    let segment = SegmentRow {
        party: Party::Agent,
        start_ms: 0,
        end_ms: 400,
        text: "Good morning.".to_owned(),
        confidence: 0.9,
        avg_logprob: -0.1,
        no_speech_prob: 0.0,
        words: Vec::new(),
    };
    let transcript = TranscriptRow {
        source: TrackSource::Stream,
        language: "en".to_owned(),
        model: "a model".to_owned(),
        dropped: 0,
        segments: vec![segment],
    };
    let output = Output::Transcript { transcript, spent: Vec::new() };
    settle(store, Stage::Transcript, Settlement::Done(output)).await;
}

/// Puts Twilio's copy of a call where it would have been fetched to; returns its name and bytes.
async fn copied(home: &Home, store: &Store, call_sid: &CallSid) -> (String, Vec<u8>) {
    let recording_sid = fresh_recording_sid();
    let update = CloudUpdate {
        recording_sid: recording_sid.clone(),
        call_sid: call_sid.clone(),
        status: "completed".to_owned(),
        channels: Some(2),
        duration_s: Some(1),
        source: None,
        track: None,
        started_at: None,
        error_code: None,
        at: UnixMillis::new(0),
    };
    store.cloud_recording(update).await.unwrap();
    let folder = store.call(call_sid).await.unwrap().unwrap().call.folder.unwrap();
    let name = format!("cloud_{recording_sid}.wav");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let path = format!("{folder}/{name}");
    std::fs::write(home.data_dir().join(&path), &bytes).unwrap();
    let fetched = Fetched {
        recording_sid,
        path,
        size_bytes: bytes.len() as u64,
        sha256: sha256(&bytes),
        channels: 2,
        frames: 749_989,
        rate_hz: 8000,
    };
    store.recording_fetched(fetched, UnixMillis::new(0)).await.unwrap();
    settle(store, Stage::Fetch, Settlement::Done(Output::Fetched)).await;
    (name, bytes)
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

async fn export(home: &Home, call_sid: &CallSid, to: &Path) -> Answer {
    home.run(&["calls", "export", call_sid.as_str(), to.to_str().unwrap()]).await
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The files that a manifest speaks of, by name, checked against what is there.
fn checked(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let mut files = BTreeMap::new();
    for file in manifest["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap().to_owned();
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        assert_eq!(file["bytes"], bytes.len(), "{name}");
        assert_eq!(file["sha256"], sha256(&bytes), "{name}");
        files.insert(name, bytes);
    }
    let mut told: Vec<String> = files.keys().cloned().chain(["manifest.json".to_owned()]).collect();
    told.sort();
    assert_eq!(names(folder), told, "every file is in the manifest");
    files
}

/// What the audit trail says was exported.
fn exported(home: &Home) -> Vec<String> {
    let path = home.data_dir().join("fieldtape.db");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = rusqlite::Connection::open_with_flags(path, flags).unwrap();
    let mut found =
        db.prepare("select detail from audit where action = 'export' order by detail").unwrap();
    found.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_call_is_exported_as_a_folder_whose_every_file_is_proved() {
    let home = Home::new();
    let sid = recorded(&home).await;
    let store = ledger(&home);
    written_down(&store).await;
    let (copy, bytes) = copied(&home, &store, &sid).await;
    drop(store);
    let appliance = home.start().await;
    let out = home.path().join("out/here");
    let answer = export(&home, &sid, &out).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(names(&out), [sid.to_string()], "nothing else is left there");
    let folder: PathBuf = out.join(sid.as_str());
    assert!(answer.out.starts_with(folder.to_str().unwrap()), "{answer:?}");
    let files = checked(&folder);
    assert_eq!(files[&copy], bytes);
    for track in home.ledger().tracks(&sid) {
        let name = track.path.file_name().unwrap().to_str().unwrap();
        let there = std::fs::read(home.data_dir().join(&track.path)).unwrap();
        assert_eq!(files[name], there, "{name}");
    }
    assert!(String::from_utf8_lossy(&files["transcript.txt"]).contains("Good morning."));
    assert_eq!(files.len(), 4 + 1 + 4, "tracks, Twilio's copy, transcripts");
    let mut told: Vec<String> =
        files.keys().map(|name| name.trim_start_matches("cloud_").to_owned()).collect();
    told.sort();
    assert_eq!(exported(&home), told, "each is in the audit trail, once");

    let again = export(&home, &sid, &out).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("is there already") && again.err.lines().count() == 1, "{again:?}");
    drop(appliance);
}

#[tokio::test]
async fn an_export_is_whole_or_not_at_all() {
    let home = Home::new();
    let sid = recorded(&home).await;
    let appliance = home.start().await;
    let out = home.path().join("out");
    let track = home.ledger().tracks(&sid).pop().unwrap();
    let file = home.data_dir().join(&track.path);
    let away = home.path().join("away.wav");
    std::fs::rename(&file, &away).unwrap();
    let answer = export(&home, &sid, &out).await;
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.out.is_empty() && answer.err.lines().count() == 1, "{answer:?}");
    assert_eq!(names(&out), [""; 0], "no part of it is left");

    std::fs::rename(&away, &file).unwrap();
    let args = ["calls", "export", sid.as_str(), out.to_str().unwrap(), "--json"];
    let manifest = home.run(&args).await.json();
    assert_eq!(manifest["call"]["call_sid"], sid.as_str());
    assert_eq!(checked(&out.join(sid.as_str())).len(), 4, "it has no transcript yet");
    let unknown = export(&home, &crate::support::fresh_call_sid(), &out).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    appliance.stop().await;
}

#[tokio::test]
async fn the_queue_is_listed_and_what_failed_is_tried_again() {
    let home = Home::new();
    let sid = recorded(&home).await;
    let store = ledger(&home);
    settle(&store, Stage::Transcript, Settlement::Never { why: "it broke".to_owned() }).await;
    store.was_off(ManualClock::new(UnixMillis::new(1_000)).reading(), 1).await.unwrap();
    drop(store);
    let appliance = home.start().await;
    let listed = home.run(&["queue", "ls"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    for part in [sid.as_str(), "transcript", "1 failed", "it broke", "link"] {
        assert!(listed.out.contains(part), "{part}: {listed:?}");
    }
    let queue = home.run(&["queue", "ls", "--json"]).await.json();
    for key in ["live_calls", "link", "stages", "items", "outages"] {
        assert!(!queue[key].is_null(), "{key}: {queue}");
    }
    let status = home.run(&["status"]).await;
    for part in ["0 waiting, 0 under way, 1 failed", "link"] {
        assert!(status.out.contains(part), "{part}: {status:?}");
    }
    let again = home.run(&["retry", "--all-failed"]).await;
    assert_eq!((again.code, again.out), (Some(0), format!("{sid}: transcript is tried again\n")));
    let nothing = home.run(&["retry", "--all-failed"]).await;
    assert_eq!((nothing.code, nothing.out.as_str()), (Some(0), "nothing has failed\n"));
    let run = home.run(&["queue", "run"]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.contains("for the next attempt"), "{run:?}");
    appliance.stop().await;
}

#[tokio::test]
async fn two_parties_are_swapped_by_one_command_and_stay_so() {
    let home = Home::new();
    let sid = recorded(&home).await;
    let appliance = home.start().await;
    let is_swapped = async || {
        let call = home.run(&["calls", "show", sid.as_str(), "--json"]).await.json();
        call["parties_swapped"].as_bool().unwrap()
    };
    assert!(!is_swapped().await);
    let swapped = home.run(&["calls", "swap", sid.as_str()]).await;
    assert_eq!(swapped.code, Some(0), "{swapped:?}");
    assert_eq!(swapped.out, format!("{sid}: agent and technician are swapped now\n"));
    appliance.stop().await;
    let appliance = home.start().await;
    assert!(is_swapped().await, "also after a restart");
    let back = home.run(&["calls", "swap", sid.as_str(), "--json"]).await.json();
    assert_eq!(back["parties_swapped"], false);
    let unknown = home.run(&["calls", "swap", crate::support::fresh_call_sid().as_str()]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    appliance.stop().await;
}
