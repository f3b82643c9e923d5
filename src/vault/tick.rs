//! The one beat at which all open tracks become durable.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::open::TrackFile;
use super::{Folder, disk};
use crate::clock::SharedClock;

/// A tick that takes longer is told to the log at once: calls wait in memory by then.
pub const SLOW_TICK: Duration = Duration::from_secs(5);

/// The fastest beat: below it a card does nothing else.
const SYNC_EVERY_MIN: Duration = Duration::from_millis(50);

/// How the making durable goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncHealth {
    /// How long the last finished tick took that had anything to do.
    pub last: Option<Duration>,
    /// How long the tick takes that is under way.
    pub running_for: Option<Duration>,
    /// How many files the disk has refused to make durable since the vault was opened.
    pub faults: u64,
    /// Whether the thread that ticks is there at all.
    pub alive: bool,
}

impl SyncHealth {
    /// Returns how long the disk has not answered, if that is too long.
    pub fn stuck_for(&self) -> Option<Duration> {
        self.running_for.filter(|running_for| *running_for >= SLOW_TICK)
    }
}

/// The open tracks and the state of their beat.
pub(super) struct Ticks {
    clock: SharedClock,
    open: Mutex<OpenFiles>,
    /// Held through a tick, so that there is one at a time. No appender ever takes it.
    turn: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct OpenFiles {
    files: BTreeMap<u64, Arc<TrackFile>>,
    next_id: u64,
}

#[derive(Default)]
struct State {
    began: Option<Duration>,
    last: Option<Duration>,
    faults: u64,
}

impl Ticks {
    pub(super) fn new(clock: SharedClock) -> Self {
        let (open, turn, state) = Default::default();
        Self { clock, open, turn, state }
    }

    /// Makes a file part of every tick from now on.
    pub(super) fn add(&self, file: Arc<TrackFile>) -> u64 {
        let mut open = disk::lock(&self.open);
        let id = open.next_id;
        open.next_id += 1;
        open.files.insert(id, file);
        id
    }

    pub(super) fn remove(&self, id: u64) {
        disk::lock(&self.open).files.remove(&id);
    }

    /// Returns the folders that have a track open.
    pub(super) fn folders_in_use(&self) -> HashSet<Folder> {
        disk::lock(&self.open).files.values().map(|file| file.folder().clone()).collect()
    }

    pub(super) fn health(&self, alive: bool) -> SyncHealth {
        let state = disk::lock(&self.state);
        let now = self.clock.since_boot();
        SyncHealth {
            last: state.last,
            running_for: state.began.map(|began| now.saturating_sub(began)),
            faults: state.faults,
            alive,
        }
    }

    pub(super) fn take_turn(&self) -> MutexGuard<'_, ()> {
        disk::lock(&self.turn)
    }

    /// Makes durable what has been appended to all open tracks before this moment.
    pub(super) fn tick(&self) {
        let _turn = self.take_turn();
        let files: Vec<_> = {
            let open = disk::lock(&self.open);
            open.files.values().filter(|file| file.has_news()).cloned().collect()
        };
        if files.is_empty() {
            return;
        }
        let began = self.clock.since_boot();
        disk::lock(&self.state).began = Some(began);
        let count = files.len();
        let faults = watched(count, || disk::in_parallel(files, |file| file.sync()));
        let took = self.clock.since_boot().saturating_sub(began);
        let faults = faults.into_iter().filter(Result::is_err).count();
        {
            let mut state = disk::lock(&self.state);
            state.began = None;
            state.last = Some(took);
            state.faults += faults as u64;
        }
        if took >= SLOW_TICK {
            let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                duration_ms,
                files = count,
                "the disk was slow to make recordings durable"
            );
        }
    }
}

/// Does `work`, and says so to the log when it does not come to an end.
fn watched<R>(files: usize, work: impl FnOnce() -> R) -> R {
    let (done, finished) = sync_channel::<()>(0);
    let watch = move || {
        if finished.recv_timeout(SLOW_TICK) == Err(RecvTimeoutError::Timeout) {
            tracing::error!(
                files,
                "the disk has not answered for {} s: recordings wait in memory",
                SLOW_TICK.as_secs()
            );
        }
    };
    std::thread::scope(|scope| {
        // Without a watcher the slow tick is still told when it ends.
        let _watcher = std::thread::Builder::new().spawn_scoped(scope, watch);
        let result = work();
        drop(done);
        result
    })
}

/// The thread that ticks until it is dropped.
pub(super) struct Ticker {
    every_ms: Arc<AtomicU64>,
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(super) fn start(ticks: &Arc<Ticks>, every: Duration) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let ticks = Arc::clone(ticks);
        let every_ms = Arc::new(AtomicU64::new(whole_ms(every)));
        let pace = Arc::clone(&every_ms);
        let thread = std::thread::Builder::new()
            .name("vault-tick".to_owned())
            .spawn(move || beat(&ticks, &pace, &stopped))?;
        Ok(Self { every_ms, stop: Some(stop), thread: Some(thread) })
    }

    /// Ticks so often from the next tick on.
    pub(super) fn set_every(&self, every: Duration) {
        self.every_ms.store(whole_ms(every), Ordering::Relaxed);
    }

    /// Says whether it still ticks.
    pub(super) fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

fn whole_ms(every: Duration) -> u64 {
    u64::try_from(every.max(SYNC_EVERY_MIN).as_millis()).unwrap_or(u64::MAX)
}

/// Ticks once every `every_ms`, however long a tick takes, so that no sound waits longer.
fn beat(ticks: &Ticks, every_ms: &AtomicU64, stopped: &Receiver<()>) {
    let every = || Duration::from_millis(every_ms.load(Ordering::Relaxed));
    let mut pause = every();
    while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let began = ticks.clock.since_boot();
        ticks.tick();
        pause = every().saturating_sub(ticks.clock.since_boot().saturating_sub(began));
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A tick that panicked has told the log so itself.
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::UnixMillis;

    #[test]
    fn a_disk_that_does_not_answer_shows_while_it_does_not() {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(0)));
        let ticks = Ticks::new(Arc::clone(&clock) as SharedClock);
        assert_eq!(ticks.health(true).running_for, None);
        let now = ticks.clock.since_boot();
        disk::lock(&ticks.state).began = Some(now);
        clock.advance(Duration::from_secs(4));
        assert_eq!(ticks.health(true).running_for, Some(Duration::from_secs(4)));
        assert_eq!(ticks.health(true).stuck_for(), None, "slow cards take a while");
        clock.advance(Duration::from_secs(2));
        assert_eq!(ticks.health(true).stuck_for(), Some(Duration::from_secs(6)));
    }
}
