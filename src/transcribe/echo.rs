//! Tells a party's own voice from the other party's, come back faintly on the same track.
//!
//! An echo is the other track's level over again, a little later and a good deal lower. Levels
//! are compared in blocks of 16 ms; where own speech rises above what the echo would be, it is
//! own speech. In doubt it is own speech: a word heard twice is better than a word lost.

use std::collections::VecDeque;

use super::spans::FRAME;

/// Samples whose level is taken as one: 16 ms.
const BLOCK: usize = 256;

/// Blocks in a detector's frame.
const BLOCKS_PER_FRAME: usize = FRAME / BLOCK;

/// An echo comes back within 0.5 s: a mobile call abroad and back takes 0.4 s.
const LATEST_BLOCKS: usize = 31;

/// The level below which nobody is heard, in dB of full scale: the noise of a quiet line.
const QUIET_DB: f32 = -55.0;

/// An echo is lower than the voice by at least this; a telephone network's own are 15 dB and
/// more, the far party's loudspeaker 10.
const LOSS_MIN_DB: f32 = 9.0;

/// How alike the two levels must be to be one voice: two voices at the same time stay below 0.6.
const ALIKE_MIN: f32 = 0.8;

/// Blocks of voice on the other track that it takes to judge: 0.8 s.
const BLOCKS_MIN: usize = 50;

/// So much above the echo's level is own speech.
const ABOVE_DB: f32 = 6.0;

/// The way an echo takes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Path {
    /// How late it is.
    blocks: usize,
    /// How its level differs from the voice's, below 0.
    change_db: f32,
}

/// Finds the echo of one track on another.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    /// The other track's levels: those an echo may still be of, then those not yet compared.
    other: VecDeque<f32>,
    /// How many of them have been compared.
    compared: usize,
    /// Samples short of a block.
    short: Vec<f32>,
    /// The way last found. A telephone's does not change within a call, but a judgement
    /// takes more voice than every piece has.
    path: Option<Path>,
}

impl Echo {
    /// Takes the other track's next sound.
    pub(crate) fn listen(&mut self, other: &[f32]) {
        self.short.extend_from_slice(other);
        let whole = self.short.len() - self.short.len() % BLOCK;
        self.other.extend(self.short.chunks_exact(BLOCK).map(level_db));
        self.short.drain(..whole);
    }

    /// Says of each frame of the own track's next sound whether it is an echo. Where the other
    /// track has not been heard, nothing is.
    pub(crate) fn frames(&mut self, own: &[f32]) -> Vec<bool> {
        let own: Vec<f32> = own.chunks_exact(BLOCK).map(level_db).collect();
        let other: Vec<f32> = self.other.iter().copied().collect();
        let before = self.compared;
        self.path = path(&own, &other, before).or(self.path);
        let is_echo = |(index, own): (usize, &f32)| {
            self.path.is_some_and(|path| {
                let voice = voice_at(&other, before + index, path.blocks);
                *own < voice + path.change_db + ABOVE_DB
            })
        };
        let blocks: Vec<bool> = own.iter().enumerate().map(is_echo).collect();
        self.forget(own.len());
        blocks.chunks(BLOCKS_PER_FRAME).map(|frame| frame.iter().all(|echo| *echo)).collect()
    }

    fn forget(&mut self, compared: usize) {
        self.compared = (self.compared + compared).min(self.other.len());
        let gone = self.compared.saturating_sub(LATEST_BLOCKS + 2);
        self.other.drain(..gone);
        self.compared -= gone;
    }
}

/// Returns the loudest the other voice was when it left for what is heard at `block`: an echo is
/// smeared over a block or two.
fn voice_at(other: &[f32], block: usize, late: usize) -> f32 {
    let around = |shift: usize| (block + 1).checked_sub(late + shift);
    let levels = (0..3).filter_map(|shift| other.get(around(shift)?).copied());
    levels.filter(|level| *level > QUIET_DB).fold(f32::NEG_INFINITY, f32::max)
}

/// Finds the way an echo takes, if there is one: the delay at which the levels are most alike.
fn path(own: &[f32], other: &[f32], before: usize) -> Option<Path> {
    let found = (0..=LATEST_BLOCKS).filter_map(|late| {
        let pairs: Vec<(f32, f32)> = own
            .iter()
            .enumerate()
            .filter_map(|(index, own)| {
                let voice = *other.get((before + index).checked_sub(late)?)?;
                // Not the other's pauses, nor where this party speaks: own noise and own voice
                // say nothing of an echo.
                (voice > QUIET_DB && *own < voice - LOSS_MIN_DB).then_some((*own, voice))
            })
            .collect();
        (pairs.len() >= BLOCKS_MIN).then(|| (late, alike(&pairs), median_change(&pairs)))
    });
    let (blocks, alike, change_db) = found.max_by(|a, b| a.1.total_cmp(&b.1))?;
    (alike >= ALIKE_MIN).then_some(Path { blocks, change_db })
}

