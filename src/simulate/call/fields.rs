//! The forms of a call's webhooks, field by field as Twilio fills them.

use jiff::tz::TimeZone;

use super::super::answer::StreamOrder;
use super::super::line::Letter;
use super::{Options, Recording};
use crate::clock::SharedClock;
use crate::domain::{Origin, RecordingSid, StreamSid, UnixMillis};

/// Who calls whom, and how often this was told.
pub(super) struct Caller {
    account_sid: String,
    call_sid: String,
    direction: &'static str,
    from: String,
    to: String,
    has_places: bool,
    progress_told: u64,
    recording_began: Option<UnixMillis>,
    clock: SharedClock,
}

/// News of a stream.
pub(super) struct StreamNews<'a> {
    pub(super) order: &'a StreamOrder,
    pub(super) sid: &'a StreamSid,
    pub(super) event: &'static str,
    pub(super) error: Option<String>,
    pub(super) at: UnixMillis,
}

type Fields = Vec<(String, String)>;

impl Caller {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            account_sid: options.account_sid.to_string(),
            call_sid: options.call_sid.to_string(),
            direction: match options.origin {
                // A browser's call reaches Twilio, so it is inbound there.
                Origin::Number | Origin::Client => "inbound",
                Origin::Rest => "outbound-api",
            },
            from: options.from.clone(),
            to: options.to.clone(),
            has_places: options.origin != Origin::Client,
            progress_told: 0,
            recording_began: None,
            clock: options.clock.clone(),
        }
    }

    /// Fills the request for `TwiML`.
    pub(super) fn voice(&self, call_status: &str) -> Fields {
        let mut fields = fields([
            ("AccountSid", self.account_sid.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &self.call_sid),
            ("CallStatus", call_status),
            ("Called", &self.to),
            ("Caller", &self.from),
            ("Direction", self.direction),
            ("From", &self.from),
            ("To", &self.to),
        ]);
        if self.has_places {
            // Best effort at Twilio, which mostly means present and blank.
            for side in ["Called", "Caller", "From", "To"] {
                for (place, value) in [("City", ""), ("Country", "US"), ("State", ""), ("Zip", "")]
                {
                    fields.push((format!("{side}{place}"), value.to_owned()));
                }
            }
        }
        fields
    }

    /// Writes how far the call has come; with its length if it is over.
    pub(super) fn progress(&mut self, url: &str, status: &str, duration_s: Option<u64>) -> Letter {
        let mut form = self.voice(status);
        form.extend(fields([
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", &self.progress_told.to_string()),
            ("Timestamp", &rfc2822(self.clock.now())),
        ]));
        if let Some(duration_s) = duration_s {
            form.extend(fields([
                ("CallDuration", duration_s.to_string().as_str()),
                ("Duration", &duration_s.div_ceil(60).to_string()),
            ]));
        }
        self.progress_told += 1;
        Letter { url: url.to_owned(), event: status.to_owned(), fields: form }
    }

    /// Writes news of a stream, if its order asked for them.
    pub(super) fn stream_news(&self, news: StreamNews<'_>) -> Option<Letter> {
        let url = news.order.status_callback.clone()?;
        let mut form = fields([
            ("AccountSid", self.account_sid.as_str()),
            ("CallSid", &self.call_sid),
            ("StreamEvent", news.event),
            ("StreamName", news.order.name.as_deref().unwrap_or(news.sid.as_str())),
            ("StreamSid", news.sid.as_str()),
            ("Timestamp", &iso8601(news.at)),
        ]);
        form.extend(news.error.map(|error| ("StreamError".to_owned(), error)));
        Some(Letter { url, event: news.event.to_owned(), fields: form })
    }

    /// Writes news of the recording, if its order asked for this event.
    pub(super) fn recording_news(
        &mut self,
        recording: &Recording,
        event: &str,
        duration_s: Option<u64>,
    ) -> Option<Letter> {
        let began = *self.recording_began.get_or_insert_with(|| self.clock.now());
        let url = recording.order.status_callback.clone()?;
        if !recording.order.wants(event) {
            return None;
        }
        let mut form = fields([
            ("RecordingSource", "StartCallRecordingTwiML"),
            ("RecordingTrack", &recording.order.track),
            ("RecordingSid", recording.sid.as_str()),
            ("RecordingUrl", &self.media_url(&recording.sid)),
            ("RecordingStatus", event),
            ("RecordingChannels", recording.order.channels),
            ("ErrorCode", "0"),
            ("CallSid", &self.call_sid),
            ("RecordingStartTime", &rfc2822(began)),
            ("AccountSid", &self.account_sid),
        ]);
        form.extend(duration_s.map(|s| ("RecordingDuration".to_owned(), s.to_string())));
        Some(Letter { url, event: event.to_owned(), fields: form })
    }

    fn media_url(&self, sid: &RecordingSid) -> String {
        let account = &self.account_sid;
        format!("https://api.twilio.com/2010-04-01/Accounts/{account}/Recordings/{sid}")
    }
}

fn fields<const N: usize>(pairs: [(&str, &str); N]) -> Fields {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn timestamp(moment: UnixMillis) -> jiff::Timestamp {
    // A clock beyond the year 9999 tells nothing that a callback could repeat.
    jiff::Timestamp::from_millisecond(moment.get()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

fn rfc2822(moment: UnixMillis) -> String {
    let moment = timestamp(moment).to_zoned(TimeZone::UTC);
    jiff::fmt::rfc2822::to_string(&moment).unwrap_or_default()
}

fn iso8601(moment: UnixMillis) -> String {
    format!("{:.9}", timestamp(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_twilio_writes_them() {
        let moment = UnixMillis::new(1_732_838_979_602);
        assert_eq!(rfc2822(moment), "Fri, 29 Nov 2024 00:09:39 +0000");
        assert_eq!(iso8601(moment), "2024-11-29T00:09:39.602000000Z");
    }
}
