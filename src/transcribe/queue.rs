//! The jobs that wait for the engine: live ones first.

use std::collections::VecDeque;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Live looks that may wait: 16 calls x 2 parties, each with one under way at most.
const LIVE_MAX: usize = 32;

/// Windows of whole tracks that may wait: one of each call the pipeline works on, which is one, and
/// room for whoever calls this room otherwise.
const TRACKS_MAX: usize = 4;

/// The worker that is running, as others may see it.
#[derive(Debug)]
pub(crate) struct Running {
    /// Its process number, if it is a child of ours.
    pub(crate) pid: Option<u32>,
    /// Its socket.
    pub(crate) socket: UnixStream,
}

/// What the engine's thread is to do next.
#[derive(Debug)]
pub(crate) enum Next<L, T> {
    /// A live look.
    Live(L),
    /// A window of a whole track.
    Track(T),
    /// Nothing came in the time given.
    Idle,
    /// End.
    Stop,
}

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// Too many wait.
    Full,
    /// The engine's thread has ended or is told to.
    Stopped,
}

/// Two bounded queues with one reader.
#[derive(Debug)]
pub(crate) struct Queue<L, T> {
    inside: Mutex<Inside<L, T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inside<L, T> {
    live: VecDeque<L>,
    tracks: VecDeque<T>,
    stopped: bool,
    running: Option<Running>,
}

impl<L, T> Queue<L, T> {
    /// Makes empty queues.
    pub(crate) fn new() -> Self {
        let inside = Inside {
            live: VecDeque::new(),
            tracks: VecDeque::new(),
            stopped: false,
            running: None,
        };
        Self { inside: Mutex::new(inside), changed: Condvar::new() }
    }

    /// Adds a live look.
    pub(crate) fn push_live(&self, job: L) -> Result<(), NotTaken> {
        self.push(job, |inside| &mut inside.live, LIVE_MAX)
    }

    /// Adds a window of a whole track.
    pub(crate) fn push_track(&self, job: T) -> Result<(), NotTaken> {
        self.push(job, |inside| &mut inside.tracks, TRACKS_MAX)
    }

    fn push<J>(
        &self,
        job: J,
        queue: impl Fn(&mut Inside<L, T>) -> &mut VecDeque<J>,
        jobs_max: usize,
    ) -> Result<(), NotTaken> {
        let mut inside = self.lock();
        if inside.stopped {
            return Err(NotTaken::Stopped);
        }
        let queue = queue(&mut inside);
        if queue.len() >= jobs_max {
            return Err(NotTaken::Full);
        }
        queue.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for something to do, `patience` at most.
    pub(crate) fn next(&self, patience: Duration) -> Next<L, T> {
        let nothing = |inside: &mut Inside<L, T>| {
            !inside.stopped && inside.live.is_empty() && inside.tracks.is_empty()
        };
        let waited = self.changed.wait_timeout_while(self.lock(), patience, nothing);
        let (mut inside, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if inside.stopped {
            Next::Stop
        } else if let Some(job) = inside.live.pop_front() {
            Next::Live(job)
        } else {
            inside.tracks.pop_front().map_or(Next::Idle, Next::Track)
        }
    }

    /// Says whether it was told to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Tells the thread to end, drops what waits, and wakes it from the worker's answer.
    pub(crate) fn stop(&self) {
        let mut inside = self.lock();
        inside.stopped = true;
        inside.live.clear();
        inside.tracks.clear();
        if let Some(running) = &inside.running {
            // Fails only if the worker is gone, and then nobody waits for it.
            let _ = running.socket.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    /// Notes which worker is running; refuses it when told to stop meanwhile.
    pub(crate) fn set_running(&self, running: Option<Running>) -> Result<(), NotTaken> {
        let mut inside = self.lock();
        let starting = running.is_some();
        inside.running = running;
        if starting && inside.stopped { Err(NotTaken::Stopped) } else { Ok(()) }
    }

    /// Returns the process number of the worker that is running, if it is a child of ours.
    pub(crate) fn worker_pid(&self) -> Option<u32> {
        self.lock().running.as_ref().and_then(|running| running.pid)
    }

    fn lock(&self) -> MutexGuard<'_, Inside<L, T>> {
        // No holder leaves the queues half changed.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn live_goes_before_tracks_and_each_in_order() {
        let queue: Queue<u8, u8> = Queue::new();
        queue.push_track(1).unwrap();
        queue.push_track(2).unwrap();
        queue.push_live(3).unwrap();
        queue.push_live(4).unwrap();
        assert!(matches!(queue.next(NOW), Next::Live(3)));
        assert!(matches!(queue.next(NOW), Next::Live(4)));
        assert!(matches!(queue.next(NOW), Next::Track(1)));
        assert!(matches!(queue.next(NOW), Next::Track(2)));
        assert!(matches!(queue.next(NOW), Next::Idle));
    }

    #[test]
    fn a_full_queue_takes_no_more_and_the_other_still_does() {
        let queue: Queue<usize, usize> = Queue::new();
        (0..TRACKS_MAX).for_each(|job| queue.push_track(job).unwrap());
        assert_eq!(queue.push_track(0), Err(NotTaken::Full));
        (0..LIVE_MAX).for_each(|job| queue.push_live(job).unwrap());
        assert_eq!(queue.push_live(0), Err(NotTaken::Full));
    }

    #[test]
    fn stopping_wakes_the_reader_of_the_socket_and_takes_no_more() {
        let queue: Queue<u8, u8> = Queue::new();
        let (near, far) = UnixStream::pair().unwrap();
        let socket = near.try_clone().unwrap();
        queue.set_running(Some(Running { pid: Some(1), socket })).unwrap();
        let reader = std::thread::spawn(move || std::io::Read::read(&mut &near, &mut [0]));
        queue.push_track(1).unwrap();
        queue.stop();
        assert_eq!(reader.join().unwrap().unwrap(), 0, "the end of the stream");
        assert!(matches!(queue.next(NOW), Next::Stop));
        assert_eq!(queue.push_live(1), Err(NotTaken::Stopped));
        drop(far);
    }
}
