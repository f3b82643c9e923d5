//! Finished calls being written down: cut off anywhere, in another order, and of any length.

use std::fs::{File, create_dir_all};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::process::Command;
use std::time::Duration;

use fieldtape::audio::{pcm16, wav_header};
use fieldtape::config::{Environment, Lookup as _};
use fieldtape::domain::{CallSid, Party, RateHz};
use fieldtape::simulate::{self, Sound};
use rustix::process::Signal;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::speech::{channel, status};
use crate::support::{Appliance, Home, noise, within};

/// How long a few minutes' calls may take on a machine that does other things too.
const WRITTEN_WITHIN: Duration = Duration::from_mins(5);

/// What the log says of each window heard.
const WINDOW: &str = "heard a window of";

fn sid(n: u8) -> CallSid {
    format!("CA{n:032x}").parse().unwrap()
}

/// A call's recording as a crash would have left it: taken in at the next start, and then due to
/// be written down.
struct Left<'a> {
    home: &'a Home,
    sid: CallSid,
    /// Of January 2026.
    day: u8,
}

impl Left<'_> {
    fn file(&self, party: Party, samples: u64) -> File {
        let folder = format!("recordings/2026/01/{:02}/{}", self.day, self.sid);
        let folder = self.home.data_dir().join(folder);
        create_dir_all(&folder).unwrap();
        let mut file = File::create(folder.join(format!("{party}_16000Hz.wav.part"))).unwrap();
        file.write_all(&wav_header(RateHz::Hz16000, 1, samples * 2)).unwrap();
        file.set_len(44 + samples * 2).unwrap();
        file
    }

    /// Puts the service call's voice of a party at these seconds, and silence elsewhere.
    fn voice(&self, party: Party, seconds: u64, at_s: &[u64]) {
        let sound = channel("service-call.wav", usize::from(party == Party::Technician));
        let bytes: Vec<u8> = sound.iter().flat_map(|one| pcm16(*one).to_le_bytes()).collect();
        let mut file = self.file(party, seconds * 16_000);
        for at_s in at_s {
            file.seek(SeekFrom::Start(44 + at_s * 32_000)).unwrap();
            file.write_all(&bytes).unwrap();
        }
    }
}

fn left(home: &Home, n: u8) -> Left<'_> {
    Left { home, sid: sid(n), day: n }
}

fn with_speech() -> Home {
    // One thread always, so that a run is like another.
    Home::with_speech().with("transcription.threads", 1)
}

/// Runs the appliance so that it tells of each window.
async fn start(home: &Home) -> Appliance {
    let mut command = Command::new("env");
    command.env_clear().current_dir(home.path());
    command.arg("FIELDTAPE_LOG=info,fieldtape::transcribe=debug");
    let appliance = home.start_by(command).await;
    appliance.await_ready().await;
    appliance
}

fn windows(appliance: &Appliance) -> usize {
    appliance.log().lines_with(&[WINDOW]).len()
}

async fn await_windows(appliance: &Appliance, count: usize) {
    within(WRITTEN_WITHIN, "windows are heard", async || {
        (windows(appliance) >= count).then_some(())
    })
    .await;
}

async fn written(home: &Home, appliance: &Appliance, call: &CallSid) -> Value {
    await_written(home, call, WRITTEN_WITHIN).await;
    appliance.api(&format!("/calls/{call}/transcript")).await["segments"].take()
}

async fn await_written(home: &Home, call: &CallSid, limit: Duration) {
    within(limit, "the call is written down", async || {
        let row = home.ledger().call(call)?;
        assert_ne!(row.transcript_status, "failed", "{row:?}");
        (row.transcript_status == "completed").then_some(())
    })
    .await;
}

