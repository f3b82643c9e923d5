//! The words of a call: as they come, as they were written down, or why there are none.

use super::words;
use crate::domain::{Party, StageStatus};
use crate::store::{CallDetail, GapRow, SegmentRow, TranscriptRow, WordRow};

/// Shorter losses are summed up instead of shown in their place: a bad line has hundreds.
const GAP_SHOWN_MS: u64 = 1_000;

/// Below this confidence a line is shown in grey: the model gave its words less than even odds. The
/// script has the same for live lines.
const CONFIDENCE_DOUBTFUL: f64 = 0.5;

/// So is one that the model held to be nobody's speech, more likely than not.
const NO_SPEECH_DOUBTFUL: f64 = 0.5;

/// What is shown where the words belong.
pub(super) enum Conversation {
    /// The transcript.
    Final { turns: Vec<Turn>, remarks: Vec<String> },
    /// Words as they come, from this address.
    Live { url: String },
    /// None yet.
    Waiting { text: String },
    /// None at all.
    Nothing { text: String },
}

/// What one party says before the other speaks, or a loss in between.
pub(super) enum Turn {
    Speech { party: Party, label: &'static str, at: String, lines: Vec<Line> },
    Gap { text: String, at: String },
}

pub(super) struct Line {
    pub(super) start_s: String,
    pub(super) end_s: String,
    pub(super) text: String,
    /// Its words and where each begins, if they make up the text.
    pub(super) words: Vec<Word>,
    /// The model was unsure of it.
    pub(super) doubtful: bool,
}

pub(super) struct Word {
    pub(super) start_s: String,
    pub(super) text: String,
}

impl Conversation {
    /// Takes what there is of the words of a call, and why they are held back if they are.
    pub(super) fn new(
        detail: &CallDetail,
        transcript: Option<TranscriptRow>,
        held: Option<&str>,
    ) -> Self {
        let call = &detail.call;
        match (transcript, call.transcript_status) {
            _ if call.is_live() => {
                Self::Live { url: format!("/api/v1/calls/{}/live", call.call_sid) }
            }
            // A transcript in force stays in view while a better one is made.
            (Some(transcript), _) => Self::told(detail, &transcript),
            (None, StageStatus::Pending) => Self::Waiting { text: waiting(detail, held) },
            (None, StageStatus::Processing | StageStatus::Completed) => Self::Waiting {
                text: "The call is over. Its words are being written down.".to_owned(),
            },
            (None, StageStatus::Failed) => Self::Nothing {
                text: "The words could not be written down: see what went wrong, and try again."
                    .to_owned(),
            },
            (None, StageStatus::Skipped) => {
                Self::Nothing { text: "Nothing was said in this call.".to_owned() }
            }
        }
    }

    fn told(detail: &CallDetail, transcript: &TranscriptRow) -> Self {
        if transcript.segments.is_empty() && transcript.dropped == 0 {
            return Self::Nothing { text: "Nobody spoke in this call.".to_owned() };
        }
        let mut remarks = vec![format!(
            "Written down on this appliance from {} by the model {}, language {}.",
            words::source(transcript.source),
            transcript.model,
            transcript.language
        )];
        if transcript.dropped > 0 {
            remarks.push(format!(
                "{} left out because the model was too unsure of the words; listen there.",
                words::count(transcript.dropped.into(), "stretch was", "stretches were"),
            ));
        }
        Self::Final { turns: turns(&transcript.segments, &detail.gaps), remarks }
    }

    /// Names what is shown, for the script.
    pub(super) const fn state(&self) -> &'static str {
        match self {
            Self::Final { .. } => "final",
            Self::Live { .. } => "live",
            Self::Waiting { .. } => "waiting",
            Self::Nothing { .. } => "nothing",
        }
    }
}

fn waiting(detail: &CallDetail, held: Option<&str>) -> String {
    let call = &detail.call;
    match call.waiting_for {
        None if let Some(why) = held => format!("The call is over. Writing its words down {why}."),
        Some(what) => format!("The call is over. Writing its words down {}.", words::waiting(what)),
        None => "The call is over. Its words are written down next.".to_owned(),
    }
}

/// Says whether a loss is shown in its place.
pub(super) fn is_shown(gap: &GapRow) -> bool {
    gap.end.as_millis().saturating_sub(gap.start.as_millis()) >= GAP_SHOWN_MS
}

/// Puts what was said and what was lost in order of time, a party's lines together.
fn turns(segments: &[SegmentRow], gaps: &[GapRow]) -> Vec<Turn> {
    let mut gaps = gaps.iter().filter(|gap| is_shown(gap)).peekable();
    let mut turns: Vec<Turn> = Vec::new();
    for segment in segments {
        while let Some(gap) = gaps.next_if(|gap| gap.start.as_millis() <= segment.start_ms) {
            turns.push(Turn::gap(gap));
        }
        let line = Line::new(segment);
        match turns.last_mut() {
            Some(Turn::Speech { party, lines, .. }) if *party == segment.party => lines.push(line),
            _ => turns.push(Turn::Speech {
                party: segment.party,
                label: words::party(segment.party),
                at: words::clock(segment.start_ms / 1000),
                lines: vec![line],
            }),
        }
    }
    turns.extend(gaps.map(Turn::gap));
    turns
}

