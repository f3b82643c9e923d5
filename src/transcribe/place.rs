//! Puts the words of a window on the speech they belong to.
//!
//! The model's times are rough, the detector's are exact. Each word is given to a span of
//! speech so that the words stay in order and the sum of two things is least: how far the words
//! lie from their spans by the model's own times, and how unlikely the breaks are that fall
//! between words (none where the model itself began a new segment, most in mid-sentence).

use super::clean;
use super::heard::Word;
use super::segment::{STOPS, Segment, SpokenWord};
use super::window::Piece;

/// What a break costs, in seconds of distance, by what stands before it.
const BREAK_AT_PHRASE: f32 = 0.0;
const BREAK_AT_STOP: f32 = 0.1;
const BREAK_AT_COMMA: f32 = 0.3;
const BREAK_IN_SENTENCE: f32 = 0.6;

/// What a second of speech without any word costs, and the most one span costs.
const MUTE_PER_SECOND: f32 = 0.5;
const MUTE_MAX: f32 = 1.0;

/// A segment longer than this is divided where a sentence ends: 12 s.
const SEGMENT_SAMPLES_MAX: u64 = 12 * 16_000;

/// What was heard in one piece.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    /// Where.
    pub(crate) piece: Piece,
    /// What.
    pub(crate) segments: Vec<Segment>,
    /// How much of it was too doubtful, or a loop.
    pub(crate) doubtful: u32,
}

/// Makes segments of what was heard in each of `pieces`. `loops` are the words in which a loop was
/// cut short.
pub(crate) fn place(words: &[Word], loops: &[usize], pieces: &[Piece]) -> Vec<Placed> {
    let chosen = assign(words, pieces);
    let heard = |(index, piece): (usize, &Piece)| {
        let first = chosen.partition_point(|&piece| piece < index);
        let after = chosen.partition_point(|&piece| piece <= index);
        let mut segments = divide(words.get(first..after).unwrap_or_default(), piece);
        let looped = loops.iter().filter(|word| (first..after).contains(word)).count();
        let all = segments.len();
        segments.retain(|segment| !clean::is_doubtful(segment));
        let doubtful = u32::try_from(looped + all - segments.len()).unwrap_or(u32::MAX);
        Placed { piece: *piece, segments, doubtful }
    };
    pieces.iter().enumerate().map(heard).collect()
}

/// Returns for each word the index of its piece, never falling.
fn assign(words: &[Word], pieces: &[Piece]) -> Vec<usize> {
    if pieces.is_empty() {
        return Vec::new();
    }
    // best[k]: the least cost with the words so far placed and the last of them in piece k.
    let mut best: Vec<f32> = (0..pieces.len()).map(|k| mute(pieces, 0, k)).collect();
    let mut came_from: Vec<Vec<usize>> = Vec::with_capacity(words.len());
    for (place, word) in words.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|previous| words.get(previous));
        let step = |from: usize, to: usize| match before {
            Some(before) if to > from => break_cost(before, word) + mute(pieces, from + 1, to),
            None if to != from => f32::INFINITY,
            _ => 0.0,
        };
        let reach = |to: usize| {
            let costs = best.iter().enumerate().take(to + 1);
            costs
                .map(|(from, cost)| (from, cost + step(from, to)))
                .min_by(|(_, a), (_, b)| a.total_cmp(b))
                .unwrap_or((to, f32::INFINITY))
        };
        let reached: Vec<(usize, f32)> = (0..pieces.len()).map(reach).collect();
        best = (reached.iter().zip(pieces))
            .map(|((_, cost), piece)| cost + distance(word, piece))
            .collect();
        came_from.push(reached.into_iter().map(|(from, _)| from).collect());
    }
    for (k, cost) in best.iter_mut().enumerate() {
        *cost += mute(pieces, k + 1, pieces.len());
    }
    walk_back(&best, &came_from)
}

fn walk_back(best: &[f32], came_from: &[Vec<usize>]) -> Vec<usize> {
    let least = best.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut piece = least.map_or(0, |(k, _)| k);
    let mut chosen: Vec<usize> = Vec::with_capacity(came_from.len());
    for from in came_from.iter().rev() {
        chosen.push(piece);
        piece = from.get(piece).copied().unwrap_or(piece);
    }
    chosen.reverse();
    chosen
}

/// The cost of leaving the pieces from `from` up to `to` without a word.
fn mute(pieces: &[Piece], from: usize, to: usize) -> f32 {
    let cost = |piece: &Piece| {
        let (start, end) = piece.speech_in_window();
        (seconds(end.saturating_sub(start)) * MUTE_PER_SECOND).min(MUTE_MAX)
    };
    pieces.get(from..to).unwrap_or_default().iter().map(cost).sum()
}

