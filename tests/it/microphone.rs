//! The box's own microphone: the real program, real ALSA, and a FIFO for a card.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "moments of a short call"
)]

mod conversation;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use fieldtape::domain::{CallSid, Party};
use fieldtape::simulate::{self, Sound};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::{
    Answer, Appliance, Home, PATIENCE, SoundCard, decoded, fieldtape, noise, read_wav, within,
};

/// Where the agent is heard by this microphone.
fn with_microphone(home: Home, device: &str) -> Home {
    home.with("recording.agent_source", "microphone").with("microphone.device", device)
}

/// What a person is told of the microphone.
async fn told(appliance: &Appliance) -> Value {
    let health = appliance.api("/health").await;
    let checks = health["checks"].as_array().unwrap().iter();
    checks.clone().find(|check| check["name"] == "microphone").unwrap().clone()
}

async fn await_state(appliance: &Appliance, state: &str) -> Value {
    within(PATIENCE, &format!("the microphone is {state}"), async || {
        let told = told(appliance).await;
        (told["state"] == state).then_some(told)
    })
    .await
}

/// A party's file of 8 kHz by its name.
fn heard(home: &Home, call_sid: &CallSid, name: &str) -> Vec<i16> {
    let tracks = home.ledger().tracks(call_sid);
    let track = tracks.iter().find(|track| track.path.ends_with(name));
    let track = track.unwrap_or_else(|| panic!("{name}: {tracks:?}"));
    read_wav(&home.data_dir().join(&track.path), track.rate_hz)
}

/// By how many milliseconds `copy` is later than `original` around this second, at most 300.
fn lag_ms(original: &[i16], copy: &[i16], second: usize) -> f64 {
    const SPAN: usize = 4000;
    let at = second * 8000;
    let piece: Vec<f64> = original[at..at + SPAN].iter().map(|s| f64::from(*s)).collect();
    let likeness = |lag: isize| {
        let from = at.checked_add_signed(lag).unwrap();
        let other = copy[from..from + SPAN].iter().map(|s| f64::from(*s));
        let energy = other.clone().map(|s| s * s).sum::<f64>().sqrt().max(1.0);
        piece.iter().zip(other).map(|(a, b)| a * b).sum::<f64>() / energy
    };
    let best = (-2400..2400).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap();
    best as f64 / 8.0
}

/// Speech-like noise: no stretch of it is like another, and a resampler leaves it as it is.
fn speech(seed: u64, ms: usize) -> Vec<i16> {
    let white = decoded(&noise(seed, ms));
    let mut smooth = 0.0;
    let soft = |sample: i16| {
        smooth = 0.7 * smooth + 0.3 * f64::from(sample) * 0.3;
        smooth as i16
    };
    white.into_iter().map(soft).collect()
}

