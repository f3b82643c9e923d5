//! Goes over a track's sound once, front to back, and gives out windows of speech.
//!
//! Memory is the same for any length: at most a span under way, a window being filled and the
//! piece that waits for the detector (26 s + 26 s + 10 s of floats, 4 MB).

use std::collections::VecDeque;
use std::ops::Range;

use super::echo::Echo;
use super::engine::Engine;
use super::heard::EngineError;
use super::spans::{FRAME, Frame, OpenSince, Rules, Span, SpanFinder};
use super::window::{PAD, Utterance, Window};

/// Frames of sound the detector hears before those that count, for it begins deaf: 1 s.
const WARM_UP_FRAMES: usize = 31;

/// Samples given to the detector at once. The warm-up is a tenth of it.
pub(crate) const PIECE: usize = 312 * FRAME;

/// Sound fainter than this has no words in it: -66 dB of full scale, the two lowest steps of
/// mu-law. The detector is spared it, and a second and more of what is no louder than the line's
/// own noise: most of what a listening party sends.
const FAINT: f32 = 2.5e-7;

/// The line's noise is the quietest 160 ms of a piece; what is not 3 dB louder is noise too. Noise
/// above -50 dB of full scale may be a voice without a pause.
const NOISE_FRAMES: usize = 5;
const ABOVE_NOISE: f32 = 2.0;
const NOISE_MAX: f32 = 1e-5;

/// Frames it takes to judge what the noise is: 3 s. A live track comes in quarters of a second, and
/// the quietest 160 ms of one may be the middle of a word.
const NOISE_JUDGED_FRAMES: usize = 94;

/// After the call: 320 ms of silence end an utterance, so that windows can be filled to the brim,
/// and 25.6 s are the longest (a window less two pads).
pub(crate) const AFTER_CALL: Rules = Rules { silence_frames: 10, longest_frames: 800 };

/// While the call runs: 600 ms, for a pause may still be one of thought, and 12 s, for somebody
/// is waiting.
pub(crate) const LIVE: Rules = Rules { silence_frames: 19, longest_frames: 375 };

/// A scan under way.
pub(crate) struct Scan {
    finder: SpanFinder,
    /// The first sample that counts; what comes before is warm-up.
    from: u64,
    /// Sound not yet given to the detector.
    waiting: Vec<f32>,
    /// The last second given to it.
    warm_up: Vec<f32>,
    /// Sound that an utterance may still need, from sample `kept_from` on.
    kept: VecDeque<f32>,
    kept_from: u64,
    /// What of it is the other party's voice.
    echo: Echo,
    window: Window,
    full: VecDeque<Window>,
}

impl Scan {
    /// Returns the sample from which sound must be pushed for a scan of what follows `from`.
    pub(crate) fn begins_at(from: u64) -> u64 {
        from.saturating_sub((WARM_UP_FRAMES * FRAME) as u64)
    }

    /// Begins a scan; the first sound pushed is that of sample [`Scan::begins_at`].
    pub(crate) fn new(from: u64, rules: Rules) -> Self {
        let position = Self::begins_at(from);
        Self {
            finder: SpanFinder::new(position, rules),
            from,
            waiting: Vec::with_capacity(PIECE),
            warm_up: Vec::new(),
            kept: VecDeque::new(),
            kept_from: position,
            echo: Echo::default(),
            window: Window::default(),
            full: VecDeque::new(),
        }
    }

    /// Takes the other track's sound of the time that is pushed next, so that its echo is not
    /// taken for speech.
    pub(crate) fn overhear(&mut self, other: &[f32]) {
        self.echo.listen(other);
    }

    /// Takes the next sound.
    pub(crate) fn push(&mut self, engine: &mut Engine, sound: &[f32]) -> Result<(), EngineError> {
        let mut rest = sound;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(PIECE - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            if self.waiting.len() == PIECE {
                self.detect(engine)?;
            }
            rest = later;
        }
        Ok(())
    }

    /// Looks at what was pushed so far. The speech under way stays open.
    pub(crate) fn pause(&mut self, engine: &mut Engine) -> Result<(), EngineError> {
        self.detect(engine)?;
        self.close_window();
        Ok(())
    }

