//! Twilio's copies, fetched by the real program from a Twilio that remembers and can be nasty,
//! written down by the real model.

use std::time::Duration;

use fieldtape::audio::ulaw;
use fieldtape::clock::{Clock as _, SystemClock};
use fieldtape::domain::{CallSid, Party};
use fieldtape::simulate::cloud::{CallScript, Endpoint, Fault, Media, RecordingScript};
use fieldtape::simulate::{Faults, Sound};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::kept::telephone;
use crate::speech::{status, turns};
use crate::support::{
    Appliance, Form, Home, Wall, fresh_call_sid, fresh_recording_sid, read_wav, twilio_api, within,
};
use crate::wer::wer;

/// How long a call may take to be fetched and written down on a machine that does other things.
const DONE_WITHIN: Duration = Duration::from_mins(5);

/// What Twilio's recording of a call sounds like: channel 1 is what it hears on the leg.
fn recording(sound: &Sound, first: Party) -> Media {
    let channel =
        |party| -> Vec<i16> { sound.of(party).iter().map(|code| ulaw::decode(*code)).collect() };
    Media::dual(&channel(first), &channel(first.other()))
}

/// Waits until a call's API object is as it should be.
async fn call_that(appliance: &Appliance, call: &CallSid, fits: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/v1/calls/{call}");
    within(DONE_WITHIN, "the call is as it should be", async || {
        let response = appliance.get(&path).await;
        if response.status() != 200 {
            return None;
        }
        let call: Value = response.json().await.unwrap();
        fits(&call).then_some(call)
    })
    .await
}

/// Waits until a call's transcript was made from Twilio's copy.
async fn transcript(appliance: &Appliance, call: &CallSid) -> Value {
    let path = format!("/api/v1/calls/{call}/transcript");
    within(DONE_WITHIN, "the call is written down from Twilio's copy", async || {
        let response = appliance.get(&path).await;
        if response.status() != 200 {
            return None;
        }
        let transcript: Value = response.json().await.unwrap();
        (transcript["source"] == "cloud").then_some(transcript)
    })
    .await
}

