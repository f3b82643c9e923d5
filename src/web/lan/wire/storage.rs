//! What is on the disk, as the API sends it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::rfc3339;
use crate::domain::PieceKind;
use crate::retention::{OnlyCopies, Policy, Purged};
use crate::web::lan::storage::{self, Cost, Day, Next, PIECES_MAX, Sum, after_days, back_in_words};

/// Everything about the disk.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Storage {
    disk: Disk,
    kept: Kept,
    written: Written,
    rules: Rules,
    held_calls: u64,
    next_purge: NextPurge,
    last_purge: Option<LastPurge>,
    at_twilio: AtTwilio,
}

#[derive(Debug, Serialize)]
struct Disk {
    /// `null` while it does not answer.
    total_bytes: Option<u64>,
    free_bytes: Option<u64>,
    /// `green`, `amber`, `red` or `black`.
    state: &'static str,
    floor_bytes: u64,
    black_below_bytes: u64,
    red_below_bytes: u64,
    amber_below_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Kept {
    kinds: Vec<KindSum>,
    ledger_bytes: u64,
    /// The newest first.
    days: Vec<KeptDay>,
    days_left_off: usize,
}

#[derive(Debug, Serialize)]
struct KindSum {
    kind: &'static str,
    files: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct KeptDay {
    day: String,
    bytes: u64,
    kinds: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct Written {
    /// The newest first.
    days: Vec<WrittenDay>,
    bytes_per_day: u64,
    /// `null` while nothing is written.
    days_left: Option<f64>,
}

#[derive(Debug, Serialize)]
struct WrittenDay {
    day: String,
    sound_bytes: u64,
    /// By everybody, to the whole disk; `null` where nobody counts.
    device_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Rules {
    audio_days: Option<u64>,
    audio_16k_days: Option<u64>,
    cloud_copy_days: Option<u64>,
    transcript_days: Option<u64>,
    max_bytes: Option<u64>,
    only_copies: &'static str,
}

#[derive(Debug, Serialize)]
struct AtTwilio {
    stored_minutes: u64,
    recorded_minutes_30_days: u64,
    /// `null` unless prices are configured.
    cost: Option<CostWire>,
}

#[derive(Debug, Serialize)]
struct CostWire {
    stored_per_month: Option<f64>,
    recorded_30_days: Option<f64>,
    currency: String,
}

/// What the next purge would do.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct NextPurge {
    /// Why nothing goes whatever stands below, in words; `null` if it does.
    waits_for_clock: Option<&'static str>,
    wanted_bytes: u64,
    frees_bytes: u64,
    /// What is wanted and not to be had.
    short_bytes: u64,
    /// What could go if all the room were wanted.
    possible_bytes: u64,
    pieces: usize,
    calls: usize,
    sums: Vec<Goes>,
    kept_back: Vec<KeptBack>,
    /// Past their days, and too many at once to go without a person's word.
    withheld_bulk: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Goes {
    kind: &'static str,
    why: &'static str,
    rests_on: &'static str,
    #[serde(flatten)]
    sum: SumWire,
}

#[derive(Debug, Serialize)]
struct KeptBack {
    wanted: &'static str,
    why: &'static str,
    words: String,
    #[serde(flatten)]
    sum: SumWire,
}

#[derive(Debug, Serialize)]
struct SumWire {
    pieces: u64,
    calls: u64,
    bytes: u64,
    examples: Vec<String>,
}

/// One piece that goes.
#[derive(Debug, Serialize)]
struct PieceGoes {
    call_sid: String,
    kind: &'static str,
    name: String,
    bytes: u64,
    why: &'static str,
    after_days: Option<u64>,
    rests_on: &'static str,
}

#[derive(Debug, Serialize)]
struct LastPurge {
    at: String,
    freed_bytes: u64,
    pieces: u64,
    withheld: Vec<WithheldPiece>,
}

#[derive(Debug, Serialize)]
struct WithheldPiece {
    name: String,
    why: String,
}

/// The answer to a purge, or to a dry run of one.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct PurgeAnswer {
    dry_run: bool,
    plan: NextPurge,
    goes: Vec<PieceGoes>,
    goes_left_off: usize,
    /// `null` for a dry run.
    done: Option<LastPurge>,
}

impl Storage {
    pub(in crate::web::lan) fn new(storage: &storage::Storage, policy: &Policy) -> Self {
        let seen = &storage.seen;
        let mut next_purge = NextPurge::new(&storage.next);
        next_purge.withheld_bulk = seen.bulk;
        Self {
            disk: Disk {
                total_bytes: seen.space.map(|space| space.total_bytes),
                free_bytes: seen.space.map(|space| space.free_bytes),
                state: seen.mark.as_str(),
                floor_bytes: seen.lines.floor_bytes,
                black_below_bytes: seen.lines.black_bytes,
                red_below_bytes: seen.lines.red_bytes,
                amber_below_bytes: seen.lines.amber_bytes,
            },
            kept: Kept::new(storage),
            written: Written::new(storage),
            rules: Rules::new(policy),
            held_calls: storage.held_calls,
            next_purge,
            last_purge: seen.last.as_ref().map(LastPurge::new),
            at_twilio: AtTwilio {
                stored_minutes: storage.at_twilio.stored_s / 60,
                recorded_minutes_30_days: storage.at_twilio.recorded_s / 60,
                cost: storage.cost.as_ref().map(CostWire::new),
            },
        }
    }
}

impl Kept {
    fn new(storage: &storage::Storage) -> Self {
        let kinds = storage.kinds.iter();
        Self {
            kinds: kinds
                .map(|(kind, (files, bytes))| KindSum {
                    kind: kind.as_str(),
                    files: *files,
                    bytes: *bytes,
                })
                .collect(),
            ledger_bytes: storage.ledger_bytes,
            days: storage.days.iter().map(KeptDay::new).collect(),
            days_left_off: storage.days_left_off,
        }
    }
}

impl KeptDay {
    fn new(day: &Day) -> Self {
        let kinds: BTreeMap<_, _> =
            day.kinds.iter().map(|(kind, (_, bytes))| (PieceKind::as_str(*kind), *bytes)).collect();
        Self { day: day.day.clone(), bytes: kinds.values().sum(), kinds }
    }
}

impl Written {
    fn new(storage: &storage::Storage) -> Self {
        let days = storage.written.iter().map(|day| WrittenDay {
            day: day.day.clone(),
            sound_bytes: day.sound_bytes,
            device_bytes: day.device_bytes,
        });
        Self {
            days: days.collect(),
            bytes_per_day: storage.seen.day_bytes,
            days_left: storage.lasts.map(|lasts| (lasts.as_secs_f64() / 8640.0).round() / 10.0),
        }
    }
}

impl Rules {
    fn new(policy: &Policy) -> Self {
        let days = |time: Option<std::time::Duration>| time.map(|time| time.as_secs() / 86_400);
        Self {
            audio_days: days(policy.audio),
            audio_16k_days: days(policy.wide),
            cloud_copy_days: days(policy.copy),
            transcript_days: days(policy.words),
            max_bytes: policy.max_bytes,
            only_copies: match policy.only_copies {
                OnlyCopies::Keep => "keep",
                OnlyCopies::WhenExpired => "when-expired",
                OnlyCopies::ForRoom => "for-room",
            },
        }
    }
}

impl CostWire {
    fn new(cost: &Cost) -> Self {
        // Money has two digits behind the point; what a machine adds up is not rounded before.
        let cents = |sum: f64| (sum * 100.0).round() / 100.0;
        Self {
            stored_per_month: cost.stored.map(cents),
            recorded_30_days: cost.recorded.map(cents),
            currency: cost.currency.clone(),
        }
    }
}

impl NextPurge {
    fn new(next: &Next) -> Self {
        let forecast = &next.forecast;
        let goes = next.goes().into_iter().map(|((kind, why, rest), sum)| Goes {
            kind: kind.as_str(),
            why,
            rests_on: rest.as_str(),
            sum: sum.into(),
        });
        let kept_back = next.stays().into_iter().map(|((wanted, back), sum)| KeptBack {
            wanted,
            why: back.as_str(),
            words: back_in_words(back),
            sum: sum.into(),
        });
        Self {
            waits_for_clock: forecast.clock,
            wanted_bytes: forecast.room.bytes,
            frees_bytes: forecast.plan.freed_bytes(),
            short_bytes: forecast.plan.short_bytes,
            possible_bytes: forecast.possible_bytes,
            pieces: forecast.plan.steps.len(),
            calls: next.calls(),
            sums: goes.collect(),
            kept_back: kept_back.collect(),
            withheld_bulk: None,
        }
    }
}

impl From<Sum> for SumWire {
    fn from(sum: Sum) -> Self {
        Self {
            pieces: sum.pieces,
            calls: sum.calls,
            bytes: sum.bytes,
            examples: sum.examples.iter().map(ToString::to_string).collect(),
        }
    }
}

impl LastPurge {
    fn new(purged: &Purged) -> Self {
        let withheld = purged.withheld.iter();
        Self {
            at: rfc3339(purged.at),
            freed_bytes: purged.freed_bytes,
            pieces: purged.pieces,
            withheld: withheld
                .map(|piece| WithheldPiece { name: piece.name.clone(), why: piece.why.clone() })
                .collect(),
        }
    }
}

impl PurgeAnswer {
    /// Says what a purge would do.
    pub(in crate::web::lan) fn forecast(next: &Next) -> Self {
        let steps = &next.forecast.plan.steps;
        let goes = steps.iter().take(PIECES_MAX).map(|step| PieceGoes {
            call_sid: next.name(step.call).map(ToString::to_string).unwrap_or_default(),
            kind: step.kind.as_str(),
            name: step.name.clone(),
            bytes: step.size_bytes,
            why: step.why.as_str(),
            after_days: after_days(step.why),
            rests_on: storage::Rest::from(&step.rests_on).as_str(),
        });
        Self {
            dry_run: true,
            plan: NextPurge::new(next),
            goes: goes.collect(),
            goes_left_off: steps.len().saturating_sub(PIECES_MAX),
            done: None,
        }
    }

    /// Says what a purge did, and what it had set out to do.
    pub(in crate::web::lan) fn done(next: &Next, purged: &Purged) -> Self {
        Self { dry_run: false, done: Some(LastPurge::new(purged)), ..Self::forecast(next) }
    }
}
