//! A box whose clock is wrong until it is set: what it hears then is dated rightly in the end, and
//! nothing goes meanwhile.

use std::time::Duration;

use fieldtape::clock::{Clock as _, SystemClock};
use fieldtape::domain::CallSid;
use fieldtape::simulate::Sound;
use fieldtape::simulate::cloud::{CallScript, Media};

use crate::support::{Appliance, Home, Wall, eventually, noise, twilio_api};

const HOUR_MS: i64 = 60 * 60 * 1000;
const YEAR_MS: i64 = 365 * 24 * HOUR_MS;

/// How far from the truth a time may be that was put right: the tests' machine is slow, and the
/// clocks are compared every five seconds.
const NEAR_MS: i64 = 1000;

/// When a call was, in truth.
struct Heard {
    call_sid: CallSid,
    from_ms: i64,
    to_ms: i64,
}

async fn hear(appliance: &Appliance, seed: u64) -> Heard {
    let from_ms = SystemClock.now().get();
    let sound = Sound::stereo(noise(seed, 1000), noise(seed + 1, 1000));
    let report = appliance.play(sound, |_| {}).await;
    assert_eq!(report.troubles, []);
    appliance.await_recorded(&report.call_sid).await;
    Heard { call_sid: report.call_sid, from_ms, to_ms: SystemClock.now().get() }
}

/// A call's times are those at which it was.
fn check_right(home: &Home, heard: &Heard) {
    let call = home.ledger().call(&heard.call_sid).unwrap();
    let (started, ended) = (call.started_at_ms.unwrap(), call.ended_at_ms.unwrap());
    let span = heard.from_ms - NEAR_MS..=heard.to_ms + NEAR_MS;
    assert!(span.contains(&started) && span.contains(&ended), "{span:?}: {call:?}");
    assert!(started + 900 <= ended, "{call:?}");
    for track in home.ledger().tracks(&heard.call_sid) {
        assert!(home.data_dir().join(track.path).exists(), "folders keep their names");
    }
}

#[tokio::test]
async fn a_call_in_the_middle_of_which_the_clock_is_set_is_dated_rightly() {
    let home = Home::new();
    let wall = Wall::new(home.path());
    wall.set(-50 * YEAR_MS, false);
    let appliance = wall.start(&home).await;
    appliance.await_ready().await;
    let from_ms = SystemClock.now().get();
    let sound = Sound::stereo(noise(1, 2000), noise(2, 2000));
    let playing = appliance.play(sound, |_| {});
    let setting = async {
        eventually("its sound is being written", async || {
            (home.files_under_way().len() == 4).then_some(())
        })
        .await;
        wall.set(0, true);
    };
    let (report, ()) = tokio::join!(playing, setting);
    assert_eq!(report.troubles, [], "no token is too old because a clock moved");
    let call_sid = report.call_sid;
    appliance.await_recorded(&call_sid).await;
    let line = appliance.log().await_line(&["clock.corrected", call_sid.as_str()]).await;
    assert!(line.contains("put right by +1576"), "fifty years in seconds: {line}");
    let call = home.ledger().call(&call_sid).unwrap();
    assert_eq!(call.duration_s, Some(2));
    let tracks = home.ledger().tracks(&call_sid);
    assert!(tracks[0].path.to_str().unwrap().starts_with("recordings/19"), "{tracks:?}");
    check_right(&home, &Heard { call_sid, from_ms, to_ms: SystemClock.now().get() });
    assert_eq!(home.ledger().audit("put-times-right").len(), 1);
    appliance.stop().await;
}

#[tokio::test]
async fn two_jumps_with_a_restart_between_them_are_undone_at_once() {
    let home = Home::new();
    let wall = Wall::new(home.path());
    wall.set(5 * YEAR_MS, false);
    let appliance = wall.start(&home).await;
    appliance.await_ready().await;
    let first = hear(&appliance, 1).await;
    appliance.stop().await;
    wall.set(-6 * HOUR_MS, false);
    let appliance = wall.start(&home).await;
    appliance.await_ready().await;
    let second = hear(&appliance, 3).await;
    assert!(appliance.log().lines_with(&["clock.corrected"]).is_empty());
    let health = appliance.api("/health").await.to_string();
    assert!(health.contains("calls may be dated wrongly"), "{health}");
    let page = appliance.get(&format!("/calls/{}", second.call_sid)).await.text().await.unwrap();
    assert!(page.contains("its time may be wrong"), "{page}");
    wall.set(0, true);
    for heard in [&first, &second] {
        appliance.log().await_line(&["clock.corrected", heard.call_sid.as_str()]).await;
    }
    check_right(&home, &first);
    check_right(&home, &second);
    let page = appliance.get(&format!("/calls/{}", second.call_sid)).await.text().await.unwrap();
    assert!(!page.contains("its time may be wrong"), "{page}");
    assert_eq!(home.ledger().audit("put-times-right").len(), 2);
    let listed = appliance.api("/calls").await;
    assert_eq!(listed["calls"][0]["call_sid"], second.call_sid.as_str(), "in their order");
    appliance.stop().await;
}

#[cfg(feature = "whisper")]
#[tokio::test]
async fn nothing_is_deleted_at_twilio_before_the_clock_is_synchronised() {
    let cloud = twilio_api().await;
    let home = Home::with_speech()
        .with("twilio.api_url", cloud.url())
        .with("twilio.delete", true)
        .with("twilio.delete_after", "1h");
    let wall = Wall::new(home.path());
    let started = SystemClock.now().minus(Duration::from_hours(2));
    let media = Media::noise(2, Duration::from_secs(2), 7);
    let call =
        cloud.place_call(CallScript::inbound(started, Duration::from_secs(2)).recorded(media));
    wall.set(0, false);
    let appliance = wall.start(&home).await;
    appliance.await_ready().await;
    eventually("its deletion waits for the clock", async || {
        let waits_for = home.ledger().stage_waits_for(&call, "delete")?;
        (waits_for == "clock").then_some(())
    })
    .await;
    wall.set(20 * YEAR_MS, false);
    assert_eq!(home.run(&["queue", "run"]).await.code, Some(0));
    assert!(!cloud.recordings_of(&call)[0].deleted);
    wall.set(0, true);
    eventually("it is deleted when it may be", async || {
        // A person need not wait for the next look.
        home.run(&["queue", "run"]).await;
        cloud.recordings_of(&call)[0].deleted.then_some(())
    })
    .await;
    appliance.stop().await;
}
