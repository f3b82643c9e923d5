//! News of a recording kept by Twilio.

use super::{Form, WebhookError, number, optional_text, required_sid, required_text, rfc2822};
use crate::domain::{AccountSid, CallSid, RecordingSid, UnixMillis};

/// How far Twilio's own recording has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudStatus {
    /// It is being made.
    InProgress,
    /// It can be fetched.
    Completed,
    /// There will be none.
    Absent,
    /// A word not known here.
    Other(String),
}

/// What a recording holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordingTrack {
    /// What Twilio heard on the leg.
    Inbound,
    /// What it played there.
    Outbound,
    /// Both.
    Both,
    /// A word not known here.
    Other(String),
}

/// `POST /twilio/recording-status`: news of a recording.
///
/// `RecordingUrl` is deliberately not read: the media's address is built from the SIDs, so that
/// no request can make us send credentials elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingStatusCallback {
    /// The recording.
    pub recording_sid: RecordingSid,
    /// The call, always its parent leg.
    pub call_sid: CallSid,
    /// Whose it is.
    pub account_sid: AccountSid,
    /// How far it has come.
    pub status: CloudStatus,
    /// Its length, once completed.
    pub duration_s: Option<u64>,
    /// Its channels: 2 is what we ask for.
    pub channels: Option<u16>,
    /// When it began.
    pub start_time: Option<UnixMillis>,
    /// What asked for it, in Twilio's words (`StartCallRecordingTwiML`, …).
    pub source: Option<String>,
    /// What it holds.
    pub track: Option<RecordingTrack>,
    /// Twilio's error code; `None` for its "0".
    pub error_code: Option<u32>,
}

impl RecordingStatusCallback {
    /// Reads the form.
    pub fn from_form(form: &Form) -> Result<Self, WebhookError> {
        Ok(Self {
            recording_sid: required_sid(form, "RecordingSid")?,
            call_sid: required_sid(form, "CallSid")?,
            account_sid: required_sid(form, "AccountSid")?,
            status: match required_text(form, "RecordingStatus")? {
                "in-progress" => CloudStatus::InProgress,
                "completed" => CloudStatus::Completed,
                "absent" => CloudStatus::Absent,
                other => CloudStatus::Other(other.to_owned()),
            },
            duration_s: number(form, "RecordingDuration"),
            channels: number(form, "RecordingChannels"),
            start_time: rfc2822(form, "RecordingStartTime"),
            source: optional_text(form, "RecordingSource"),
            track: form.filled("RecordingTrack").map(|word| match word {
                "inbound" => RecordingTrack::Inbound,
                "outbound" => RecordingTrack::Outbound,
                "both" => RecordingTrack::Both,
                other => RecordingTrack::Other(other.to_owned()),
            }),
            error_code: number(form, "ErrorCode").filter(|code| *code != 0),
        })
    }
}
