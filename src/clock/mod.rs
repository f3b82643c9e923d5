//! What time it is, how sure we are, and how other clocks run against ours.
//!
//! Invariant: nobody else in the house reads the machine's clocks, so a test can set them all.
//! Not here: what a moment means to a call.

mod drift;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::UnixMillis;

pub use drift::{Drift, Line};

/// A source of time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the wall clock's moment, right or wrong.
    fn now(&self) -> UnixMillis;

    /// Returns the time since the machine booted, suspend included. It never jumps.
    fn since_boot(&self) -> Duration;

    /// Says whether the wall clock is known to be synchronised with the world's.
    fn synchronised(&self) -> bool;

    /// Waits until so much time has passed by [`Clock::since_boot`]; dropping it stops waiting.
    fn sleep(&self, duration: Duration) -> Sleep<'_>;
}

/// A wait, as [`Clock::sleep`] returns it.
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A clock that many rooms share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        UnixMillis::new(now.tv_sec * 1000 + now.tv_nsec / 1_000_000)
    }

    fn since_boot(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(
            u64::try_from(now.tv_sec).unwrap_or(0),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        )
    }

    fn synchronised(&self) -> bool {
        kernel_clock_is_synchronised()
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Asks the kernel by `adjtimex(2)`, which every time daemon (timesyncd, chrony, ntpd) keeps true.
#[expect(unsafe_code, reason = "no safe wrapper of adjtimex exists in a crate we carry")]
fn kernel_clock_is_synchronised() -> bool {
    // SAFETY: `timex` is plain data for which all zeros is valid, and with `modes` zero the call
    // only writes into the struct it is given.
    let state = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut timex)
    };
    state >= 0 && state != libc::TIME_ERROR
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    now_ms: AtomicI64,
    boot_ms: AtomicI64,
    synchronised: AtomicBool,
    moved: Notify,
}

impl ManualClock {
    /// Makes a synchronised clock that shows `now`, one hour after boot.
    pub fn new(now: UnixMillis) -> Self {
        Self {
            now_ms: AtomicI64::new(now.get()),
            boot_ms: AtomicI64::new(3_600_000),
            synchronised: AtomicBool::new(true),
            moved: Notify::new(),
        }
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
        self.boot_ms.fetch_add(by_ms, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    /// Moves the wall clock alone, as a time daemon or a person would.
    pub fn jump_to(&self, now: UnixMillis, synchronised: bool) {
        self.now_ms.store(now.get(), Ordering::SeqCst);
        self.synchronised.store(synchronised, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.now_ms.load(Ordering::SeqCst))
    }

    fn since_boot(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.boot_ms.load(Ordering::SeqCst)).unwrap_or(0))
    }

    fn synchronised(&self) -> bool {
        self.synchronised.load(Ordering::SeqCst)
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        let wakes_at = self.since_boot().saturating_add(duration);
        Box::pin(async move {
            loop {
                // Asked for before the clock is looked at, so that no move is missed between.
                let moved = self.moved.notified();
                if self.since_boot() >= wakes_at {
                    return;
                }
                moved.await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_who_sleeps_when_it_is_moved_far_enough() {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(0)));
        let sleeper = Arc::clone(&clock);
        let mut slept = Box::pin(async move { sleeper.sleep(Duration::from_mins(1)).await });
        assert!(futures_util::poll!(&mut slept).is_pending());
        clock.advance(Duration::from_secs(59));
        assert!(futures_util::poll!(&mut slept).is_pending());
        clock.advance(Duration::from_secs(1));
        slept.await;
    }
}
