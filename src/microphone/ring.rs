//! From a sound card's own thread to ours, without either waiting for the other.
//!
//! The card's thread mixes each block to one channel, writes it into a ring that was made before it
//! began, and goes: no lock, no allocation, no wait. Where the ring is full the block is lost, and
//! the count of samples says so.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};

use super::opener::OpenError;
use crate::clock::SharedClock;

/// How much sound may wait for us: on a machine that is so busy much else has stopped.
const RING: Duration = Duration::from_secs(2);

/// Blocks that may wait: 2 s of blocks of 1 ms, the shortest that cards give.
const STAMPS_MAX: usize = 2_000;

/// The card's end.
pub struct Capture {
    samples: Producer<f32>,
    stamps: Producer<Stamp>,
    channels: usize,
    clock: SharedClock,
    /// Samples so far, lost ones included.
    count: u64,
    shared: Arc<Shared>,
}

/// Our end.
pub(super) struct Drain {
    samples: Consumer<f32>,
    stamps: Consumer<Stamp>,
    shared: Arc<Shared>,
}

/// Says what has gone wrong with the card; may be told from any thread.
#[derive(Clone)]
pub struct Trouble {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// How often the card itself has lost sound: nobody knows how much.
    overruns: AtomicU32,
    fatal: Mutex<Option<OpenError>>,
}

/// A block in the ring.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    first: u64,
    samples: usize,
    at: Duration,
    overruns: u32,
}

/// A block as it comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// The number of its first sample; where it does not follow the one before, sound was lost.
    pub(super) first: u64,
    /// When, since boot, its last sample was there.
    pub(super) at: Duration,
    /// How often the card had lost sound by then.
    pub(super) overruns: u32,
}

/// Makes both ends for a card that gives so many samples a second on so many channels.
pub(super) fn ring(rate_hz: u32, channels: u16, clock: SharedClock) -> (Capture, Drain) {
    let seconds = usize::try_from(RING.as_secs()).unwrap_or(1);
    let size = usize::try_from(rate_hz).unwrap_or(0) * seconds;
    let (samples, samples_out) = RingBuffer::new(size);
    let (stamps, stamps_out) = RingBuffer::new(STAMPS_MAX);
    let shared = Arc::new(Shared::default());
    let channels = usize::from(channels).max(1);
    let capture =
        Capture { samples, stamps, channels, clock, count: 0, shared: Arc::clone(&shared) };
    (capture, Drain { samples: samples_out, stamps: stamps_out, shared })
}

impl Capture {
    /// Takes a block as the card gives it: the channels' samples beside each other, between -1 and
    /// 1. What is mixed is their mean.
    pub fn heard<T: Copy>(&mut self, interleaved: &[T], as_float: impl Fn(T) -> f32) {
        let frames = interleaved.len() / self.channels;
        let (first, at) = (self.count, self.clock.since_boot());
        self.count += frames as u64;
        if self.stamps.slots() == 0 {
            return;
        }
        let Ok(room) = self.samples.write_chunk_uninit(frames) else { return };
        #[expect(clippy::cast_precision_loss, reason = "a card has a few channels")]
        let share = 1.0 / self.channels as f32;
        let mixed = interleaved.chunks_exact(self.channels);
        let written = room.fill_from_iter(
            mixed.map(|frame| frame.iter().map(|s| as_float(*s)).sum::<f32>() * share),
        );
        let overruns = self.shared.overruns.load(Ordering::Relaxed);
        // There is room: it was looked for, and only this thread fills it.
        let _ = self.stamps.push(Stamp { first, samples: written, at, overruns });
    }

    /// Returns what the card's trouble is told with.
    pub fn trouble(&self) -> Trouble {
        Trouble { shared: Arc::clone(&self.shared) }
    }
}

impl Trouble {
    /// Says that the card has lost sound and goes on.
    pub fn overrun(&self) {
        self.shared.overruns.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that no more will come.
    pub fn over(&self, why: OpenError) {
        let mut fatal = self.shared.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        fatal.get_or_insert(why);
    }
}

impl Drain {
    /// Takes the next block, in place of what is in `out`.
    pub(super) fn next(&mut self, out: &mut Vec<f32>) -> Option<Block> {
        let stamp = self.stamps.pop().ok()?;
        out.clear();
        // Written before its stamp was, so it is there.
        let chunk = self.samples.read_chunk(stamp.samples).ok()?;
        out.extend(chunk);
        Some(Block { first: stamp.first, at: stamp.at, overruns: stamp.overruns })
    }

    /// Returns why no more will come, if that was told.
    pub(super) fn fatal(&self) -> Option<OpenError> {
        self.shared.fatal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::UnixMillis;

    fn clock() -> SharedClock {
        Arc::new(ManualClock::new(UnixMillis::new(0)))
    }

    #[test]
    fn channels_are_mixed_to_their_mean() {
        for channels in 1..=8_u16 {
            let (mut capture, mut drain) = ring(8000, channels, clock());
            let frame: Vec<f32> = (0..channels).map(|n| f32::from(n) / 8.0).collect();
            capture.heard(&frame.repeat(3), |sample| sample);
            let mut out = vec![9.0];
            assert_eq!(drain.next(&mut out).unwrap().first, 0);
            let mean = f32::from(channels - 1) / 16.0;
            assert!(out.iter().all(|sample| (sample - mean).abs() < 1e-6) && out.len() == 3);
            assert_eq!(drain.next(&mut out), None);
        }
    }

    #[test]
    fn a_full_ring_loses_whole_blocks_and_the_count_tells() {
        let (mut capture, mut drain) = ring(8000, 1, clock());
        for _ in 0..20 {
            capture.heard(&[1.0; 1000], |sample| sample);
        }
        capture.trouble().overrun();
        let (mut out, mut blocks) = (Vec::new(), Vec::new());
        while let Some(block) = drain.next(&mut out) {
            assert_eq!(out.len(), 1000);
            blocks.push(block);
        }
        assert_eq!(blocks.len(), 16, "two seconds of it");
        capture.heard(&[1.0; 10], |sample| sample);
        let block = drain.next(&mut out).unwrap();
        assert_eq!((block.first, block.overruns, out.len()), (20_000, 1, 10));
    }

    #[test]
    fn the_first_trouble_stands() {
        let (capture, drain) = ring(8000, 1, clock());
        let trouble = capture.trouble();
        assert_eq!(drain.fatal(), None);
        trouble.over(OpenError::Gone);
        trouble.over(OpenError::Busy);
        assert_eq!(drain.fatal(), Some(OpenError::Gone));
    }
}
