//! What is on the disk, what it costs, and what the next purge would do: gathered once for the API
//! and the page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;

use super::LanState;
use super::keeping::read;
use super::problem::Problem;
use super::wire::{PurgeAnswer, Storage as StorageWire};
use crate::access::Actor;
use crate::domain::{CallSid, PieceKind};
use crate::retention::{Back, Forecast, Plan, RestsOn, Seen, Stays, Step, Why};
use crate::store::{AtTwilio, CallId, KeptOnDay, WrittenOnDay};

/// Days told of, the newest.
const DAYS_MAX: usize = 31;

/// Over what time it is told what was recorded at Twilio.
const MONTH: Duration = Duration::from_hours(30 * 24);

/// Pieces told one by one; the rest is counted.
pub(super) const PIECES_MAX: usize = 1000;

/// Calls named of each reason why something stays.
const EXAMPLES_MAX: usize = 3;

/// What a minute costs at Twilio, as far as that was said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices {
    /// To record it.
    pub recorded: Option<f64>,
    /// To store it for a month.
    pub stored: Option<f64>,
    /// In which currency.
    pub currency: String,
}

/// What a sum of minutes costs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cost {
    /// Of what is stored there now, a month.
    pub(super) stored: Option<f64>,
    /// Of what was recorded there in the last 30 days.
    pub(super) recorded: Option<f64>,
    pub(super) currency: String,
}

/// What is kept of the calls of one day.
#[derive(Debug, Default)]
pub(super) struct Day {
    pub(super) day: String,
    /// By kind: files and their size.
    pub(super) kinds: BTreeMap<PieceKind, (u64, u64)>,
}

/// Everything about the disk.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) seen: Seen,
    /// By kind, over all days.
    pub(super) kinds: BTreeMap<PieceKind, (u64, u64)>,
    /// The newest first.
    pub(super) days: Vec<Day>,
    pub(super) days_left_off: usize,
    pub(super) ledger_bytes: u64,
    /// The newest first.
    pub(super) written: Vec<WrittenOnDay>,
    /// How long there is room for at this pace; none while nothing is written.
    pub(super) lasts: Option<Duration>,
    pub(super) at_twilio: AtTwilio,
    pub(super) cost: Option<Cost>,
    pub(super) held_calls: u64,
    pub(super) next: Next,
}

/// What the next purge would do, in sums and one by one.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) forecast: Arc<Forecast>,
}

/// A sum of pieces that go for the same reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) pieces: u64,
    pub(super) calls: u64,
    pub(super) bytes: u64,
    /// Some of the calls.
    pub(super) examples: Vec<CallSid>,
}

/// Where the same is had from, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rest {
    Here,
    Archive,
    Twilio,
    Nothing,
}

impl Rest {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Archive => "archive",
            Self::Twilio => "twilio",
            Self::Nothing => "nothing",
        }
    }
}

impl From<&RestsOn> for Rest {
    fn from(rests_on: &RestsOn) -> Self {
        match rests_on {
            RestsOn::Here(_) => Self::Here,
            RestsOn::Archive => Self::Archive,
            RestsOn::Twilio(_) => Self::Twilio,
            RestsOn::Nothing => Self::Nothing,
        }
    }
}

impl Storage {
    /// Asks the ledger and the keeper.
    pub(super) async fn gather(lan: &LanState) -> Result<Self, Problem> {
        let seen = lan.keeper.seen();
        let (days, kinds) = by_day(lan.store.kept_by_day().await?);
        let days_left_off = days.len().saturating_sub(DAYS_MAX);
        let written = lan.store.written_by_day(u32::try_from(DAYS_MAX).unwrap_or(31)).await?;
        let at_twilio = lan.store.at_twilio(lan.clock.now().minus(MONTH)).await?;
        Ok(Self {
            lasts: lasts(&seen),
            kinds,
            days: days.into_iter().take(DAYS_MAX).collect(),
            days_left_off,
            ledger_bytes: lan.store.size_bytes().await?,
            written,
            cost: cost(at_twilio, &lan.prices),
            at_twilio,
            held_calls: lan.store.held_calls().await?,
            next: Next { forecast: lan.keeper.forecast_lately().await? },
            seen,
        })
    }
}

impl Next {
    async fn look(lan: &LanState, more_bytes: u64) -> Result<Self, Problem> {
        Ok(Self { forecast: Arc::new(lan.keeper.forecast(more_bytes).await?) })
    }

    fn plan(&self) -> &Plan {
        &self.forecast.plan
    }

    /// Returns the name of a call of the plan.
    pub(super) fn name(&self, call: CallId) -> Option<&CallSid> {
        self.forecast.names.get(&call)
    }

