//! What recording costs: processor time and memory of the release program per call, with both
//! tracks decoded, written at both rates and made durable every second. Speech is left out.
//!
//! `cargo bench --bench ingest -- [CALLS] [SECONDS]`, 16 calls of 30 s unless told otherwise.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod daemon;

use std::path::Path;

use anyhow::{Context as _, ensure};
use fieldtape::simulate::{self, Report, Sound};
use rand::RngCore as _;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use daemon::{Daemon, GLANCE};

/// Nothing is made into text.
const NO_SPEECH: &str = "[transcription]\nlive = false\nmodel = \"none\"";

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
    let mut daemon = Daemon::start(dir.path(), calls, NO_SPEECH).await?;
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
