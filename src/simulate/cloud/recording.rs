//! Recordings, as the API shows them.

use std::time::Duration;

use serde_json::{Value, json};

use super::call::seconds;
use super::journal::value;
use super::listing::{Item, Window};
use super::media::Media;
use super::reply::Refusal;
use crate::domain::{AccountSid, CallSid, RecordingSid, UnixMillis};
use crate::simulate::answer::RecordingOrder;
use crate::simulate::fresh_recording_sid;
use crate::simulate::moment::rfc2822;

/// A recording, as this Twilio knows it.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Its name.
    pub sid: RecordingSid,
    /// The parent leg of the call, always.
    pub call_sid: CallSid,
    /// What began it: Twilio's word, or any other.
    pub source: String,
    /// How far it has come: Twilio's word, or any other.
    pub status: String,
    /// `inbound`, `outbound` or `both`.
    pub track: String,
    /// How many channels were asked for.
    pub channels: u16,
    /// When it was begun.
    pub started: UnixMillis,
    /// When it was over.
    pub ended: Option<UnixMillis>,
    /// How long it is, once it is over.
    pub duration_s: Option<u64>,
    /// Why it is absent.
    pub error_code: Option<u32>,
    /// Whether it was deleted; what is known of it is kept.
    pub deleted: bool,
    /// What it sounds like, once it is over.
    pub media: Option<Media>,
    /// How many bytes of it have been asked for and sent.
    pub served_bytes: u64,
    /// Who wants to know.
    pub(super) order: RecordingOrder,
    /// The first frame of the call's sound that it has.
    pub(super) first_frame: u64,
}

/// A recording that is to be there without having been made.
#[derive(Debug, Clone)]
pub struct RecordingScript {
    /// Its name.
    pub sid: RecordingSid,
    /// What began it.
    pub source: String,
    /// How far it has come.
    pub status: String,
    /// Why it is absent.
    pub error_code: Option<u32>,
    /// What it sounds like.
    pub media: Option<Media>,
}

impl RecordingScript {
    /// One that `TwiML` asked for and that can be had.
    pub fn completed(media: Media) -> Self {
        Self {
            sid: fresh_recording_sid(),
            source: "StartCallRecordingTwiML".to_owned(),
            status: "completed".to_owned(),
            error_code: None,
            media: Some(media),
        }
    }

    /// One that came to nothing.
    pub fn absent(error_code: u32) -> Self {
        Self {
            status: "absent".to_owned(),
            error_code: Some(error_code),
            media: None,
            ..Self::completed(Media::mono(&[]))
        }
    }

    /// Lets something else have begun it.
    #[must_use]
    pub fn from_source(self, source: &str) -> Self {
        Self { source: source.to_owned(), ..self }
    }

    pub(super) fn of_call(
        self,
        call_sid: &CallSid,
        started: UnixMillis,
        order: RecordingOrder,
    ) -> Recording {
        let length = self.media.as_ref().map(Media::length);
        Recording {
            sid: self.sid,
            call_sid: call_sid.clone(),
            source: self.source,
            status: self.status,
            track: order.track.clone(),
            channels: self.media.as_ref().map_or(2, Media::channels),
            started,
            ended: Some(started.plus(length.unwrap_or(Duration::ZERO))),
            duration_s: length.map(seconds),
            error_code: self.error_code,
            deleted: false,
            media: self.media,
            served_bytes: 0,
            order,
            first_frame: 0,
        }
    }
}

/// Where a recording is shown, which makes small differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Under the account.
    UnderAccount,
    /// Under its call.
    UnderCall,
    /// To whoever has just begun it.
    AtStart,
}

impl Recording {
    /// Says whether it goes on.
    pub fn is_under_way(&self) -> bool {
        self.ended.is_none()
    }

    /// Returns its sound if it can be had.
    pub(super) fn audible(&self) -> Option<&Media> {
        let is_there = self.status == "completed" && !self.deleted;
        self.media.as_ref().filter(|_| is_there)
    }

    /// Lets it end with the call that sounded like this.
    pub(super) fn end(&mut self, now: UnixMillis, heard: &Media, absent: Option<u32>) {
        self.ended = Some(now);
        if let Some(code) = absent {
            "absent".clone_into(&mut self.status);
            self.error_code = Some(code);
            return;
        }
        let heard = heard.begun_at(self.first_frame);
        let media = if self.channels == 1 { heard.mixed() } else { heard };
        "completed".clone_into(&mut self.status);
        self.duration_s = Some(seconds(media.length()).max(1));
        self.media = Some(media);
    }

    fn shown_status(&self, shown: Shown) -> &str {
        match (self.deleted, self.status.as_str()) {
            (true, _) => "deleted",
            // Of a live one only its beginner is told more.
            (false, "in-progress") if shown != Shown::AtStart => "processing",
            (false, status) => status,
        }
    }

    pub(super) fn json(&self, account: &AccountSid, shown: Shown) -> Value {
        let (sid, call) = (&self.sid, &self.call_sid);
        let base = format!("/2010-04-01/Accounts/{account}");
        let is_done = self.duration_s.is_some();
        let (uri, price) = match shown {
            Shown::UnderAccount => {
                (format!("{base}/Recordings/{sid}.json"), is_done.then_some(json!("-0.00250")))
            }
            Shown::UnderCall | Shown::AtStart => {
                let uri = format!("{base}/Calls/{call}/Recordings/{sid}.json");
                (uri, is_done.then_some(json!(-0.0025)))
            }
        };
        let mut recording = json!({
            "account_sid": account.as_str(),
            "api_version": "2010-04-01",
            "call_sid": call.as_str(),
            "channels": self.channels,
            "conference_sid": null,
            "date_created": rfc2822(self.started),
            "date_updated": rfc2822(self.ended.unwrap_or(self.started)),
            "duration": self.duration_s.map(|s| s.to_string()),
            "encryption_details": null,
            "error_code": self.error_code,
            // As in Twilio's own examples: no scheme to send a secret by.
            "media_url": format!("http://api.twilio.com{base}/Recordings/{sid}"),
            "price": price,
            "price_unit": "USD",
            "sid": sid.as_str(),
            "source": self.source,
            "start_time": rfc2822(self.started),
            "status": self.shown_status(shown),
            "subresource_uris": {"transcriptions": format!("{base}/Recordings/{sid}/Transcriptions.json")},
            // Fields appear without notice.
            "unannounced": [1, {"two": null}],
            "uri": uri,
        });
        if let (Shown::UnderCall | Shown::AtStart, Some(fields)) =
            (shown, recording.as_object_mut())
        {
            fields.insert("track".to_owned(), self.track.clone().into());
        }
        recording
    }
}

/// Returns the recordings that a query asks for, newest first.
pub(super) fn listed<'a>(
    recordings: impl Iterator<Item = &'a Recording>,
    account: &AccountSid,
    shown: Shown,
    query: &[(String, String)],
) -> Result<Vec<Item>, Refusal> {
    let window = Window::of(query, "DateCreated")?;
    let with_deleted = value(query, "IncludeSoftDeleted") == Some("true");
    let of_call = value(query, "CallSid");
    let mut found: Vec<&Recording> = recordings
        .filter(|recording| with_deleted || !recording.deleted)
        .filter(|recording| of_call.is_none_or(|call| call == recording.call_sid.as_str()))
        .filter(|recording| window.has(recording.started))
        .collect();
    found.sort_by_key(|recording| std::cmp::Reverse(recording.started));
    let item = |recording: &Recording| Item {
        sid: recording.sid.to_string(),
        json: recording.json(account, shown),
    };
    Ok(found.into_iter().map(item).collect())
}
