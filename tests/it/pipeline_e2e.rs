//! From the first frame to the last word: the real program, the real model, real time.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "moments of a minute's call"
)]

mod disturbed;

use std::time::Duration;

use fieldtape::clock::{Clock as _, SystemClock};
use fieldtape::domain::CallSid;
use fieldtape::simulate;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::kept::{assert_whole, telephone};
use crate::speech::{percentile, start_errors, turns};
use crate::support::{Appliance, Home, PATIENCE, within};
use crate::wer::wer;

/// How long a minute's call may take to be written down on a machine that does other things too.
const TRANSCRIBED_WITHIN: Duration = Duration::from_mins(5);

/// Something said in a call under way, and how long after its end it was seen.
#[derive(Debug)]
struct Seen {
    said: Value,
    at_ms: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_call_is_written_down_while_it_runs_and_afterwards() {
    let home = Home::with_speech().with("transcription.live", true);
    let appliance = home.start().await;
    let sound = telephone("service-call.wav");
    let options = appliance.call_options(|_| {});
    let call = options.call_sid.clone();
    let playing = simulate::run(options, sound.clone(), CancellationToken::new());
    let (report, seen) = tokio::join!(playing, watch(&appliance, &call));
    let report = report.unwrap();
    assert_eq!(report.troubles, []);
    appliance.await_recorded(&call).await;
    assert_whole(&appliance.ledger(), &home.data_dir(), &report, &sound);

    let row = appliance.ledger().call(&call).unwrap();
    tell_delays(&seen, row.started_at_ms.unwrap());
    let while_it_ran = seen.iter().filter(|seen| seen.at_ms < row.ended_at_ms.unwrap()).count();
    assert!(while_it_ran >= 5, "{while_it_ran} of {seen:#?}");

    let transcript = transcribed(&home, &appliance, &call).await;
    check_words(&transcript);
    appliance.stop().await;
}

/// Looks at a call's live words until they end.
async fn watch(appliance: &Appliance, call: &CallSid) -> Vec<Seen> {
    let path = format!("/api/v1/calls/{call}/live");
    let mut events = within(PATIENCE, "the call is known", async || {
        let response = appliance.get(&path).await;
        (response.status() == 200).then_some(response)
    })
    .await;
    let (mut seen, mut text) = (Vec::new(), String::new());
    while let Some(piece) = events.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            if let Some((_, said)) = event.split_once("event: segment\ndata: ") {
                let said = serde_json::from_str(said).unwrap();
                seen.push(Seen { said, at_ms: SystemClock.now().get() });
            }
            text = rest.to_owned();
        }
    }
    seen
}

/// Prints how long after each utterance's end its words were seen.
fn tell_delays(seen: &[Seen], started_at_ms: i64) {
    let delay = |seen: &Seen| {
        let end_s = seen.said["end_s"].as_f64().unwrap();
        (seen.at_ms - started_at_ms) as f64 / 1000.0 - end_s
    };
    let mut delays: Vec<f64> = seen.iter().map(delay).collect();
    delays.sort_by(f64::total_cmp);
    println!(
        "live: {} utterances, seen {:.1} s after their end at p50, {:.1} s at p95",
        delays.len(),
        percentile(&delays, 50),
        percentile(&delays, 95)
    );
}

/// Waits for a call's transcript.
async fn transcribed(home: &Home, appliance: &Appliance, call: &CallSid) -> Value {
    within(TRANSCRIBED_WITHIN, "the call is written down", async || {
        let row = home.ledger().call(call).unwrap();
        assert_ne!(row.transcript_status, "failed", "{row:?}");
        (row.transcript_status == "completed").then_some(())
    })
    .await;
    appliance.api(&format!("/calls/{call}/transcript")).await
}

fn check_words(transcript: &Value) {
    let text = |speaker| {
        let said = segments_of(transcript, speaker).map(|s| s["text"].as_str().unwrap());
        said.collect::<Vec<_>>()
    };
    let turns = turns();
    for party in ["agent", "technician"] {
        let said = turns.iter().filter(|turn| turn.speaker == party).map(|t| t.text.as_str());
        let rate = wer(&said.collect::<Vec<_>>().join(" "), &text(party).join(" "));
        println!("{party}: WER {:.1} % of {} words", rate.percent(), rate.words);
        assert!(rate.percent() <= 12.0, "{transcript:#}");
    }
    let starts =
        |speaker: &str| segments_of(transcript, speaker).map(|s| ms(&s["start_s"])).collect();
    let errors = start_errors(&turns, starts);
    let (p50, p90) = (percentile(&errors, 50), percentile(&errors, 90));
    println!("segment starts: {p50:.2} s off at p50, {p90:.2} s at p90");
    assert!(p90 <= 0.5, "{errors:?}");
    let everything = [text("agent"), text("technician")].concat().join(" ");
    for word in ["compressor", "capacitor", "River Road"] {
        assert!(everything.contains(word), "{word}: {everything}");
    }
}

fn segments_of<'a>(transcript: &'a Value, speaker: &'a str) -> impl Iterator<Item = &'a Value> {
    transcript["segments"].as_array().unwrap().iter().filter(move |s| s["speaker"] == speaker)
}

fn ms(seconds: &Value) -> u64 {
    (seconds.as_f64().unwrap() * 1000.0).round() as u64
}
