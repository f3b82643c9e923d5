//! What time it is, how sure we are, and how other clocks run against ours.
//!
//! Invariant: nobody else in the house reads the machine's clocks, so a test can set them all.
//! Not here: what a moment means to a call.

mod drift;
mod synchronised;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

pub use drift::{Drift, Line};
pub use synchronised::Synchronised;

use crate::domain::UnixMillis;

/// A moment by the clock that never jumps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootMoment {
    /// Which boot; none where the machine does not say.
    pub boot_id: Option<String>,
    /// How long after it, suspend included.
    pub since_boot: Duration,
}

impl BootMoment {
    /// Returns the time since `earlier`, if that was in the same boot.
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        let same = self.boot_id.is_some() && self.boot_id == earlier.boot_id;
        same.then(|| self.since_boot.saturating_sub(earlier.since_boot))
    }
}

/// What both clocks show at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock, right or wrong.
    pub at: UnixMillis,
    /// The one that never jumps.
    pub boot: BootMoment,
    /// Whether the wall clock is known to be right.
    pub synchronised: bool,
}

impl Reading {
    /// Returns when, by the wall clock as it stands now, something was that was `since_boot` after
    /// this boot.
    pub fn wall(&self, since_boot: Duration) -> UnixMillis {
        match self.boot.since_boot.checked_sub(since_boot) {
            Some(ago) => self.at.minus(ago),
            None => self.at.plus(since_boot.saturating_sub(self.boot.since_boot)),
        }
    }
}

/// A source of time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the wall clock's moment, right or wrong.
    fn now(&self) -> UnixMillis;

    /// Returns the time since the machine booted, suspend included. It never jumps.
    fn since_boot(&self) -> Duration;

    /// Says whether the wall clock is known to be synchronised with the world's.
    fn synchronised(&self) -> bool;

    /// Names this boot, so that a time since boot can be compared with another; none where the
    /// machine does not say.
    fn boot_id(&self) -> Option<String>;

    /// Returns the moment by the clock that never jumps.
    fn boot(&self) -> BootMoment {
        BootMoment { boot_id: self.boot_id(), since_boot: self.since_boot() }
    }

    /// Returns what both clocks show.
    fn reading(&self) -> Reading {
        Reading { at: self.now(), boot: self.boot(), synchronised: self.synchronised() }
    }

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
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
        let now = SystemTime::now();
        UnixMillis::new(match now.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => ms(since),
            Err(before) => -ms(before.duration()),
        })
    }

    fn since_boot(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(
            u64::try_from(now.tv_sec).unwrap_or(0),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        )
    }

    fn synchronised(&self) -> bool {
        matches!(synchronised::look(), Synchronised::Yes)
    }

    fn boot_id(&self) -> Option<String> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned())
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    now_ms: AtomicI64,
    boot_ms: AtomicI64,
    synchronised: AtomicBool,
    boots: AtomicI64,
    moved: Notify,
}

impl ManualClock {
    /// Makes a synchronised clock that shows `now`, one hour after boot.
    pub fn new(now: UnixMillis) -> Self {
        Self {
            now_ms: AtomicI64::new(now.get()),
            boot_ms: AtomicI64::new(3_600_000),
            synchronised: AtomicBool::new(true),
            boots: AtomicI64::new(1),
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

    /// Boots anew: the clock that never jumps begins again.
    pub fn reboot(&self) {
        self.boots.fetch_add(1, Ordering::SeqCst);
        self.boot_ms.store(0, Ordering::SeqCst);
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

    fn boot_id(&self) -> Option<String> {
        Some(format!("boot-{}", self.boots.load(Ordering::SeqCst)))
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
