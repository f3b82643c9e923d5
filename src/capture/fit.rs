//! The agent's sound from a source with a clock of its own, fitted to the call's timeline. Pure:
//! sound and sightings in, sound and gaps out; no clock, no file, no task.
//!
//! Two clocks are measured against ours by the same rule ([`Drift`]): the source's, by whoever
//! listens to it, and the call's, by when its frames came. Together they say where on the timeline
//! each sample belongs. Where it would come to lie is known to a part of a sample, so the
//! difference steers the resampler:
//!
//! ```text
//!   speed = skew of the call / skew of the source - error / 4 s       within 0.5 %
//! ```
//!
//! The first term is what two clocks are known to differ by; the second brings back what is left.
//! The loop is of the first order, so it neither rings nor overshoots, and the speed changes by a
//! ten-thousandth every 20 ms at most, which nobody hears. An error that it could not bring back in
//! a minute is no drift: sound was lost, or the network found another way. Then the sound is put
//! where it belongs at once, with a gap or a cut.

use std::collections::VecDeque;
use std::time::Duration;

use super::ready::Ready;
use crate::audio::{FOLLOWED_CHUNK, Follower, pcm16};
use crate::clock::{Drift, Line};
use crate::domain::{GapReason, Samples8k};

/// A piece of sound from a source that counts by its own clock.
#[derive(Debug, Clone)]
pub struct AgentSound {
    /// Pieces of one epoch are counted on from each other.
    pub epoch: u32,
    /// Why there may be a gap before this epoch.
    pub before: GapReason,
    /// Samples a second, as the source says.
    pub rate_hz: u32,
    /// The number of the first sample. Where it does not follow, sound was lost on the way.
    pub first: u64,
    /// When which sample was heard.
    pub line: Line,
    /// One channel, between -1 and 1.
    pub samples: Vec<f32>,
}

/// What is to be done about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fitted {
    /// Write these samples of 16 kHz, two for each of the timeline.
    Write {
        /// Where the first one lies.
        at: Samples8k,
        /// As many as make whole samples of the timeline.
        wide: Vec<i16>,
    },
    /// A stretch is silence that nobody spoke. One that goes on is told again, longer.
    Gap {
        /// From here.
        start: Samples8k,
        /// To here.
        end: Samples8k,
        /// Why.
        reason: GapReason,
    },
}

/// How long a clock is watched before it is believed: the first frames of a stream, and a card's
/// first blocks, come in a burst, and late.
const SETTLE: Duration = Duration::from_millis(150);

/// Sound kept until then: what a second may hold, in pieces of 5 ms.
const EARLY_MAX: usize = 200;

/// How fast an error is brought back.
const BACK_WITHIN_S: f64 = 4.0;

/// An error beyond this is no drift.
const JUMP_S: f64 = 0.25;

/// A hole shorter than this is none: one millisecond of 16 kHz.
const HOLE_MIN: u64 = 16;

/// At the end of a call a shorter one is padding: 20 ms of 16 kHz.
const PADDING_MAX: u64 = 320;

/// Digital silence for so long is no pause: 5 s of 16 kHz.
const MUTE_AFTER: u64 = 80_000;

/// Fits one source to one call.
#[derive(Debug)]
pub(super) struct Fit {
    call: Drift,
    /// When the call was first heard of, since boot.
    call_since: Option<Duration>,
    /// How late sound may come and still be placed.
    patience: Samples8k,
    early: VecDeque<AgentSound>,
    /// The epoch that was heard last, and since when.
    epoch: Option<(u32, Duration)>,
    run: Option<Run>,
    /// How far the timeline is made, in samples of 16 kHz. All in `ready` lies before it.
    end: u64,
    /// Where anything but silence was last heard.
    sound_to: u64,
    ready: Ready,
    gaps: Vec<Fitted>,
}

/// An epoch under way.
#[derive(Debug)]
struct Run {
    epoch: u32,
    follower: Follower,
    /// The number of the first sample that the follower was given.
    base: u64,
    /// The number that comes next.
    next: u64,
    line: Line,
    /// Samples of the follower's before this place of its input are not wanted.
    skip_to: f64,
}

