//! Twilio's copies of a call, in plain words.

use super::{Moment, words};
use crate::domain::{Stage, StageStatus, WaitingFor};
use crate::store::{CallDetail, CloudRecordingRow, StageRow};

/// One of Twilio's recordings.
pub(super) struct CopyItem {
    /// How it stands.
    pub(super) text: String,
    /// When it was deleted at Twilio.
    pub(super) deleted: Option<Moment>,
    /// Where it can be heard, once it is here.
    pub(super) url: Option<String>,
}

/// Tells of every copy, the first one first.
pub(super) fn copies(detail: &CallDetail) -> Vec<CopyItem> {
    let fetch = detail.stages.iter().find(|row| row.stage == Stage::Fetch);
    let base = format!("/api/v1/calls/{}/recordings", detail.call.call_sid);
    let item = |row: &CloudRecordingRow| CopyItem {
        text: match &row.path {
            Some(_) => here(row),
            None if row.purged_at.is_some() => purged(row).to_owned(),
            None => away(row, fetch, detail.call.is_live()),
        },
        deleted: row.twilio_deleted_at.map(Moment::new),
        url: row.path.as_ref().map(|_| format!("{base}/{}.wav", row.recording_sid)),
    };
    detail.cloud_recordings.iter().map(item).collect()
}

fn here(row: &CloudRecordingRow) -> String {
    let length = row.duration_s.map(|seconds| format!("{} long", words::clock(seconds.into())));
    let channels = match row.channels {
        Some(2) => Some("each party on a side of its own".to_owned()),
        Some(1) => Some("both parties together".to_owned()),
        _ => None,
    };
    let facts: Vec<String> =
        [length, channels, row.size_bytes.map(words::size)].into_iter().flatten().collect();
    let facts = if facts.is_empty() { String::new() } else { format!(": {}", facts.join(", ")) };
    let there = if row.twilio_deleted_at.is_none() { " Twilio has it too." } else { "" };
    format!("Here{facts}.{there}")
}

/// Says of one that went by the rules of retention where it still is, as far as is known here.
fn purged(row: &CloudRecordingRow) -> &'static str {
    if row.twilio_deleted_at.is_none() {
        "No longer here: it made room by the rules of retention. Twilio has it."
    } else {
        "No longer here: it made room by the rules of retention."
    }
}

fn away(row: &CloudRecordingRow, fetch: Option<&StageRow>, live: bool) -> String {
    let code = row.error_code.as_deref().filter(|code| *code != "0");
    let code = code.map(|code| format!(" (error {code})")).unwrap_or_default();
    match row.status.as_str() {
        "in-progress" if live => "Twilio is recording this call.".to_owned(),
        "paused" if live => "Twilio has paused its recording.".to_owned(),
        "in-progress" | "paused" | "stopped" | "processing" => "Being made at Twilio.".to_owned(),
        "completed" => ready(fetch).to_owned(),
        "absent" => format!("Twilio made no recording{code}."),
        "failed" => format!("Twilio could not make this recording{code}."),
        "deleted" => "Deleted at Twilio before it could be fetched.".to_owned(),
        other => format!("Not here; Twilio calls it {other}."),
    }
}

/// Says how the fetching of a finished one stands.
fn ready(fetch: Option<&StageRow>) -> &'static str {
    let (status, waiting_for) =
        fetch.map_or((StageStatus::Pending, None), |row| (row.status, row.waiting_for));
    match (status, waiting_for) {
        (StageStatus::Failed, _) => {
            "Ready at Twilio, but it could not be fetched: see what was done."
        }
        (StageStatus::Processing, _) => "Being fetched from Twilio.",
        (_, Some(WaitingFor::Network)) => "Ready at Twilio; waits for the network.",
        (_, Some(WaitingFor::Disk)) => "Ready at Twilio; waits for room on the disk.",
        (_, Some(_)) => "Ready at Twilio, but it cannot be fetched yet: see what was done.",
        (_, None) => "Ready at Twilio; it is fetched next.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UnixMillis;

    fn row(status: &str) -> CloudRecordingRow {
        CloudRecordingRow {
            recording_sid: format!("RE{:032x}", 1).parse().unwrap(),
            status: status.to_owned(),
            channels: Some(2),
            duration_s: Some(63),
            started_at: None,
            error_code: Some("16114".to_owned()),
            path: None,
            size_bytes: Some(2_016_044),
            sha256: None,
            frames: None,
            origin_8k: None,
            split: false,
            twilio_deleted_at: None,
            purged_at: None,
        }
    }

    fn fetch(status: StageStatus, waiting_for: Option<WaitingFor>) -> StageRow {
        let now = UnixMillis::new(0);
        StageRow {
            stage: Stage::Fetch,
            status,
            attempts: 0,
            last_error: None,
            waiting_for,
            next_attempt_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn every_state_of_a_copy_is_told_in_plain_words() {
        for (status, live, told) in [
            ("in-progress", true, "Twilio is recording this call."),
            ("in-progress", false, "Being made at Twilio."),
            ("processing", false, "Being made at Twilio."),
            ("completed", false, "Ready at Twilio; it is fetched next."),
            ("absent", false, "Twilio made no recording (error 16114)."),
            ("deleted", false, "Deleted at Twilio before it could be fetched."),
            ("novel", false, "Not here; Twilio calls it novel."),
        ] {
            assert_eq!(away(&row(status), None, live), told);
        }
        let waits = fetch(StageStatus::Pending, Some(WaitingFor::Network));
        assert_eq!(ready(Some(&waits)), "Ready at Twilio; waits for the network.");
        let under_way = fetch(StageStatus::Processing, None);
        assert_eq!(ready(Some(&under_way)), "Being fetched from Twilio.");
        let whole = row("completed");
        let told = "Here: 1:03 long, each party on a side of its own, 2.0 MB. Twilio has it too.";
        assert_eq!(here(&whole), told);
    }
}
