//! What a call came to, from what the ledger knows of it; and what is said of one without words.

use crate::domain::{Direction, EndReason, EndedBy, Outcome, Party, RecordingStatus};
use crate::store::{CallDetail, TranscriptRow};

/// What a call came to.
pub(super) fn outcome(detail: &CallDetail, transcript: Option<&TranscriptRow>) -> Outcome {
    let call = &detail.call;
    match transcript {
        Some(words) if !words.segments.is_empty() => match call.end_reason {
            Some(EndReason::Interrupted) => Outcome::CutOff,
            _ => Outcome::Talked,
        },
        Some(words) if words.dropped > 0 => Outcome::Unclear,
        _ => match call.end_reason {
            Some(EndReason::NoAnswer) => Outcome::NoAnswer,
            Some(EndReason::Busy) => Outcome::Busy,
            Some(EndReason::Failed) => Outcome::Failed,
            Some(EndReason::Canceled) => Outcome::Canceled,
            // Sound without a word in it; without sound nobody can know.
            _ if transcript.is_some() => Outcome::NobodySpoke,
            _ => Outcome::NotHeard,
        },
    }
}

/// By whom it ended. Who hung up first in a call that both ended is told by nobody.
pub(super) fn ended_by(detail: &CallDetail) -> Option<EndedBy> {
    match (detail.call.end_reason?, detail.call.direction) {
        (EndReason::Canceled, Direction::Inbound) => Some(EndedBy::Caller),
        (EndReason::Canceled, Direction::Outbound) => Some(EndedBy::Office),
        (EndReason::Interrupted, _) => Some(EndedBy::Recorder),
        (EndReason::Completed | EndReason::Busy | EndReason::Failed | EndReason::NoAnswer, _) => {
            None
        }
    }
}

/// Says what is true of a call without words.
pub(super) fn line(detail: &CallDetail, outcome: Outcome) -> String {
    let call = &detail.call;
    let seconds = call.duration.map_or(0, |(seconds, _)| seconds);
    let inbound = call.direction == Direction::Inbound;
    match outcome {
        Outcome::NoAnswer => "Nobody answered.".to_owned(),
        Outcome::Busy => "The other side was engaged.".to_owned(),
        Outcome::Failed => "The call could not be placed.".to_owned(),
        Outcome::Canceled if inbound => "The caller hung up before anybody answered.".to_owned(),
        Outcome::Canceled => "The office hung up before anybody answered.".to_owned(),
        Outcome::NobodySpoke => {
            format!("Nobody spoke: {} without a word.", in_seconds(seconds))
        }
        Outcome::Unclear => {
            "Somebody spoke, but no word was clear enough to be written down; listen to the \
             recording."
                .to_owned()
        }
        Outcome::NotHeard if call.declined_at.is_some() => {
            "It was not recorded: the key was pressed that says so.".to_owned()
        }
        Outcome::NotHeard => match call.recording_status {
            RecordingStatus::Completed => {
                "The recording holds no sound, so nothing is known of what was said.".to_owned()
            }
            _ if seconds == 0 => "The call lasted 0 seconds: nothing was said.".to_owned(),
            _ => format!(
                "The call lasted {}, and there is no recording of it: nothing is known of what was \
                 said.",
                in_seconds(seconds)
            ),
        },
        Outcome::Talked | Outcome::CutOff => String::new(),
    }
}

/// What has to be said before anything else about a call with words.
pub(super) fn caveats(
    detail: &CallDetail,
    transcript: &TranscriptRow,
    outcome: Outcome,
) -> Vec<String> {
    let mut caveats = Vec::new();
    if outcome == Outcome::CutOff {
        caveats.push("The recording was cut off before the call ended.".to_owned());
    }
    let speaks = |party: Party| transcript.segments.iter().any(|segment| segment.party == party);
    match (speaks(Party::Agent), speaks(Party::Technician)) {
        (true, false) => caveats.push("Only the agent is heard.".to_owned()),
        (false, true) => caveats.push("Only the technician is heard.".to_owned()),
        _ => {}
    }
    if !detail.call.live_copy && detail.cloud_recordings.iter().all(|row| row.path.is_none()) {
        caveats.push("Only a part of the call was recorded.".to_owned());
    }
    caveats
}

fn in_seconds(seconds: u32) -> String {
    if seconds == 1 { "1 second".to_owned() } else { format!("{seconds} seconds") }
}
