//! The keeper of what is kept: measures the disk, and looks after everything by time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::purge::Purged;
use super::room::{Lines, Load, call_bytes_per_s};
use super::rounds::Forecast;
use super::steady::Steady;
use super::{Policy, Witness, erase, sweep};
use crate::clock::SharedClock;
use crate::domain::{RateHz, UnixMillis};
use crate::pipeline::Due;
use crate::store::{Store, StoreError, WrittenOnDay};
use crate::vault::{Mark, Space, Vault};

/// How often the disk is measured.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How many looks make a minute, in which the rest is looked after.
const LOOKS_A_MINUTE: u32 = 12;

/// How often what is past its days is looked for.
const EXPIRE_EVERY: Duration = Duration::from_hours(1);

/// Over how many days it is reckoned what a day takes.
const PACE_DAYS: u32 = 7;

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
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) options: KeeperOptions,
    state: Mutex<State>,
    /// Held by whoever purges: one at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) space: Option<Space>,
    pub(super) lines: Lines,
    day_bytes: u64,
    steady: Steady,
    device_bytes: Option<u64>,
    /// When, by the boot clock, room is looked for again.
    pub(super) room_again_at: Option<Duration>,
    looked_for_expired: Option<Duration>,
    pub(super) bulk: Option<usize>,
    pub(super) last: Option<Purged>,
    /// The last forecast, and when it was made by the boot clock.
    pub(super) forecast: Option<(Duration, Arc<Forecast>)>,
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
            if let Err(error) = self.erase_here().await {
                tracing::error!(error = %error, "the ledger does not answer about what is to be erased");
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
            let mark = state.lines.mark(space);
            if mark > options.vault.mark() {
                // What was not to be had gently may be had now.
                state.room_again_at = None;
            }
            self.tell(mark, space);
        }
        // On a full disk there is no more to set aside; what was is used up until there is room.
        let _full = options.store.set_room_aside().await;
        let again_at = self.state().room_again_at;
        if options.vault.mark() > Mark::Green && again_at.is_none_or(|at| now.1 >= at) {
            self.make_room().await?;
        }
        Ok(())
    }

    /// Looks after everything that can wait a minute.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let options = &self.inner.options;
        sweep::sweep(options).await?;
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

    /// Does what is to be done here for erasures, at once.
    pub async fn erase_here(&self) -> Result<(), StoreError> {
        erase::here(&self.inner.options).await
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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
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