    /// Ends the track here.
    pub(crate) fn finish(&mut self, engine: &mut Engine) -> Result<(), EngineError> {
        let short = self.waiting.len() % FRAME;
        if short > 0 {
            self.waiting.resize(self.waiting.len() + FRAME - short, 0.0);
        }
        self.detect(engine)?;
        if let Some(span) = self.finder.finish() {
            self.utter(span);
        }
        self.close_window();
        Ok(())
    }

    /// Takes out a window that can be heard.
    pub(crate) fn window(&mut self) -> Option<Window> {
        self.full.pop_front()
    }

    /// Says whether more sound is needed before there is a window to be heard.
    pub(crate) fn is_hungry(&self) -> bool {
        self.full.is_empty()
    }

    /// Says whether speech was found that is in no window taken out so far.
    pub(crate) fn has_windows(&self) -> bool {
        !(self.full.is_empty() && self.window.pieces.is_empty())
    }

    /// Returns the sample from which a later scan must begin to miss nothing that is in no
    /// window taken out so far, and to hear nothing twice.
    pub(crate) fn resume_at(&self) -> u64 {
        let next = self.full.front().unwrap_or(&self.window).begins_at();
        next.unwrap_or_else(|| self.unsettled_from()).max(self.from)
    }

    /// Returns the first sample not yet looked at.
    pub(crate) fn position(&self) -> u64 {
        self.finder.position()
    }

    /// Returns the sample of the sound to be pushed next.
    pub(crate) fn pushed_to(&self) -> u64 {
        self.finder.position() + self.waiting.len() as u64
    }

    /// Returns where the speech under way began.
    pub(crate) fn open_since(&self) -> Option<u64> {
        self.finder.open().map(|open| open.start)
    }

    /// Returns where the speech ended that is in the next window to be taken out.
    pub(crate) fn waiting_since(&self) -> Option<u64> {
        let next = self.full.front().unwrap_or(&self.window);
        next.pieces.last().map(|piece| piece.speech.end)
    }

    /// Returns the speech under way as far as it has been looked at, as a window of its own.
    pub(crate) fn under_way(&self) -> Option<Window> {
        let OpenSince { start, cut } = self.finder.open()?;
        let end = self.finder.position();
        let speech = Span { start, end, cut_start: cut, cut_end: true };
        let mut window = Window::default();
        window.push(&self.utterance(speech));
        Some(window)
    }

    fn detect(&mut self, engine: &mut Engine) -> Result<(), EngineError> {
        let whole = self.waiting.len() - self.waiting.len() % FRAME;
        let left = self.waiting.split_off(whole);
        let sound = std::mem::replace(&mut self.waiting, left);
        let echoes = self.echo.frames(&sound);
        let energies: Vec<f32> = sound.chunks_exact(FRAME).map(energy).collect();
        let silent = silent_below(&energies);
        let audible = energies.iter().zip(echoes).map(|(energy, echo)| *energy > silent && !echo);
        let deaf = self.warm_up.len() / FRAME;
        let mut heard = std::mem::take(&mut self.warm_up);
        heard.extend_from_slice(&sound);
        let mut speech = vec![0.0; energies.len()];
        for stretch in stretches(&audible.collect::<Vec<bool>>()) {
            let begin = (deaf + stretch.start).saturating_sub(WARM_UP_FRAMES);
            let end = deaf + stretch.end;
            let sound = heard.get(begin * FRAME..end * FRAME).unwrap_or_default();
            let found = engine.speech(sound)?.into_iter().skip(deaf + stretch.start - begin);
            let places = speech.iter_mut().skip(stretch.start);
            places.zip(found).for_each(|(place, found)| *place = found);
        }
        for ((frame, energy), speech) in sound.chunks_exact(FRAME).zip(energies).zip(speech) {
            self.take(frame, Frame { speech, energy });
        }
        heard.drain(..heard.len().saturating_sub(WARM_UP_FRAMES * FRAME));
        self.warm_up = heard;
        Ok(())
    }

    fn take(&mut self, sound: &[f32], frame: Frame) {
        self.kept.extend(sound);
        if self.finder.position() + FRAME as u64 <= self.from {
            self.finder.skip(1);
        } else if let Some(span) = self.finder.push(frame) {
            self.utter(span);
        }
        self.forget(self.unsettled_from());
    }

