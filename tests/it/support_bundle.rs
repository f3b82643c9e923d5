//! What is packed for a helper: everything he needs, and nothing that is nobody's business.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use fieldtape::clock::{Clock as _, ManualClock};
use fieldtape::domain::{CallSid, Party, Stage, TrackSource, UnixMillis};
use fieldtape::simulate::Sound;
use fieldtape::store::{Output, SegmentRow, Settlement, Store, TranscriptRow};
use serde_json::Value;

use crate::support::{AGENT, Home, TOKEN, noise};

const LATER: UnixMillis = UnixMillis::new(4_000_000_000_000);
const SPOKEN: &str = "the canary sits on the red valve";
const ARCHIVE_SECRET: &str = "archive-secret-that-is-nobodys-business";
const STRANGER: &str = "+4915112345678";

/// Unpacks a bundle: names and texts.
fn unpacked(path: &Path) -> BTreeMap<String, String> {
    let file = std::fs::File::open(path).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let files = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().mode().unwrap(), 0o600);
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let name = entry.path().unwrap().display().to_string();
        (name.strip_prefix("fieldtape-support/").unwrap().to_owned(), text)
    });
    files.collect()
}

/// Looks through everything for what must not be there.
fn holds_no_canary(files: &BTreeMap<String, String>) {
    for (name, text) in files {
        for canary in [
            TOKEN,
            ARCHIVE_SECRET,
            "an-access-key-id",
            SPOKEN,
            "red valve",
            AGENT.trim_start_matches('+'),
            STRANGER.trim_start_matches('+'),
            "15550100",
            "15550199",
            "(555) 0100",
            "RIFF",
        ] {
            assert!(!text.contains(canary), "{canary:?} is in {name}: {text}");
        }
    }
}

/// Plants what was said into the ledger, and into an error what no error should hold; returns whose.
async fn plant(home: &Home) -> CallSid {
    let store = Store::open(&home.data_dir().join("fieldtape.db")).unwrap();
    let claim = store.claim(Stage::Transcript, LATER).await.unwrap().expect("it is due");
    let segment = SegmentRow {
        party: Party::Agent,
        start_ms: 0,
        end_ms: 400,
        text: SPOKEN.to_owned(),
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
    store.settle(claim, Settlement::Done(output), UnixMillis::new(0)).await.unwrap();
    let why = format!("{TOKEN} refused for {STRANGER} and (555) 0100, {AGENT}");
    let claim = store.claim(Stage::Transcript, LATER).await.unwrap().expect("it is due");
    let failed = claim.call_sid().clone();
    store.settle(claim, Settlement::Never { why }, UnixMillis::new(0)).await.unwrap();
    let clock = ManualClock::new(UnixMillis::new(1_000));
    store.was_off(clock.reading(), 1).await.unwrap();
    clock.advance(Duration::from_secs(899));
    store.was_off(clock.reading(), 1).await.unwrap();
    failed
}

#[tokio::test]
async fn a_bundle_tells_everything_but_secrets_numbers_and_words() {
    let home = Home::new();
    let secret = home.path().join("archive-secret");
    std::fs::write(&secret, ARCHIVE_SECRET).unwrap();
    let home = home
        .with("archive.url", "s3://office/box")
        .with("archive.endpoint", "http://127.0.0.1:9")
        .with("archive.access_key_id", "an-access-key-id")
        .with("archive.secret_access_key_file", secret.to_str().unwrap())
        .with("transcription.vocabulary", vec![SPOKEN]);
    let appliance = home.start().await;
    for _ in 0..2 {
        let report = appliance.play(Sound::stereo(noise(1, 400), noise(2, 400)), |_| {}).await;
        appliance.await_recorded(&report.call_sid).await;
    }
    appliance.stop().await;
    let failed = plant(&home).await;
    let appliance = home.start().await;

    let file = home.path().join("bundle.tar.gz");
    let answer = home.run(&["support-bundle", file.to_str().unwrap()]).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let files = unpacked(&file);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "README.txt",
            "config.toml",
            "doctor.json",
            "health.json",
            "journal.jsonl",
            "ledger.json",
            "machine.txt",
            "schema.sql",
            "systemd.txt",
            "version.json",
        ]
    );
    holds_no_canary(&files);
    let json = |name: &str| serde_json::from_str::<Value>(&files[name]).unwrap();
    let ledger = json("ledger.json");
    assert_eq!(ledger["tables"]["segments"], 1);
    assert_eq!(ledger["stages"]["transcript failed"], 1);
    let trouble = &ledger["stages_with_errors"][0];
    assert_eq!(trouble["call_sid"], failed.as_str(), "{ledger}");
    assert_eq!(trouble["last_error"], "(secret) refused for …5678 and …0100, …0142");
    assert!(!ledger["outages"].as_array().unwrap().is_empty(), "{ledger}");
    assert_eq!(json("version.json")["fieldtape"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json("health.json")["ready"], true);
    assert!(json("doctor.json")["checks"].as_array().unwrap().len() > 20);
    assert!(files["schema.sql"].contains("CREATE TABLE calls"));
    assert!(files["machine.txt"].contains("MemTotal"));
    assert!(files["config.toml"].contains("auth_token = \"(secret)\""), "{}", files["config.toml"]);
    assert!(files["config.toml"].contains("…0142"));

    let again = home.run(&["support-bundle", file.to_str().unwrap()]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("is there already"), "{again:?}");
    appliance.stop().await;

    let alone = home.run(&["support-bundle"]).await;
    assert_eq!(alone.code, Some(0), "without an appliance too: {alone:?}");
    let made = alone.out.split(':').next().unwrap();
    assert!(made.starts_with("fieldtape-support-"), "{alone:?}");
    assert!(unpacked(&home.path().join(made))["health.json"].contains("cannot be reached"));
}
