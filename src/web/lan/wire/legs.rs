//! What a call's people were told, and whom it rang.

use serde::Serialize;

use super::{rfc3339, seconds};
use crate::domain::UnixMillis;
use crate::store::{AnnouncementRow, LegRow};

/// That something was told before the recording.
#[derive(Debug, Serialize)]
pub(super) struct Announcement {
    at: String,
    /// Where in the call: since its row.
    after_s: f64,
    /// How long before the recording's first sample it began; none while there is none.
    before_recording_s: Option<f64>,
    leg: String,
    how: String,
    sha256: String,
    language: Option<String>,
    voice: Option<String>,
}

/// A leg that the call dialled.
#[derive(Debug, Serialize)]
pub(super) struct Leg {
    call_sid: String,
    to: String,
    call_status: String,
    began_at: String,
    answered_at: Option<String>,
    duration_s: Option<u32>,
}

impl Announcement {
    /// Takes a stamp, and when the first sample was heard.
    pub(super) fn new(row: &AnnouncementRow, started_at: Option<UnixMillis>) -> Self {
        let before = started_at.filter(|started_at| *started_at >= row.at);
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            at: rfc3339(row.at),
            after_s: seconds(row.place_ms),
            before_recording_s: before.map(|started_at| seconds(ms(started_at.since(row.at)))),
            leg: row.leg.to_string(),
            how: row.how.clone(),
            sha256: row.sha256.clone(),
            language: row.language.clone(),
            voice: row.voice.clone(),
        }
    }
}

impl From<&LegRow> for Leg {
    fn from(row: &LegRow) -> Self {
        Self {
            call_sid: row.call_sid.to_string(),
            to: row.to_number.clone(),
            call_status: row.call_status.clone(),
            began_at: rfc3339(row.began_at),
            answered_at: row.answered_at.map(rfc3339),
            duration_s: row.duration_s,
        }
    }
}