fn break_cost(before: &Word, after: &Word) -> f32 {
    if before.phrase != after.phrase {
        BREAK_AT_PHRASE
    } else if ends_sentence(before) {
        BREAK_AT_STOP
    } else if before.text.ends_with([',', ';', ':', '-']) {
        BREAK_AT_COMMA
    } else {
        BREAK_IN_SENTENCE
    }
}

fn ends_sentence(word: &Word) -> bool {
    word.text.ends_with(STOPS)
}

fn distance(word: &Word, piece: &Piece) -> f32 {
    let (start, end) = piece.speech_in_window();
    let middle = usize::midpoint(word.start, word.end);
    seconds(start.saturating_sub(middle).max(middle.saturating_sub(end)))
}

#[expect(clippy::cast_precision_loss, reason = "a window is shorter than 2^24 samples")]
fn seconds(samples: usize) -> f32 {
    samples as f32 / 16_000.0
}

/// Makes one segment of a piece's words, or several if it is long.
fn divide(words: &[Word], piece: &Piece) -> Vec<Segment> {
    let mut parts: Vec<&[Word]> = Vec::new();
    let mut rest = words;
    while let Some(after) = sentence_break(rest, piece) {
        let (part, left) = rest.split_at(after);
        parts.push(part);
        rest = left;
    }
    parts.push(rest);
    let last = parts.len() - 1;
    let mut floor = piece.speech.start;
    parts
        .iter()
        .enumerate()
        .filter_map(|(index, part)| {
            let (first, end) = (part.first()?, part.last()?);
            let start = if index == 0 { floor } else { piece.on_track(first.start).max(floor) };
            let end =
                if index == last { piece.speech.end } else { piece.on_track(end.end).max(start) };
            floor = end;
            Some(segment(part, piece, start, end))
        })
        .collect()
}

/// Returns after how many words to divide `words`, if they last too long and can be divided:
/// after the last sentence that ends in time, else after the first.
fn sentence_break(words: &[Word], piece: &Piece) -> Option<usize> {
    let begun = piece.on_track(words.first()?.start);
    let lasts = |word: &Word| piece.on_track(word.end).saturating_sub(begun);
    if lasts(words.last()?) <= SEGMENT_SAMPLES_MAX {
        return None;
    }
    let within = words.len() - 1;
    let ends = || words.iter().enumerate().take(within).filter(|(_, word)| ends_sentence(word));
    ends()
        .rfind(|(_, word)| lasts(word) <= SEGMENT_SAMPLES_MAX)
        .or_else(|| ends().next())
        .map(|(place, _)| place + 1)
}

#[expect(clippy::cast_precision_loss, reason = "a segment has fewer than 2^24 tokens")]
fn segment(words: &[Word], piece: &Piece, start: u64, end: u64) -> Segment {
    let tokens: u32 = words.iter().map(|word| word.tokens).sum();
    let logprob_sum: f32 = words.iter().map(|word| word.logprob_sum).sum();
    let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    Segment {
        start_ms: start / 16,
        end_ms: end / 16,
        text: text.join(" "),
        avg_logprob: logprob_sum / tokens.max(1) as f32,
        no_speech_prob: words.first().map_or(0.0, |word| word.no_speech_prob),
        words: spoken(words, piece, start, end),
    }
}

/// Puts words on the track, in order and within their segment.
fn spoken(words: &[Word], piece: &Piece, start: u64, end: u64) -> Vec<SpokenWord> {
    let mut floor = start;
    let mut put = |word: &Word| {
        let start = piece.on_track(word.start).clamp(floor, end);
        floor = piece.on_track(word.end).clamp(start, end);
        SpokenWord { text: word.text.clone(), start_ms: start / 16, end_ms: floor / 16 }
    };
    words.iter().map(&mut put).collect()
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small whole numbers"
)]
mod tests {
    use super::super::spans::Span;
    use super::super::window::{PAD, Utterance, Window};
    use super::*;

    /// A window of utterances given by their speech, in seconds of the track.
    fn window(speech: &[(u64, u64)]) -> Window {
        let mut window = Window::default();
        for &(start_s, end_s) in speech {
            let (start, end) = (start_s * 16_000, end_s * 16_000);
            let from = start.saturating_sub(PAD);
            window.push(&Utterance {
                speech: Span { start, end, cut_start: false, cut_end: false },
                from,
                audio: vec![0.0; usize::try_from(end + PAD - from).unwrap()],
            });
        }
        window
    }

