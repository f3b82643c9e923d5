//! Speech that is killed, or has nothing to work with.

use std::path::Path;

use fieldtape::domain::{CallSid, Party};
use fieldtape::simulate::{self, Sound};
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;

use super::{TRANSCRIBED_WITHIN, transcribed};
use crate::kept::{assert_whole, telephone};
use crate::speech::{stat_field, status};
use crate::support::{Appliance, Call, Home, eventually, noise, root, within};

const MODEL: &str = "ggml-tiny.en-q8_0.bin";
const DETECTOR: &str = "ggml-silero-v6.2.3.bin";

/// A worker this large has its model loaded.
const LOADED_KIB: u64 = 90_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_speech_process_that_is_killed_costs_time_and_nothing_else() {
    let home = Home::with_speech();
    let appliance = home.start().await;
    let long = appliance.play(first_25_s(), |options| options.speed = 4.0).await.call_sid;
    for kill in 1..=3 {
        let why = kill_while_at_work_on(&appliance, &long).await;
        println!("kill {kill}: {why}");
        assert!(why.contains("signal: 9"), "{why}");
    }
    let next = appliance.play(telephone("librivox-0880.wav"), |_| {}).await.call_sid;
    let said = transcribed(&home, &appliance, &next).await.to_string();
    assert!(said.contains("young man"), "{said}");
    let said = transcribed(&home, &appliance, &long).await.to_string();
    assert!(said.contains("compressor"), "{said}");
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_speech_process_that_is_killed_while_people_speak_costs_no_sound() {
    let home = Home::with_speech().with("transcription.live", true);
    let appliance = home.start().await;
    let hang_up = CancellationToken::new();
    let sound = Sound::stereo(noise(1, 600_000), noise(2, 600_000));
    let speaking = simulate::run(appliance.call_options(|_| {}), sound.clone(), hang_up.clone());
    let killing = async {
        let mut last = None;
        for _ in 1..=3 {
            let worker = eventually("another speech process at work", async || {
                worker_of(appliance.pid()).filter(|pid| Some(*pid) != last && is_loaded(*pid))
            })
            .await;
            kill(worker);
            last = Some(worker);
        }
        let told = appliance.log().await_line(&["no words are shown", "signal: 9"]).await;
        println!("{told}");
        hang_up.cancel();
    };
    let (report, ()) = tokio::join!(speaking, killing);
    let report = report.unwrap();
    appliance.await_recorded(&report.call_sid).await;
    println!("{} s were recorded meanwhile", report.inbound_frames / 50);
    assert_whole(&appliance.ledger(), &home.data_dir(), &report, &sound);
    appliance.stop().await;
}

/// As much of the service call as takes the model seconds.
fn first_25_s() -> Sound {
    let whole = telephone("service-call.wav");
    let [agent, technician] =
        [Party::Agent, Party::Technician].map(|party| whole.of(party)[..25 * 8000].to_vec());
    Sound::stereo(agent, technician)
}

/// Kills the speech process once it works on a call, and returns what the ledger says of that.
async fn kill_while_at_work_on(appliance: &Appliance, call: &CallSid) -> String {
    let ledger = appliance.ledger();
    let row = || ledger.call(call).unwrap();
    let worker = eventually("a speech process at work", async || {
        let worker = worker_of(appliance.pid())?;
        let at_work = row().transcript_status == "processing";
        (at_work && is_loaded(worker)).then_some(worker)
    })
    .await;
    kill(worker);
    eventually("the ledger says what became of it", async || {
        let Call { transcript_status, last_error, .. } = row();
        (transcript_status != "processing").then_some(last_error.unwrap_or_default())
    })
    .await
}

/// Says whether a speech process has its model.
fn is_loaded(worker: u32) -> bool {
    let kib = status(worker, "VmRSS").trim_end_matches("kB").trim().parse::<u64>();
    kib.is_ok_and(|kib| kib > LOADED_KIB)
}

fn kill(worker: u32) {
    let pid = Pid::from_raw(i32::try_from(worker).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// Finds the speech process of an appliance.
fn worker_of(appliance: u32) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_its_worker = |pid: &u32| {
        // Processes come and go while this looks.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.contains("speech-worker") && stat_field(&stat, 4) == appliance.to_string()
    };
    pids.find(is_its_worker)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_model_holds_words_up_and_a_retry_has_them_written_down() {
    let home = Home::new();
    let models = home.data_dir().join("models");
    std::fs::create_dir(&models).unwrap();
    std::fs::copy(bundled(DETECTOR), models.join(DETECTOR)).unwrap();
    let whole = std::fs::read(bundled(MODEL)).unwrap();
    std::fs::write(models.join(MODEL), &whole[..whole.len() / 2]).unwrap();
    let appliance = home.start().await;
    let call = appliance.play(telephone("librivox-0880.wav"), |_| {}).await.call_sid;

    // Twilio's copy waits for the network meanwhile, which is not told before this.
    let waits = |row: &Call| row.waiting_for.as_deref() == Some("model");
    let row = settled(&home, &call, waits).await;
    assert_eq!(row.transcript_status, "pending");
    let why = row.last_error.unwrap();
    assert!(why.contains(MODEL) && why.contains("put a good copy there"), "{why}");

    // A sound file that cannot be read, once there is a model to read it with.
    let tracks = home.ledger().tracks(&call);
    let track = tracks.iter().find(|track| track.rate_hz == 16000).unwrap();
    let path = home.data_dir().join(&track.path);
    let aside = home.path().join("aside.wav");
    std::fs::rename(&path, &aside).unwrap();
    replace(&models.join(MODEL), &whole);
    retry(&home, &call).await;
    let row = settled(&home, &call, |row| row.transcript_status == "failed").await;
    let why = row.last_error.unwrap();
    assert!(why.contains(track.path.to_str().unwrap()), "{why}");

    std::fs::rename(&aside, &path).unwrap();
    retry(&home, &call).await;
    let said = transcribed(&home, &appliance, &call).await.to_string();
    assert!(said.contains("young man"), "{said}");
    assert_eq!(home.ledger().call(&call).unwrap().last_error, None);
    appliance.stop().await;
}

fn bundled(file: &str) -> std::path::PathBuf {
    root().join("models").join(file)
}

/// Puts a file in another's place, at once.
fn replace(path: &Path, content: &[u8]) {
    let copy = path.with_extension("copy");
    std::fs::write(&copy, content).unwrap();
    std::fs::rename(copy, path).unwrap();
}

async fn retry(home: &Home, call: &CallSid) {
    let answer = home.run(&["retry", call.as_str()]).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.out.contains("transcript is tried again"), "{answer:?}");
}

/// Waits until a call's row is as it should be.
async fn settled(home: &Home, call: &CallSid, is_so: impl Fn(&Call) -> bool) -> Call {
    within(TRANSCRIBED_WITHIN, "the ledger says so", async || {
        home.ledger().call(call).filter(|row| is_so(row))
    })
    .await
}
