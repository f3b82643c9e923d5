//! A ledger of many calls, made once and kept under target/.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use fieldtape::store::Store;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::{Connection, OpenFlags, Transaction, params};

/// Segments of a call.
pub(crate) const SEGMENTS: u32 = 20;

/// Numbers in the field.
pub(crate) const NUMBERS: u32 = 1000;

/// What people are called here.
const FIRST_NAMES: [&str; 10] =
    ["Daniel", "Maria", "Aiko", "Søren", "Ana", "Omar", "Priya", "Tom", "Léa", "Ivan"];

/// Words of the language that people speak here.
const WORDS: u32 = 30_000;

/// Words of a segment.
const SPOKEN: u32 = 10;

/// When the first of them was made; they are six minutes apart.
const BEGAN_MS: i64 = 1_700_000_000_000;

/// Calls written, and put into the search index, at once.
const WRITTEN_AT_ONCE: u32 = 2000;

/// How long a ledger may take to close.
const CLOSES_WITHIN: Duration = Duration::from_secs(20);

/// How this is made: the ledger's shape, and this file.
const MADE_BY: [&str; 2] = [include_str!("../../src/store/schema.sql"), include_str!("mod.rs")];

/// Returns a call's name.
pub(crate) fn sid(n: u32) -> String {
    format!("CA{n:032x}")
}

/// Returns the number of the other side.
pub(crate) fn number(n: u32) -> String {
    format!("+1512555{:04}", n % NUMBERS)
}

/// Returns whose number the other side's is.
pub(crate) fn name(n: u32) -> String {
    let n = n % NUMBERS;
    format!("{} {}", FIRST_NAMES[(n % 10) as usize], n / 10)
}

/// The office's own number, which every call has.
pub(crate) const OFFICE: &str = "+15125559999";

/// The words, the commonest first.
pub(crate) struct Speech {
    words: Vec<String>,
    /// For each, how often it or a commoner one is said.
    often: Vec<f64>,
}

impl Speech {
    /// Makes a language up, always the same one: words are as common as Zipf found them to be.
    pub(crate) fn new() -> Self {
        let mut chance = StdRng::seed_from_u64(7);
        let (mut words, mut often, mut sum) = (Vec::new(), Vec::new(), 0.0);
        for n in 0..WORDS {
            let syllables = chance.random_range(1..=4);
            let word = (0..syllables).map(|_| syllable(&mut chance)).collect::<String>();
            words.push(word);
            sum += 1.0 / (f64::from(n) + 2.7).powf(1.05);
            often.push(sum);
        }
        Self { words, often }
    }

    /// Says a word.
    pub(crate) fn word(&self, chance: &mut StdRng) -> &str {
        let sum = self.often.last().copied().unwrap_or(1.0);
        let drawn = chance.random_range(0.0..sum);
        let at = self.often.partition_point(|often| *often < drawn);
        self.words.get(at).map_or("", String::as_str)
    }

    /// Returns the word that is so common.
    pub(crate) fn nth(&self, n: usize) -> &str {
        self.words.get(n).map_or("", String::as_str)
    }
}

fn syllable(chance: &mut StdRng) -> String {
    let pick = |letters: &str, chance: &mut StdRng| {
        letters.chars().nth(chance.random_range(0..letters.len())).unwrap_or('a')
    };
    let consonant = pick("bcdfghjklmnprstvw", chance);
    [consonant, pick("aeiou", chance)].into_iter().collect()
}

/// Returns the folder of a ledger of so many calls, making it if it is not there yet.
pub(crate) async fn folder(calls: u32) -> anyhow::Result<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_fieldtape")).ancestors().nth(2).context("target")?;
    let mut hash = DefaultHasher::new();
    MADE_BY.hash(&mut hash);
    let ready = target.join(format!("bench-ledger/{calls}-{:016x}", hash.finish()));
    if !ready.join("data/fieldtape.db").exists() {
        let made = target.join("bench-ledger/made");
        if made.exists() {
            std::fs::remove_dir_all(&made)?;
        }
        std::fs::create_dir_all(made.join("data"))?;
        make(&made.join("data/fieldtape.db"), calls).await?;
        std::fs::rename(&made, &ready)?;
    }
    Ok(ready)
}

