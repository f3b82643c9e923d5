//! Sealed sound on its way to a player: ranges, HEAD, and a line in the audit trail before the
//! first byte.

mod named;
mod range;
mod timeline;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{self, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tracing::error;

pub(super) use self::named::name;

use self::named::{Named, Picked, What};
use self::range::Wanted;
use self::timeline::{Piece, Timeline};
use super::LanState;
use super::assets::{FNV_BASIS, fnv1a};
use super::problem::Problem;
use super::query::call_sid;
use crate::access::Actor;
use crate::domain::{CallSid, Party, RecordingSid, RecordingStatus, Samples8k};
use crate::store::{CallDetail, TrackRow};

/// Bytes made at once: four seconds of 8 kHz, few enough to be made between two frames.
const CHUNK_BYTES: u64 = 64 * 1024;

/// Which voices of a call can be played now.
pub(super) fn playable(detail: &CallDetail, party: Party) -> bool {
    let named = Named::voice(party);
    !detail.call.is_live() && !named.pick(&detail.tracks, &detail.gaps).is_empty()
}

/// `GET /api/v1/calls/{call_sid}/audio/{name}`
pub(super) async fn audio(
    State(state): State<LanState>,
    Extension(actor): Extension<Actor>,
    extract::Path((sid, name)): extract::Path<(String, String)>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let sid = call_sid(&sid)?;
    let named = Named::parse(&name).ok_or_else(|| {
        let detail = "sound is named mixed.wav, or like technician_8000Hz.wav: the party, and \
                      8000 or 16000; a file by itself like technician-cloud_8000Hz.wav";
        Problem::not_found(detail)
    })?;
    let detail = known_call(&state, &sid).await?;
    let tracks = named.pick(&detail.tracks, &detail.gaps);
    if detail.call.is_live() {
        return Err(Problem::not_yet("the call is still being recorded"));
    }
    if tracks.is_empty() {
        return Err(match detail.call.recording_status {
            RecordingStatus::Pending | RecordingStatus::Recording => {
                Problem::not_yet("the sound of this call is not here yet")
            }
            RecordingStatus::Completed if detail.call.sound_purged_at.is_some() => {
                Problem::not_found("the sound went from this box by the rules of retention")
            }
            RecordingStatus::Completed | RecordingStatus::Failed => {
                Problem::not_found("the call has no such sound")
            }
        });
    }
    let etag = etag(&tracks);
    let sound = if let (What::File { .. }, [Picked { track, .. }]) = (named.what, &tracks[..]) {
        let path = inside(&state.data_dir, &track.path)?;
        let least_bytes = track.size_bytes;
        opened(move || Sound::file(&path, least_bytes), &sid).await?
    } else {
        let pieces = place(&state.data_dir, &tracks, named)?;
        opened(move || Timeline::open(named.rate, pieces).map(Sound::Timeline), &sid).await?
    };
    let request = Request { method, headers, query, etag, name, call_sid: sid };
    request.answer(&state, &actor, sound).await
}

/// `GET /api/v1/calls/{call_sid}/recordings/{recording_sid}.wav`
pub(super) async fn recording(
    State(state): State<LanState>,
    Extension(actor): Extension<Actor>,
    extract::Path((sid, name)): extract::Path<(String, String)>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let sid = call_sid(&sid)?;
    let wanted: Option<RecordingSid> = name.strip_suffix(".wav").and_then(|sid| sid.parse().ok());
    let detail = known_call(&state, &sid).await?;
    let found =
        detail.cloud_recordings.iter().find(|row| Some(&row.recording_sid) == wanted.as_ref());
    let row = found.ok_or_else(|| Problem::not_found("the call has no such recording"))?;
    let Some(path) = &row.path else {
        if row.purged_at.is_some() {
            let detail = "the copy went from this box by the rules of retention";
            return Err(Problem::not_found(detail));
        }
        return Err(Problem::not_yet("the recording has not been fetched from Twilio"));
    };
    let path = inside(&state.data_dir, path)?;
    let least_bytes = row.size_bytes.unwrap_or(0);
    let sound = opened(move || Sound::file(&path, least_bytes), &sid).await?;
    let etag = format!("\"{}-{}\"", row.recording_sid, sound.len_bytes());
    let request = Request { method, headers, query, etag, name, call_sid: sid };
    request.answer(&state, &actor, sound).await
}

async fn known_call(state: &LanState, call_sid: &CallSid) -> Result<CallDetail, Problem> {
    let detail = state.store.call(call_sid).await?;
    detail.ok_or_else(|| Problem::not_found("no such call"))
}

/// Finds the tracks' files and places. What lies before the call's first sample is not of the call.
fn place(data_dir: &Path, tracks: &[Picked<'_>], named: Named) -> Result<Vec<Piece>, Problem> {
    let place = |Picked { track, span }: &Picked<'_>| {
        let skip = track.lead.at(named.rate).min(track.samples);
        let whole = Piece {
            path: inside(data_dir, &track.path)?,
            origin: track.origin.at(named.rate),
            skip,
            samples: track.samples - skip,
        };
        let within = |(start, end): (Samples8k, Samples8k)| {
            whole.clone().within(start.at(named.rate), end.at(named.rate))
        };
        Ok(span.map_or_else(|| whole.clone(), within))
    };
    tracks.iter().map(place).collect()
}

/// Names the present state of these files together: another place, length or content is another.
fn etag(tracks: &[Picked<'_>]) -> String {
    let etag = tracks.iter().fold(FNV_BASIS, |etag, Picked { track, span }| {
        let TrackRow { path, origin, lead, samples, sha256, .. } = track;
        let (origin, lead) = (origin.get(), lead.get());
        let sha256 = sha256.as_deref().unwrap_or_default();
        let span = span.map(|(start, end)| format!(" {}-{}", start.get(), end.get()));
        let span = span.unwrap_or_default();
        fnv1a(format!("{path} {origin} {lead} {samples} {sha256}{span}\n").as_bytes(), etag)
    });
    format!("\"{etag:016x}\"")
}

/// Makes a path of the ledger absolute. The ledger only holds paths that stay inside; one that
/// does not was not written by this program, and is not followed.
fn inside(data_dir: &Path, relative: &str) -> Result<PathBuf, Problem> {
    let path = Path::new(relative);
    if path.components().all(|part| matches!(part, Component::Normal(_))) {
        Ok(data_dir.join(path))
    } else {
        error!(path = relative, "the ledger names a file outside of the data folder");
        Err(Problem::sound_unreadable())
    }
}

async fn opened(
    open: impl FnOnce() -> io::Result<Sound> + Send + 'static,
    call_sid: &CallSid,
) -> Result<Sound, Problem> {
    tokio::task::spawn_blocking(open)
        .await
        .unwrap_or_else(|died| Err(io::Error::other(died)))
        .map_err(|error| {
            error!(call.sid = %call_sid, %error, "sealed sound cannot be opened");
            Problem::sound_unreadable()
        })
}

/// Something to send, of known length.
#[derive(Debug)]
enum Sound {
    Timeline(Timeline),
    File { file: File, len_bytes: u64 },
}

impl Sound {
    /// Opens a file, and makes sure that it is as long as the ledger says.
    fn file(path: &Path, least_bytes: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let len_bytes = file.metadata()?.len();
        if len_bytes < least_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self::File { file, len_bytes })
    }

    fn len_bytes(&self) -> u64 {
        match self {
            Self::Timeline(timeline) => timeline.len_bytes(),
            Self::File { len_bytes, .. } => *len_bytes,
        }
    }

    fn read(&self, start: u64, end: u64) -> io::Result<Vec<u8>> {
        match self {
            Self::Timeline(timeline) => timeline.read(start, end),
            Self::File { file, .. } => {
                let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(0)];
                file.read_exact_at(&mut bytes, start)?;
                Ok(bytes)
            }
        }
    }

