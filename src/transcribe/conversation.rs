//! Two parties' segments as one conversation.

use super::segment::Segment;

/// Segments of one speaker this close together are one turn when shown: 0.8 s.
const TURN_GAP_MS: u64 = 800;

/// A segment and who spoke it.
#[derive(Debug, Clone, PartialEq)]
pub struct Said<S> {
    /// Who.
    pub speaker: S,
    /// What.
    pub segment: Segment,
}

/// What one speaker said without another in between, for showing.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn<S> {
    /// Who.
    pub speaker: S,
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// The words.
    pub text: String,
}

/// Merges the speakers' segments by start time. What begins at the same time stays in the order
/// of the speakers, and what one speaker said stays in its own order.
pub fn merge<S: Clone>(speakers: impl IntoIterator<Item = (S, Vec<Segment>)>) -> Vec<Said<S>> {
    let mut said: Vec<Said<S>> = speakers
        .into_iter()
        .flat_map(|(speaker, segments)| {
            segments.into_iter().map(move |segment| Said { speaker: speaker.clone(), segment })
        })
        .collect();
    said.sort_by_key(|said| said.segment.start_ms);
    said
}

/// Joins neighbouring segments of one speaker to turns.
pub fn turns<S: Clone + PartialEq>(said: &[Said<S>]) -> Vec<Turn<S>> {
    let mut turns: Vec<Turn<S>> = Vec::new();
    for Said { speaker, segment } in said {
        match turns.last_mut() {
            Some(turn)
                if turn.speaker == *speaker && segment.start_ms <= turn.end_ms + TURN_GAP_MS =>
            {
                turn.text.push(' ');
                turn.text.push_str(&segment.text);
                turn.end_ms = turn.end_ms.max(segment.end_ms);
            }
            _ => turns.push(Turn {
                speaker: speaker.clone(),
                start_ms: segment.start_ms,
                end_ms: segment.end_ms,
                text: segment.text.clone(),
            }),
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start_ms: u64, end_ms: u64, text: &str) -> Segment {
        let text = text.to_owned();
        let words = Vec::new();
        Segment { start_ms, end_ms, text, avg_logprob: -0.1, no_speech_prob: 0.0, words }
    }

    #[test]
    fn an_interjection_stands_where_it_was_said() {
        let long = vec![segment(0, 4000, "first"), segment(4000, 9000, "second")];
        let said = merge([("a", long), ("t", vec![segment(2000, 2500, "mhm")])]);
        let order: Vec<_> = said.iter().map(|said| said.segment.text.as_str()).collect();
        assert_eq!(order, ["first", "mhm", "second"]);
        assert_eq!(turns(&said).len(), 3);
    }

    #[test]
    fn what_begins_together_keeps_the_order_of_the_speakers() {
        let said = merge([("a", vec![segment(5, 6, "x")]), ("t", vec![segment(5, 6, "y")])]);
        assert_eq!(said.iter().map(|said| said.speaker).collect::<Vec<_>>(), ["a", "t"]);
    }

    #[test]
    fn a_speakers_segments_close_together_are_one_turn() {
        let segments =
            vec![segment(0, 1000, "one"), segment(1800, 2000, "two"), segment(2801, 3000, "three")];
        let turns = turns(&merge([("a", segments)]));
        let shown: Vec<_> = turns.iter().map(|t| (t.start_ms, t.end_ms, t.text.as_str())).collect();
        assert_eq!(shown, [(0, 2000, "one two"), (2801, 3000, "three")]);
    }
}
