//! The keeper's purges: by days, for room, because a person says so, and what the next would do.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Policy;
use super::keeper::{Inner, Keeper};
use super::plan::{Plan, Room, Why, plan};
use super::purge::{Purged, Round};
use crate::domain::CallSid;
use crate::store::{CallId, Keepsake, StoreError};

/// How soon room is looked for again after nothing more was to be had.
const NOTHING_AGAIN: Duration = Duration::from_mins(1);

/// And how soon when it was not wanted badly.
const GENTLY_AGAIN: Duration = Duration::from_mins(10);

/// How long a forecast is good for somebody who looks at a page.
const FORECAST_GOOD_FOR: Duration = Duration::from_secs(30);

/// When more than this share of all pieces, and more than so many, is past its days at once, a
/// person has to say so: it is more likely that a setting or a clock is wrong.
const BULK_PARTS: usize = 2;
const BULK_LEAST: usize = 200;

/// Who purges by the rules, in the audit trail.
const BY_RULE: &str = "fieldtape";

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
    /// The names of the calls that the plan speaks of.
    pub names: HashMap<CallId, CallSid>,
}

impl Keeper {
    /// Says what a purge would do now, for somebody who looks often: it may be a little old.
    pub async fn forecast_lately(&self) -> Result<Arc<Forecast>, StoreError> {
        let now = self.inner.options.clock.since_boot();
        let known = self.state().forecast.clone();
        if let Some((at, forecast)) = known
            && now.saturating_sub(at) < FORECAST_GOOD_FOR
        {
            return Ok(forecast);
        }
        let forecast = Arc::new(self.forecast(0).await?);
        self.state().forecast = Some((now, Arc::clone(&forecast)));
        Ok(forecast)
    }

    /// Says what a purge would do now; `more_bytes` is room that a person wants beyond what is
    /// needed.
    pub async fn forecast(&self, more_bytes: u64) -> Result<Forecast, StoreError> {
        Ok(self.look_ahead(more_bytes).await?.0)
    }

    async fn look_ahead(&self, more_bytes: u64) -> Result<(Forecast, Vec<Keepsake>), StoreError> {
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
            .then_some("The clock is not synchronised: nothing expires or is deleted");
        let goes = plan.steps.iter().map(|step| step.call);
        let told: HashSet<CallId> = goes.chain(plan.stays.iter().map(|stays| stays.call)).collect();
        let names = kept.iter().filter(|kept| told.contains(&kept.call));
        let names = names.map(|kept| (kept.call, kept.call_sid.clone())).collect();
        Ok((Forecast { clock, room, plan, possible_bytes, names }, kept))
    }

    /// Purges now, because a person says so: what is past its days, and for room as needed, with
    /// `more_bytes` beyond that.
    pub async fn purge(&self, actor: &str, more_bytes: u64) -> Result<Option<Purged>, StoreError> {
        let _turn = self.inner.turn.lock().await;
        let (forecast, kept) = self.look_ahead(more_bytes).await?;
        if forecast.clock.is_some() {
            return Ok(None);
        }
        {
            let mut state = self.state();
            (state.bulk, state.forecast) = (None, None);
        }
        self.carry_out(kept, &forecast.plan, actor).await.map(Some)
    }

    /// Lets go what is past its days.
    pub(super) async fn expire(&self) -> Result<(), StoreError> {
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
    pub(super) async fn make_room(&self) -> Result<(), StoreError> {
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
        let pause = if room.gently { GENTLY_AGAIN } else { NOTHING_AGAIN };
        self.state().room_again_at = (done.freed_bytes == 0).then_some(since_boot + pause);
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
}
