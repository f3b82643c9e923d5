//! The forms of a call's webhooks, field by field as Twilio fills them.

use super::answer::RecordingOrder;
use super::moment::rfc2822;
use crate::domain::{AccountSid, RecordingSid, UnixMillis};

pub(super) type Fields = Vec<(String, String)>;

/// Who calls whom.
pub(super) struct Leg {
    pub(super) account_sid: String,
    pub(super) call_sid: String,
    /// The leg that dialled it, if it is a child.
    pub(super) parent_sid: Option<String>,
    pub(super) direction: String,
    pub(super) from: String,
    pub(super) to: String,
    /// Whether both are telephones, which have places.
    pub(super) has_places: bool,
}

/// How far a call has come.
pub(super) struct Progress<'a> {
    pub(super) status: &'a str,
    /// How often this was told before.
    pub(super) sequence: u64,
    pub(super) at: UnixMillis,
    /// Its length if it is over.
    pub(super) duration_s: Option<u64>,
}

impl Leg {
    /// Fills the request for `TwiML`.
    pub(super) fn voice(&self, call_status: &str) -> Fields {
        let mut form = fields([
            ("AccountSid", self.account_sid.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &self.call_sid),
            ("CallStatus", call_status),
            ("Called", &self.to),
            ("Caller", &self.from),
            ("Direction", &self.direction),
            ("From", &self.from),
            ("To", &self.to),
        ]);
        form.extend(self.parent_sid.iter().map(|sid| ("ParentCallSid".to_owned(), sid.clone())));
        if self.has_places {
            // Best effort at Twilio, which mostly means present and blank.
            for side in ["Called", "Caller", "From", "To"] {
                for (place, value) in [("City", ""), ("Country", "US"), ("State", ""), ("Zip", "")]
                {
                    form.push((format!("{side}{place}"), value.to_owned()));
                }
            }
        }
        form
    }

    /// Fills a status callback.
    pub(super) fn progress(&self, progress: &Progress<'_>) -> Fields {
        let mut form = self.voice(progress.status);
        form.extend(fields([
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", &progress.sequence.to_string()),
            ("Timestamp", &rfc2822(progress.at)),
        ]));
        if let Some(duration_s) = progress.duration_s {
            form.extend(fields([
                ("CallDuration", duration_s.to_string().as_str()),
                // Minutes, begun ones counted: what is billed.
                ("Duration", &duration_s.div_ceil(60).to_string()),
            ]));
        }
        form
    }
}

/// What there is to tell of a recording.
pub(super) struct RecordingNews<'a> {
    pub(super) sid: &'a RecordingSid,
    pub(super) order: &'a RecordingOrder,
    pub(super) source: &'a str,
    pub(super) event: &'a str,
    pub(super) began: UnixMillis,
    pub(super) duration_s: Option<u64>,
    pub(super) error_code: u32,
}

impl RecordingNews<'_> {
    /// Fills a recording's callback.
    pub(super) fn form(&self, account: &AccountSid, call_sid: &str) -> Fields {
        let media_url =
            format!("https://api.twilio.com/2010-04-01/Accounts/{account}/Recordings/{}", self.sid);
        let mut form = fields([
            ("RecordingSource", self.source),
            ("RecordingTrack", &self.order.track),
            ("RecordingSid", self.sid.as_str()),
            ("RecordingUrl", &media_url),
            ("RecordingStatus", self.event),
            ("RecordingChannels", self.order.channels),
            ("ErrorCode", &self.error_code.to_string()),
            ("CallSid", call_sid),
            ("RecordingStartTime", &rfc2822(self.began)),
            ("AccountSid", account.as_str()),
        ]);
        form.extend(self.duration_s.map(|s| ("RecordingDuration".to_owned(), s.to_string())));
        form
    }
}

pub(super) fn fields<const N: usize>(pairs: [(&str, &str); N]) -> Fields {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