    /// Sums what goes, by kind, reason and where the same is had from.
    pub(super) fn goes(&self) -> Vec<((PieceKind, &'static str, Rest), Sum)> {
        self.sums(self.plan().steps.iter().map(|step: &Step| {
            let key = (step.kind, step.why.as_str(), Rest::from(&step.rests_on));
            (key, step.call, step.size_bytes)
        }))
    }

    /// Sums what stays back, by why it would have gone and why it does not.
    pub(super) fn stays(&self) -> Vec<((&'static str, Back), Sum)> {
        self.sums(self.plan().stays.iter().map(|stays: &Stays| {
            ((stays.wanted.as_str(), stays.back), stays.call, stays.size_bytes)
        }))
    }

    /// Counts the calls of which something goes.
    pub(super) fn calls(&self) -> usize {
        self.plan().steps.iter().map(|step| step.call).collect::<BTreeSet<_>>().len()
    }

    fn sums<K: Ord>(&self, of: impl Iterator<Item = (K, CallId, u64)>) -> Vec<(K, Sum)> {
        let mut sums: BTreeMap<K, (Sum, BTreeSet<CallId>)> = BTreeMap::new();
        for (key, call, bytes) in of {
            let (sum, calls) = sums.entry(key).or_default();
            sum.pieces += 1;
            sum.bytes += bytes;
            if calls.insert(call) && sum.examples.len() < EXAMPLES_MAX {
                sum.examples.extend(self.name(call).cloned());
            }
            sum.calls = calls.len() as u64;
        }
        sums.into_iter().map(|(key, (sum, _))| (key, sum)).collect()
    }
}

/// Days of kept things, the newest first, and the sums of all.
fn by_day(kept: Vec<KeptOnDay>) -> (Vec<Day>, BTreeMap<PieceKind, (u64, u64)>) {
    let mut days: Vec<Day> = Vec::new();
    let mut kinds: BTreeMap<PieceKind, (u64, u64)> = BTreeMap::new();
    for KeptOnDay { day, kind, files, size_bytes } in kept {
        let sum = kinds.entry(kind).or_default();
        *sum = (sum.0 + files, sum.1 + size_bytes);
        match days.last_mut().filter(|last| last.day == day) {
            Some(last) => {
                last.kinds.insert(kind, (files, size_bytes));
            }
            None => days.push(Day { day, kinds: BTreeMap::from([(kind, (files, size_bytes))]) }),
        }
    }
    (days, kinds)
}

/// How long it is until no new call is heard here, if nothing goes and every day is as of late.
fn lasts(seen: &Seen) -> Option<Duration> {
    let free = seen.space?.free_bytes.saturating_sub(seen.lines.black_bytes);
    let seconds = u128::from(free) * 86_400 / u128::from(seen.day_bytes).max(1);
    (seen.day_bytes > 0).then(|| Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX)))
}

#[expect(clippy::cast_precision_loss, reason = "seconds of calls are far fewer than 2^53")]
fn cost(at_twilio: AtTwilio, prices: &Prices) -> Option<Cost> {
    if prices.recorded.is_none() && prices.stored.is_none() {
        return None;
    }
    let minutes = |seconds: u64| seconds as f64 / 60.0;
    Some(Cost {
        stored: prices.stored.map(|price| price * minutes(at_twilio.stored_s)),
        recorded: prices.recorded.map(|price| price * minutes(at_twilio.recorded_s)),
        currency: prices.currency.clone(),
    })
}

/// `GET /api/v1/storage`
pub(super) async fn storage(State(lan): State<LanState>) -> Result<Json<StorageWire>, Problem> {
    let storage = Storage::gather(&lan).await?;
    Ok(Json(StorageWire::new(&storage, lan.keeper.policy())))
}

/// What may stand in the body of a purge.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct PurgeBody {
    dry_run: bool,
    free_bytes: u64,
}

/// Who says nothing wants to know.
impl Default for PurgeBody {
    fn default() -> Self {
        Self { dry_run: true, free_bytes: 0 }
    }
}

/// `POST /api/v1/purge`
pub(super) async fn purge(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<Json<PurgeAnswer>, Problem> {
    let PurgeBody { dry_run, free_bytes } = read(&body, "{\"dry_run\":true}")?;
    let next = Next::look(&lan, free_bytes).await?;
    if dry_run {
        return Ok(Json(PurgeAnswer::forecast(&next)));
    }
    match lan.keeper.purge(&actor.name, free_bytes).await? {
        Some(purged) => Ok(Json(PurgeAnswer::done(&next, &purged))),
        None => Err(Problem::not_yet(next.forecast.clock.unwrap_or("nothing goes at the moment"))),
    }
}

/// Says in words why something stays.
pub(super) fn back_in_words(back: Back) -> String {
    match back {
        Back::Held => "a person holds the call".to_owned(),
        Back::Live => "the call has not ended".to_owned(),
        Back::UnderWay => "the call is being worked on".to_owned(),
        Back::Erasing => "the call is about to be erased".to_owned(),
        Back::Undone(stage) => format!("the call's {stage} is not done"),
        Back::Deleting => "its deletion at Twilio has to read it first".to_owned(),
        Back::OnlyCopy => {
            "it is the only copy: set up an archive, or retention.only_copies".to_owned()
        }
        Back::Undated => "the clock was not set when the call was made".to_owned(),
    }
}

/// Returns after how many days something was to go, if that is why.
pub(super) const fn after_days(why: Why) -> Option<u64> {
    match why {
        Why::Expired { after } => Some(after.as_secs() / 86_400),
        Why::Room => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::Lines;
    use crate::vault::{Mark, Space};

    #[test]
    fn what_is_left_is_told_in_days_as_days_are() {
        let seen = |free_bytes, day_bytes| Seen {
            space: Some(Space { total_bytes: 1000, free_bytes }),
            lines: Lines { black_bytes: 100, ..Lines::default() },
            mark: Mark::Green,
            day_bytes,
            last: None,
            bulk: None,
        };
        assert_eq!(lasts(&seen(700, 100)), Some(Duration::from_hours(6 * 24)));
        assert_eq!(lasts(&seen(50, 100)), Some(Duration::ZERO));
        assert_eq!(lasts(&seen(700, 0)), None);
    }

    #[test]
    fn a_cost_is_told_only_by_the_prices_that_were_said() {
        let at_twilio = AtTwilio { stored_s: 6000, recorded_s: 600 };
        assert_eq!(cost(at_twilio, &Prices::default()), None);
        let prices = Prices { stored: Some(0.5), recorded: None, currency: "EUR".to_owned() };
        let cost = cost(at_twilio, &prices).unwrap();
        assert_eq!((cost.stored, cost.recorded), (Some(50.0), None));
    }
}
