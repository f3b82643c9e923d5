//! Kill -9 at any instant of live calls, and again while what they left is taken in.
//!
//! Ten kills a run; `FIELDTAPE_LONG=1` makes it a hundred. `FIELDTAPE_SEED` plays a run again.

use std::fmt;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use fieldtape::config::{Environment, Lookup as _};
use fieldtape::domain::{CallSid, Party};
use fieldtape::simulate::{self, Report, Sound};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::kept::{files, same, sent, telephone, widened};
use crate::support::{Appliance, Home, decoded, eventually, noise, within};

/// What a kill may cost a call of the sound that had been sent.
const LOST_MS_MAX: usize = 200;

/// How long each call would last. It is always cut before.
const CALL_MS: usize = 6000;

/// How long the transcripts of a whole run may take.
const TRANSCRIBED_WITHIN: Duration = Duration::from_mins(10);

/// A call that was under way, or about to be, when the appliance was killed.
struct Cut {
    call: CallSid,
    sound: Sound,
    is_speech: bool,
    /// None if the appliance never answered its webhook.
    report: Option<Report>,
}

/// What the kills cost.
#[derive(Default)]
struct Tally {
    calls: usize,
    not_announced: usize,
    soundless: usize,
    taking_in_killed: usize,
    /// For each track and rate of each call, sorted.
    lost_ms: Vec<usize>,
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |part: usize| self.lost_ms.get(self.lost_ms.len() * part / 100);
        write!(
            out,
            "{} calls cut ({} before the first sound, {} more before they were answered), {} \
             kills while taking in; lost of each file: {:?} ms at p50, {:?} at p90, {:?} at most",
            self.calls,
            self.soundless,
            self.not_announced,
            self.taking_in_killed,
            of(50),
            of(90),
            self.lost_ms.last(),
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_instant_loses_no_call_and_at_most_200_ms_of_each() {
    let rounds = if Environment.get("FIELDTAPE_LONG").is_some() { 100 } else { 10 };
    let seed = Environment.get("FIELDTAPE_SEED").map_or_else(rand::random, |s| s.parse().unwrap());
    println!("{rounds} kills, FIELDTAPE_SEED={seed}");
    let mut dice = StdRng::seed_from_u64(seed);

    let home = Home::with_speech()
        .with("transcription.live", true)
        .with("server.twilio_listen", format!("127.0.0.1:{}", lasting_port(&mut dice)));
    let (mut tally, mut cuts) = (Tally::default(), Vec::new());
    let mut appliance = home.start().await;
    for round in 0..rounds {
        let cut;
        (appliance, cut) = kill_and_restart(appliance, &home, &mut dice, round, &mut tally).await;
        await_taken_in(&home).await;
        check(&home, &cut, &mut tally);
        cuts.extend(cut);
    }
    tally.lost_ms.sort_unstable();
    println!("{tally}");
    await_transcripts(&home, &appliance, &cuts).await;
    appliance.stop().await;
}

/// A port that stays free while nobody listens: below those that the system gives out. Twilio's
/// callbacks then find the restarted appliance where the killed one was.
fn lasting_port(dice: &mut StdRng) -> u16 {
    loop {
        let port = dice.random_range(15_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Begins one to three calls, kills the appliance in the middle of them and some more times while
/// it takes in what they left, and runs it again.
async fn kill_and_restart(
    mut appliance: Appliance,
    home: &Home,
    dice: &mut StdRng,
    round: u64,
    tally: &mut Tally,
) -> (Appliance, Vec<Cut>) {
    // Every third time somebody speaks, long enough to say something.
    let speaks = round % 3 == 2;
    let after_ms = dice.random_range(if speaks { 3000..4000 } else { 200..4000 });
    let (hang_up, mut calls) = (CancellationToken::new(), JoinSet::new());
    for n in 0..dice.random_range(1..=3) {
        let is_speech = speaks && n == 0;
        let sound = if is_speech {
            telephone("jfk.wav")
        } else {
            Sound::stereo(noise(dice.random(), CALL_MS), noise(dice.random(), CALL_MS))
        };
        let late_ms = if n == 0 { 0 } else { dice.random_range(0..after_ms) };
        let options = appliance.call_options(|_| {});
        let hang_up = hang_up.clone();
        calls.spawn(async move {
            sleep(Duration::from_millis(late_ms)).await;
            let call = options.call_sid.clone();
            let report = simulate::run(options, sound.clone(), hang_up).await.ok();
            Cut { call, sound, is_speech, report }
        });
    }
    sleep(Duration::from_millis(after_ms)).await;
    appliance.signal(Signal::KILL);
    hang_up.cancel();
    appliance.ended().await;
    for _ in 0..dice.random_range(0..=3) {
        let mut again = home.start_degraded().await;
        sleep(Duration::from_millis(dice.random_range(0..200))).await;
        again.signal(Signal::KILL);
        again.ended().await;
        tally.taking_in_killed += 1;
    }
    let appliance = home.start().await;
    (appliance, calls.join_all().await)
}

/// Waits until nothing is left as the kill left it.
async fn await_taken_in(home: &Home) {
    let recordings = home.data_dir().join("recordings");
    eventually("no file is under way any more", async || {
        let parts = recordings_in(&recordings);
        parts.iter().all(|path| path.extension() != Some("part".as_ref())).then_some(())
    })
    .await;
    home.ledger().check_against(&home.data_dir());
}

fn recordings_in(folder: &PathBuf) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { recordings_in(&path) } else { vec![path] }).collect()
}

fn check(home: &Home, cuts: &[Cut], tally: &mut Tally) {
    let ledger = home.ledger();
    for Cut { call, sound, report, .. } in cuts {
        let Some(report) = report else {
            tally.not_announced += 1;
            continue;
        };
        tally.calls += 1;
        let row = ledger.call(call).unwrap_or_else(|| panic!("{call} is lost"));
        assert!(row.ended_at_ms.is_some(), "{row:?}");
        if report.inbound_frames == 0 {
            tally.soundless += 1;
            continue;
        }
        assert_eq!(row.end_reason.as_deref(), Some("interrupted"), "{row:?}");
        let files = files(&ledger, &home.data_dir(), call);
        let nothing = Vec::new();
        for party in Party::ALL.iter().copied() {
            let narrow = sent(report, sound, party);
            let wide = widened(&decoded(sound.of(party)));
            for (sent, rate_hz) in [(narrow.as_slice(), 8000), (&wide[..2 * narrow.len()], 16000)] {
                let file = files.get(&(party, rate_hz)).unwrap_or(&nothing);
                let kept = same(sent, file);
                assert!(
                    file[kept..].iter().all(|sample| *sample == 0),
                    "{call}: sample {kept} of {} of the {party} at {rate_hz} Hz is wrong",
                    file.len()
                );
                let lost_ms = (sent.len() - kept) * 1000 / rate_hz as usize;
                assert!(lost_ms <= LOST_MS_MAX, "{call}: {lost_ms} ms of the {party} are lost");
                tally.lost_ms.push(lost_ms);
            }
        }
        soxi(home, call);
    }
}

/// Has a program that is not ours read the files.
fn soxi(home: &Home, call: &CallSid) {
    for track in home.ledger().tracks(call) {
        let path = home.data_dir().join(&track.path);
        let read = Command::new("soxi").arg("-s").arg(&path).output();
        let read = read.expect("soxi is not there: scripts/test installs sox");
        assert!(read.status.success() && read.stderr.is_empty(), "{}: {read:?}", path.display());
        let samples = String::from_utf8(read.stdout).unwrap();
        assert_eq!(samples.trim().parse(), Ok(track.samples), "{}", path.display());
    }
}

/// Waits until every call that left sound is written down. A stage that was killed too often has
/// failed and says so; a retry then writes it down as well.
async fn await_transcripts(home: &Home, appliance: &Appliance, cuts: &[Cut]) {
    let announced = cuts.iter().filter(|cut| cut.report.is_some());
    let (heard, unheard): (Vec<&Cut>, Vec<&Cut>) = announced
        .partition(|cut| home.ledger().tracks(&cut.call).iter().any(|track| track.samples > 0));
    let rows = || heard.iter().map(|cut| home.ledger().call(&cut.call).unwrap());
    let settled = async |good: &[&str]| {
        within(TRANSCRIBED_WITHIN, "every call is written down", async || {
            rows().all(|row| good.contains(&row.transcript_status.as_str())).then_some(())
        })
        .await;
    };
    settled(&["completed", "failed"]).await;
    let failed: Vec<_> = rows().filter(|row| row.transcript_status == "failed").collect();
    println!("{} transcripts had been killed too often", failed.len());
    for row in &failed {
        let why = row.last_error.as_deref().unwrap_or_default();
        assert!(why.contains("stopped while it worked on this"), "{row:?}");
    }
    if !failed.is_empty() {
        assert_eq!(home.run(&["retry", "--all-failed"]).await.code, Some(0));
    }
    settled(&["completed"]).await;
    for cut in heard.iter().filter(|cut| cut.is_speech) {
        let said = appliance.api(&format!("/calls/{}/transcript", cut.call)).await;
        // A sentence broken off anywhere is heard as something, not always as what it was.
        assert_eq!(said["segments"][0]["speaker"], "technician", "{said}");
        assert_eq!(said["language"], "en");
    }
    for cut in unheard {
        let row = home.ledger().call(&cut.call).unwrap();
        // Nothing to write down, unless Twilio's own recording is the only one.
        let at_twilio = row.recording_status == "recording";
        assert!(row.transcript_status == "skipped" || at_twilio, "{row:?}");
    }
}