    /// Words at times of the window, in seconds; `|` begins a new phrase.
    fn words(text: &str, from_s: f32, each_s: f32) -> Vec<Word> {
        let mut phrase = 0;
        let mut list = Vec::new();
        for part in text.split_whitespace() {
            if part == "|" {
                phrase += 1;
                continue;
            }
            let at = |count: usize| ((from_s + each_s * count as f32) * 16_000.0) as usize;
            list.push(Word {
                text: part.to_owned(),
                start: at(list.len()),
                end: at(list.len() + 1),
                logprob_sum: -0.2,
                tokens: 2,
                phrase,
                no_speech_prob: 0.01,
            });
        }
        list
    }

    fn segments(placed: Vec<Placed>) -> Vec<Segment> {
        placed.into_iter().flat_map(|placed| placed.segments).collect()
    }

    fn placed(words: &[Word], window: &Window) -> Vec<(u64, u64, String)> {
        let placed = place(words, &[], &window.pieces);
        assert!(placed.iter().all(|placed| placed.doubtful == 0));
        segments(placed).into_iter().map(|s| (s.start_ms, s.end_ms, s.text)).collect()
    }

    #[test]
    fn a_segment_over_a_pause_is_split_at_it() {
        let window = window(&[(10, 12), (30, 32)]);
        let heard = words("That looks good. Thank you. Goodbye.", 0.15, 0.7);
        assert_eq!(
            placed(&heard, &window),
            [
                (10_000, 12_000, "That looks good.".to_owned()),
                (30_000, 32_000, "Thank you. Goodbye.".to_owned())
            ]
        );
    }

    #[test]
    fn rough_times_give_way_to_where_the_sentence_ends() {
        let window = window(&[(10, 12), (30, 32)]);
        let heard = words("That looks good now. Thank you. Goodbye.", 0.15, 0.7);
        assert_eq!(placed(&heard, &window)[0].2, "That looks good now.", "its last word is late");
    }

    #[test]
    fn a_sound_without_words_takes_none() {
        let window = window(&[(10, 13), (20, 21), (30, 33)]);
        let mut heard = words("One two three.", 0.3, 1.0);
        heard.extend(words("Four five six.", 5.25, 1.0));
        let placed = placed(&heard, &window);
        assert_eq!(placed.iter().map(|s| s.0).collect::<Vec<_>>(), [10_000, 30_000]);
    }

    #[test]
    fn a_long_utterance_is_divided_at_a_sentence() {
        let window = window(&[(10, 34)]);
        let heard = words("a b c d e f g h i j. k l m n o p q r s t. u v w x", 0.15, 1.0);
        let placed = placed(&heard, &window);
        let times: Vec<_> = placed.iter().map(|segment| (segment.0, segment.1)).collect();
        assert_eq!(times, [(10_000, 20_000), (20_000, 30_000), (30_000, 34_000)]);
        assert_eq!(placed[0].2, "a b c d e f g h i j.");
    }

    #[test]
    fn confidence_is_over_tokens() {
        let segments = segments(place(&words("Yes.", 0.3, 0.5), &[], &window(&[(1, 2)]).pieces));
        assert!((segments[0].avg_logprob + 0.1).abs() < 1e-6);
        assert!((segments[0].confidence() - (-0.1_f32).exp()).abs() < 1e-6);
    }

    #[test]
    fn nothing_heard_is_no_segment() {
        assert_eq!(segments(place(&[], &[], &window(&[(1, 2)]).pieces)), []);
        assert_eq!(place(&[], &[], &[]), []);
    }

    #[test]
    fn each_word_has_its_time_within_its_segment() {
        let window = window(&[(10, 12), (30, 32)]);
        let heard = words("That looks good. Thank you. Goodbye.", 0.15, 0.7);
        let segments = segments(place(&heard, &[], &window.pieces));
        let times = |segment: &Segment| -> Vec<(u64, u64)> {
            segment.words.iter().map(|word| (word.start_ms, word.end_ms)).collect()
        };
        assert_eq!(times(&segments[0]), [(10_000, 10_700), (10_700, 11_400), (11_400, 12_000)]);
        for segment in &segments {
            let text: Vec<_> = segment.words.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(text.join(" "), segment.text);
            assert!(times(segment).windows(2).all(|pair| pair[0].1 <= pair[1].0));
            assert!(segment.words.iter().all(|word| word.end_ms <= segment.end_ms));
        }
    }

    #[test]
    fn what_is_doubtful_or_loops_is_told_by_the_speech_it_is_in() {
        let window = window(&[(10, 12), (30, 32)]);
        let mut heard = words("That looks good. Thank you. Goodbye.", 0.15, 0.7);
        let placed = place(&heard, &[4], &window.pieces);
        assert_eq!(placed.iter().map(|p| p.doubtful).collect::<Vec<_>>(), [0, 1]);
        heard.iter_mut().take(3).for_each(|word| word.logprob_sum = -9.0);
        let placed = place(&heard, &[], &window.pieces);
        assert_eq!(placed.iter().map(|p| p.doubtful).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(placed[0].segments, []);
    }
}