/// Each party's words are those it said, and nobody else's.
fn check_words(transcript: &Value) {
    for party in ["agent", "technician"] {
        let said: Vec<String> = turns()
            .into_iter()
            .filter(|turn| turn.speaker == party)
            .map(|turn| turn.text)
            .collect();
        let heard: Vec<&str> = transcript["segments"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|segment| segment["speaker"] == party)
            .map(|segment| segment["text"].as_str().unwrap())
            .collect();
        let rate = wer(&said.join(" "), &heard.join(" "));
        println!("{party}: WER {:.1} % of {} words", rate.percent(), rate.words);
        assert!(rate.percent() <= 10.0, "{party}: {transcript:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_nobody_told_of_becomes_the_conversation_in_every_direction() {
    let cloud = twilio_api().await;
    let sound = telephone("service-call.wav");
    let length = Duration::from_secs(68);
    let started = SystemClock.now().minus(Duration::from_hours(2));
    let technician_first = recording(&sound, Party::Technician);
    let inbound = CallScript::inbound(started, length).recorded(technician_first.clone());
    let outbound = CallScript::outbound(started, length).recorded(technician_first);
    let browser = CallScript {
        from: "client:ann".to_owned(),
        ..CallScript::inbound(started, length).recorded(recording(&sound, Party::Agent))
    };
    let calls = [inbound, outbound, browser].map(|script| cloud.place_call(script));
    let home = Home::with_speech().with("twilio.api_url", cloud.url());
    let appliance = home.start().await;
    for call in &calls {
        check_words(&transcript(&appliance, call).await);
        let call =
            call_that(&appliance, call, |call| call["transcript_status"] == "completed").await;
        assert_eq!(call["recording_status"], "completed");
        assert_eq!((&call["duration_s"], &call["duration_source"]), (&68.into(), &"twilio".into()));
        assert_eq!(call["tracks"].as_array().unwrap().len(), 4);
        assert!(call["tracks"].as_array().unwrap().iter().all(|track| track["source"] == "cloud"));
    }
    assert_eq!(cloud.requests_for(Endpoint::Media).len(), 3, "each is fetched once");
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_with_loss_and_a_hole_is_filled_from_the_copy() {
    let cloud = twilio_api().await;
    let home = Home::with_speech()
        .with("twilio.api_url", cloud.url())
        .with("twilio.cloud_recording", "twiml");
    let appliance = home.start().await;
    let sound = telephone("service-call.wav");
    let options = appliance.call_options(|options| {
        options.cloud = Some(cloud.clone());
        options.faults = Faults {
            drop_ratio: 0.05,
            cut_after: Some(Duration::from_secs(20)),
            cut_away: Duration::from_secs(6),
            ..Faults::none(3)
        };
    });
    let call = options.call_sid.clone();
    let report =
        fieldtape::simulate::run(options, sound.clone(), CancellationToken::new()).await.unwrap();
    assert_eq!(report.troubles, []);
    check_words(&transcript(&appliance, &call).await);
    let filled = call_that(&appliance, &call, |call| {
        call["tracks"].as_array().unwrap().iter().any(|track| track["filled"][0].is_object())
    })
    .await;
    let ledger = appliance.ledger();
    assert_eq!(ledger.gaps(&call).len(), 0, "{filled:#}");
    for party in Party::ALL {
        let name = format!("{party}_8000Hz.wav");
        let track = ledger.tracks(&call).into_iter().find(|track| track.path.ends_with(&name));
        let kept = read_wav(&home.data_dir().join(track.unwrap().path), 8000);
        let said: Vec<i16> = sound.of(*party).iter().map(|code| ulaw::decode(*code)).collect();
        // Timestamps wander by some milliseconds, so what is compared is how loud it is.
        let quiet = loudness(&said)
            .zip(loudness(&kept))
            .filter(|(said, kept)| *said > 300.0 && *kept < *said / 4.0);
        assert_eq!(quiet.count(), 0, "{party}: what was said is heard everywhere");
    }
    appliance.stop().await;
}

/// How loud each quarter of a second is.
fn loudness(samples: &[i16]) -> impl Iterator<Item = f64> {
    samples.chunks(2000).map(|chunk| {
        let energy: f64 = chunk.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (energy / 2000.0).sqrt()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_refused_as_too_early_starts_as_soon_as_it_can_and_once() {
    for announcement in ["This call is recorded.", ""] {
        let cloud = twilio_api().await;
        let refused_for = Duration::from_millis(900);
        cloud.faults(|faults| faults.too_early_for = Some(refused_for));
        let home = Home::new()
            .with("twilio.api_url", cloud.url())
            .with("twilio.cloud_recording", "rest")
            .with("consent.announcement", announcement);
        let appliance = home.start().await;
        let options = appliance.call_options(|options| options.cloud = Some(cloud.clone()));
        let call = options.call_sid.clone();
        let sound = telephone("librivox-0930.wav");
        fieldtape::simulate::run(options, sound, CancellationToken::new()).await.unwrap();
        let recordings = cloud.recordings_of(&call);
        assert_eq!(recordings.len(), 1, "exactly one");
        let began = cloud.call(&call).unwrap().started.unwrap();
        let late = recordings[0].started.since(began.plus(refused_for));
        println!("started {late:?} after it became possible");
        assert!(late < Duration::from_millis(400), "{late:?}");
        assert!(cloud.requests_for(Endpoint::StartRecording).len() >= 3, "it was refused before");
        let log = appliance.log().text();
        for event in ["cloud.asked", "cloud.too_early", "cloud.started"] {
            assert!(log.contains(event), "{event}");
        }
        call_that(&appliance, &call, is_its_own).await;
        appliance.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_lost_starts_no_second_recording() {
    let cloud = twilio_api().await;
    cloud.faults(|faults| {
        faults.next(1, Endpoint::StartRecording, Fault::AnswerLost);
    });
    let home =
        Home::new().with("twilio.api_url", cloud.url()).with("twilio.cloud_recording", "rest");
    let appliance = home.start().await;
    let options = appliance.call_options(|options| options.cloud = Some(cloud.clone()));
    let call = options.call_sid.clone();
    let sound = telephone("librivox-0880.wav");
    fieldtape::simulate::run(options, sound, CancellationToken::new()).await.unwrap();
    assert_eq!(cloud.requests_for(Endpoint::StartRecording).len(), 1, "it was looked for first");
    assert_eq!(cloud.recordings_of(&call).len(), 1);
    call_that(&appliance, &call, is_its_own).await;
    appliance.stop().await;
}

/// Says whether Twilio's copy has become the call's own.
fn is_its_own(call: &Value) -> bool {
    call["tracks"].as_array().unwrap().iter().any(|track| track["source"] == "cloud")
}

/// Has Twilio tell, late, of a recording that somebody has deleted there since.
async fn deleted_meanwhile(appliance: &Appliance) -> CallSid {
    let call = fresh_call_sid();
    let told = Form::recording(&call, &fresh_recording_sid(), "completed")
        .with("RecordingStartTime", "Thu, 19 Nov 2026 10:00:00 +0000");
    let twilio = appliance.twilio();
    for (path, form) in
        [("/twilio/recording-status", told), ("/twilio/status", Form::progress(&call, "completed"))]
    {
        assert_eq!(twilio.post(path, &form).await.status(), 204, "{path}");
    }
    call
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_twilio_answers_the_sound_arrives_whole_or_says_why_not() {
    let cloud = twilio_api().await;
    let started = SystemClock.now().minus(Duration::from_hours(3));
    let length = Duration::from_secs(4);
    let noise = |seed| Media::noise(2, length, seed);
    let script = |seed: u64| {
        let later = started.plus(Duration::from_secs(60 * seed));
        CallScript::inbound(later, length).recorded(noise(seed))
    };
    let good: Vec<CallSid> = (0..6).map(|seed| cloud.place_call(script(seed))).collect();
    let absent = cloud.place_call(
        CallScript::inbound(started, length).with_recording(RecordingScript::absent(16_104)),
    );
    cloud.faults(|faults| {
        faults
            .next(1, Endpoint::Media, Fault::server_error())
            .next(1, Endpoint::Media, Fault::not_found())
            .next(1, Endpoint::Media, Fault::error_page())
            .next(1, Endpoint::Media, Fault::CutAfter(30_000))
            .next(1, Endpoint::Media, Fault::TruncatedTo(20_000))
            .next(1, Endpoint::Media, Fault::ClaimsMore(5_000))
            .next(1, Endpoint::Media, Fault::HeaderLength(0))
            .next(1, Endpoint::Media, Fault::HeaderLength(u32::MAX))
            .next(1, Endpoint::Media, Fault::WrongRange)
            .next(1, Endpoint::Media, Fault::TooManyRequests { retry_after_s: Some(1) })
            .next(1, Endpoint::Media, Fault::RedirectTo("http://127.0.0.1:9/x.wav".to_owned()));
    });
    let home = Home::new().with("twilio.api_url", cloud.url());
    // Whether a recording is gone or too young is told by a clock that is right.
    let wall = Wall::new(home.path());
    let appliance = wall.start(&home).await;
    let deleted = deleted_meanwhile(&appliance).await;
    for call in &good {
        // Its next attempt may be some seconds away.
        let call = call_that(&appliance, call, is_its_own).await;
        assert_eq!(call["cloud_recordings"][0]["bytes"], 44 + 4 * 8000 * 4);
    }
    let none = call_that(&appliance, &absent, |call| !call["last_error"].is_null()).await;
    assert_eq!(none["last_error"], "Twilio made no recording of this call (absent, error 16104)");
    let gone = call_that(&appliance, &deleted, |call| call["recording_status"] == "failed").await;
    let why = gone["last_error"].as_str().unwrap();
    assert!(why.contains("deleted before it could be fetched"), "{why}");
    assert!(cloud.requests().iter().all(|request| request.authorised));
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_of_a_day_costs_no_memory() {
    if std::env::var_os("FIELDTAPE_LONG").is_none() {
        eprintln!("skipped: a day's recording is 2.8 GB; FIELDTAPE_LONG=1 fetches it");
        return;
    }
    let cloud = twilio_api().await;
    let day = Duration::from_hours(24);
    let started = SystemClock.now().minus(day);
    let call =
        cloud.place_call(CallScript::inbound(started, day).recorded(Media::noise(2, day, 11)));
    cloud.faults(|faults| {
        faults.next(1, Endpoint::Media, Fault::CutAfter(1 << 30)).next(
            1,
            Endpoint::Media,
            Fault::HeaderLength(u32::MAX),
        );
    });
    let home =
        Home::new().with("twilio.api_url", cloud.url()).with("recording.rates_hz", vec![8000]);
    let appliance = home.start().await;
    let began = SystemClock.now();
    // What is split after it goes the same way, block by block, and takes an unoptimised program
    // longer than a test should.
    let fetched = |call: &Value| !call["cloud_recordings"][0]["bytes"].is_null();
    let call = call_that(&appliance, &call, fetched).await;
    assert_eq!(call["cloud_recordings"][0]["bytes"], 44 + 24 * 3600 * 8000_u64 * 4);
    let peak_kib: u64 = status(appliance.pid(), "VmHWM:").trim_end_matches(" kB").parse().unwrap();
    println!("2.8 GB in {:?}, {peak_kib} KiB at most", SystemClock.now().since(began));
    assert!(peak_kib < 100_000, "{peak_kib} KiB");
}
