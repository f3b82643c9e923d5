//! As many calls as the box takes, while it transcribes.

use std::time::Duration;

use fieldtape::simulate::{self, Report, Sound};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::kept::{assert_whole, telephone};
use crate::speech::status;
use crate::support::{Appliance, Home, eventually, noise};

const CALLS: u64 = 16;

/// How long each lasts.
const CALL_MS: usize = 12_000;

/// Beside them, short calls come and go.
const SHORT_CALLS: u64 = 20;
const SHORT_CALL_MS: usize = 200;
const SHORT_CALL_EVERY: Duration = Duration::from_millis(500);

/// What the daemon may take of the memory at rest, and what each call may add.
const REST_KIB_MAX: u64 = 40 * 1024;
const CALL_KIB_MAX: u64 = 1024;

/// How long the answer to a call may take: half of them, and each. Twilio waits for 15 s.
const ANSWER_MEDIAN_MAX: Duration = Duration::from_millis(300);
const ANSWER_MAX: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_calls_beside_a_transcription_lose_no_sample() {
    // On a small box the finished call's transcription gives way to what these say.
    let home = Home::with_speech().with("server.max_calls", 32).with("transcription.live", true);
    let appliance = home.start().await;
    let rest_kib = rss_kib(&appliance);
    let before = appliance.play(telephone("service-call.wav"), |options| options.speed = 4.0).await;
    let row = || appliance.ledger().call(&before.call_sid).unwrap();
    eventually("a transcription is under way", async || {
        (row().transcript_status == "processing").then_some(())
    })
    .await;

    let mut calls = JoinSet::new();
    for seed in 0..CALLS {
        begin(&mut calls, &appliance, seed, CALL_MS);
    }
    let mut beat = interval(SHORT_CALL_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut most_kib = 0;
    for seed in CALLS..CALLS + SHORT_CALLS {
        beat.tick().await;
        begin(&mut calls, &appliance, seed, SHORT_CALL_MS);
        most_kib = most_kib.max(rss_kib(&appliance));
    }
    let still = row().transcript_status == "processing";
    let calls = calls.join_all().await;
    let call_kib = most_kib.saturating_sub(rest_kib) / CALLS;
    println!("{rest_kib} KiB at rest, {most_kib} KiB with {CALLS} calls: {call_kib} KiB each");
    assert!(rest_kib < REST_KIB_MAX && call_kib < CALL_KIB_MAX);
    check_answers(&calls);
    println!(
        "the transcription was {}",
        if still { "under way all the while" } else { "done, or gave way" }
    );

    for (report, sound) in &calls {
        assert_eq!(report.troubles, [], "{}", report.call_sid);
        appliance.await_recorded(&report.call_sid).await;
        assert_whole(&appliance.ledger(), &home.data_dir(), report, sound);
    }
    println!("{} calls are on disk as they were sent, sample by sample", calls.len());
    appliance.stop().await;
}

fn begin(calls: &mut JoinSet<(Report, Sound)>, appliance: &Appliance, seed: u64, ms: usize) {
    let options = appliance.call_options(|_| {});
    let sound = Sound::stereo(noise(2 * seed, ms), noise(2 * seed + 1, ms));
    calls.spawn(async move {
        let report = simulate::run(options, sound.clone(), CancellationToken::new()).await;
        (report.unwrap(), sound)
    });
}

fn check_answers(calls: &[(Report, Sound)]) {
    let webhooks = calls.iter().flat_map(|(report, _)| &report.webhooks);
    let answers = webhooks.filter(|webhook| webhook.path == "/twilio/voice");
    let mut latencies: Vec<Duration> = answers.map(|answer| answer.latency).collect();
    latencies.sort_unstable();
    let (median, longest) = (latencies[latencies.len() / 2], *latencies.last().unwrap());
    println!("{} calls answered, {median:?} at p50, {longest:?} at most", latencies.len());
    assert!(median <= ANSWER_MEDIAN_MAX && longest < ANSWER_MAX);
}

/// What the daemon itself holds; its speech process is another.
fn rss_kib(appliance: &Appliance) -> u64 {
    status(appliance.pid(), "VmRSS").trim_end_matches("kB").trim().parse().unwrap()
}
