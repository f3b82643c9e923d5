//! The box's own microphone as JSON.

use std::time::Duration;

use serde::Serialize;

use crate::microphone::{State, Status};

/// How it is, and how loud it was just now.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Microphone {
    device: String,
    state: &'static str,
    detail: String,
    fix: Option<String>,
    peak_dbfs: f32,
    rms_dbfs: f32,
}

impl Microphone {
    /// Takes how it is, `now` since boot.
    pub(in crate::web::lan) fn new(status: &Status, now: Duration) -> Self {
        let (finding, level) = (status.finding(now), status.level());
        let state = match status.state() {
            State::Hearing(_) => "hears",
            State::Silent { .. } => "silent",
            State::Opening { .. } | State::Closing { .. } => "opening",
            State::Absent(_) => "absent",
            State::Refused(_) => "refused",
            State::Mute { .. } => "mute",
        };
        Self {
            device: status.name().to_string(),
            state,
            detail: finding.detail,
            fix: finding.fix,
            peak_dbfs: tenths(level.peak_dbfs()),
            rms_dbfs: tenths(level.rms_dbfs()),
        }
    }
}

/// One digit behind the point is all that a level means.
fn tenths(db: f32) -> f32 {
    (db * 10.0).round() / 10.0
}