impl Fit {
    /// Makes one for a source whose sound comes no later than `patience`.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            call: Drift::new(8000),
            call_since: None,
            patience: Samples8k::from_millis(u64::try_from(patience.as_millis()).unwrap_or(0)),
            early: VecDeque::new(),
            epoch: None,
            run: None,
            end: 0,
            sound_to: 0,
            ready: Ready::default(),
            gaps: Vec::new(),
        }
    }

    /// Takes note that the call had come to `place` at this moment since boot.
    pub(super) fn call_at(&mut self, place: Samples8k, now: Duration) {
        self.call_since.get_or_insert(now);
        self.call.see(place.get(), now);
    }

    /// Takes a piece of sound.
    pub(super) fn hear(&mut self, sound: AgentSound, now: Duration) {
        let (epoch, line) = (sound.epoch, sound.line);
        self.epoch = self.epoch.filter(|(known, _)| *known == epoch).or(Some((epoch, now)));
        self.early.push_back(sound);
        if !self.is_settled(now) {
            if self.early.len() > EARLY_MAX {
                self.early.pop_front();
            }
            return;
        }
        while let Some(mut sound) = self.early.pop_front() {
            if sound.epoch == epoch {
                // What was known of its clock at first is worth less than what is known now.
                sound.line = line;
            }
            self.place(&sound);
        }
    }

    /// Returns what can be written and told by now, of a call that has come to `limit`. What lies
    /// beyond is kept: perhaps the call goes on there, and perhaps it is over.
    pub(super) fn release(&mut self, limit: Samples8k) -> Vec<Fitted> {
        let mut out = std::mem::take(&mut self.gaps);
        while let Some((at, wide)) = self.ready.take(limit) {
            out.push(Fitted::Write { at, wide });
        }
        out
    }

    /// Returns the stretch in which nothing has been heard up to now, if there is one.
    pub(super) fn missing(&mut self, limit: Samples8k) -> Option<Fitted> {
        let is_away = limit.since(self.patience) * 2 > self.end;
        if is_away {
            self.flush();
        }
        let start = self.mute_since().unwrap_or(Samples8k::new(self.end.div_ceil(2)));
        let end =
            if is_away { Samples8k::new(limit.since(self.patience)) } else { self.heard_to() };
        (end.min(limit) > start).then_some(Fitted::Gap {
            start,
            end: end.min(limit),
            reason: GapReason::Disconnected,
        })
    }

    /// Ends it: the call is so long and no longer.
    pub(super) fn finish(&mut self, limit: Samples8k) -> Vec<Fitted> {
        self.flush();
        self.ready.end();
        let mut out = self.release(limit);
        let missing = (2 * limit.get()).saturating_sub(self.end);
        let mute = self.mute_since().filter(|since| *since < limit);
        if missing > PADDING_MAX || mute.is_some() {
            let start = mute.unwrap_or(Samples8k::new(self.end.div_ceil(2)));
            out.push(Fitted::Gap { start, end: limit, reason: GapReason::Disconnected });
        }
        out
    }

    /// Returns how far the sound has come.
    pub(super) fn heard_to(&self) -> Samples8k {
        Samples8k::new(self.end / 2)
    }

    /// Returns since where there has been nothing but digital silence in it, if for long: a
    /// microphone that is muted or dead hears as little as one that is away.
    pub(super) fn mute_since(&self) -> Option<Samples8k> {
        let is_mute = self.end.saturating_sub(self.sound_to) >= MUTE_AFTER;
        is_mute.then_some(Samples8k::new(self.sound_to.div_ceil(2)))
    }

    /// Says whether the call's clock and the source's are both known well enough.
    fn is_settled(&self, now: Duration) -> bool {
        let epoch_since = self.epoch.map(|(_, since)| since);
        let long_ago = |since: Duration| now.saturating_sub(since) >= SETTLE;
        self.call_since.is_some_and(long_ago) && epoch_since.is_some_and(long_ago)
    }

    /// Where on the call's timeline, in samples of 16 kHz, a moment lies.
    fn place_of(&self, at_s: f64) -> Option<f64> {
        self.call.line().map(|line| 2.0 * line.count(at_s))
    }

    fn place(&mut self, sound: &AgentSound) {
        let follows = self
            .run
            .as_ref()
            .is_some_and(|run| (run.epoch, run.next) == (sound.epoch, sound.first));
        if !follows && !self.begin(sound) {
            return;
        }
        if let Some(run) = &mut self.run {
            run.line = sound.line;
            run.next = sound.first + sound.samples.len() as u64;
            run.follower.push(&sound.samples);
        }
        self.make();
    }

    /// Begins anew with this piece; says whether any of it is wanted.
    fn begin(&mut self, sound: &AgentSound) -> bool {
        let is_new = self.run.as_ref().is_none_or(|run| run.epoch != sound.epoch);
        let last = sound.first + sound.samples.len() as u64;
        let Some(place) = self.place_of(sound.line.at_s(float(sound.first))) else { return false };
        let Some(until) = self.place_of(sound.line.at_s(float(last))) else { return false };
        if until < float(self.end) {
            return false;
        }
        let Ok(follower) = Follower::new(sound.rate_hz) else { return false };
        self.flush();
        self.leap_to(place, if is_new { sound.before } else { GapReason::Lost });
        // Between what belongs here and what is next there is less than a sample.
        let skip_to = (float(self.end) - place) * follower.step() - follower.step() / 2.0;
        let (epoch, next, base, line) = (sound.epoch, sound.first, sound.first, sound.line);
        self.run = Some(Run { epoch, follower, base, next, line, skip_to });
        true
    }

    /// Goes on at a later place, with a gap; an earlier one is none.
    fn leap_to(&mut self, place: f64, reason: GapReason) {
        let place = whole(place);
        if place < self.end + HOLE_MIN {
            self.end = self.end.max(place);
            return;
        }
        let start = self.mute_since().unwrap_or(Samples8k::new(self.end.div_ceil(2)));
        self.gaps.push(Fitted::Gap { start, end: Samples8k::new(place / 2), reason });
        // What is silent from here on is silent anew.
        (self.end, self.sound_to) = (place, place);
    }

    /// Makes what can be made of what was heard.
    fn make(&mut self) {
        while let Some((error, speed)) = self.error() {
            if error.abs() > JUMP_S {
                self.jump(error);
                continue;
            }
            let Some(run) = &mut self.run else { return };
            run.follower.turn(speed);
            let (at, step) = (run.follower.next_at(), run.follower.step());
            let skip = whole((run.skip_to - at) / step).min(FOLLOWED_CHUNK as u64);
            let Some(chunk) = run.follower.take() else { return };
            let pcm = chunk.iter().skip(usize::try_from(skip).unwrap_or(0)).map(|s| pcm16(*s));
            let pcm = pcm.collect();
            self.append(pcm);
        }
    }

    /// Returns by how many seconds the next sample belongs later than it would come to lie, and the
    /// speed that follows from that; none while there is not enough sound for a chunk.
    fn error(&self) -> Option<(f64, f64)> {
        let run = self.run.as_ref().filter(|run| run.follower.is_ready())?;
        let call = self.call.line()?;
        // What is skipped lies before `end`.
        let next_at = run.follower.next_at().max(run.skip_to);
        let belongs = self.place_of(run.line.at_s(float(run.base) + next_at))?;
        let error = (belongs - float(self.end)) / 16_000.0;
        let speed = (1.0 + call.skew()) / (1.0 + run.line.skew()) - error / BACK_WITHIN_S;
        Some((error, speed))
    }

    /// Puts what comes next where it belongs.
    fn jump(&mut self, error: f64) {
        let belongs = float(self.end) + error * 16_000.0;
        if error > 0.0 {
            self.leap_to(belongs, GapReason::Lost);
        } else if let Some(run) = &mut self.run {
            let ahead = -error * 16_000.0 * run.follower.step();
            run.skip_to = run.follower.next_at().max(run.skip_to) + ahead;
        }
    }

    /// Brings out what is still inside the filter: no more of this run comes.
    fn flush(&mut self) {
        let Some(mut run) = self.run.take() else { return };
        let heard_to = float(run.next - run.base);
        let silence = vec![0.0; run.follower.tail()];
        run.follower.push(&silence);
        let mut pcm = Vec::new();
        while run.follower.next_at() < heard_to {
            let (at, step) = (run.follower.next_at(), run.follower.step());
            let Some(chunk) = run.follower.take() else { break };
            let places = (0_u32..).map(|n| at + f64::from(n) * step);
            let wanted = chunk.iter().zip(places);
            let wanted = wanted.filter(|(_, at)| *at >= run.skip_to && *at < heard_to);
            pcm.extend(wanted.map(|(sample, _)| pcm16(*sample)));
        }
        self.append(pcm);
    }

    /// Takes note of where there is anything but digital silence.
    fn listen(&mut self, at: u64, pcm: &[i16]) {
        let is_sound = |sample: &i16| sample.unsigned_abs() > 1;
        let (Some(first), Some(last)) =
            (pcm.iter().position(is_sound), pcm.iter().rposition(is_sound))
        else {
            return;
        };
        if let Some(start) = self.mute_since() {
            let heard_again = at + first as u64;
            let end = Samples8k::new(heard_again / 2);
            self.gaps.push(Fitted::Gap { start, end, reason: GapReason::Disconnected });
        }
        self.sound_to = at + last as u64 + 1;
    }

    fn append(&mut self, pcm: Vec<i16>) {
        if pcm.is_empty() {
            return;
        }
        let at = self.end;
        self.listen(at, &pcm);
        self.end += pcm.len() as u64;
        self.ready.append(at, pcm);
    }
}

/// A place in whole samples; what lies before the beginning is there.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 at least")]
fn whole(place: f64) -> u64 {
    place.ceil().max(0.0) as u64
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
