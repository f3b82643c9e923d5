//! What a wall clock that moves means to what was written down by it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{Reading, SharedClock};
use crate::store::{Store, StoreError};

/// How often the clocks are compared.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A clock that is kept right by and by moves by milliseconds between two looks; by so much it was
/// set.
const STEP_LEAST_MS: i64 = 1000;

/// Compares the clocks until `stop`.
pub async fn keep_time(store: Store, clock: SharedClock, stop: CancellationToken) {
    let mut keeper = Timekeeper::new(store, clock);
    loop {
        keeper.look().await;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = keeper.clock.sleep(LOOK_EVERY) => {}
        }
    }
}

/// Remembers how the clocks stood to each other.
pub(super) struct Timekeeper {
    store: Store,
    clock: SharedClock,
    /// What the wall clock would have shown at boot, by the last look.
    booted_at_ms: Option<i64>,
    told_of_earlier_boots: bool,
    told_of_trouble: bool,
}

impl Timekeeper {
    pub(super) fn new(store: Store, clock: SharedClock) -> Self {
        Self {
            store,
            clock,
            booted_at_ms: None,
            told_of_earlier_boots: false,
            told_of_trouble: false,
        }
    }

    /// Looks once.
    pub(super) async fn look(&mut self) {
        let now = self.clock.reading();
        match self.follow(&now).await {
            Ok(()) => self.told_of_trouble = false,
            Err(error) if !std::mem::replace(&mut self.told_of_trouble, true) => {
                tracing::error!(error = %error, "the ledger does not take what the clock means to it; it is told again");
            }
            Err(_) => {}
        }
    }

    async fn follow(&mut self, now: &Reading) -> Result<(), StoreError> {
        let booted_at_ms = now.wall(Duration::ZERO).get();
        let moved_ms = self.booted_at_ms.map(|before| booted_at_ms - before);
        if moved_ms.is_none_or(|ms| ms.abs() >= STEP_LEAST_MS) {
            if let Some(ms) = moved_ms {
                let (by, how) = (signed_seconds(ms), sure(now.synchronised));
                tracing::info!(event = "clock.stepped", "the clock was set by {by} s; it is {how}");
            }
            self.booted_at_ms = Some(booted_at_ms);
        }
        if !now.synchronised {
            return Ok(());
        }
        for call in self.store.put_times_right(now.clone()).await? {
            let (sid, by) = (&call.call_sid, signed_seconds(call.by_ms));
            tracing::info!(
                call.sid = %sid, event = "clock.corrected",
                "the times of {sid} were put right by {by} s: it came before the clock was synchronised"
            );
        }
        if !std::mem::replace(&mut self.told_of_earlier_boots, true) {
            let unsure = self.store.calls_unsure(now.boot.clone()).await?;
            if unsure > 0 {
                tracing::warn!(
                    event = "clock.unsure",
                    "{unsure} calls were dated before an earlier restart of this box by a clock that was not synchronised; by how much it was wrong is not known, so they stay marked until Twilio's lists tell their times"
                );
            }
        }
        Ok(())
    }
}

fn sure(synchronised: bool) -> &'static str {
    if synchronised { "synchronised" } else { "not synchronised" }
}

fn signed_seconds(ms: i64) -> String {
    let (sign, ms) = (if ms < 0 { '-' } else { '+' }, ms.unsigned_abs());
    format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
}
