//! Media stream messages: one JSON text frame of the WebSocket each.

mod read;
mod write;

use std::collections::BTreeMap;
use std::fmt;

pub use read::MediaError;

use crate::domain::{AccountSid, BadSid, CallSid, StreamSid, StreamTrack};

/// Sound that one message may carry, in bytes: Twilio sends 160, 4096 is half a second.
pub const PAYLOAD_BYTES_MAX: usize = 4096;

/// One message of a media stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaMessage {
    /// The socket is up; nothing is known yet.
    Connected,
    /// The stream begins.
    Start(Start),
    /// A piece of one track's sound.
    Media(Media),
    /// A key was pressed.
    Dtmf {
        /// Place among the stream's messages.
        sequence: u64,
        /// The key.
        digit: String,
    },
    /// Sound that was sent to Twilio has been played.
    Mark {
        /// Place among the stream's messages.
        sequence: u64,
        /// The mark's name.
        name: String,
    },
    /// The stream is over.
    Stop(Stop),
    /// An event not known here.
    Other {
        /// Its name.
        event: String,
    },
}

/// The first message with anything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Place among the stream's messages, 1.
    pub sequence: u64,
    /// The stream.
    pub stream_sid: StreamSid,
    /// Whose call it is.
    pub account_sid: AccountSid,
    /// The call.
    pub call_sid: CallSid,
    /// The tracks that will come.
    pub tracks: Vec<StreamTrack>,
    /// How the sound is coded.
    pub format: MediaFormat,
    /// What our own `<Parameter>`s said.
    pub parameters: Parameters,
}

/// How a stream's sound is coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFormat {
    /// The MIME type.
    pub encoding: String,
    /// Samples a second.
    pub rate_hz: u64,
    /// Channels a track.
    pub channels: u64,
}

impl MediaFormat {
    /// Returns the one that Twilio has sent until today.
    pub fn mulaw() -> Self {
        Self { encoding: "audio/x-mulaw".to_owned(), rate_hz: 8000, channels: 1 }
    }

    /// Says whether it is mu-law, 8000 Hz, mono, the only one we read.
    pub fn is_mulaw(&self) -> bool {
        self.encoding == "audio/x-mulaw" && self.rate_hz == 8000 && self.channels == 1
    }
}

/// The values of a `<Stream>`'s `<Parameter>`s, by name.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Returns a parameter's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Shows the names only: one of the values is the stream's token.
impl fmt::Debug for Parameters {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

/// A piece of one track's sound, mostly 20 ms.
#[derive(Clone, PartialEq, Eq)]
pub struct Media {
    /// Place among the stream's messages: a hole is a lost message.
    pub sequence: u64,
    /// Whose sound.
    pub track: StreamTrack,
    /// Twilio's count of pieces, whose meaning with two tracks is not documented: never place
    /// sound by it.
    pub chunk: Option<u64>,
    /// Milliseconds since the stream began; it neither starts at 0 nor goes in exact steps.
    pub timestamp_ms: u64,
    /// Mu-law samples.
    pub payload: Vec<u8>,
}

/// Shows how much sound there is, not the sound.
impl fmt::Debug for Media {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Media")
            .field("sequence", &self.sequence)
            .field("track", &self.track)
            .field("timestamp_ms", &self.timestamp_ms)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// The last message of a stream. It ends the stream whatever else is wrong with it, so all of
/// it may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Place among the stream's messages.
    pub sequence: Option<u64>,
    /// The stream, which stands beside and not inside the body.
    pub stream_sid: Option<StreamSid>,
    /// Whose call it was.
    pub account_sid: Option<AccountSid>,
    /// The call.
    pub call_sid: Option<CallSid>,
}

#[cfg(test)]
mod tests;