async fn make(path: &Path, calls: u32) -> anyhow::Result<()> {
    drop(Store::open(path)?);
    let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // The store's own thread may still be closing it.
    db.busy_timeout(CLOSES_WITHIN)?;
    db.execute_batch("pragma synchronous = off; pragma foreign_keys = off")?;
    let (speech, mut chance) = (Speech::new(), StdRng::seed_from_u64(8));
    for n in 0..NUMBERS {
        let sql = "insert into contacts (number, name, imported_at_ms) values (?1, ?2, ?3)";
        db.execute(sql, params![number(n), name(n), BEGAN_MS])?;
    }
    let mut n = 0;
    while n < calls {
        let tx = db.transaction()?;
        for _ in 0..WRITTEN_AT_ONCE.min(calls - n) {
            n += 1;
            call(&tx, n)?;
            words(&tx, n, &speech, &mut chance)?;
        }
        tx.commit()?;
    }
    let sql = "update meta set value = ?1 where key = 'search_indexed_down_to'";
    db.execute(sql, [(calls + 1).to_string()])?;
    drop(db);
    // The rest as the appliance does it.
    let store = Store::open(path)?;
    while store.index_some(WRITTEN_AT_ONCE).await? > 0 {}
    let query = fieldtape::store::SearchQuery::parse(speech.nth(0), &jiff::tz::TimeZone::UTC);
    ensure!(!store.search(query, None, 1).await?.hits.is_empty(), "nothing is found");
    Ok(())
}

/// A call that is over and done: one in a hundred has failed somewhere.
fn call(tx: &Transaction<'_>, n: u32) -> anyhow::Result<()> {
    let began = BEGAN_MS + i64::from(n) * 360_000;
    let failed = n.is_multiple_of(100);
    let done = if failed { "failed" } else { "completed" };
    let (direction, from, to) = match n % 3 {
        0 => ("outbound", OFFICE.to_owned(), number(n)),
        _ => ("inbound", number(n), OFFICE.to_owned()),
    };
    tx.prepare_cached(
        "insert into calls (id, call_sid, direction, origin, from_number, to_number, call_status, \
         end_reason, created_at_ms, started_at_ms, ended_at_ms, clock_synced, duration_s, \
         duration_source, recording_status, transcript_status, summary_status, archive_status, \
         last_error, folder) values (?1, ?2, ?3, 'number', ?4, ?5, 'completed', 'completed', ?6, \
         ?6, ?6 + 63000, 1, 63, 'timestamps', 'completed', 'completed', 'completed', ?7, ?8, ?9)",
    )?
    .execute(params![
        n,
        sid(n),
        direction,
        from,
        to,
        began,
        done,
        failed.then_some("the archive refused"),
        format!("recordings/{n}")
    ])?;
    for (stage, status) in
        [("transcript", "completed"), ("summary", "completed"), ("archive", done)]
    {
        tx.prepare_cached(
            "insert into stages (call_id, stage, status, attempts, next_attempt_at_ms, updated_at_ms) \
             values (?1, ?2, ?3, 1, ?4, ?4)",
        )?
        .execute(params![n, stage, status, began + 70_000])?;
    }
    for party in ["agent", "technician"] {
        for rate_hz in [8000, 16_000] {
            tx.prepare_cached(
                "insert into tracks (call_id, party, source, rate_hz, path, origin_sample, samples, \
                 size_bytes, sha256, sealed_at_ms) values (?1, ?2, 'stream', ?3, ?4, 0, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                n,
                party,
                rate_hz,
                format!("recordings/{n}/{party}_{rate_hz}Hz.wav"),
                63 * rate_hz,
                44 + 126 * rate_hz,
                "0".repeat(64),
                began + 64_000
            ])?;
        }
    }
    tx.prepare_cached(
        "insert into transcripts (call_id, source, language, model, created_at_ms) \
         values (?1, 'stream', 'en', 'tiny.en-q8_0', ?2)",
    )?
    .execute(params![n, began + 70_000])?;
    tx.prepare_cached(
        "insert into summaries (call_id, engine, outcome, text, covers, statements, words_at_ms, \
         made_at_ms) values (?1, 'extractive', 'talked', 'It hums.', 1.0, '[]', ?2, ?2)",
    )?
    .execute(params![n, began + 70_000])?;
    Ok(())
}

fn words(tx: &Transaction<'_>, n: u32, speech: &Speech, chance: &mut StdRng) -> anyhow::Result<()> {
    for segment in 0..SEGMENTS {
        let party = if segment % 2 == 0 { "agent" } else { "technician" };
        let start = segment * 3000;
        let spoken: Vec<&str> = (0..SPOKEN).map(|_| speech.word(chance)).collect();
        let placed = spoken.iter().zip(0..).map(|(word, at): (_, u32)| {
            format!("[\"{word}\",{},{}]", start + at * 250, start + at * 250 + 240)
        });
        let placed = format!("[{}]", placed.collect::<Vec<_>>().join(","));
        tx.prepare_cached(
            "insert into segments (call_id, party, start_ms, end_ms, text, confidence, avg_logprob, \
             no_speech_prob, words) values (?1, ?2, ?3, ?3 + 2500, ?4, 0.9, -0.1, 0.0, ?5)",
        )?
        .execute(params![n, party, start, spoken.join(" "), placed])?;
    }
    Ok(())
}
