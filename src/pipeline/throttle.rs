//! How fast bytes may pass: a cap for all transfers together, lower while calls are live.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::clock::SharedClock;

/// Bytes a second for all transfers while a call is live, unless the configuration says less. A
/// call's own sound takes 33 kB a second; an office's uplink is seldom under ten times that.
pub const LIVE_BYTES_PER_S: u64 = 128 * 1024;

/// Says whether a call is live.
pub type IsLive = Arc<dyn Fn() -> bool + Send + Sync>;

/// A limit that several transfers share. A clone is another handle to the same.
#[derive(Clone)]
pub struct Throttle {
    clock: SharedClock,
    limit_bytes_per_s: Option<u64>,
    is_live: IsLive,
    /// When, since boot, the bytes let through so far have had their time.
    paid_until: Arc<Mutex<Duration>>,
}

impl Throttle {
    /// Makes a limit; none lets everything pass while no call is live.
    pub fn new(clock: SharedClock, limit_bytes_per_s: Option<u64>, is_live: IsLive) -> Self {
        Self { clock, limit_bytes_per_s, is_live, paid_until: Arc::default() }
    }

    /// Waits until `bytes` more may pass. Whoever asks first is served first.
    pub async fn take(&self, bytes: usize) {
        let mut paid_until = self.paid_until.lock().await;
        let Some(rate) = self.rate() else { return };
        let now = self.clock.since_boot();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let cost = Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1));
        // Time that nobody used is not saved up: the limit is a pace, not an account.
        *paid_until = now.max(*paid_until) + cost;
        let wait = paid_until.saturating_sub(now);
        self.clock.sleep(wait).await;
    }

    fn rate(&self) -> Option<u64> {
        let live = (self.is_live)().then_some(LIVE_BYTES_PER_S);
        match (self.limit_bytes_per_s, live) {
            (Some(limit), Some(live)) => Some(limit.min(live)),
            (limit, live) => limit.or(live),
        }
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Throttle({:?} bytes/s)", self.limit_bytes_per_s)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::domain::UnixMillis;

    #[tokio::test]
    async fn transfers_share_one_pace_which_is_slower_while_a_call_is_live() {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(0)));
        let live = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&live);
        let is_live: IsLive = Arc::new(move || seen.load(Ordering::SeqCst));
        let throttle = Throttle::new(clock.clone(), Some(1_000_000), is_live);
        let began = clock.since_boot();
        let mut first = Box::pin(throttle.take(500_000));
        assert!(futures_util::poll!(&mut first).is_pending());
        clock.advance(Duration::from_millis(500));
        first.await;
        live.store(true, Ordering::SeqCst);
        let mut second = Box::pin(throttle.take(usize::try_from(LIVE_BYTES_PER_S).unwrap()));
        assert!(futures_util::poll!(&mut second).is_pending());
        clock.advance(Duration::from_millis(999));
        assert!(futures_util::poll!(&mut second).is_pending(), "a live call slows it down");
        clock.advance(Duration::from_millis(1));
        second.await;
        assert_eq!(clock.since_boot().saturating_sub(began), Duration::from_millis(1500));
        let free = Throttle::new(clock.clone(), None, Arc::new(|| false));
        free.take(usize::MAX).await;
    }
}
