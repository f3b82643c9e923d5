//! What recording costs: processor time and memory of the release program per call, with both
//! tracks decoded, written at both rates and made durable every second. Speech is left out.
//!
//! `cargo bench --bench ingest -- [CALLS] [SECONDS]`, 16 calls of 30 s unless told otherwise.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use fieldtape::clock::SystemClock;
use fieldtape::domain::Origin;
use fieldtape::simulate::{self, Faults, Options, Report, Sound, fresh_call_sid};
use fieldtape::twilio::door::PublicUrl;
use fieldtape::twilio::signature::AuthToken;
use rand::RngCore as _;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "the-token-of-the-bench";
const PUBLIC_URL: &str = "https://fieldtape.example";

/// How long the program may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

const GLANCE: Duration = Duration::from_millis(100);

/// Ticks of `/proc/PID/stat` in a second, the same on every Linux.
const TICKS_PER_S: f64 = 100.0;

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse().ok());
    let (calls, seconds) = (numbers.next().unwrap_or(16), numbers.next().unwrap_or(30));
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure(calls, seconds))
}

async fn measure(calls: u64, seconds: u64) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut daemon = Daemon::start(dir.path(), calls).await?;
    let (cpu_before_s, rest_kib) = (daemon.cpu_s()?, daemon.rss_kib()?);
    let mut lines = JoinSet::new();
    for _ in 0..calls {
        lines.spawn(simulate::run(daemon.call()?, sound(seconds), CancellationToken::new()));
    }
    let mut most_kib = rest_kib;
    while !lines.is_empty() {
        tokio::select! {
            report = lines.join_next() => check(&report.context("no call")???)?,
            () = sleep(GLANCE) => most_kib = most_kib.max(daemon.rss_kib()?),
        }
    }
    let cpu_s = daemon.stop()? - cpu_before_s;
    let data_bytes = sound_bytes(&dir.path().join("data/recordings"))?;
    // Two tracks, 8000 and 16000 samples a second, two bytes each.
    ensure!(data_bytes == calls * seconds * 2 * 24_000 * 2, "{data_bytes} bytes are on disk");

    let streamed_s = (calls * seconds) as f64;
    println!("ingest: {calls} calls of {seconds} s, every sample on disk");
    println!(
        "ingest: {:.2} CPU s per 1000 stream-seconds: {:.2} % of a core per call",
        cpu_s * 1000.0 / streamed_s,
        cpu_s * 100.0 / streamed_s
    );
    let call_kib = most_kib.saturating_sub(rest_kib) as f64 / calls as f64;
    println!("ingest: {rest_kib} KiB at rest, {most_kib} KiB at most: {call_kib:.0} KiB per call");
    Ok(())
}

fn sound(seconds: u64) -> Sound {
    let mut noise = [Vec::new(), Vec::new()];
    for channel in &mut noise {
        channel.resize(usize::try_from(seconds * 8000).unwrap_or(0), 0);
        rand::rng().fill_bytes(channel);
    }
    let [left, right] = noise;
    Sound::stereo(left, right)
}

fn check(report: &Report) -> anyhow::Result<()> {
    ensure!(report.troubles.is_empty(), "{:?}", report.troubles);
    Ok(())
}

/// The release program, recording into a folder of its own.
struct Daemon {
    child: Child,
    door: String,
}

impl Daemon {
    async fn start(dir: &Path, calls: u64) -> anyhow::Result<Self> {
        let (config, log) = (dir.join("config.toml"), dir.join("log"));
        std::fs::write(
            &config,
            format!(
                "[server]\ndata_dir = \"{}\"\nlan_listen = \"127.0.0.1:0\"\n\
                 twilio_listen = \"127.0.0.1:0\"\npublic_url = \"{PUBLIC_URL}\"\n\
                 max_calls = {calls}\n\
                 [twilio]\naccount_sid = \"{ACCOUNT}\"\nauth_token = \"{TOKEN}\"\n\
                 agent_number = \"+15550142\"\n\
                 [transcription]\nlive = false\nmodel = \"none\"\n",
                dir.join("data").display()
            ),
        )?;
        let child = Command::new(env!("CARGO_BIN_EXE_fieldtape"))
            .arg("-c")
            .arg(&config)
            .arg("run")
            .stdin(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut daemon = Self { child, door: String::new() };
        let starting = async {
            loop {
                let text = std::fs::read_to_string(&log)?;
                let door = text.split_once("Twilio's door at ").map(|(_, rest)| rest);
                if let (Some(door), true) = (door, text.contains("event=\"opened\"")) {
                    let door = door.split_whitespace().next().unwrap_or_default();
                    return anyhow::Ok(door.to_owned());
                }
                sleep(GLANCE).await;
            }
        };
        daemon.door = tokio::time::timeout(STARTS_WITHIN, starting)
            .await
            .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())??;
        Ok(daemon)
    }

    fn call(&self) -> anyhow::Result<Options> {
        Ok(Options {
            target: format!("http://{}", self.door).parse()?,
            public_url: PublicUrl::parse(PUBLIC_URL)?,
            auth_token: AuthToken::new(TOKEN)?,
            account_sid: ACCOUNT.parse()?,
            call_sid: fresh_call_sid(),
            from: "+15550100".to_owned(),
            to: "+15550199".to_owned(),
            origin: Origin::Number,
            speed: 1.0,
            faults: Faults::none(1),
            clock: Arc::new(SystemClock),
            cloud: None,
        })
    }

    /// What its threads have used of the processor, until now or until it ended.
    fn cpu_s(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, after_name) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        // The 14th and 15th field; the third is the first behind the name.
        let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.collect::<Result<Vec<_>, _>>()?.iter().sum::<f64>() / TICKS_PER_S)
    }

    fn rss_kib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Stops it; returns all the processor time it has used.
    fn stop(&mut self) -> anyhow::Result<f64> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)?;
        // Its figures stay readable until it is waited for.
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        let cpu_s = self.cpu_s()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        Ok(cpu_s)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only if it has been stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Adds up the sound of all files below a folder, without their headers.
fn sound_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            sound_bytes(&entry.path())?
        } else {
            entry.metadata()?.len() - 44
        };
    }
    Ok(bytes)
}
