//! How soon words are there while people speak: calls played into the release program at the pace
//! of life, and for each turn the time from its end to its last word on the page.
//!
//! `cargo bench --bench live -- [CALLS] [CALL.wav]`: one call, the bundled one, unless told
//! otherwise. Beside the WAV (two channels, agent left) lies a JSON file of the same name with its
//! turns.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod daemon;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use fieldtape::audio::{Resampler, WavReader, pcm16, ulaw};
use fieldtape::clock::{Clock as _, SystemClock};
use fieldtape::domain::{CallSid, RateHz};
use fieldtape::simulate::{self, Sound};
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use daemon::{Daemon, GLANCE};

const BUNDLED: &str = "tests/assets/service-call.wav";

/// A segment belongs to the turn of its speaker that its middle lies in, give or take this.
const SLACK_S: f64 = 0.5;

#[derive(Debug, Clone, Deserialize)]
struct Script {
    turns: Vec<Turn>,
}

#[derive(Debug, Clone, Deserialize)]
struct Turn {
    speaker: String,
    #[serde(alias = "start")]
    start_s: f64,
    #[serde(alias = "end")]
    end_s: f64,
}

/// An event of a call under way, and when it came by the wall clock.
struct Seen {
    name: String,
    data: Value,
    at_ms: i64,
}

/// What one call showed.
#[derive(Default)]
struct Figures {
    /// From a turn's end to its last word, for good.
    turns_s: Vec<f64>,
    /// From a segment's end to its text.
    segments_s: Vec<f64>,
    /// From a turn's beginning to the first that is seen of it.
    first_s: Vec<f64>,
    guesses: usize,
    unheard: usize,
    most_lag_s: f64,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let calls = words.iter().find_map(|word| word.parse().ok()).unwrap_or(1);
    let wav = words.iter().find(|word| word.to_lowercase().ends_with(".wav"));
    let wav = PathBuf::from(wav.map_or(BUNDLED, String::as_str));
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure(calls, &wav))
}

async fn measure(calls: u64, wav: &Path) -> anyhow::Result<()> {
    let script: Script = serde_json::from_reader(File::open(wav.with_extension("json"))?)?;
    let (sound, dir) = (sound(wav)?, tempfile::tempdir()?);
    let length_s = sound.length().as_secs_f64();
    let mut daemon = Daemon::start(dir.path(), calls, "[transcription]\nlive = true").await?;
    let mut lines = JoinSet::new();
    for _ in 0..calls {
        let (options, page) = (daemon.call()?, daemon.page.clone());
        lines.spawn(follow(page, options, sound.clone(), script.clone()));
    }
    let mut all = Figures::default();
    while let Some(figures) = lines.join_next().await {
        all.add(figures??);
    }
    let rest_kib = daemon.rss_kib()?;
    let cpu_s = daemon.stop()?;
    println!(
        "live: {calls} calls of {length_s:.0} s at the pace of life, {} cores; nothing of the sound \
         was lost",
        std::thread::available_parallelism()?
    );
    all.print();
    println!("live: the daemon took {cpu_s:.1} CPU s and {rest_kib} KiB");
    Ok(())
}

/// Plays a call and follows its words.
async fn follow(
    page: String,
    options: simulate::Options,
    sound: Sound,
    script: Script,
) -> anyhow::Result<Figures> {
    let call = options.call_sid.clone();
    let length_s = sound.length().as_secs_f64();
    let playing = simulate::run(options, sound, CancellationToken::new());
    let (report, seen) = tokio::join!(playing, watch(&page, &call));
    let (report, seen) = (report?, seen?);
    ensure!(report.troubles.is_empty(), "{:?}", report.troubles);
    let url = format!("http://{page}/api/v1/calls/{call}");
    let row = loop {
        let row: Value = client()?.get(&url).send().await?.json().await?;
        if row["ended_at"].is_string() && row["tracks"].as_array().is_some_and(|t| !t.is_empty()) {
            break row;
        }
        sleep(GLANCE).await;
    };
    for track in row["tracks"].as_array().into_iter().flatten() {
        let kept_s = track["duration_s"].as_f64().unwrap_or_default();
        ensure!(track["gaps"] == Value::Array(Vec::new()), "sound is missing: {track}");
        ensure!((kept_s - length_s).abs() < 0.05, "{kept_s} s of {length_s} s were kept");
    }
    let began: jiff::Timestamp = row["started_at"].as_str().context("no beginning")?.parse()?;
    Ok(Figures::of(&script, &seen, began.as_millisecond()))
}