impl Turn {
    fn gap(gap: &GapRow) -> Self {
        let length_ms = gap.end.as_millis() - gap.start.as_millis();
        let text = format!(
            "{} s of the {} {}",
            words::tenths(length_ms),
            words::party(gap.party).to_lowercase(),
            words::gap(gap.source, gap.reason)
        );
        Self::Gap { text, at: words::clock(gap.start.as_millis() / 1000) }
    }
}

impl Line {
    fn new(segment: &SegmentRow) -> Self {
        let text = segment.text.trim();
        let spoken: Vec<&str> = segment.words.iter().map(|word| word.text.as_str()).collect();
        // Where words are written without spaces they are not taken apart.
        let is_whole = spoken.join(" ") == text;
        let words = segment.words.iter().filter(|_| is_whole);
        let word =
            |word: &WordRow| Word { start_s: seconds(word.start_ms), text: word.text.clone() };
        Self {
            start_s: seconds(segment.start_ms),
            end_s: seconds(segment.end_ms),
            text: text.to_owned(),
            words: words.map(word).collect(),
            doubtful: segment.confidence < CONFIDENCE_DOUBTFUL
                || segment.no_speech_prob > NO_SPEECH_DOUBTFUL,
        }
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{GapReason, Samples8k, TrackSource};

    fn said(party: Party, start_ms: u64, text: &str) -> SegmentRow {
        SegmentRow {
            party,
            start_ms,
            end_ms: start_ms + 900,
            text: text.to_owned(),
            confidence: 0.9,
            avg_logprob: -0.1,
            no_speech_prob: 0.0,
            words: Vec::new(),
        }
    }

    fn lost(start_ms: u64, end_ms: u64) -> GapRow {
        GapRow {
            party: Party::Technician,
            source: TrackSource::Stream,
            start: Samples8k::from_millis(start_ms),
            end: Samples8k::from_millis(end_ms),
            reason: GapReason::Lost,
        }
    }

    fn outline(turns: &[Turn]) -> Vec<String> {
        let line = |turn: &Turn| match turn {
            Turn::Speech { label, at, lines, .. } => {
                let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
                format!("{at} {label}: {}", texts.join(" / "))
            }
            Turn::Gap { text, at } => format!("{at} {text}"),
        };
        turns.iter().map(line).collect()
    }

    #[test]
    fn lines_of_one_party_form_a_turn_until_the_other_speaks_or_sound_is_lost() {
        let segments = [
            said(Party::Agent, 0, " Hello. "),
            said(Party::Agent, 1_000, "Who is it?"),
            said(Party::Technician, 2_000, "Daniel."),
            said(Party::Technician, 9_000, "Still here."),
        ];
        let gaps = [lost(500, 700), lost(3_000, 8_500), lost(70_000, 71_000)];
        assert_eq!(
            outline(&turns(&segments, &gaps)),
            [
                "0:00 Agent: Hello. / Who is it?",
                "0:02 Technician: Daniel.",
                "0:03 5.5 s of the technician never arrived",
                "0:09 Technician: Still here.",
                "1:10 1.0 s of the technician never arrived",
            ]
        );
    }

    #[test]
    fn a_line_is_doubtful_when_the_model_was_unsure_of_its_words_or_that_anybody_spoke() {
        let sure = said(Party::Agent, 0, "Hello.");
        let unsure = SegmentRow { confidence: 0.49, ..sure.clone() };
        let nobody = SegmentRow { no_speech_prob: 0.6, ..sure.clone() };
        for (segment, doubtful) in [(sure, false), (unsure, true), (nobody, true)] {
            assert_eq!(Line::new(&segment).doubtful, doubtful, "{segment:?}");
        }
    }

    #[test]
    fn a_line_is_taken_apart_where_its_words_make_up_the_text() {
        let word = |text: &str, start_ms| WordRow {
            text: text.to_owned(),
            start_ms,
            end_ms: start_ms + 200,
        };
        let words = vec![word("Good", 420), word("morning.", 1_610)];
        let spoken = SegmentRow { words, ..said(Party::Agent, 420, "Good morning.") };
        let line = Line::new(&spoken);
        let starts: Vec<_> =
            line.words.iter().map(|w| (w.start_s.as_str(), w.text.as_str())).collect();
        assert_eq!(starts, [("0.420", "Good"), ("1.610", "morning.")]);
        let joined = SegmentRow { text: "Goodmorning.".to_owned(), ..spoken };
        assert!(Line::new(&joined).words.is_empty());
    }
}
