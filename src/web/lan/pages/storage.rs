//! What is on the disk, what the next purge would free, and what is kept back and why.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;

use super::super::storage::{Cost, Next, Rest, Storage, back_in_words};
use super::{Frame, Moment, words};
use crate::domain::{CallSid, PieceKind, lasting};
use crate::retention::{OnlyCopies, Policy};
use crate::vault::Mark;

/// The page of what is on the disk.
#[derive(Template)]
#[template(path = "storage.html")]
pub(super) struct StoragePage {
    frame: Frame,
    disk: String,
    facts: Vec<(&'static str, String)>,
    clock: Option<&'static str>,
    bulk: Option<String>,
    frees: String,
    goes: Vec<String>,
    stays: Vec<StaysLine>,
    rules: String,
    last: Option<LastLine>,
    withheld: Vec<String>,
    days: Vec<DayLine>,
    days_left_off: usize,
    written: Vec<WrittenLine>,
}

struct StaysLine {
    text: String,
    examples: Vec<CallSid>,
}

struct LastLine {
    text: String,
    at: Moment,
}

struct DayLine {
    day: String,
    total: String,
    kinds: String,
}

struct WrittenLine {
    day: String,
    sound: String,
    device: String,
}

impl StoragePage {
    pub(super) fn new(frame: Frame, storage: &Storage, policy: &Policy) -> Self {
        let seen = &storage.seen;
        let withheld = seen.last.iter().flat_map(|last| &last.withheld);
        Self {
            frame,
            disk: disk(storage),
            facts: facts(storage),
            clock: storage.next.forecast.clock,
            bulk: seen.bulk.map(bulk),
            frees: frees(&storage.next),
            goes: goes(&storage.next),
            stays: stays(&storage.next),
            rules: rules(policy, storage.held_calls),
            last: seen.last.as_ref().map(|last| LastLine {
                text: format!(
                    "The last purge let go of {} and freed {}:",
                    words::count(last.pieces, "piece", "pieces"),
                    words::size(last.freed_bytes)
                ),
                at: Moment::new(last.at),
            }),
            withheld: withheld
                .map(|piece| format!("{} stayed: {}", piece.name, piece.why))
                .collect(),
            days: storage.days.iter().map(|day| day_line(&day.day, &day.kinds)).collect(),
            days_left_off: storage.days_left_off,
            written: storage
                .written
                .iter()
                .map(|day| WrittenLine {
                    day: day.day.clone(),
                    sound: words::size(day.sound_bytes),
                    device: day.device_bytes.map_or_else(|| "not counted".to_owned(), words::size),
                })
                .collect(),
        }
    }
}

fn disk(storage: &Storage) -> String {
    let Some(space) = storage.seen.space else {
        return "The disk does not say how much is free.".to_owned();
    };
    let free =
        format!("{} of {} are free", words::size(space.free_bytes), words::size(space.total_bytes));
    match storage.seen.mark {
        Mark::Green => format!("{free}."),
        Mark::Amber => format!(
            "{free}: for less than a day. What is made again from what stays here makes room."
        ),
        Mark::Red => format!(
            "{free}: for less than an hour of as many calls as may be. Whatever may go makes room."
        ),
        Mark::Black | Mark::Spent => {
            format!("{free}: only for calls that are live. New ones are recorded at Twilio only.")
        }
    }
}

fn facts(storage: &Storage) -> Vec<(&'static str, String)> {
    let lines = &storage.seen.lines;
    let mut facts: Vec<(&'static str, String)> = storage
        .kinds
        .iter()
        .map(|(kind, (files, bytes))| {
            (
                name(*kind),
                format!("{} in {}", words::size(*bytes), words::count(*files, "file", "files")),
            )
        })
        .collect();
    facts.push(("The ledger", words::size(storage.ledger_bytes)));
    let pace = storage.seen.day_bytes;
    facts.push((
        "A day takes",
        if pace > 0 { words::size(pace) } else { "not known yet".to_owned() },
    ));
    if let Some(lasts) = storage.lasts {
        facts.push(("At this pace, without a purge", format!("{} left", for_long(lasts))));
    }
    facts.push((
        "Always left free",
        format!(
            "{}; no new call is heard here below {}",
            words::size(lines.floor_bytes),
            words::size(lines.black_bytes)
        ),
    ));
    let minutes = storage.at_twilio.stored_s / 60;
    let cost = storage.cost.as_ref().map(cost).unwrap_or_default();
    facts.push(("At Twilio", format!("{}{cost}", words::count(minutes, "minute", "minutes"))));
    facts
}

fn cost(cost: &Cost) -> String {
    let sum = |price: Option<f64>, what: &str| {
        price.map(|price| format!("{price:.2} {} {what}", cost.currency))
    };
    let parts = [
        sum(cost.stored, "a month to store them"),
        sum(cost.recorded, "to record what was recorded in the last 30 days"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!(": {}", parts.join(", "))
}

fn bulk(pieces: usize) -> String {
    format!(
        "{pieces} pieces are past their days at once, which is most of what is here: nothing of them \
         goes before somebody has said so with fieldtape purge. Check [retention] and the clock."
    )
}

fn frees(next: &Next) -> String {
    let plan = &next.forecast.plan;
    let possible = format!(
        "Up to {} could go if all the room were needed",
        words::size(next.forecast.possible_bytes)
    );
    let short = match plan.short_bytes {
        0 => String::new(),
        bytes => format!(" {} more are needed and not to be had.", words::size(bytes)),
    };
    if plan.steps.is_empty() {
        return format!("Nothing.{short} {possible}.");
    }
    let calls = words::count(next.calls() as u64, "call", "calls");
    format!("{} of {calls}.{short} {possible}.", words::size(plan.freed_bytes()))
}

fn goes(next: &Next) -> Vec<String> {
    let line = |((kind, why, rest), sum): ((PieceKind, &str, Rest), super::super::storage::Sum)| {
        let why = if why == "expired" { "past its days" } else { "to make room" };
        let rest = match rest {
            Rest::Here => "can be made again from what stays here",
            Rest::Archive => "is in the archive",
            Rest::Twilio => "is at Twilio",
            Rest::Nothing => "is nowhere else",
        };
        let calls = words::count(sum.calls, "call", "calls");
        format!("{} of {calls}, {}: {why}; {rest}", name(kind), words::size(sum.bytes))
    };
    next.goes().into_iter().map(line).collect()
}

fn stays(next: &Next) -> Vec<StaysLine> {
    let line = |((wanted, back), sum): ((&str, _), super::super::storage::Sum)| {
        let wanted = if wanted == "expired" { "past their days" } else { "wanted for room" };
        let (pieces, calls) =
            (words::count(sum.pieces, "piece", "pieces"), words::count(sum.calls, "call", "calls"));
        let text = format!(
            "{pieces} of {calls}, {}, {wanted}: {}",
            words::size(sum.bytes),
            back_in_words(back)
        );
        StaysLine { text, examples: sum.examples }
    };
    next.stays().into_iter().map(line).collect()
}

fn rules(policy: &Policy, held: u64) -> String {
    let days = |what: &str, time: Option<Duration>| {
        time.map(|time| format!("{what} {}", words::count(time.as_secs() / 86_400, "day", "days")))
    };
    let mut rules: Vec<String> = [
        days("sound is kept", policy.audio),
        days("16 kHz files", policy.wide),
        days("Twilio's copy", policy.copy),
        days("transcripts", policy.words),
    ]
    .into_iter()
    .flatten()
    .collect();
    rules.extend(
        policy.max_bytes.map(|most| format!("recordings take up {} at most", words::size(most))),
    );
    if rules.is_empty() {
        rules.push("everything is kept as long as there is room".to_owned());
    }
    rules.push(
        match policy.only_copies {
            OnlyCopies::Keep => "what is nowhere else never goes",
            OnlyCopies::WhenExpired => "what is nowhere else goes when its days are over",
            OnlyCopies::ForRoom => {
                "what is nowhere else goes when its days are over or nothing else makes room"
            }
        }
        .to_owned(),
    );
    format!("The rules: {}. Held calls, which never go: {held}.", rules.join("; "))
}

fn day_line(day: &str, kinds: &BTreeMap<PieceKind, (u64, u64)>) -> DayLine {
    let total: u64 = kinds.values().map(|(_, bytes)| bytes).sum();
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, (_, bytes))| format!("{} {}", name(*kind), words::size(*bytes)))
        .collect();
    DayLine { day: day.to_owned(), total: words::size(total), kinds: kinds.join(", ") }
}

/// Days say nothing any more when there are thousands of them.
fn for_long(time: Duration) -> String {
    const YEAR_S: u64 = 365 * 24 * 60 * 60;
    match time.as_secs() / YEAR_S {
        0 | 1 => lasting(time),
        years => format!("about {years} years"),
    }
}

/// Names a kind.
const fn name(kind: PieceKind) -> &'static str {
    match kind {
        PieceKind::Wide => "16 kHz",
        PieceKind::Narrow => "8 kHz",
        PieceKind::Channel => "Channels of Twilio's copy",
        PieceKind::Copy => "Twilio's copy",
        PieceKind::Words => "Transcripts",
    }
}
