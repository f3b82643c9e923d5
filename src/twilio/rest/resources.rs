//! Calls and recordings as the REST API describes them.
//!
//! Only identifiers must be right. Any other field may be absent, null, a number or a text; one
//! that cannot be read is taken for absent, and an unknown word is kept as it is.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::DeserializeOwned};

use super::RestError;
use crate::domain::{AccountSid, CallSid, Direction, Origin, RecordingSid, UnixMillis};
use crate::twilio::moment;
use crate::twilio::webhook::{CallStatus, VoiceDirection};

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallResource {
    /// Which one.
    pub sid: CallSid,
    /// The leg that dialled this one, absent on the first.
    pub parent_call_sid: Option<CallSid>,
    /// Who placed it, in Twilio's words.
    pub voice_direction: VoiceDirection,
    /// Who calls; empty if withheld.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// How far it has come.
    pub status: CallStatus,
    /// When it was answered or placed.
    pub start_time: Option<UnixMillis>,
    /// When it ended.
    pub end_time: Option<UnixMillis>,
    /// When Twilio first knew of it.
    pub date_created: Option<UnixMillis>,
    /// Its length in seconds, once over.
    pub duration_s: Option<u64>,
}

impl CallResource {
    /// Says who rang whom, seen from the office.
    pub fn direction(&self) -> Direction {
        self.voice_direction.seen_from_office(&self.from)
    }

    /// Says what began the call.
    pub fn origin(&self) -> Origin {
        self.voice_direction.origin(&self.from)
    }

    /// Says whether another leg dialled this one.
    pub fn is_child_leg(&self) -> bool {
        self.parent_call_sid.is_some() || self.voice_direction == VoiceDirection::OutboundDial
    }
}

/// A recording.
///
/// `media_url` is deliberately not read: the sound's address is built from the identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingResource {
    /// Which one.
    pub sid: RecordingSid,
    /// The parent leg of its call; absent if it is not a call's.
    pub call_sid: Option<CallSid>,
    /// Twilio's word for how far it is: `in-progress`, `paused`, `stopped`, `processing`,
    /// `completed`, `absent`, `deleted` or one not known here.
    pub status: String,
    /// One or two.
    pub channels: Option<u16>,
    /// Its length in seconds, once completed.
    pub duration_s: Option<u64>,
    /// What asked for it, in Twilio's word.
    pub source: Option<String>,
    /// What it holds, in Twilio's word; told only of one call's recordings.
    pub track: Option<String>,
    /// When it began.
    pub start_time: Option<UnixMillis>,
    /// When Twilio first knew of it.
    pub date_created: Option<UnixMillis>,
    /// Twilio's code of what went wrong.
    pub error_code: Option<u32>,
}

/// A list's page.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

/// Reads one call.
pub(super) fn call(account: &AccountSid, body: &[u8]) -> Result<CallResource, RestError> {
    parse::<CallBody>(body)?.checked(account)
}

/// Reads one recording.
pub(super) fn recording(account: &AccountSid, body: &[u8]) -> Result<RecordingResource, RestError> {
    parse::<RecordingBody>(body)?.checked(account)
}

/// Reads a page of calls.
pub(super) fn calls(account: &AccountSid, body: &[u8]) -> Result<Page<CallResource>, RestError> {
    let page: CallsBody = parse(body)?;
    let items = page.calls.into_iter().map(|call| call.checked(account));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next: page.next_page_uri.0 })
}

/// Reads a page of recordings.
pub(super) fn recordings(
    account: &AccountSid,
    body: &[u8],
) -> Result<Page<RecordingResource>, RestError> {
    let page: RecordingsBody = parse(body)?;
    let items = page.recordings.into_iter().map(|recording| recording.checked(account));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next: page.next_page_uri.0 })
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, RestError> {
    serde_json::from_slice(body).map_err(|error| {
        // The parser's own words can quote the body.
        RestError::garbled(match error.classify() {
            serde_json::error::Category::Data => "JSON of another kind",
            serde_json::error::Category::Eof => "JSON that breaks off",
            _ => "not JSON",
        })
    })
}

#[derive(Deserialize)]
struct CallsBody {
    calls: Vec<CallBody>,
    #[serde(default)]
    next_page_uri: Word,
}

#[derive(Deserialize)]
struct RecordingsBody {
    recordings: Vec<RecordingBody>,
    #[serde(default)]
    next_page_uri: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CallBody {
    sid: Word,
    account_sid: Word,
    parent_call_sid: Word,
    direction: Word,
    from: Word,
    to: Word,
    status: Word,
    start_time: Word,
    end_time: Word,
    date_created: Word,
    duration: Word,
}

impl CallBody {
    fn checked(self, account: &AccountSid) -> Result<CallResource, RestError> {
        must_be_ours(&self.account_sid, account)?;
        Ok(CallResource {
            sid: self.sid.parsed().ok_or_else(|| RestError::garbled("a call without its SID"))?,
            parent_call_sid: self.parent_call_sid.parsed(),
            voice_direction: VoiceDirection::new(self.direction.0.as_deref().unwrap_or("inbound")),
            from: self.from.0.unwrap_or_default(),
            to: self.to.0.unwrap_or_default(),
            status: CallStatus::new(self.status.0.as_deref().unwrap_or_default()),
            start_time: self.start_time.moment(),
            end_time: self.end_time.moment(),
            date_created: self.date_created.moment(),
            duration_s: self.duration.number(),
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RecordingBody {
    sid: Word,
    account_sid: Word,
    call_sid: Word,
    status: Word,
    channels: Word,
    duration: Word,
    source: Word,
    track: Word,
    start_time: Word,
    date_created: Word,
    error_code: Word,
}

impl RecordingBody {
    fn checked(self, account: &AccountSid) -> Result<RecordingResource, RestError> {
        must_be_ours(&self.account_sid, account)?;
        let without_sid = || RestError::garbled("a recording without its SID");
        Ok(RecordingResource {
            sid: self.sid.parsed().ok_or_else(without_sid)?,
            call_sid: self.call_sid.parsed(),
            status: self.status.0.unwrap_or_default(),
            channels: self.channels.number(),
            duration_s: self.duration.number(),
            source: self.source.0,
            track: self.track.0,
            start_time: self.start_time.moment(),
            date_created: self.date_created.moment(),
            error_code: self.error_code.number().filter(|code| *code != 0),
        })
    }
}

pub(super) fn must_be_ours(named: &Word, account: &AccountSid) -> Result<(), RestError> {
    if named.0.as_deref() == Some(account.as_str()) {
        Ok(())
    } else {
        Err(RestError::garbled("it names another account than ours, or none"))
    }
}

/// A field's value, whether Twilio wrote it as a text or as a number; nothing if it is null,
/// empty or neither.
#[derive(Debug, Default)]
pub(super) struct Word(pub(super) Option<String>);

impl Word {
    pub(super) fn parsed<T: FromStr>(&self) -> Option<T> {
        self.0.as_deref()?.parse().ok()
    }

    /// Reads a count, with or without a fraction of nothing.
    pub(super) fn number<N: FromStr>(&self) -> Option<N> {
        let text = self.0.as_deref()?;
        text.strip_suffix(".0").unwrap_or(text).parse().ok()
    }

    fn moment(&self) -> Option<UnixMillis> {
        moment::rfc2822(self.0.as_deref()?)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor).map(Self)
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Option<String>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(format!("{number:?}")))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
