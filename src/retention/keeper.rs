//! The keeper of what is kept: measures the disk, decides what goes, and answers who asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::plan::{Plan, Room, Why, plan};
use super::purge::{Purged, Round};
use super::room::{Lines, Load, call_bytes_per_s};
use super::steady::Steady;
use super::{Policy, Witness, erase, sweep};
use crate::clock::SharedClock;
use crate::domain::{RateHz, UnixMillis};
use crate::pipeline::Due;
use crate::store::{Keepsake, Store, StoreError, WrittenOnDay};
use crate::vault::{Mark, Space, Vault};

/// How often the disk is measured.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How many looks make a minute, in which the rest is looked after.
const LOOKS_A_MINUTE: u32 = 12;

/// How often what is past its days is looked for.
const EXPIRE_EVERY: Duration = Duration::from_hours(1);

/// How soon room is looked for again after nothing more was to be had.
const NOTHING_AGAIN: Duration = Duration::from_mins(1);

/// Over how many days it is reckoned what a day takes.
const PACE_DAYS: u32 = 7;

/// When more than this share of all pieces, and more than so many, is past its days at once, a
/// person has to say so: it is more likely that a setting or a clock is wrong.
const BULK_PARTS: usize = 2;
const BULK_LEAST: usize = 200;

/// Who purges by the rules, in the audit trail.
const BY_RULE: &str = "fieldtape";

/// Counts the calls in progress.
pub type CountLive = Arc<dyn Fn() -> usize + Send + Sync>;

/// What the keeper needs.
#[derive(Clone)]
pub struct KeeperOptions {
    /// The ledger.
    pub store: Store,
    /// The recordings.
    pub vault: Vault,
    /// The time.
    pub clock: SharedClock,
    /// Rung when it has made something due.
    pub due: Due,
    /// How long what is kept.
    pub policy: Policy,
    /// What the owner wants left free.
    pub min_free_bytes: u64,
    /// The rates of the files.
    pub rates: Vec<RateHz>,
    /// Calls heard at once.
    pub calls_max: usize,
    /// Counts the calls in progress.
    pub live: CountLive,
    /// Asks whether what is elsewhere is there; none when there is no elsewhere.
    pub witness: Option<Witness>,
}

/// The keeper; cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) options: KeeperOptions,
    state: Mutex<State>,
    /// Held by whoever purges: one at a time.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    space: Option<Space>,
    lines: Lines,
    day_bytes: u64,
    steady: Steady,
    device_bytes: Option<u64>,
    looked_for_room: Option<Duration>,
    looked_for_expired: Option<Duration>,
    bulk: Option<usize>,
    last: Option<Purged>,
}

/// How the disk is, as it was last measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The disk; none when it did not answer.
    pub space: Option<Space>,
    /// The lines on it.
    pub lines: Lines,
    /// Where it stands.
    pub mark: Mark,
    /// What a day takes, of late.
    pub day_bytes: u64,
    /// The last purge since the program started.
    pub last: Option<Purged>,
    /// How many pieces are past their days, if those are too many to go without a person's word.
    pub bulk: Option<usize>,
}

/// What the next purge would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// Why nothing goes, whatever the plan says: the clock.
    pub clock: Option<&'static str>,
    /// How much room is wanted.
    pub room: Room,
    /// What would go, and what stays back.
    pub plan: Plan,
    /// How much could go for room if all of it were wanted.
    pub possible_bytes: u64,
    /// Everything that is kept.
    pub kept: Vec<Keepsake>,
}

impl Keeper {
    /// Makes one that has not looked yet.
    pub fn new(options: KeeperOptions) -> Self {
        let inner = Inner { options, state: Mutex::default(), turn: tokio::sync::Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Looks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut beat = interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 0_u32.. {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = beat.tick() => {}
            }
            if let Err(error) = self.look().await {
                tracing::error!(error = %error, "the ledger does not answer the keeper");
            }
            if round % LOOKS_A_MINUTE == 0
                && let Err(error) = self.tidy().await
            {
                tracing::error!(error = %error, "the ledger does not answer the sweep");
            }
        }
    }

    /// Measures the disk, tells everybody how it is, and makes room if there has to be.
    pub async fn look(&self) -> Result<(), StoreError> {
        let Inner { options, .. } = &*self.inner;
        let vault = options.vault.clone();
        let measured = tokio::task::spawn_blocking(move || vault.space()).await;
        let space = measured.ok().and_then(Result::ok);
        let now = (options.clock.now(), options.clock.since_boot());
        {
            let mut state = self.state();
            state.steady.note(options.clock.synchronised(), now);
            state.space = space;
            let Some(space) = space else { return Ok(()) };
            state.lines = Lines::draw(&self.load(state.day_bytes), space.total_bytes);
            self.tell(state.lines.mark(space), space);
        }
        // On a full disk there is no more to set aside; what was is used up until there is room.
        let _full = options.store.set_room_aside().await;
        if options.vault.mark() > Mark::Green && self.is_time_for_room(now.1) {
            self.make_room().await?;
        }
        Ok(())
    }

