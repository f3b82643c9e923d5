//! Holds, pauses, purges and erasures by the real program, with a Twilio that remembers.

use std::time::Duration;

use fieldtape::clock::{Clock as _, SystemClock};
use fieldtape::domain::CallSid;
use fieldtape::simulate::Sound;
use fieldtape::simulate::cloud::{CallScript, Cloud, CloudOptions, Media};
use fieldtape::twilio::door::PublicUrl;
use fieldtape::twilio::signature::AuthToken;
use serde_json::Value;

use crate::support::{ACCOUNT, Home, PUBLIC_URL, TOKEN, eventually, tone};

async fn twilio() -> Cloud {
    let options = CloudOptions {
        account_sid: ACCOUNT.parse().unwrap(),
        auth_token: AuthToken::new(TOKEN).unwrap(),
        api_key: None,
        public_url: PublicUrl::parse(PUBLIC_URL).unwrap(),
        clock: std::sync::Arc::new(SystemClock),
        seed: 7,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    Cloud::serve(listener, options).unwrap()
}

/// A call that Twilio has recorded, put through to an agent.
fn a_call(cloud: &Cloud) -> CallSid {
    let started = SystemClock.now().minus(Duration::from_hours(2));
    let sound = Media::dual(&vec![100; 16_000], &vec![-100; 16_000]);
    let script = CallScript::inbound(started, Duration::from_secs(2)).recorded(sound);
    cloud.place_call(script)
}

async fn is_fetched(home: &Home, call: &CallSid) {
    eventually("the copy is here", async || {
        let path = home.ledger().cloud(call, "path");
        let split = home.ledger().cloud(call, "split_at_ms");
        (path.iter().all(Option::is_some) && split.first()?.is_some()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_erased_here_and_at_twilio_and_no_list_brings_it_back() {
    let cloud = twilio().await;
    let (erased, kept) = (a_call(&cloud), a_call(&cloud));
    let home =
        Home::new().with("twilio.api_url", cloud.url()).with("twilio.reconcile_every", "10s");
    let appliance = home.start().await;
    for call in [&erased, &kept] {
        is_fetched(&home, call).await;
    }
    let sid = erased.as_str();
    assert_eq!(home.run(&["calls", "hold", sid, "--note", "a dispute"]).await.code, Some(0));
    let held = home.run(&["calls", "delete", sid, "--yes"]).await;
    assert_eq!(held.code, Some(1));
    assert!(held.err.contains("held"), "{held:?}");
    assert_eq!(home.run(&["calls", "release", sid]).await.code, Some(0));
    let unsaid = home.run(&["calls", "delete", sid]).await;
    assert_eq!(unsaid.code, Some(64), "nobody said yes: {unsaid:?}");
    let certificate = home.run(&["calls", "delete", sid, "--yes", "--json"]).await.json();
    let id = certificate["certificate"].as_str().unwrap().to_owned();
    assert_eq!(appliance.get(&format!("/api/v1/calls/{sid}")).await.status(), 404);
    let finished = eventually("it is finished", async || {
        let answer = appliance.api(&format!("/erasures/{id}")).await;
        (answer["state"] == "finished").then_some(answer)
    })
    .await;
    let statuses = |place: &str| -> Vec<String> {
        let items = finished[place].as_array().unwrap().iter();
        items.map(|item| format!("{} {}", item["kind"], item["status"])).collect()
    };
    // The call, and the leg it dialled.
    let (recording, leg) = ("\"recording\" \"done\"", "\"call\" \"done\"");
    assert_eq!(statuses("twilio"), [recording, leg, leg]);
    assert!(cloud.recordings_of(&erased).iter().all(|recording| recording.deleted));
    assert!(cloud.call(&erased).is_none() && cloud.call(&kept).is_some());
    let text = home.run(&["erase", "--certificate", &id]).await;
    assert!(text.out.contains("At Twilio") && !text.out.contains("15550100"), "{}", text.out);
    let file = home.data_dir().join("certificates").join(format!("{id}.txt"));
    let as_told = |file: &String| file.trim_end() == text.out.trim_end();
    let written = async || std::fs::read_to_string(&file).ok().filter(as_told);
    eventually("the file says what the answer says", written).await;
    assert_eq!(home.ledger().audit("erased").len(), 1);
    // The lists still name it as long as Twilio does; here it stays gone.
    let looked = appliance.log().lines_with(&["erase.asked"]).len();
    assert_eq!(looked, 1);
    home.run(&["queue", "run"]).await;
    assert!(home.ledger().call(&erased).is_none() && home.ledger().call(&kept).is_some());
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_offline_goes_at_twilio_when_that_is_back_and_after_a_restart() {
    let cloud = twilio().await;
    let call = a_call(&cloud);
    let home = Home::new().with("twilio.api_url", cloud.url());
    let appliance = home.start().await;
    is_fetched(&home, &call).await;
    cloud.offline().await;
    home.run(&["queue", "run"]).await;
    let number = home.ledger().call(&call).unwrap().from;
    let dry = home.run(&["erase", &number, "--dry-run", "--json"]).await.json();
    assert_eq!(dry["calls"][0]["call_sid"], call.as_str());
    let erased = home.run(&["erase", &number, "--yes"]).await;
    assert_eq!(erased.code, Some(0), "{erased:?}");
    assert!(erased.out.contains("things are still pending"), "{}", erased.out);
    assert!(home.ledger().call(&call).is_none());
    appliance.stop().await;
    let appliance = home.start().await;
    let queue = home.run(&["queue", "ls"]).await;
    assert!(queue.out.contains("erasure ER") && queue.out.contains("…0100"), "{}", queue.out);
    cloud.online().await;
    home.run(&["queue", "run"]).await;
    eventually("it is gone at Twilio", async || cloud.call(&call).is_none().then_some(())).await;
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_queue_stays_paused_over_a_restart_and_records_all_the_same() {
    let cloud = twilio().await;
    let home = Home::new().with("twilio.api_url", cloud.url());
    let appliance = home.start().await;
    let paused = home.run(&["queue", "pause"]).await;
    assert!(paused.out.contains("every stage is paused"), "{paused:?}");
    let copied = a_call(&cloud);
    appliance.stop().await;
    let appliance = home.start().await;
    let status = home.run(&["status"]).await;
    assert!(status.out.contains("every stage is paused"), "{}", status.out);
    let report = appliance.play(Sound::stereo(tone(500), tone(500)), |_| {}).await;
    appliance.await_recorded(&report.call_sid).await;
    let known = async || home.ledger().cloud(&copied, "status").first().cloned();
    eventually("Twilio's copy is known", known).await;
    assert_eq!(home.ledger().cloud(&copied, "path"), [None], "nothing is fetched");
    assert!(home.run(&["queue", "resume"]).await.out.contains("nothing is paused"));
    is_fetched(&home, &copied).await;
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_what_a_purge_would_free_and_why_not() {
    let home = Home::new().with("retention.audio_days", 30);
    let appliance = home.start().await;
    let report = appliance.play(Sound::stereo(tone(500), tone(500)), |_| {}).await;
    appliance.await_recorded(&report.call_sid).await;
    let dry = home.run(&["purge", "--dry-run", "--free", "1MB", "--json"]).await.json();
    assert_eq!((&dry["dry_run"], &dry["done"]), (&true.into(), &Value::Null));
    let plan = &dry["plan"];
    // Its transcript waits for a model, so only what is made again may go.
    assert_eq!(plan["sums"][0]["rests_on"], "here", "{plan:#}");
    assert_eq!(plan["sums"][0]["pieces"], 2);
    assert_eq!(plan["kept_back"][0]["why"], "undone");
    assert!(plan["short_bytes"].as_u64().unwrap() > 0);
    assert_eq!(dry["goes"].as_array().unwrap().len(), 2);
    let told = home.run(&["purge", "--dry-run"]).await;
    assert!(told.out.contains("could go if all the room were needed"), "{}", told.out);
    assert_eq!(home.run(&["purge", "--free", "much"]).await.code, Some(64));
    appliance.stop().await;
}
