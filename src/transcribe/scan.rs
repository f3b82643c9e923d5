//! Goes over a track's sound once, front to back, and gives out windows of speech.
//!
//! Memory is the same for any length: at most a span under way, a window being filled and the
//! piece that waits for the detector (28 s + 29 s + 10 s of floats, 4.3 MB).

use std::collections::VecDeque;

use super::engine::Engine;
use super::heard::EngineError;
use super::spans::{FRAME, Frame, OpenSince, Rules, Span, SpanFinder};
use super::window::{PAD, Utterance, Window};

/// Frames of sound the detector hears before those that count, for it begins deaf: 1 s.
const WARM_UP_FRAMES: usize = 31;

/// Samples given to the detector at once. The warm-up is a tenth of it.
pub(crate) const PIECE: usize = 312 * FRAME;

/// After the call: 480 ms of silence end an utterance, and 28 s are the longest (a window less
/// two pads).
pub(crate) const AFTER_CALL: Rules = Rules { silence_frames: 15, longest_frames: 875 };

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
            window: Window::default(),
            full: VecDeque::new(),
        }
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
        let deaf = self.warm_up.len();
        let mut heard = std::mem::take(&mut self.warm_up);
        heard.extend_from_slice(&sound);
        let probabilities = engine.speech(&heard)?;
        let frames = sound.chunks_exact(FRAME);
        for (frame, speech) in frames.zip(probabilities.into_iter().skip(deaf / FRAME)) {
            self.take(frame, speech);
        }
        heard.drain(..heard.len().saturating_sub(WARM_UP_FRAMES * FRAME));
        self.warm_up = heard;
        Ok(())
    }

    fn take(&mut self, frame: &[f32], speech: f32) {
        self.kept.extend(frame);
        if self.finder.position() + FRAME as u64 <= self.from {
            self.finder.skip(1);
        } else {
            #[expect(clippy::cast_precision_loss, reason = "512 is exact")]
            let energy = frame.iter().map(|sample| sample * sample).sum::<f32>() / FRAME as f32;
            if let Some(span) = self.finder.push(Frame { speech, energy }) {
                self.utter(span);
            }
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
