//! Packs utterances into windows for the model, and maps its times back.
//!
//! Invariant: every sample of a window knows the sample of the track it is a copy of. Pauses are
//! shortened by leaving sound out, never by putting any in.

use super::spans::{RATE_HZ, Span};

/// The longest window: 26 s. The model looks at 30 s, and a window that fills them all loses its end;
/// with shorter ones, words are lost at the edges.
pub(crate) const WINDOW_SAMPLES_MAX: usize = 26 * 16_000;

/// Sound kept before and after speech, so that no word loses its edge: 150 ms.
pub(crate) const PAD: u64 = RATE_HZ * 3 / 20;

/// What of it is kept towards a neighbour in the window: 75 ms. Two utterances are then 0.15 s apart,
/// which the model hears as a pause.
const PAD_INSIDE: u64 = RATE_HZ * 3 / 40;

/// An utterance with its sound.
#[derive(Debug, Clone)]
pub(crate) struct Utterance {
    /// Where the speech is.
    pub(crate) speech: Span,
    /// The track's sample that `audio` begins at: the speech's start less the pad.
    pub(crate) from: u64,
    /// The sound, pads included.
    pub(crate) audio: Vec<f32>,
}

/// A copied stretch of the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its first sample within the window.
    at: usize,
    /// The same sample on the track.
    from: u64,
    /// The speech in it, on the track.
    pub(crate) speech: Span,
}

impl Piece {
    /// Returns the speech as samples of the window.
    pub(crate) fn speech_in_window(&self) -> (usize, usize) {
        (self.in_window(self.speech.start), self.in_window(self.speech.end))
    }

    /// Returns the track's sample for a sample of the window, within the piece's speech.
    pub(crate) fn on_track(&self, sample: usize) -> u64 {
        let on_track = self.from + sample.saturating_sub(self.at) as u64;
        on_track.clamp(self.speech.start, self.speech.end)
    }

    fn in_window(&self, sample: u64) -> usize {
        self.at + usize::try_from(sample.saturating_sub(self.from)).unwrap_or(0)
    }
}

/// What the model is given at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    /// The sound.
    pub(crate) audio: Vec<f32>,
    /// Where it comes from, in order.
    pub(crate) pieces: Vec<Piece>,
}

impl Window {
    /// Says whether `utterance` still fits. An empty window takes anything.
    pub(crate) fn has_room_for(&self, utterance: &Utterance) -> bool {
        self.pieces.is_empty() || self.audio.len() + utterance.audio.len() <= WINDOW_SAMPLES_MAX
    }

    /// Returns the track's sample it begins at, if there is anything in it.
    pub(crate) fn begins_at(&self) -> Option<u64> {
        self.pieces.first().map(|piece| piece.from)
    }

    /// Returns how much speech is in it, in samples.
    pub(crate) fn speech_samples(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.speech.end - piece.speech.start).sum()
    }

    /// Returns what lies behind `sample`, as a window of its own.
    pub(crate) fn after(&self, sample: usize) -> Self {
        let mut rest = Self::default();
        for (piece, sound) in self.each() {
            let (start, end) = piece.speech_in_window();
            if end <= sample {
                continue;
            }
            let cut = if start < sample { sample - piece.at } else { 0 };
            let (from, start) = (piece.from + cut as u64, piece.speech.start);
            let speech = Span { start: start.max(from), ..piece.speech };
            rest.pieces.push(Piece { at: rest.audio.len(), from, speech });
            rest.audio.extend_from_slice(sound.get(cut..).unwrap_or_default());
        }
        rest
    }

    /// Returns the pieces that begin before `sample`, their speech ending there at the latest.
    pub(crate) fn pieces_before(&self, sample: usize) -> Vec<Piece> {
        let before = self.pieces.iter().filter(|piece| piece.speech_in_window().0 < sample);
        let ended = |piece: &Piece| {
            let end = piece.speech.end.min(piece.on_track(sample));
            Piece { speech: Span { end, ..piece.speech }, ..*piece }
        };
        before.map(ended).collect()
    }

    /// Appends the piece of `other` that lies where `piece` does on the track.
    pub(crate) fn copy(&mut self, other: &Self, piece: &Piece) {
        for (same, sound) in other.each().filter(|(same, _)| same.from == piece.from) {
            self.pieces.push(Piece { at: self.audio.len(), speech: piece.speech, ..*same });
            self.audio.extend_from_slice(sound);
        }
    }

    /// Returns every piece with its sound, pads included.
    fn each(&self) -> impl Iterator<Item = (&Piece, &[f32])> {
        let ends = self.pieces.iter().skip(1).map(|next| next.at).chain([self.audio.len()]);
        self.pieces
            .iter()
            .zip(ends)
            .map(|(piece, end)| (piece, self.audio.get(piece.at..end).unwrap_or_default()))
    }

    /// Appends `utterance`.
    pub(crate) fn push(&mut self, utterance: &Utterance) {
        let Utterance { speech, from, audio } = utterance;
        let mut left_out = 0;
        if let Some(last) = self.pieces.last() {
            self.audio.truncate(last.in_window(last.speech.end + PAD_INSIDE));
            left_out = speech.start.saturating_sub(from + PAD_INSIDE);
        }
        self.pieces.push(Piece { at: self.audio.len(), from: from + left_out, speech: *speech });
        let left_out = usize::try_from(left_out).unwrap_or(usize::MAX);
        self.audio.extend_from_slice(audio.get(left_out..).unwrap_or_default());
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "samples below 2^24")]
mod tests {
    use super::*;

    fn utterance(start: u64, end: u64) -> Utterance {
        let from = start.saturating_sub(PAD);
        let length = usize::try_from(end + PAD - from).unwrap();
        Utterance {
            speech: Span { start, end, cut_start: false, cut_end: false },
            from,
            audio: (0..length).map(|n| (from + n as u64) as f32).collect(),
        }
    }

    fn window() -> Window {
        let mut window = Window::default();
        for (start, end) in [(10_000, 40_000), (200_000, 260_000), (1_000_000, 1_000_512)] {
            window.push(&utterance(start, end));
        }
        window
    }

    #[test]
    fn every_sample_maps_back_to_the_one_it_is_a_copy_of() {
        let window = window();
        for piece in &window.pieces {
            let (start, end) = piece.speech_in_window();
            for sample in start..end {
                let value = window.audio[sample];
                assert!((value - piece.on_track(sample) as f32).abs() < 0.5, "{sample}");
            }
        }
    }

    #[test]
    fn neighbours_are_150_ms_apart_and_the_outermost_keep_their_pads() {
        let window = window();
        let places: Vec<_> = window.pieces.iter().map(Piece::speech_in_window).collect();
        let apart = places.windows(2).map(|pair| pair[1].0 - pair[0].1);
        assert_eq!(apart.collect::<Vec<_>>(), [2400, 2400]);
        assert_eq!(places[0].0, usize::try_from(PAD).unwrap());
        assert_eq!(window.audio.len() - places[2].1, usize::try_from(PAD).unwrap());
    }

    #[test]
    fn a_time_outside_the_speech_is_moved_to_its_edge() {
        let piece = window().pieces[1];
        assert_eq!(piece.on_track(0), 200_000);
        assert_eq!(piece.on_track(usize::MAX / 2), 260_000);
    }

    #[test]
    fn a_window_takes_no_more_than_its_length_but_always_one() {
        let long = utterance(0, WINDOW_SAMPLES_MAX as u64);
        assert!(Window::default().has_room_for(&long));
        assert!(!window().has_room_for(&long));
        assert!(window().has_room_for(&utterance(0, 16_000)));
    }
}