    /// The bytes from `start` up to `end`, made as the viewer takes them.
    fn stream(self, start: u64, end: u64, call_sid: CallSid) -> Body {
        let sound = Arc::new(self);
        Body::from_stream(stream::try_unfold(start, move |at| {
            let (sound, call_sid) = (Arc::clone(&sound), call_sid.clone());
            async move {
                if at >= end {
                    return Ok(None);
                }
                let next = at.saturating_add(CHUNK_BYTES).min(end);
                let read = tokio::task::spawn_blocking(move || sound.read(at, next)).await;
                let chunk = read.unwrap_or_else(|died| Err(io::Error::other(died)));
                chunk.map(|bytes| Some((bytes, next))).inspect_err(|error| {
                    error!(call.sid = %call_sid, %error, "sealed sound ended early");
                })
            }
        }))
    }
}

/// A request for sound, as far as the answer depends on it.
struct Request {
    method: Method,
    headers: HeaderMap,
    query: Option<String>,
    etag: String,
    name: String,
    call_sid: CallSid,
}

impl Request {
    async fn answer(
        self,
        state: &LanState,
        actor: &Actor,
        sound: Sound,
    ) -> Result<Response, Problem> {
        let len_bytes = sound.len_bytes();
        let head = self.method == Method::HEAD;
        // A range has a meaning for GET alone.
        let wanted =
            if head { Wanted::Whole } else { Wanted::parse(&self.headers, len_bytes, &self.etag) };
        let (start, end) = match wanted {
            Wanted::Whole => (0, len_bytes),
            Wanted::Part(start, end) => (start, end),
            Wanted::BeyondTheEnd => {
                let mut response = Problem::beyond_the_end(len_bytes).into_response();
                put(&mut response, header::CONTENT_RANGE, &format!("bytes */{len_bytes}"));
                return Ok(response);
            }
        };
        let purpose = self.purpose();
        if !head {
            state.audit(actor, purpose.as_str(), Some(&self.call_sid), &self.name).await?;
        }
        let body =
            if head { Body::empty() } else { sound.stream(start, end, self.call_sid.clone()) };
        let mut response = body.into_response();
        put(&mut response, header::CONTENT_TYPE, "audio/wav");
        put(&mut response, header::ACCEPT_RANGES, "bytes");
        put(&mut response, header::CONTENT_LENGTH, &(end - start).to_string());
        put(&mut response, header::ETAG, &self.etag);
        if let Wanted::Part(start, end) = wanted {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {start}-{}/{len_bytes}", end - 1);
            put(&mut response, header::CONTENT_RANGE, &range);
        }
        if purpose == Purpose::Download {
            // The sid and the name are letters, digits, `-`, `_` and `.`: nothing to quote.
            let file_name = format!("attachment; filename=\"{}_{}\"", self.call_sid, self.name);
            put(&mut response, header::CONTENT_DISPOSITION, &file_name);
        }
        Ok(response)
    }

    fn purpose(&self) -> Purpose {
        let query = self.query.as_deref().unwrap_or_default();
        let said = form_urlencoded::parse(query.as_bytes());
        said.into_iter().fold(Purpose::Play, |purpose, (key, value)| match (&*key, &*value) {
            ("download", "1") => Purpose::Download,
            ("why", "export") => Purpose::Export,
            _ => purpose,
        })
    }
}

/// What somebody wants sound for, as far as they say; the audit trail tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Play,
    Download,
    Export,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Play => "play",
            Self::Download => "download",
            Self::Export => "export",
        }
    }
}

fn put(response: &mut Response, name: header::HeaderName, value: &str) {
    // All values here are made of digits, sids and fixed words.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leaves_the_data_folder_is_not_followed() {
        let data_dir = Path::new("/data");
        assert_eq!(inside(data_dir, "a/b.wav").unwrap(), Path::new("/data/a/b.wav"));
        for path in ["/etc/passwd", "../x", "a/../../x"] {
            assert!(inside(data_dir, path).is_err(), "{path}");
        }
    }
}
