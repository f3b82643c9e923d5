//! Finds the stretches of speech in a row of speech probabilities.
//!
//! Pure: one frame in, perhaps one span out. Positions are samples of 16 kHz on the track's
//! timeline.

/// The model's rate: every position in this room counts samples of it.
pub(crate) const RATE_HZ: u64 = 16_000;

/// Samples in a frame, the detector's step (32 ms).
pub(crate) const FRAME: usize = 512;

/// A frame this probable begins speech.
const BEGINS: f32 = 0.5;

/// A frame less probable than this may end it.
const ENDS: f32 = 0.35;

/// Speech shorter than this is a click: 5 frames, 160 ms, half a "yes".
const SHORTEST_FRAMES: usize = 5;

/// A stretch of speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its first sample.
    pub(crate) start: u64,
    /// The first sample after it.
    pub(crate) end: u64,
    /// It begins where the one before was cut, without a pause.
    pub(crate) cut_start: bool,
    /// It was cut because it grew too long; the next begins here.
    pub(crate) cut_end: bool,
}

/// When speech counts as ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Frames of silence that end a span.
    pub(crate) silence_frames: usize,
    /// Frames after which a span is cut at its quietest point.
    pub(crate) longest_frames: usize,
}

/// A frame of sound, as far as finding speech goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// How probable it is that somebody speaks.
    pub(crate) speech: f32,
    /// Its mean square.
    pub(crate) energy: f32,
}

/// Where the speech under way began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenSince {
    /// Its first sample.
    pub(crate) start: u64,
    /// It goes on from where a span was cut.
    pub(crate) cut: bool,
}

/// Turns frames into spans.
#[derive(Debug)]
pub(crate) struct SpanFinder {
    rules: Rules,
    /// The first sample of the next frame.
    position: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    start: u64,
    cut_start: bool,
    /// Every frame since `start`; at most `longest_frames`.
    frames: Vec<Frame>,
    /// How many of the last frames are silence.
    silent: usize,
}

impl SpanFinder {
    /// Begins at `position`.
    pub(crate) const fn new(position: u64, rules: Rules) -> Self {
        Self { rules, position, open: None }
    }

    /// Returns the first sample of the next frame.
    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// Returns where the speech under way began, if there is any.
    pub(crate) fn open(&self) -> Option<OpenSince> {
        self.open.as_ref().map(|open| OpenSince { start: open.start, cut: open.cut_start })
    }

    /// Passes over `frames` frames without looking at them.
    pub(crate) fn skip(&mut self, frames: u64) {
        self.position += frames * FRAME as u64;
    }

    /// Takes one frame; returns the span it ended or cut.
    pub(crate) fn push(&mut self, frame: Frame) -> Option<Span> {
        let start = self.position;
        self.position += FRAME as u64;
        let Some(open) = &mut self.open else {
            if frame.speech >= BEGINS {
                self.open = Some(Open { start, cut_start: false, frames: vec![frame], silent: 0 });
            }
            return None;
        };
        open.frames.push(frame);
        // Between the two thresholds a silence that has begun goes on, but none begins.
        if frame.speech < ENDS || (open.silent > 0 && frame.speech < BEGINS) {
            open.silent += 1;
        } else {
            open.silent = 0;
        }
        if open.silent >= self.rules.silence_frames {
            let spoken = open.frames.len() - open.silent;
            return self.close(spoken);
        }
        if open.frames.len() >= self.rules.longest_frames { self.cut() } else { None }
    }

    /// Ends the speech under way, because the track ends here.
    pub(crate) fn finish(&mut self) -> Option<Span> {
        let open = self.open.as_ref()?;
        let spoken = open.frames.len() - open.silent;
        self.close(spoken)
    }

    fn close(&mut self, spoken: usize) -> Option<Span> {
        let open = self.open.take()?;
        (spoken >= SHORTEST_FRAMES || open.cut_start && spoken > 0).then(|| Span {
            start: open.start,
            end: open.start + (spoken * FRAME) as u64,
            cut_start: open.cut_start,
            cut_end: false,
        })
    }