async fn watch(page: &str, call: &CallSid) -> anyhow::Result<Vec<Seen>> {
    let url = format!("http://{page}/api/v1/calls/{call}/live");
    let mut events = loop {
        let answer = client()?.get(&url).send().await?;
        if answer.status() == 200 {
            break answer;
        }
        sleep(GLANCE).await;
    };
    let (mut seen, mut text) = (Vec::new(), String::new());
    while let Some(piece) = events.chunk().await? {
        text.push_str(std::str::from_utf8(&piece)?);
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                let (name, data) = (name.to_owned(), serde_json::from_str(data)?);
                seen.push(Seen { name, data, at_ms: SystemClock.now().get() });
            }
            text = rest.to_owned();
        }
    }
    Ok(seen)
}

fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

impl Figures {
    fn of(script: &Script, seen: &[Seen], began_ms: i64) -> Self {
        let at_s = |seen: &Seen| (seen.at_ms - began_ms) as f64 / 1000.0;
        let number = |seen: &Seen, key: &str| seen.data[key].as_f64().unwrap_or_default();
        let of = |name: &'static str| seen.iter().filter(move |seen| seen.name == name);
        let mut figures = Self { guesses: of("provisional").count(), ..Self::default() };
        figures.segments_s = of("segment").map(|seen| at_s(seen) - number(seen, "end_s")).collect();
        let lags = of("status").map(|seen| number(seen, "lag_s"));
        figures.most_lag_s = lags.fold(0.0, f64::max);
        for turn in &script.turns {
            let is_its = |seen: &&Seen| {
                let middle = f64::midpoint(number(seen, "start_s"), number(seen, "end_s"));
                seen.data["speaker"] == turn.speaker.as_str()
                    && (turn.start_s - SLACK_S..turn.end_s + SLACK_S).contains(&middle)
            };
            let last = of("segment").filter(is_its).map(at_s).reduce(f64::max);
            let shown = seen.iter().filter(|seen| seen.name != "status").filter(is_its);
            figures.first_s.extend(shown.map(at_s).reduce(f64::min).map(|at| at - turn.start_s));
            match last {
                Some(last) => figures.turns_s.push(last - turn.end_s),
                None => figures.unheard += 1,
            }
        }
        figures
    }

    fn add(&mut self, other: Self) {
        self.turns_s.extend(other.turns_s);
        self.segments_s.extend(other.segments_s);
        self.first_s.extend(other.first_s);
        self.guesses += other.guesses;
        self.unheard += other.unheard;
        self.most_lag_s = self.most_lag_s.max(other.most_lag_s);
    }

    fn print(&mut self) {
        for (what, figures) in [
            ("from a turn's end to its last word", &mut self.turns_s),
            ("from a segment's end to its text", &mut self.segments_s),
            ("from a turn's beginning to the first words shown", &mut self.first_s),
        ] {
            figures.sort_by(f64::total_cmp);
            let at = |percent: usize| {
                let place = (figures.len() * percent).div_ceil(100).saturating_sub(1);
                figures.get(place).copied().unwrap_or(f64::NAN)
            };
            println!(
                "live: {what}: {:.2} s at the median, {:.2} s at p95, {:.2} s at most ({})",
                at(50),
                at(95),
                at(100),
                figures.len()
            );
        }
        println!(
            "live: {} provisional lines, {} turns unheard, {:.1} s behind at most",
            self.guesses, self.unheard, self.most_lag_s
        );
    }
}

/// Reads a two-party call as the telephone carries it.
fn sound(wav: &Path) -> anyhow::Result<Sound> {
    let mut reader = WavReader::new(File::open(wav)?)?;
    let mut channels = vec![Vec::new(); usize::from(reader.channels())];
    while reader.read(&mut channels, 1 << 16)? > 0 {}
    let mut coded = Vec::new();
    for channel in &channels {
        let mut narrow = Vec::new();
        let mut resampler = Resampler::new(reader.rate_hz(), RateHz::Hz8000)?;
        resampler.push(channel, &mut narrow);
        resampler.finish(&mut narrow);
        coded.push(narrow.into_iter().map(|one| ulaw::encode(pcm16(one))).collect::<Vec<u8>>());
    }
    let technician = coded.pop().context("the call has no channel")?;
    let agent = coded.pop().context("the call has one channel")?;
    Ok(Sound::stereo(agent, technician))
}
