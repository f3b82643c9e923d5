//! From a text frame to a message. A busy box reads 1,600 of them a second, so nothing is
//! copied but the sound.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};

use super::{
    BadSid, Media, MediaFormat, MediaMessage, PAYLOAD_BYTES_MAX, Parameters, Start, Stop,
    StreamTrack,
};

/// Standard base64, padded or not: a missing `=` is no reason to lose sound.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A frame that is not a message. None of its text is in the error: it may be a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// Not JSON, or a value of another kind than Twilio's.
    #[error("{kind} in the message's JSON at column {column}")]
    Json {
        /// What is wrong with it.
        kind: &'static str,
        /// Where.
        column: usize,
    },
    /// A field without which the message has no meaning.
    #[error("message has no {field}")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A counter that is not a whole number.
    #[error("{field} is not a whole number")]
    BadNumber {
        /// Its name.
        field: &'static str,
    },
    /// An identifier of another shape than Twilio's.
    #[error("{field} is {source}")]
    BadSid {
        /// Its name.
        field: &'static str,
        /// Which kind it should have been.
        source: BadSid,
    },
    /// Sound that is not base64.
    #[error("payload is not base64")]
    BadBase64,
    /// More sound than a message may carry.
    #[error("payload has more than {PAYLOAD_BYTES_MAX} bytes")]
    TooLong,
    /// A track that is neither inbound nor outbound.
    #[error("track is neither inbound nor outbound")]
    OtherTrack,
}

impl MediaMessage {
    /// Reads one text frame.
    pub fn parse(text: &str) -> Result<Self, MediaError> {
        let frame: Frame<'_> = serde_json::from_str(text).map_err(|error| json_error(&error))?;
        let Some(event) = &frame.event else {
            return Err(MediaError::Missing { field: "event" });
        };
        match event.as_ref() {
            "media" => frame.media().map(Self::Media),
            "connected" => Ok(Self::Connected),
            "start" => frame.start().map(Self::Start),
            "stop" => Ok(Self::Stop(frame.stop())),
            "dtmf" => {
                let body = frame.dtmf.as_ref().ok_or(MediaError::Missing { field: "dtmf" })?;
                let digit = required("dtmf.digit", body.digit.as_ref())?.as_ref().to_owned();
                Ok(Self::Dtmf { sequence: frame.sequence()?, digit })
            }
            "mark" => {
                let body = frame.mark.as_ref().ok_or(MediaError::Missing { field: "mark" })?;
                let name = required("mark.name", body.name.as_ref())?.as_ref().to_owned();
                Ok(Self::Mark { sequence: frame.sequence()?, name })
            }
            other => Ok(Self::Other { event: other.to_owned() }),
        }
    }
}

/// Every field of every message; which must be there depends on the event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    #[serde(borrow)]
    event: Option<Text<'a>>,
    sequence_number: Option<Counter>,
    #[serde(borrow)]
    stream_sid: Option<Text<'a>>,
    #[serde(borrow)]
    start: Option<StartBody<'a>>,
    #[serde(borrow)]
    media: Option<MediaBody<'a>>,
    #[serde(borrow)]
    dtmf: Option<DtmfBody<'a>>,
    #[serde(borrow)]
    mark: Option<MarkBody<'a>>,
    #[serde(borrow)]
    stop: Option<StopBody<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartBody<'a> {
    #[serde(borrow)]
    stream_sid: Option<Text<'a>>,
    #[serde(borrow)]
    account_sid: Option<Text<'a>>,
    #[serde(borrow)]
    call_sid: Option<Text<'a>>,
    #[serde(borrow)]
    tracks: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    media_format: Option<FormatBody<'a>>,
    #[serde(borrow)]
    custom_parameters: Option<BTreeMap<Text<'a>, Text<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FormatBody<'a> {
    #[serde(borrow)]
    encoding: Option<Text<'a>>,
    sample_rate: Option<Counter>,
    channels: Option<Counter>,
}

#[derive(Deserialize)]
struct MediaBody<'a> {
    #[serde(borrow)]
    track: Option<Text<'a>>,
    chunk: Option<Counter>,
    timestamp: Option<Counter>,
    #[serde(borrow)]
    payload: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct DtmfBody<'a> {
    #[serde(borrow)]
    digit: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct MarkBody<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StopBody<'a> {
    #[serde(borrow)]
    account_sid: Option<Text<'a>>,
    #[serde(borrow)]
    call_sid: Option<Text<'a>>,
}

/// A string borrowed from the frame unless it has escapes. The newtype is what makes serde
/// borrow inside an `Option`.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A counter, which Twilio writes as a string; `None` inside if it is not a whole number.
struct Counter(Option<u64>);