    /// Returns the first sample that an utterance may still need.
    fn unsettled_from(&self) -> u64 {
        match self.finder.open() {
            Some(OpenSince { start, cut: true }) => start,
            Some(OpenSince { start, cut: false }) => start.saturating_sub(PAD),
            None => self.finder.position().saturating_sub(PAD),
        }
    }

    /// Puts a span's sound into the window, or into the next one.
    fn utter(&mut self, speech: Span) {
        let utterance = self.utterance(speech);
        if !self.window.has_room_for(&utterance) {
            self.close_window();
        }
        self.window.push(&utterance);
    }

    /// Returns a span with its sound.
    fn utterance(&self, speech: Span) -> Utterance {
        let before = if speech.cut_start { 0 } else { PAD };
        let after = if speech.cut_end { 0 } else { PAD };
        let from = speech.start.saturating_sub(before).max(self.kept_from).max(self.from);
        let first = usize::try_from(from - self.kept_from).unwrap_or(usize::MAX);
        let length = usize::try_from(speech.end + after - from).unwrap_or(usize::MAX);
        let audio: Vec<f32> = self.kept.iter().skip(first).take(length).copied().collect();
        Utterance { speech, from, audio }
    }

    fn close_window(&mut self) {
        if !self.window.pieces.is_empty() {
            self.full.push_back(std::mem::take(&mut self.window));
        }
    }

    fn forget(&mut self, up_to: u64) {
        let gone = usize::try_from(up_to.saturating_sub(self.kept_from)).unwrap_or(0);
        self.kept.drain(..gone.min(self.kept.len()));
        self.kept_from = self.kept_from.max(up_to);
    }
}

/// Returns the stretches in which something is audible. A gap that the detector would hear anyway,
/// to warm up for what follows, divides none.
fn stretches(audible: &[bool]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (frame, _) in audible.iter().enumerate().filter(|(_, audible)| **audible) {
        match found.last_mut() {
            Some(last) if frame - last.end <= WARM_UP_FRAMES => last.end = frame + 1,
            _ => found.push(frame..frame + 1),
        }
    }
    found
}

/// Returns the energy below which a frame of these has no words in it.
#[expect(clippy::cast_precision_loss, reason = "5 is exact")]
fn silent_below(energies: &[f32]) -> f32 {
    let quiet = energies.windows(NOISE_FRAMES).map(|few| few.iter().sum::<f32>());
    let noise = quiet.min_by(f32::total_cmp).unwrap_or(0.0) / NOISE_FRAMES as f32;
    let is_known = energies.len() >= NOISE_JUDGED_FRAMES && noise <= NOISE_MAX;
    if is_known { FAINT.max(ABOVE_NOISE * noise) } else { FAINT }
}

/// Returns a frame's mean square.
#[expect(clippy::cast_precision_loss, reason = "512 is exact")]
fn energy(frame: &[f32]) -> f32 {
    frame.iter().map(|sample| sample * sample).sum::<f32>() / FRAME as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_audible_is_looked_at_in_stretches_with_a_warm_up_between() {
        let mut audible = vec![false; 200];
        for frame in [10, 11, 40, 100, 199] {
            audible[frame] = true;
        }
        assert_eq!(stretches(&audible), [10..41, 100..101, 199..200]);
        assert!(stretches(&[false; 10]).is_empty());
    }

    #[test]
    fn what_is_no_louder_than_the_line_is_silent_and_a_voice_is_not() {
        let call: Vec<f32> = [vec![5e-6; 50], vec![1e-3; 50]].concat();
        assert!((5e-6..1e-3).contains(&silent_below(&call)));
        let voice: Vec<f32> = (0..300).map(|n| if n % 7 == 0 { 1e-5 } else { 1e-3 }).collect();
        let silent = silent_below(&voice);
        let audible: Vec<bool> = voice.iter().map(|energy| *energy > silent).collect();
        assert_eq!(stretches(&audible).len(), 1);
        assert!(silent_below(&[]) > 0.0 && silent_below(&[0.0; 99]) > 0.0);
        let low_word = vec![5e-6; 8];
        assert!(silent_below(&low_word) < 5e-6, "too short to be told from noise");
    }
}