    /// Cuts a span that has grown too long where it is quietest, in its later half.
    fn cut(&mut self) -> Option<Span> {
        let open = self.open.take()?;
        let at = quietest(&open.frames, open.frames.len() / 2);
        let middle = open.start + (at * FRAME) as u64;
        let rest = open.frames.get(at..).unwrap_or_default().to_vec();
        let silent = open.silent.min(rest.len());
        self.open = Some(Open { start: middle, cut_start: true, frames: rest, silent });
        Some(Span { start: open.start, end: middle, cut_start: open.cut_start, cut_end: true })
    }
}

/// Returns the middle of the three quietest neighbouring frames from `from` on.
fn quietest(frames: &[Frame], from: usize) -> usize {
    let loudness = |three: &[Frame]| three.iter().map(|frame| frame.energy).sum::<f32>();
    frames
        .windows(3)
        .enumerate()
        .skip(from)
        .min_by(|(_, a), (_, b)| loudness(a).total_cmp(&loudness(b)))
        .map_or(from, |(first, _)| first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { silence_frames: 12, longest_frames: 100 };

    fn frames(pattern: &[(usize, f32, f32)]) -> Vec<Frame> {
        let many = |&(count, speech, energy): &(usize, f32, f32)| {
            std::iter::repeat_n(Frame { speech, energy }, count)
        };
        pattern.iter().flat_map(many).collect()
    }

    fn spans(pattern: &[(usize, f32, f32)]) -> Vec<(u64, u64)> {
        let mut finder = SpanFinder::new(0, RULES);
        let mut found: Vec<Span> =
            frames(pattern).into_iter().filter_map(|frame| finder.push(frame)).collect();
        found.extend(finder.finish());
        let in_frames = |sample: u64| sample / FRAME as u64;
        found.iter().map(|span| (in_frames(span.start), in_frames(span.end))).collect()
    }

    #[test]
    fn speech_between_silences_is_one_span() {
        assert_eq!(spans(&[(10, 0.1, 0.0), (20, 0.9, 1.0), (30, 0.1, 0.0)]), [(10, 30)]);
    }

    #[test]
    fn a_short_pause_does_not_end_it_and_a_long_one_does() {
        let speech = (20, 0.9, 1.0);
        assert_eq!(spans(&[speech, (11, 0.1, 0.0), speech]), [(0, 51)]);
        assert_eq!(spans(&[speech, (12, 0.1, 0.0), speech]), [(0, 20), (32, 52)]);
    }

    #[test]
    fn doubt_neither_begins_nor_ends_speech() {
        assert_eq!(spans(&[(50, 0.45, 1.0)]), []);
        assert_eq!(spans(&[(10, 0.9, 1.0), (50, 0.4, 1.0)]), [(0, 60)]);
    }

    #[test]
    fn a_click_is_not_speech() {
        assert_eq!(spans(&[(5, 0.1, 0.0), (4, 0.9, 1.0), (30, 0.1, 0.0)]), []);
    }

    #[test]
    fn speech_that_runs_to_the_end_is_kept() {
        assert_eq!(spans(&[(5, 0.1, 0.0), (20, 0.9, 1.0)]), [(5, 25)]);
    }

    #[test]
    fn a_long_span_is_cut_where_it_is_quietest_and_loses_nothing() {
        let found = spans(&[(70, 0.9, 1.0), (3, 0.9, 0.1), (80, 0.9, 1.0)]);
        assert_eq!(found, [(0, 71), (71, 153)], "cut in the middle of the three quiet frames");
    }

    #[test]
    fn a_cut_span_knows_which_side_was_cut() {
        let mut finder = SpanFinder::new(0, RULES);
        let mut found: Vec<Span> =
            frames(&[(150, 0.9, 1.0)]).into_iter().filter_map(|frame| finder.push(frame)).collect();
        found.extend(finder.finish());
        let sides: Vec<_> = found.iter().map(|span| (span.cut_start, span.cut_end)).collect();
        assert_eq!(sides.first(), Some(&(false, true)));
        assert_eq!(sides.last(), Some(&(true, false)));
        assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start));
    }
}
