//! What the office waits for: the page and the API of the release program on a ledger of 100,000
//! calls and 2 million segments, over HTTP on this machine.
//!
//! `cargo bench --bench ledger -- [CALLS] [ROUNDS]`. The ledger is made once, under
//! target/bench-ledger; that takes minutes.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[expect(dead_code, reason = "other benches play calls into it")]
mod daemon;
mod seed;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use fieldtape::clock::{Clock as _, SystemClock};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use daemon::Daemon;
use seed::Speech;

/// Nothing is made into text.
const NO_SPEECH: &str = "[transcription]\nlive = false\nmodel = \"none\"";

/// Requests of each kind that are made before any is timed.
const WARM: usize = 3;

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse().ok());
    let (calls, rounds) = (numbers.next().unwrap_or(100_000), numbers.next().unwrap_or(200));
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure(calls, usize::try_from(rounds)?))
}

async fn measure(calls: u32, rounds: usize) -> anyhow::Result<()> {
    let folder = seed::folder(calls).await?;
    let bytes = std::fs::metadata(folder.join("data/fieldtape.db"))?.len();
    println!(
        "ledger: {calls} calls, {} segments, {} MB",
        calls * seed::SEGMENTS,
        bytes / 1_000_000
    );
    let mut daemon = start(&folder).await?;
    let base = format!("http://{}", daemon.page);
    let http = reqwest::Client::builder().no_proxy().build()?;
    println!("{:<42} {:>9} {:>9} {:>9} {:>9}", "", "p50", "p99", "most", "CPU");
    for (name, ask) in lists().into_iter().chain(searches()) {
        let (speech, mut chance) = (Speech::new(), StdRng::seed_from_u64(9));
        let mut took = Vec::with_capacity(rounds);
        let mut cpu_s = 0.0;
        for round in 0..rounds + WARM {
            if round == WARM {
                cpu_s = daemon.cpu_s()?;
            }
            let url = format!("{base}{}", ask(&mut chance, &speech, calls));
            let began = SystemClock.since_boot();
            let answer = http.get(&url).send().await?;
            let status = answer.status();
            answer.bytes().await?;
            if round >= WARM {
                took.push(SystemClock.since_boot().saturating_sub(began));
            }
            ensure!(status.is_success(), "{url}: {status}");
        }
        let cpu_s = daemon.cpu_s()? - cpu_s;
        tell(name, took, cpu_s)?;
    }
    daemon.stop()?;
    Ok(())
}

/// Starts it; what it makes of the folder is timed too.
async fn start(folder: &Path) -> anyhow::Result<Daemon> {
    let began = SystemClock.since_boot();
    let daemon = Daemon::start(folder, 16, NO_SPEECH).await?;
    println!(
        "ledger: started in {} ms",
        (SystemClock.since_boot().saturating_sub(began)).as_millis()
    );
    Ok(daemon)
}

/// Prints a line. The processor time is what all threads of the program used, by request.
fn tell(name: &str, mut took: Vec<Duration>, cpu_s: f64) -> anyhow::Result<()> {
    took.sort_unstable();
    let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len() - 1));
    let ms = |time: Option<&Duration>| time.map(|time| time.as_secs_f64() * 1000.0);
    let (p50, p99, most) = (ms(at(50)), ms(at(99)), ms(took.last()));
    let (p50, p99, most) = (p50.context("none")?, p99.context("none")?, most.context("none")?);
    let requests = u32::try_from(took.len()).map(f64::from)?;
    let cpu = cpu_s * 1000.0 / requests;
    println!("{name:<42} {p50:>6.1} ms {p99:>6.1} ms {most:>6.1} ms {cpu:>6.1} ms");
    Ok(())
}

/// Makes the address of a request.
type Ask = fn(&mut StdRng, &Speech, u32) -> String;

