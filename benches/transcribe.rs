//! What transcribing costs: `fieldtape transcribe` of a minute's two-party call with the bundled
//! model, against the length of the call.
//!
//! `cargo bench --bench transcribe -- [RUNS]`, three unless told otherwise.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use fieldtape::clock::{Clock as _, SystemClock};

const CALL: &str = "tests/assets/service-call.wav";
const CALL_S: f64 = 68.26;

/// Ticks of `/proc/self/stat` in a second, the same on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// What one run took.
struct Run {
    wall_s: f64,
    cpu_s: f64,
}

fn main() -> anyhow::Result<()> {
    let runs = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(3);
    let mut took = Vec::new();
    for run in 1..=runs {
        let Run { wall_s, cpu_s } = transcribe()?;
        println!("transcribe: run {run}: {wall_s:.2} s, {cpu_s:.2} CPU s");
        took.push((wall_s, cpu_s));
    }
    let median = |of: fn(&(f64, f64)) -> f64| {
        let mut sorted: Vec<f64> = took.iter().map(of).collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().context("no run")
    };
    let (wall_s, cpu_s) = (median(|run| run.0)?, median(|run| run.1)?);
    let cores = std::thread::available_parallelism()?;
    println!("transcribe: {CALL_S} s of two parties, {cores} cores, median of {runs}");
    println!("transcribe: real-time factor {:.3}, of CPU {:.3}", wall_s / CALL_S, cpu_s / CALL_S);
    Ok(())
}

fn transcribe() -> anyhow::Result<Run> {
    let (began, cpu_before_s) = (SystemClock.since_boot(), children_cpu_s()?);
    let output = Command::new(env!("CARGO_BIN_EXE_fieldtape"))
        .args(["transcribe", CALL])
        .stdin(Stdio::null())
        .output()?;
    let wall_s = SystemClock.since_boot().saturating_sub(began).as_secs_f64();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let words = String::from_utf8_lossy(&output.stdout).split_whitespace().count();
    ensure!(words > 150, "only {words} words were heard");
    Ok(Run { wall_s, cpu_s: children_cpu_s()? - cpu_before_s })
}

/// What all programs run by this one have used of the processor, theirs included.
fn children_cpu_s() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, after_name) = stat.rsplit_once(')').context("/proc/self/stat")?;
    // The 16th and 17th field; the third is the first behind the name.
    let ticks = after_name.split_whitespace().skip(13).take(2).map(str::parse::<f64>);
    Ok(ticks.collect::<Result<Vec<_>, _>>()?.iter().sum::<f64>() / TICKS_PER_S)
}
