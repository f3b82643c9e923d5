//! What callers are told, and that one who says no is recorded nowhere.

use std::path::Path;

use fieldtape::domain::CallSid;
use fieldtape::simulate::cloud::{Cloud, Endpoint};
use fieldtape::simulate::{self, Trouble};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::{SETTLED_WITHIN, call_that, has_copy, home, speech};
use crate::support::{Appliance, Form, Home, fresh_call_sid, twilio_api, within};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

async fn call_pressing(
    appliance: &Appliance,
    cloud: &Cloud,
    key: Option<char>,
) -> (CallSid, simulate::Report) {
    let options = appliance.call_options(|options| {
        options.cloud = Some(cloud.clone());
        options.presses = key;
    });
    let sid = options.call_sid.clone();
    (sid, simulate::run(options, speech(), CancellationToken::new()).await.unwrap())
}

fn asking(cloud: &Cloud, copy: &str) -> Home {
    home(cloud)
        .with("consent.mode", "keypad")
        .with("consent.decline_digit", "9")
        .with("consent.announcement", "This call is recorded. Press 9 if you do not want that.")
        .with("twilio.cloud_recording", copy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_presses_the_key_is_connected_and_recorded_nowhere() {
    for copy in ["twiml", "rest"] {
        let cloud = twilio_api().await;
        let home = asking(&cloud, copy);
        let appliance = home.start().await;
        let (sid, report) = call_pressing(&appliance, &cloud, Some('9')).await;
        assert_eq!(report.troubles, [Trouble::NoStream]);
        let dialled = cloud.calls().into_iter().any(|leg| leg.parent_sid.as_ref() == Some(&sid));
        assert!(dialled, "it went on connected");
        let call = call_that(&appliance, &sid, |call| {
            !call["ended_at"].is_null() && call["transcript_status"] == "skipped"
        })
        .await;
        assert!(call["declined_at"].is_string(), "{call:#}");
        assert_eq!(call["announcements"].as_array().unwrap().len(), 1);
        assert!(call["tracks"].as_array().unwrap().is_empty());
        assert_eq!(call["last_error"], serde_json::Value::Null);
        let recordings = files(&home.data_dir().join("recordings"));
        assert!(recordings.is_empty(), "not one byte: {recordings:?}");
        assert!(cloud.recordings_of(&sid).is_empty(), "nor at Twilio");
        assert!(cloud.requests_for(Endpoint::StartRecording).is_empty());
        // A stream that nobody asked for is turned away.
        let begun = crate::support::Socket::begin(&appliance, &sid, None).await;
        appliance.log().await_line(&["stream.closed", "not to be recorded"]).await;
        drop(begun);
        assert!(files(&home.data_dir().join("recordings")).is_empty());
        appliance.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_presses_nothing_or_another_key_is_recorded() {
    let cloud = twilio_api().await;
    let home = asking(&cloud, "twiml");
    let appliance = home.start().await;
    for (key, told) in [(None, 1), (Some('5'), 2)] {
        let (sid, report) = call_pressing(&appliance, &cloud, key).await;
        assert_eq!(report.troubles, []);
        appliance.await_recorded(&sid).await;
        let call = call_that(&appliance, &sid, has_copy).await;
        assert!(call["declined_at"].is_null());
        assert_eq!(call["announcements"].as_array().unwrap().len(), told, "each time it was told");
        assert_eq!(cloud.recordings_of(&sid).len(), 1);
    }
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_file_is_played_and_the_ledger_knows_which() {
    let cloud = twilio_api().await;
    let sound = b"RIFF\x04\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    let home = home(&cloud);
    let file = home.path().join("announcement.wav");
    std::fs::write(&file, &sound).unwrap();
    let home = home.with("consent.sound", file.to_str().unwrap()).with("consent.announcement", "");
    let appliance = home.start().await;
    let sid = fresh_call_sid();
    let document = appliance.twilio().voice(&Form::voice(&sid)).await;
    let document = roxmltree::Document::parse(&document).unwrap();
    let first = document.root_element().first_element_child().unwrap();
    assert!(first.has_tag_name("Play"), "{document:?}");
    let path = first.text().unwrap().strip_prefix("https://fieldtape.example").unwrap().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let fetched = http.get(format!("http://{}{path}", appliance.door())).send().await.unwrap();
    assert_eq!(
        (fetched.status().as_u16(), &fetched.headers()["content-type"]),
        (200, &"audio/x-wav".parse().unwrap())
    );
    assert_eq!(fetched.bytes().await.unwrap(), sound);
    let other = path.replace(".wav", ".mp3");
    let other = http.get(format!("http://{}{other}", appliance.door())).send().await.unwrap();
    assert_eq!(other.status(), 404);
    let call = call_that(&appliance, &sid, |_| true).await;
    let told = &call["announcements"][0];
    assert_eq!(
        (&told["how"], &told["sha256"]),
        (&"played".into(), &format!("{:x}", Sha256::digest(&sound)).into())
    );
    appliance.stop().await;

    // Without its file the box records nothing, connects all the same, and says so.
    std::fs::remove_file(&file).unwrap();
    let appliance = home.start().await;
    let document = appliance.twilio().voice(&Form::voice(&fresh_call_sid())).await;
    for verb in ["<Stream", "<Recording", "<Play", "<Say"] {
        assert!(!document.contains(verb), "{document}");
    }
    assert!(document.contains("<Dial"), "{document}");
    within(SETTLED_WITHIN, "the page says so", async || {
        let health = appliance.api("/health").await;
        let checks = health["checks"].as_array().unwrap();
        let consent = checks.iter().find(|check| check["name"] == "consent")?;
        (consent["state"] == "fail").then_some(())
    })
    .await;
    let checked = home.run(&["check-config"]).await;
    assert_eq!(checked.code, Some(64));
    assert!(checked.err.contains("consent.sound"), "{}", checked.err);
    appliance.stop().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_at_the_start() {
    for (key, value, says) in [
        ("consent.decline_digit", "x", "no key of a telephone"),
        ("consent.mode", "loud", "neither"),
        ("twilio.country", "Atlantis", "no country"),
    ] {
        let home = Home::new().with(key, value);
        let checked = home.run(&["check-config"]).await;
        assert_eq!(checked.code, Some(64), "{key}");
        assert!(checked.err.contains(key) && checked.err.contains(says), "{}", checked.err);
    }
    let home = Home::new().with("consent.mode", "keypad").with("consent.announcement", "");
    let checked = home.run(&["check-config"]).await;
    assert!(checked.err.contains("takes words"), "{}", checked.err);
}

#[tokio::test]
async fn what_lives_at_twilio_records_nobody_whom_it_cannot_ask_or_tell() {
    let keypad = Home::new().with("consent.mode", "keypad");
    let played = Home::new().with("consent.sound", "/nowhere.wav");
    for home in [keypad, played] {
        let printed = home.run(&["setup", "--fallback-twiml"]).await;
        assert_eq!(printed.code, Some(0), "{printed:?}");
        assert!(printed.out.contains("<Dial"), "{printed:?}");
        assert!(!printed.out.contains("<Recording"), "{printed:?}");
    }
}