fn lists() -> Vec<(&'static str, Ask)> {
    vec![
        ("page: list", |_, _, _| "/".to_owned()),
        ("page: list, far down", |chance, _, calls| {
            let id = chance.random_range(1..calls);
            format!("/?cursor={}-{id}", 1_700_000_000_000_i64 + i64::from(id) * 360_000)
        }),
        ("page: filter, archive failed", |_, _, _| {
            "/?stage=archive&stage_status=failed".to_owned()
        }),
        ("page: filter, any stage completed", |_, _, _| "/?stage_status=completed".to_owned()),
        ("page: filter, nothing is so", |_, _, _| "/?status=failed".to_owned()),
        ("page: filter, a day", |chance, _, calls| {
            let day = i64::from(chance.random_range(0..calls / 240));
            let from =
                jiff::Timestamp::from_second(1_700_000_000 + day * 86_400).unwrap_or_default();
            let to = jiff::Timestamp::from_second(1_700_086_400 + day * 86_400).unwrap_or_default();
            format!("/?from={from}&to={to}")
        }),
        ("page: number of a technician", |chance, _, calls| {
            let number = seed::number(chance.random_range(1..calls));
            format!("/?number={}", number.replace('+', "%2B"))
        }),
        ("page: number of the office", |_, _, _| {
            format!("/?number={}", seed::OFFICE.replace('+', "%2B"))
        }),
        ("page: a call", |chance, _, calls| {
            format!("/calls/{}", seed::sid(chance.random_range(1..calls)))
        }),
        ("page: health", |_, _, _| "/health".to_owned()),
        ("page: queue", |_, _, _| "/queue".to_owned()),
        ("API: 50 calls", |_, _, _| "/api/v1/calls".to_owned()),
        ("API: a call", |chance, _, calls| {
            format!("/api/v1/calls/{}", seed::sid(chance.random_range(1..calls)))
        }),
        ("API: 20 numbers", |_, _, _| "/api/v1/numbers".to_owned()),
        ("API: a number and what is to be done", |chance, _, calls| {
            let number = seed::number(chance.random_range(1..calls));
            format!("/api/v1/numbers/{}", number.replace('+', "%2B"))
        }),
    ]
}

fn searches() -> Vec<(&'static str, Ask)> {
    vec![
        ("page: search, a word as people say it", |chance, speech, _| {
            format!("/search?q={}", speech.word(chance))
        }),
        ("page: search, the commonest word", |_, speech, _| format!("/search?q={}", speech.nth(0))),
        ("page: search, a rare word", |chance, speech, _| {
            format!("/search?q={}", speech.nth(chance.random_range(20_000..30_000)))
        }),
        ("page: search, three words", |chance, speech, _| {
            let words: Vec<&str> = (0..3).map(|_| speech.word(chance)).collect();
            format!("/search?q={}", words.join("+"))
        }),
        ("page: search, a phrase of two", |chance, speech, _| {
            let words: Vec<&str> = (0..2).map(|_| speech.word(chance)).collect();
            format!("/search?q=%22{}%22", words.join("+"))
        }),
        ("page: search, a phrase of common words", |chance, speech, _| {
            let mut words: Vec<&str> = (0..12).map(|n| speech.nth(n)).collect();
            words.shuffle(chance);
            words.truncate(3);
            format!("/search?q=%22{}%22", words.join("+"))
        }),
        ("page: search, how a word begins", |chance, speech, _| {
            let word = speech.word(chance);
            format!("/search?q={}*", word.get(..chance.random_range(2..=4)).unwrap_or(word))
        }),
        ("page: search, one party on one day", |chance, speech, calls| {
            let day = i64::from(chance.random_range(0..calls / 240));
            let at = jiff::Timestamp::from_second(1_700_000_000 + day * 86_400).unwrap_or_default();
            let day = at.strftime("%Y-%m-%d");
            let word = speech.word(chance);
            format!("/search?q={word}+party:technician+from:{day}+to:{day}")
        }),
        ("page: search, all but the last days", |chance, speech, calls| {
            let day = i64::from(calls / 240).saturating_sub(chance.random_range(1..9));
            let at = jiff::Timestamp::from_second(1_700_000_000 + day * 86_400).unwrap_or_default();
            format!("/search?q={}+to:{}", speech.word(chance), at.strftime("%Y-%m-%d"))
        }),
        ("page: search, a person and a word", |chance, speech, calls| {
            let name = seed::name(chance.random_range(1..calls));
            format!("/search?q={}+{}", name.replace(' ', "+"), speech.word(chance))
        }),
        ("page: search, one number", |chance, speech, calls| {
            let number = seed::number(chance.random_range(1..calls));
            format!("/search?q={}+number:{}", speech.word(chance), number.replace('+', "%2B"))
        }),
        ("API: search", |chance, speech, _| format!("/api/v1/search?q={}", speech.word(chance))),
    ]
}
