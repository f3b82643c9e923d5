//! What is told of a played call, and how often.

use super::super::answer::StreamOrder;
use super::super::forms::{Fields, Leg, Progress, RecordingNews, fields};
use super::super::line::Letter;
use super::super::moment::iso8601;
use super::{Options, Recording};
use crate::clock::SharedClock;
use crate::domain::{AccountSid, Origin, StreamSid, UnixMillis};

/// Who calls whom, and how often this was told.
pub(super) struct Caller {
    account_sid: AccountSid,
    leg: Leg,
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

/// Returns Twilio's word for who rang whom.
pub(super) fn direction(origin: Origin) -> &'static str {
    match origin {
        // A browser's call reaches Twilio, so it is inbound there.
        Origin::Number | Origin::Client => "inbound",
        Origin::Rest => "outbound-api",
    }
}

impl Caller {
    pub(super) fn new(options: &Options) -> Self {
        let leg = Leg {
            account_sid: options.account_sid.to_string(),
            call_sid: options.call_sid.to_string(),
            parent_sid: None,
            direction: direction(options.origin).to_owned(),
            from: options.from.clone(),
            to: options.to.clone(),
            has_places: options.origin != Origin::Client,
        };
        Self {
            account_sid: options.account_sid.clone(),
            leg,
            progress_told: 0,
            recording_began: None,
            clock: options.clock.clone(),
        }
    }

    /// Fills the request for `TwiML`.
    pub(super) fn voice(&self, call_status: &str) -> Fields {
        self.leg.voice(call_status)
    }

    /// Writes how far the call has come; with its length if it is over.
    pub(super) fn progress(&mut self, url: &str, status: &str, duration_s: Option<u64>) -> Letter {
        let sequence = self.progress_told;
        self.progress_told += 1;
        let progress = Progress { status, sequence, at: self.clock.now(), duration_s };
        let fields = self.leg.progress(&progress);
        Letter { url: url.to_owned(), event: status.to_owned(), fields }
    }

    /// Writes news of a stream, if its order asked for them.
    pub(super) fn stream_news(&self, news: StreamNews<'_>) -> Option<Letter> {
        let url = news.order.status_callback.clone()?;
        let mut form = fields([
            ("AccountSid", self.account_sid.as_str()),
            ("CallSid", &self.leg.call_sid),
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
        let news = RecordingNews {
            sid: &recording.sid,
            order: &recording.order,
            source: "StartCallRecordingTwiML",
            event,
            began,
            duration_s,
            error_code: 0,
        };
        let fields = news.form(&self.account_sid, &self.leg.call_sid);
        Some(Letter { url, event: event.to_owned(), fields })
    }
}