fn coded(pcm: &[i16]) -> Vec<u8> {
    pcm.iter().map(|sample| fieldtape::audio::ulaw::encode(*sample)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unplugged_in_a_call_there_is_silence_and_a_gap_and_the_line_goes_on() {
    // As far off as a clock is believed to be.
    let Some(card) = SoundCard::new(-900.0) else { return };
    let home = with_microphone(Home::new(), SoundCard::NAME);
    let appliance = home.start_by(card.command()).await;
    appliance.await_ready().await;
    await_state(&appliance, "ok").await;

    let agent = speech(1, 24_000);
    let sound = Sound::stereo(coded(&agent), noise(2, 24_000));
    let options = appliance.call_options(|_| {});
    let call = options.call_sid.clone();
    let playing = simulate::run(options, sound.clone(), CancellationToken::new());
    let handling = async {
        appliance.log().await_line(&["stream.started", call.as_str()]).await;
        card.say(&agent);
        live_for(&home, &appliance, &call, 8).await;
        card.unplug();
        let told = await_state(&appliance, "fail").await;
        assert!(told["detail"].as_str().unwrap().contains("Twilio"), "{told}");
        appliance.log().await_line(&["microphone.lost"]).await;
        appliance.log().await_line(&["agent.away", call.as_str()]).await;
        live_for(&home, &appliance, &call, 14).await;
        card.plug();
        await_state(&appliance, "ok").await;
        appliance.log().await_line(&["agent.back", call.as_str()]).await;
    };
    let (report, ()) = tokio::join!(playing, handling);
    assert_eq!(report.unwrap().troubles, []);
    appliance.await_recorded(&call).await;

    let sources = home.ledger().sources(&call);
    assert_eq!(sources["agent_8000Hz.wav"], "microphone");
    assert_eq!(sources["agent_16000Hz.wav"], "microphone");
    assert_eq!(sources["agent-line_8000Hz.wav"], "stream");
    assert_eq!(sources["technician_8000Hz.wav"], "stream");
    let own = heard(&home, &call, "agent_8000Hz.wav");
    let line = heard(&home, &call, "agent-line_8000Hz.wav");
    let technician = heard(&home, &call, "technician_8000Hz.wav");
    assert_eq!((own.len(), line.len()), (technician.len(), technician.len()));
    assert_eq!(heard(&home, &call, "agent_16000Hz.wav").len(), 2 * own.len());
    assert!(
        line[..190_000] == decoded(sound.of(Party::Agent))[..190_000],
        "the second copy is whole"
    );

    let gaps = home.ledger().gaps_of(&call, "microphone");
    let [(start, end, reason)] = &gaps[..] else { panic!("{gaps:?}") };
    assert_eq!(reason, "disconnected");
    assert!((7 * 8000..10 * 8000).contains(start) && *end > *start + 5 * 8000, "{gaps:?}");
    assert!(own[*start as usize + 80..*end as usize - 80].iter().all(|s| *s == 0), "silence");
    // Said in front of the microphone a moment after the line had it, and always the same moment.
    let lags: Vec<f64> = [1, 4, 6].map(|second| lag_ms(&line, &own, second)).to_vec();
    let after = end.div_ceil(8000) as usize;
    println!(
        "the microphone against the line, in ms: {lags:?}, after it was back: {:.1}",
        lag_ms(&line, &own, after)
    );
    let spread = |a: f64, b: f64| (a - b).abs();
    assert!(spread(lags[0], lags[2]) < 12.0, "{lags:?}");
    assert!(spread(lags[2], lag_ms(&line, &own, after)) < 20.0, "the clocks are still the same");
    appliance.stop().await;
}

/// Waits until so many seconds of a call are in its growing files.
async fn live_for(home: &Home, appliance: &Appliance, call: &CallSid, seconds: u64) {
    within(PATIENCE, "the call goes on", async || {
        let parts = home.files_under_way();
        let is_line = |path: &std::path::PathBuf| {
            path.to_string_lossy().contains(&format!("{call}/agent-line_8000Hz"))
        };
        let line = parts.iter().find(|path| is_line(path))?;
        let bytes = std::fs::metadata(line).map_or(0, |metadata| metadata.len());
        assert!(appliance.pid() > 0);
        (bytes > seconds * 16_000).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_microphone_that_is_missing_at_the_start_is_told_at_once_and_calls_go_on() {
    let Some(card) = SoundCard::new(0.0) else { return };
    let home = with_microphone(Home::new(), "usb:dead:beef");
    let appliance = home.start_by(card.command()).await;
    appliance.await_ready().await;
    let told = await_state(&appliance, "fail").await;
    assert!(
        told["detail"].as_str().unwrap().starts_with("usb:dead:beef is not plugged in"),
        "{told}"
    );
    assert!(told["fix"].as_str().unwrap().contains("plug it in"), "{told}");
    assert_eq!(appliance.log().lines_with(&["microphone.lost"]).len(), 1, "told once");
    let page = appliance.get("/").await.text().await.unwrap();
    assert!(page.contains("usb:dead:beef is not plugged in"), "{page}");

    let report = appliance.play(Sound::stereo(noise(1, 3000), noise(2, 3000)), |_| {}).await;
    appliance.await_recorded(&report.call_sid).await;
    let call = &report.call_sid;
    assert!(heard(&home, call, "agent_8000Hz.wav").iter().all(|sample| *sample == 0));
    let line = heard(&home, call, "agent-line_8000Hz.wav");
    assert_eq!(
        home.ledger().gaps_of(call, "microphone"),
        [(0, line.len() as u64, "disconnected".to_owned())]
    );
    // Who wants to hear the agent hears the line.
    let played = appliance.get(&format!("/api/v1/calls/{call}/audio/agent_8000Hz.wav")).await;
    let played = played.bytes().await.unwrap();
    let sound: Vec<u8> = line.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    assert!(played[44..] == sound[..]);
    appliance.stop().await;
}

#[tokio::test]
async fn a_device_that_does_not_answer_is_told_and_taken_when_it_does() {
    let Some(card) = SoundCard::new(0.0) else { return };
    // Nobody has the other end of the FIFO: who opens it waits.
    card.unplug();
    let home = with_microphone(Home::new(), SoundCard::NAME);
    let appliance = home.start_by(card.command()).await;
    appliance.await_ready().await;
    let told = await_state(&appliance, "fail").await;
    assert!(told["detail"].as_str().unwrap().contains("has not answered"), "{told}");
    card.plug();
    let told = await_state(&appliance, "ok").await;
    assert!(told["detail"].as_str().unwrap().contains("48000 Hz, 1 channel"), "{told}");
    let status = home.run(&["status"]).await;
    assert!(status.out.contains("microphone"), "{status:?}");
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_leaves_of_a_microphone_is_taken_in_as_what_it_is() {
    let Some(card) = SoundCard::new(0.0) else { return };
    let home = with_microphone(Home::new(), SoundCard::NAME);
    let mut appliance = home.start_by(card.command()).await;
    appliance.await_ready().await;
    await_state(&appliance, "ok").await;
    let options = appliance.call_options(|_| {});
    let call = options.call_sid.clone();
    let stop = CancellationToken::new();
    let agent = speech(1, 20_000);
    let playing =
        simulate::run(options, Sound::stereo(coded(&agent), noise(2, 20_000)), stop.clone());
    let crashing = async {
        card.say(&agent);
        live_for(&home, &appliance, &call, 4).await;
        appliance.signal(Signal::KILL);
        stop.cancel();
    };
    let _ = tokio::join!(playing, crashing);
    appliance.ended().await;
    let appliance = home.start_by(card.command()).await;
    appliance.await_ready().await;
    let sources = home.ledger().sources(&call);
    assert_eq!(sources["agent_16000Hz.wav"], "microphone");
    assert_eq!(sources["agent-line_16000Hz.wav"], "stream");
    let (own, line) =
        (heard(&home, &call, "agent_8000Hz.wav"), heard(&home, &call, "agent-line_8000Hz.wav"));
    assert_eq!(own.len(), line.len());
    let lost = own.iter().rev().take_while(|sample| **sample == 0).count();
    println!("{} ms of the microphone were lost in the crash", lost / 8);
    assert!(lost < 8 * 400, "{lost} samples");
    appliance.stop().await;
}

#[tokio::test]
async fn microphones_are_listed_and_heard_on_the_command_line() {
    let Some(card) = SoundCard::new(0.0) else { return };
    let home = with_microphone(Home::new(), SoundCard::NAME);
    let mut command = card.command();
    command.arg(fieldtape(home.path()).get_program()).arg("-c").arg(home.config_file());
    command.args(["audio", "devices", "--json"]);
    let listed = Answer::of(command).await.json();
    let ours = listed.as_array().unwrap().iter().find(|one| one["device"] == SoundCard::NAME);
    assert_eq!(ours.unwrap()["configured"], true, "{listed}");

    let agent = speech(1, 60_000);
    card.say(&agent);
    let direct = meter(&card, &home).await;
    assert!(direct.contains("peak") && direct.contains("dBFS"), "{direct}");
    // With the appliance listening, the same command asks that.
    let appliance = home.start_by(card.command()).await;
    appliance.await_ready().await;
    await_state(&appliance, "ok").await;
    card.say(&agent);
    let asked = meter(&card, &home).await;
    assert!(asked.contains("peak") && asked.contains("dBFS"), "{asked}");
    appliance.stop().await;

    let home = home.with("microphone.device", "usb:dead:beef");
    let answer = home.run(&["audio", "meter"]).await;
    assert!(answer.code == Some(1) && answer.err.contains("is not plugged in"), "{answer:?}");
    let answer = home.run(&["audio", "meter", "hw:0"]).await;
    assert!(answer.code == Some(64) && answer.err.contains("card's number"), "{answer:?}");
}

/// Runs the meter until it shows sound, ends it by Ctrl-C, and returns what it showed.
async fn meter(card: &SoundCard, home: &Home) -> String {
    let mut command = card.command();
    command.arg(fieldtape(home.path()).get_program()).arg("-c").arg(home.config_file());
    command.args(["audio", "meter"]).stdout(Stdio::piped()).stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    let out = BufReader::new(child.stdout.take().unwrap());
    let line = tokio::task::spawn_blocking(move || {
        let is_sound = |line: &String| line.contains("dBFS") && !line.contains("-96.0 dBFS, rms");
        out.lines().map(Result::unwrap).find(is_sound).unwrap()
    });
    let line = tokio::time::timeout(PATIENCE, line).await.unwrap().unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    line
}
