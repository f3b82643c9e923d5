//! From a message to the text frame that Twilio sends for it, field by field in its order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use super::{Media, MediaMessage, Start, Stop};
use crate::domain::StreamSid;

impl MediaMessage {
    /// Writes the first frame of a socket.
    pub fn connected_frame() -> String {
        r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#.to_owned()
    }
}

impl Start {
    /// Writes the frame of this message.
    pub fn frame(&self) -> String {
        json(&StartFrame {
            event: "start",
            sequence_number: self.sequence.to_string(),
            start: StartBody {
                account_sid: self.account_sid.as_str(),
                stream_sid: self.stream_sid.as_str(),
                call_sid: self.call_sid.as_str(),
                tracks: self.tracks.iter().map(|track| track.as_str()).collect(),
                media_format: FormatBody {
                    encoding: &self.format.encoding,
                    sample_rate: self.format.rate_hz,
                    channels: self.format.channels,
                },
                custom_parameters: &self.parameters.0,
            },
            stream_sid: self.stream_sid.as_str(),
        })
    }
}

impl Media {
    /// Writes the frame of this message of a stream.
    pub fn frame(&self, stream_sid: &StreamSid) -> String {
        json(&MediaFrame {
            event: "media",
            sequence_number: self.sequence.to_string(),
            media: MediaBody {
                track: self.track.as_str(),
                chunk: self.chunk.map(|chunk| chunk.to_string()),
                timestamp: self.timestamp_ms.to_string(),
                payload: BASE64.encode(&self.payload),
            },
            stream_sid: stream_sid.as_str(),
        })
    }
}

impl Stop {
    /// Writes the frame of this message.
    pub fn frame(&self) -> String {
        json(&StopFrame {
            event: "stop",
            sequence_number: self.sequence.map(|sequence| sequence.to_string()),
            stream_sid: self.stream_sid.as_ref().map(StreamSid::as_str),
            stop: StopBody {
                account_sid: self.account_sid.as_ref().map(super::AccountSid::as_str),
                call_sid: self.call_sid.as_ref().map(super::CallSid::as_str),
            },
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartFrame<'a> {
    event: &'static str,
    sequence_number: String,
    start: StartBody<'a>,
    stream_sid: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartBody<'a> {
    account_sid: &'a str,
    stream_sid: &'a str,
    call_sid: &'a str,
    tracks: Vec<&'static str>,
    media_format: FormatBody<'a>,
    custom_parameters: &'a std::collections::BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FormatBody<'a> {
    encoding: &'a str,
    sample_rate: u64,
    channels: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MediaFrame<'a> {
    event: &'static str,
    sequence_number: String,
    media: MediaBody,
    stream_sid: &'a str,
}

#[derive(Serialize)]
struct MediaBody {
    track: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk: Option<String>,
    timestamp: String,
    payload: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StopFrame<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_sid: Option<&'a str>,
    stop: StopBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StopBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account_sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_sid: Option<&'a str>,
}

#[expect(clippy::expect_used, reason = "texts and numbers under text keys are always JSON")]
fn json<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).expect("plain fields")
}