/// Returns the correlation of two rows of levels.
#[expect(clippy::cast_precision_loss, reason = "a piece has some hundred blocks")]
fn alike(pairs: &[(f32, f32)]) -> f32 {
    let count = pairs.len() as f32;
    let mean = |of: fn(&(f32, f32)) -> f32| pairs.iter().map(of).sum::<f32>() / count;
    let (own, voice) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let sums = pairs.iter().fold((0.0, 0.0, 0.0), |(both, left, right), pair| {
        let (a, b) = (pair.0 - own, pair.1 - voice);
        (both + a * b, left + a * a, right + b * b)
    });
    sums.0 / (sums.1 * sums.2).sqrt().max(f32::MIN_POSITIVE)
}

fn median_change(pairs: &[(f32, f32)]) -> f32 {
    let mut changes: Vec<f32> = pairs.iter().map(|(own, voice)| own - voice).collect();
    changes.sort_by(f32::total_cmp);
    changes.get(changes.len() / 2).copied().unwrap_or(0.0)
}

/// Returns a block's level in dB of full scale.
#[expect(clippy::cast_precision_loss, reason = "256 is exact")]
fn level_db(block: &[f32]) -> f32 {
    let power = block.iter().map(|sample| sample * sample).sum::<f32>() / BLOCK as f32;
    10.0 * power.max(1e-10).log10()
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "small whole numbers")]
mod tests {
    use super::*;

    /// A voice: noise whose level wanders as syllables do, the same for the same seed.
    fn voice(seed: u32, seconds: usize) -> Vec<f32> {
        let mut state = seed;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        let mut level = 0.1;
        let syllable = |n: usize| n.is_multiple_of(1_900);
        (0..seconds * 16_000)
            .map(|n| {
                if syllable(n) {
                    level = 0.4 * random().powi(2);
                }
                level * (random() - 0.5) + 0.0005 * (random() - 0.5)
            })
            .collect()
    }

    /// `voice` as it comes back: `samples` later, at `part` of its size.
    fn back(voice: &[f32], samples: usize, part: f32) -> Vec<f32> {
        let late = voice.iter().take(voice.len() - samples).map(|sample| part * sample);
        std::iter::repeat_n(0.0, samples).chain(late).collect()
    }

    fn echoes(own: &[f32], other: &[f32]) -> f32 {
        let mut echo = Echo::default();
        echo.listen(other);
        let frames = echo.frames(own);
        frames.iter().filter(|echo| **echo).count() as f32 / frames.len() as f32
    }

    #[test]
    fn the_other_voice_come_back_faintly_is_an_echo() {
        let other = voice(1, 10);
        for (samples, part) in [(0, 0.1), (2_000, 0.1), (3_333, 0.03), (6_400, 0.2)] {
            let share = echoes(&back(&other, samples, part), &other);
            assert!(share > 0.8, "{samples} samples later, {part}: {share}");
        }
    }

    #[test]
    fn an_own_voice_is_none_alone_or_over_the_other_or_much_fainter() {
        let (own, other) = (voice(2, 10), voice(1, 10));
        let faint = |part: f32| own.iter().map(|sample| part * sample).collect::<Vec<f32>>();
        for (own, other) in [(&own, &vec![0.0; own.len()]), (&own, &other), (&faint(0.1), &other)] {
            assert!(echoes(own, other) < f32::EPSILON);
        }
    }

    #[test]
    fn an_own_voice_over_an_echo_is_kept() {
        let other = voice(1, 20);
        let mut own = back(&other, 2_000, 0.05);
        for (sample, said) in own.iter_mut().skip(12 * 16_000).zip(voice(2, 4)) {
            *sample += said;
        }
        let mut echo = Echo::default();
        let mut frames = Vec::new();
        for (own, other) in own.chunks(312 * FRAME).zip(other.chunks(312 * FRAME)) {
            echo.listen(other);
            frames.extend(echo.frames(own));
        }
        let share = |from_s: usize, to_s: usize| {
            let part = &frames[from_s * 16_000 / FRAME..to_s * 16_000 / FRAME];
            part.iter().filter(|echo| **echo).count() as f32 / part.len() as f32
        };
        assert!(share(12, 16) < 0.4, "{}", share(12, 16));
    }

    #[test]
    fn a_track_never_heard_has_no_echo() {
        let mut echo = Echo::default();
        assert!(echo.frames(&voice(1, 2)).iter().all(|echo| !echo));
    }
}