fn two_minutes(home: &Home) {
    let call = left(home, 1);
    call.voice(Party::Agent, 140, &[0]);
    call.voice(Party::Technician, 140, &[0, 70]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_costs_one_window_and_changes_no_word() {
    let undisturbed = with_speech();
    two_minutes(&undisturbed);
    let appliance = start(&undisturbed).await;
    let wanted = written(&undisturbed, &appliance, &sid(1)).await;
    let needed = windows(&appliance);
    appliance.stop().await;
    assert!(needed >= 4, "{needed} windows");

    let home = with_speech();
    two_minutes(&home);
    let mut heard = 0;
    for _ in 0..2 {
        let mut appliance = start(&home).await;
        await_windows(&appliance, 2).await;
        appliance.signal(Signal::KILL);
        appliance.ended().await;
        heard += windows(&appliance);
    }
    let appliance = start(&home).await;
    let said = written(&home, &appliance, &sid(1)).await;
    heard += windows(&appliance);
    println!("{needed} windows; {heard} with two kills among them");
    assert!(heard <= needed + 2, "{heard} windows heard of {needed}");
    assert_eq!(said, wanted);
    assert!(!appliance.log().lines_with(&["goes on at"]).is_empty());
    assert_eq!(home.ledger().count("heard_windows"), 0, "what was kept is not needed any more");
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_call_somebody_looks_at_is_written_down_before_the_backlog() {
    let home = with_speech();
    for n in 1..=3 {
        left(&home, n).voice(Party::Technician, 140, &[0, 70]);
    }
    let appliance = start(&home).await;
    await_windows(&appliance, 1).await;
    let newest = format!("/calls/{}", sid(3));
    within(WRITTEN_WITHIN, "the newest is written down", async || {
        let call = appliance.api(&newest).await;
        (call["transcript_status"] == "completed").then_some(())
    })
    .await;
    let ledger = home.ledger();
    let state = |n: u8| ledger.call(&sid(n)).unwrap().transcript_status;
    assert_ne!(state(2), "completed", "the backlog has waited");
    assert_ne!(state(1), "completed", "and so has what was begun");
    assert!(!appliance.log().lines_with(&["gives way"]).is_empty());
    let first = written(&home, &appliance, &sid(1)).await;
    assert_ne!(state(2), "completed", "the oldest is next");
    assert_eq!(written(&home, &appliance, &sid(2)).await, first, "nothing is lost by it");
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finished_calls_wait_on_a_small_box_while_a_call_is_live_and_say_so() {
    let cores = std::thread::available_parallelism().unwrap().get();
    if cores >= 4 {
        println!("skipped: this box has {cores} cores");
        return;
    }
    let home = with_speech();
    left(&home, 1).voice(Party::Technician, 140, &[0, 70]);
    let appliance = start(&home).await;
    await_windows(&appliance, 1).await;
    let hang_up = CancellationToken::new();
    let sound = Sound::stereo(noise(1, 120_000), noise(2, 120_000));
    let live = simulate::run(appliance.call_options(|_| {}), sound, hang_up.clone());
    let looking = async {
        let (call, mut seen) = (format!("/calls/{}", sid(1)), 0);
        within(WRITTEN_WITHIN, "it waits", async || {
            let call = appliance.api(&call).await;
            seen = windows(&appliance);
            let why = call["waiting_reason"].as_str()?;
            assert_eq!(
                (&call["transcript_status"], &call["last_error"]),
                (&"pending".into(), &Value::Null)
            );
            assert!(
                why.starts_with("waits while a call is in progress, for this box has"),
                "{why}"
            );
            Some(())
        })
        .await;
        let page = appliance.get(&call).await.text().await.unwrap();
        assert!(page.contains("waits while a call is in progress"), "{page}");
        assert!(!appliance.log().lines_with(&["gives way"]).is_empty());
        hang_up.cancel();
    };
    let (report, ()) = tokio::join!(live, looking);
    drop(report);
    let said = written(&home, &appliance, &sid(1)).await;
    assert!(said.to_string().contains("River Road"), "{said}");
    appliance.stop().await;
}

/// The memory that a process and its speech worker have used at most, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let peak = status(pid, "VmHWM");
    peak.trim_end_matches("kB").trim().parse().unwrap_or(0)
}

/// The process numbers of a process's children.
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let children =
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    children
        .flat_map(|list| {
            list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()
        })
        .collect()
}

/// What a call of that length costs at most, mostly silence: the daemon and its worker, in KiB.
async fn memory_for(minutes: u64) -> (u64, u64) {
    let home = with_speech();
    let call = left(&home, 1);
    let voices: Vec<u64> = (0..minutes / 5).map(|fifth| fifth * 300 + 200).collect();
    call.voice(Party::Technician, minutes * 60, &voices);
    let appliance = start(&home).await;
    let (mut daemon, mut worker) = (0, 0);
    within(Duration::from_mins(10 + minutes), "the call is written down", async || {
        daemon = daemon.max(peak_kib(appliance.pid()));
        worker = children(appliance.pid()).into_iter().map(peak_kib).max().unwrap_or(0).max(worker);
        (home.ledger().call(&sid(1))?.transcript_status == "completed").then_some(())
    })
    .await;
    let said = appliance.api(&format!("/calls/{}/transcript", sid(1))).await;
    let last = said["segments"].as_array().unwrap().last().unwrap()["end_s"].as_f64().unwrap();
    let spoken_to = voices.last().unwrap() + 60;
    assert!(last > f64::from(u32::try_from(spoken_to).unwrap()), "{last} s: to the end");
    appliance.stop().await;
    println!("{minutes} min: the daemon {daemon} KiB, the speech process {worker} KiB at most");
    (daemon, worker)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_length_of_a_call() {
    let is_long = Environment.get("FIELDTAPE_LONG").is_some();
    let (short, long) = if is_long { (20, 240) } else { (5, 20) };
    let (daemon_short, worker_short) = memory_for(short).await;
    let (daemon_long, worker_long) = memory_for(long).await;
    assert!(worker_long <= worker_short + 8_192, "{worker_short} and {worker_long} KiB");
    assert!(daemon_long <= daemon_short + 16_384, "{daemon_short} and {daemon_long} KiB");
}
