//! A recording's sound, whole or from where it was left.

use std::ops::Range;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

use super::Shared;
use super::faults::Fault;
use super::gate::Visit;
use super::journal::value;
use super::media::Media;
use super::reply::Refusal;
use crate::audio::WAV_HEADER_BYTES;
use crate::domain::RecordingSid;

/// How much is read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Answers a request for sound.
pub(super) fn play(
    shared: &Arc<Shared>,
    sid: &RecordingSid,
    visit: &Visit,
    faults: &[Fault],
) -> Result<Response, Refusal> {
    let media = {
        let world = shared.world();
        let media = world.recording(sid).and_then(|recording| recording.audible());
        media.cloned().ok_or(Refusal::NOT_FOUND)?
    };
    let media = match value(&visit.query, "RequestedChannels") {
        None => media,
        Some("1") => media.mixed(),
        Some("2") if media.channels() == 2 => media,
        Some("2") => return Err(Refusal::NO_SECOND_CHANNEL),
        Some(_) => return Err(Refusal::BAD_PARAMETER),
    };
    let size = media.size_bytes();
    let heeds_range = !faults.contains(&Fault::NoRange);
    let asked = visit.headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let asked = asked.filter(|_| heeds_range).and_then(|range| wanted(range, size));
    let is_part = asked.is_some();
    let given = match asked {
        None => 0..size,
        Some(range) if range.is_empty() => {
            let told = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, told).into_response());
        }
        Some(range) if faults.contains(&Fault::WrongRange) => 0..range.end - range.start,
        Some(range) => range,
    };
    let claimed = faults.iter().find_map(|fault| match fault {
        Fault::HeaderLength(claimed) => Some(*claimed),
        _ => None,
    });
    let reading = Reading { shared: Arc::clone(shared), sid: sid.clone(), media, claimed };
    let length = given.end - given.start;
    let told = format!("bytes {}-{}/{size}", given.start, given.end.saturating_sub(1));
    let mut response = Response::new(reading.body(given));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("audio/x-wav"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    if heeds_range {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    if let (true, Ok(told)) = (is_part, HeaderValue::from_str(&told)) {
        headers.insert(header::CONTENT_RANGE, told);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// Reads a range of bytes; an empty one lies behind the end. Anything but one range is as good
/// as none.
fn wanted(header: &str, size: u64) -> Option<Range<u64>> {
    let (from, to) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    if from.trim().is_empty() {
        return Some(size.saturating_sub(number(to)?)..size);
    }
    let from = number(from)?;
    let end = if to.trim().is_empty() { size } else { number(to)?.saturating_add(1).min(size) };
    if from >= size { Some(size..size) } else { (from < end).then_some(from..end) }
}

/// Sound being sent.
struct Reading {
    shared: Arc<Shared>,
    sid: RecordingSid,
    media: Media,
    /// What the header is to say of its length.
    claimed: Option<u32>,
}

impl Reading {
    fn body(self, given: Range<u64>) -> Body {
        Body::from_stream(stream::unfold((self, given), |(reading, left)| async move {
            if left.is_empty() {
                return None;
            }
            let wanted = usize::try_from(left.end - left.start).unwrap_or(PIECE_BYTES);
            let piece = reading.read(left.start, wanted.min(PIECE_BYTES));
            let next = left.start + piece.len() as u64;
            if let Some(recording) = reading.shared.world().recording_mut(&reading.sid) {
                recording.served_bytes += piece.len() as u64;
            }
            let left = next..left.end;
            Some((Ok::<_, std::io::Error>(Bytes::from(piece)), (reading, left)))
        }))
    }

    fn read(&self, at: u64, count: usize) -> Vec<u8> {
        let mut piece = self.media.read(at, count);
        if self.claimed.is_some() && at < WAV_HEADER_BYTES {
            let header = self.media.header(self.claimed);
            let header = header.iter().skip(usize::try_from(at).unwrap_or_default());
            piece.iter_mut().zip(header).for_each(|(byte, lie)| *byte = *lie);
        }
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_what_there_is() {
        for (header, expected) in [
            ("bytes=0-", Some(0..100)),
            ("bytes=10-", Some(10..100)),
            ("bytes=10-19", Some(10..20)),
            ("bytes=90-200", Some(90..100)),
            ("bytes=-30", Some(70..100)),
            ("bytes=100-", Some(100..100)),
            ("bytes=20-10", None),
            ("bytes=1-2,5-6", None),
            ("seconds=1-", None),
        ] {
            assert_eq!(wanted(header, 100), expected, "{header}");
        }
    }
}