impl<'de> Deserialize<'de> for Counter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl Visitor<'_> for Seen {
            type Value = Counter;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a whole number, perhaps as a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Counter, E> {
                Ok(Counter(text.parse().ok()))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Counter, E> {
                Ok(Counter(Some(number)))
            }

            fn visit_i64<E: serde::de::Error>(self, _negative: i64) -> Result<Counter, E> {
                Ok(Counter(None))
            }

            fn visit_f64<E: serde::de::Error>(self, _fraction: f64) -> Result<Counter, E> {
                Ok(Counter(None))
            }
        }
        deserializer.deserialize_any(Seen).map_err(D::Error::custom)
    }
}

impl Frame<'_> {
    fn sequence(&self) -> Result<u64, MediaError> {
        counter("sequenceNumber", self.sequence_number.as_ref())
    }

    fn media(&self) -> Result<Media, MediaError> {
        let body = self.media.as_ref().ok_or(MediaError::Missing { field: "media" })?;
        let track = required("media.track", body.track.as_ref())?.as_ref();
        let payload = required("media.payload", body.payload.as_ref())?.as_ref();
        Ok(Media {
            sequence: self.sequence()?,
            track: track_of(track).ok_or(MediaError::OtherTrack)?,
            chunk: body.chunk.as_ref().and_then(|chunk| chunk.0),
            timestamp_ms: counter("media.timestamp", body.timestamp.as_ref())?,
            payload: decode(payload)?,
        })
    }

    fn start(self) -> Result<Start, MediaError> {
        let sequence = self.sequence()?;
        let body = self.start.ok_or(MediaError::Missing { field: "start" })?;
        let format = body.media_format.as_ref();
        let format = format.ok_or(MediaError::Missing { field: "start.mediaFormat" })?;
        let encoding = required("start.mediaFormat.encoding", format.encoding.as_ref())?.as_ref();
        let stream_sid = body.stream_sid.as_ref().or(self.stream_sid.as_ref());
        Ok(Start {
            sequence,
            stream_sid: sid("start.streamSid", stream_sid)?,
            account_sid: sid("start.accountSid", body.account_sid.as_ref())?,
            call_sid: sid("start.callSid", body.call_sid.as_ref())?,
            tracks: body
                .tracks
                .iter()
                .flatten()
                .filter_map(|word| track_of(word.as_ref()))
                .collect(),
            format: MediaFormat {
                encoding: encoding.to_owned(),
                rate_hz: counter("start.mediaFormat.sampleRate", format.sample_rate.as_ref())?,
                channels: counter("start.mediaFormat.channels", format.channels.as_ref())?,
            },
            parameters: owned(body.custom_parameters),
        })
    }

    fn stop(&self) -> Stop {
        let body = self.stop.as_ref();
        Stop {
            sequence: self.sequence().ok(),
            stream_sid: lenient_sid(self.stream_sid.as_ref()),
            account_sid: lenient_sid(body.and_then(|body| body.account_sid.as_ref())),
            call_sid: lenient_sid(body.and_then(|body| body.call_sid.as_ref())),
        }
    }
}

fn owned(parameters: Option<BTreeMap<Text<'_>, Text<'_>>>) -> Parameters {
    let pairs = parameters.into_iter().flatten();
    pairs.map(|(name, value)| (name.0.into_owned(), value.0.into_owned())).collect()
}

fn json_error(error: &serde_json::Error) -> MediaError {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "value of an unexpected kind",
        serde_json::error::Category::Eof => "unexpected end",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "syntax error",
    };
    MediaError::Json { kind, column: error.column() }
}

fn required<'a, T>(field: &'static str, value: Option<&'a T>) -> Result<&'a T, MediaError> {
    value.ok_or(MediaError::Missing { field })
}

fn counter(field: &'static str, value: Option<&Counter>) -> Result<u64, MediaError> {
    required(field, value)?.0.ok_or(MediaError::BadNumber { field })
}

fn sid<S: FromStr<Err = BadSid>>(
    field: &'static str,
    value: Option<&Text<'_>>,
) -> Result<S, MediaError> {
    let text = required(field, value)?.as_ref();
    text.parse().map_err(|source| MediaError::BadSid { field, source })
}

fn lenient_sid<S: FromStr<Err = BadSid>>(value: Option<&Text<'_>>) -> Option<S> {
    value?.as_ref().parse().ok()
}

/// Reads a track's name in either of Twilio's spellings: `inbound` and, with keys and in
/// `TwiML`, `inbound_track`.
fn track_of(word: &str) -> Option<StreamTrack> {
    word.strip_suffix("_track").unwrap_or(word).parse().ok()
}

fn decode(payload: &str) -> Result<Vec<u8>, MediaError> {
    if payload.len() > PAYLOAD_BYTES_MAX.div_ceil(3) * 4 {
        return Err(MediaError::TooLong);
    }
    let sound = BASE64.decode(payload).map_err(|_| MediaError::BadBase64)?;
    if sound.len() > PAYLOAD_BYTES_MAX { Err(MediaError::TooLong) } else { Ok(sound) }
}
