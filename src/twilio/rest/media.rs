//! A recording's sound on its way here.

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName};

use super::line::{self, Ask, Line};
use super::target::Target;
use super::{RestError, hop};
use crate::domain::RecordingSid;

/// The most that is taken of one recording: what a WAV's own length field can say. 24 hours of
/// two channels are 2.8 GB.
const SOUND_BYTES_MAX: u64 = 1 << 32;

/// How many channels to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// All parties in one.
    One,
    /// Each side on its own.
    Two,
}

impl Channels {
    /// Returns the number of them.
    pub const fn count(self) -> u16 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// Which bytes an answer brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The whole file, whatever was asked for.
    Full {
        /// Its length in bytes, if the answer says so.
        len: Option<u64>,
    },
    /// The file from the byte that was asked for.
    Partial {
        /// The first byte.
        from: u64,
        /// The whole file's length in bytes, if the answer says so.
        total: Option<u64>,
    },
}

/// Sound, as it comes.
///
/// What it is has been looked at as far as an answer's head tells: success, an audio type, the
/// bytes asked for. Whether it is a WAV is the reader's to see.
pub struct Media {
    extent: Extent,
    response: Response,
    /// How many bytes of the file lie before what comes next.
    at: u64,
}

impl Media {
    /// Returns which bytes come.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Waits for more of the sound; `None` after its last byte. If it breaks off before, that is
    /// [`RestError::Unreachable`], and the bytes so far are good.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, RestError> {
        let Some(chunk) = self.response.chunk().await.map_err(RestError::cut)? else {
            return if self.end().is_none_or(|end| self.at == end) {
                Ok(None)
            } else {
                Err(RestError::Unreachable { why: "the sound broke off".to_owned() })
            };
        };
        self.at = self.at.saturating_add(chunk.len() as u64);
        if self.at > SOUND_BYTES_MAX {
            return Err(RestError::garbled("a file longer than any WAV"));
        }
        Ok(Some(chunk))
    }

    fn end(&self) -> Option<u64> {
        match self.extent {
            Extent::Full { len } => len,
            Extent::Partial { total, .. } => total,
        }
    }
}

impl std::fmt::Debug for Media {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Media").field("extent", &self.extent).finish_non_exhaustive()
    }
}

/// Asks for a recording's sound and looks at the answer's head.
pub(super) async fn fetch(
    line: &Line,
    recording: &RecordingSid,
    channels: Channels,
    from_byte: u64,
) -> Result<Media, RestError> {
    let target = Target::media(&line.account, recording, channels);
    let mut response = line.send(Ask::sound(target, from_byte)).await?;
    if matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        response = hop::follow(&line.world, line.timeouts, &response, from_byte).await?;
    }
    let extent = match response.status().as_u16() {
        200 => Extent::Full { len: response.content_length() },
        206 => content_range(response.headers(), from_byte)?,
        400 if channels == Channels::Two => return Err(RestError::NotDual),
        416 if from_byte > 0 => return Err(RestError::BeyondEnd),
        _ => return Err(refusal(line, response).await),
    };
    if !text(response.headers(), &CONTENT_TYPE).to_ascii_lowercase().starts_with("audio/") {
        return Err(RestError::garbled("it is no sound"));
    }
    if !["", "identity"].contains(&text(response.headers(), &CONTENT_ENCODING)) {
        return Err(RestError::garbled("packed sound, which nobody asked for"));
    }
    let at = match extent {
        Extent::Full { .. } => 0,
        Extent::Partial { from, .. } => from,
    };
    Ok(Media { extent, response, at })
}

/// Reads a refusal's body, but not for ever: requests for sound have no limit of their own.
async fn refusal(line: &Line, response: Response) -> RestError {
    let (status, headers) = (response.status(), response.headers().clone());
    match tokio::time::timeout(line.timeouts.answer, line::read(response)).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => RestError::of_answer(status, &headers, &[]),
    }
}

/// Reads `bytes 100-199/200`, where the end of the file may be unknown (`*`).
fn content_range(headers: &HeaderMap, asked_from: u64) -> Result<Extent, RestError> {
    let read = || {
        let (range, total) =
            text(headers, &CONTENT_RANGE).strip_prefix("bytes ")?.split_once('/')?;
        let (from, last) = range.split_once('-')?;
        let (from, last): (u64, u64) = (from.parse().ok()?, last.parse().ok()?);
        let total: Option<u64> = if total == "*" { None } else { Some(total.parse().ok()?) };
        let in_order = from <= last && total.is_none_or(|total| last < total);
        (in_order && from == asked_from).then_some(Extent::Partial { from, total })
    };
    read().ok_or_else(|| RestError::garbled("other bytes than those asked for"))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_that_come_must_be_those_asked_for() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, value.parse().unwrap());
            content_range(&headers, 100)
        };
        assert_eq!(read("bytes 100-199/200"), Ok(Extent::Partial { from: 100, total: Some(200) }));
        assert_eq!(read("bytes 100-199/*"), Ok(Extent::Partial { from: 100, total: None }));
        for other in [
            "",
            "bytes 0-199/200",
            "bytes 101-199/200",
            "bytes 100-99/200",
            "bytes 100-200/200",
            "bytes */200",
            "bytes 100-199",
            "bytes=100-199/200",
            "bytes 100-99999999999999999999/*",
        ] {
            assert!(matches!(read(other), Err(RestError::Garbled { .. })), "{other:?}");
        }
        assert!(content_range(&HeaderMap::new(), 100).is_err());
    }
}