    /// Looks after everything that can wait a minute.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let options = &self.inner.options;
        sweep::sweep(options).await?;
        erase::here(options).await?;
        self.count_device().await?;
        let written = options.store.written_by_day(PACE_DAYS).await?;
        self.state().day_bytes = a_day(&written);
        if let Some(most) = options.policy.max_bytes
            && options.store.kept_bytes().await? > most
        {
            self.make_room().await?;
        }
        let since_boot = options.clock.since_boot();
        let is_time = self
            .state()
            .looked_for_expired
            .is_none_or(|at| since_boot.saturating_sub(at) >= EXPIRE_EVERY);
        if is_time && self.state().steady.is_settled(since_boot) {
            self.state().looked_for_expired = Some(since_boot);
            self.expire().await?;
        }
        Ok(())
    }

    /// Returns how the disk is.
    pub fn seen(&self) -> Seen {
        let state = self.state();
        Seen {
            space: state.space,
            lines: state.lines,
            mark: self.inner.options.vault.mark(),
            day_bytes: state.day_bytes,
            last: state.last.clone(),
            bulk: state.bulk,
        }
    }

    /// Returns the rules.
    pub fn policy(&self) -> &Policy {
        &self.inner.options.policy
    }

    /// Says what a purge would do now; `more_bytes` is room that a person wants beyond what is
    /// needed.
    pub async fn forecast(&self, more_bytes: u64) -> Result<Forecast, StoreError> {
        let Inner { options, .. } = &*self.inner;
        let kept = options.store.keepsakes().await?;
        let room = self.wanted(&kept, more_bytes);
        let now = options.clock.now();
        let policy = options.policy.clone();
        let planned = tokio::task::spawn_blocking(move || {
            let all = Room { bytes: u64::MAX, gently: false };
            let possible_bytes = plan(&kept, &policy, now, all).freed_bytes();
            (plan(&kept, &policy, now, room), possible_bytes, kept)
        });
        let (plan, possible_bytes, kept) = planned.await.map_err(|_panicked| StoreError::Closed)?;
        let clock = (!options.clock.synchronised())
            .then_some("the clock is not synchronised: nothing expires or is deleted");
        Ok(Forecast { clock, room, plan, possible_bytes, kept })
    }

    /// Purges now, because a person says so: what is past its days, and for room as needed, with
    /// `more_bytes` beyond that.
    pub async fn purge(&self, actor: &str, more_bytes: u64) -> Result<Option<Purged>, StoreError> {
        let _turn = self.inner.turn.lock().await;
        let forecast = self.forecast(more_bytes).await?;
        if forecast.clock.is_some() {
            return Ok(None);
        }
        self.state().bulk = None;
        self.carry_out(forecast.kept, &forecast.plan, actor).await.map(Some)
    }

    /// Does what is to be done here for erasures, at once.
    pub async fn erase_here(&self) -> Result<(), StoreError> {
        erase::here(&self.inner.options).await
    }

    /// Lets go what is past its days.
    async fn expire(&self) -> Result<(), StoreError> {
        let _turn = self.inner.turn.lock().await;
        let Inner { options, .. } = &*self.inner;
        let kept = options.store.keepsakes().await?;
        let plan = plan(&kept, &options.policy, options.clock.now(), Room::default());
        let pieces: usize = kept.iter().map(|kept| kept.pieces.len()).sum();
        let count = plan.steps.len();
        if count >= BULK_LEAST && count > pieces / BULK_PARTS {
            self.state().bulk = Some(count);
            tracing::error!(
                event = "purge.withheld",
                "{count} of {pieces} pieces are past their days at once, so nothing goes: check [retention] and the clock; `fieldtape purge` does it if it is right"
            );
            return Ok(());
        }
        self.state().bulk = None;
        self.carry_out(kept, &plan, BY_RULE).await.map(drop)
    }

    /// Makes room, if there is a known moment and anything that may go.
    async fn make_room(&self) -> Result<(), StoreError> {
        let _turn = self.inner.turn.lock().await;
        let Inner { options, .. } = &*self.inner;
        if !options.clock.synchronised() {
            return Ok(());
        }
        let kept = options.store.keepsakes().await?;
        let room = self.wanted(&kept, 0);
        // What is past its days has its own hour.
        let rules = Policy { only_copies: options.policy.only_copies, ..Policy::default() };
        let plan = plan(&kept, &rules, options.clock.now(), room);
        let since_boot = options.clock.since_boot();
        let done = self.carry_out(kept, &plan, BY_RULE).await?;
        // Without this a full disk on which nothing may go would be planned for all the time.
        self.state().looked_for_room = (done.freed_bytes == 0).then_some(since_boot);
        Ok(())
    }

    async fn carry_out(
        &self,
        kept: Vec<Keepsake>,
        plan: &Plan,
        actor: &str,
    ) -> Result<Purged, StoreError> {
        let done = Round::new(&self.inner, kept, actor).carry_out(plan).await?;
        if done.pieces > 0 {
            let (freed, pieces) = (done.freed_bytes, done.pieces);
            let room = plan.steps.iter().any(|step| step.why == Why::Room);
            let why = if room { "to make room" } else { "past their days" };
            tracing::info!(
                event = "purge.completed",
                size_bytes = freed,
                "{pieces} pieces of calls went, {why}: {freed} bytes are free again"
            );
        }
        if done.pieces > 0 || !done.withheld.is_empty() {
            self.state().last = Some(done.clone());
        }
        Ok(done)
    }

    /// Works out how much room is wanted: what lacks up to the amber line, or to `max_bytes`.
    fn wanted(&self, kept: &[Keepsake], more_bytes: u64) -> Room {
        let state = self.state();
        let free = state.space.map_or(u64::MAX, |space| space.free_bytes);
        let lacking = state.lines.amber_bytes.saturating_sub(free);
        let sizes = kept.iter().flat_map(|kept| &kept.pieces).map(|piece| piece.size_bytes);
        let kept_bytes: u64 = sizes.sum();
        let most = self.inner.options.policy.max_bytes.unwrap_or(u64::MAX);
        let over = kept_bytes.saturating_sub(most);
        let gently = free >= state.lines.red_bytes && over == 0 && more_bytes == 0;
        Room { bytes: lacking.max(over).max(more_bytes), gently }
    }

    fn is_time_for_room(&self, since_boot: Duration) -> bool {
        let looked = self.state().looked_for_room;
        looked.is_none_or(|at| since_boot.saturating_sub(at) >= NOTHING_AGAIN)
    }

    fn load(&self, day_bytes: u64) -> Load {
        let options = &self.inner.options;
        Load {
            floor_bytes: options.min_free_bytes,
            call_bytes_per_s: call_bytes_per_s(&options.rates),
            calls_max: options.calls_max as u64,
            calls_live: (options.live)() as u64,
            day_bytes,
        }
    }

    fn tell(&self, mark: Mark, space: Space) {
        let stood = self.inner.options.vault.mark();
        if mark == stood {
            return;
        }
        self.inner.options.vault.set_mark(mark);
        let megabytes = space.free_bytes / 1_000_000;
        if mark >= Mark::Black && stood < Mark::Black {
            tracing::error!(
                event = "space.black",
                "{megabytes} MB are free: calls that are live go on, new ones are recorded at Twilio only until there is room"
            );
        } else if mark > stood {
            tracing::warn!(event = %format_args!("space.{}", mark.as_str()), "{megabytes} MB are free: what may go makes room");
        } else {
            tracing::info!(event = %format_args!("space.{}", mark.as_str()), "{megabytes} MB are free");
        }
    }

    /// Adds up what everybody writes to the disk, which is what wears it out.
    async fn count_device(&self) -> Result<(), StoreError> {
        let Inner { options, .. } = &*self.inner;
        let written = options.vault.disk_written_bytes();
        let before = std::mem::replace(&mut self.state().device_bytes, written);
        // The figure begins anew with the machine, and this with the program.
        if let (Some(before), Some(now)) = (before, written)
            && now > before
        {
            options.store.device_wrote(now - before, options.clock.now()).await?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves figures that the next look replaces.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a day takes, reckoned over the last whole days; today alone says little.
fn a_day(written: &[WrittenOnDay]) -> u64 {
    let whole = written.get(1..).filter(|days| !days.is_empty()).unwrap_or(written);
    let bytes: u64 = whole.iter().map(|day| day.sound_bytes).sum();
    bytes / (whole.len() as u64).max(1)
}

/// What the certificate of an erasure says its time was, by a clock that was right or not.
pub(super) fn moment(at: UnixMillis) -> String {
    // Only a row that no clock wrote lies outside of the calendar.
    jiff::Timestamp::from_millisecond(at.get()).unwrap_or(jiff::Timestamp::MAX).to_string()
}
