//! What people are told before they are recorded, and the sound file that tells it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use axum::body::Bytes;
use axum::extract::{Path as UrlPath, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::DoorState;
use crate::health::Told;
use crate::store::Stamp;
use crate::twilio::door::PublicUrl;
use crate::twilio::twiml::{Play, Prompt, Say};

/// Where the sound file is fetched, followed by its name.
pub(super) const SOUNDS: &str = "/twilio/announcement/";

/// The largest sound file: minutes of speech. Nobody waits longer.
const SOUND_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What people are told before they are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// Nothing: whoever set this box up wants it so.
    Nothing,
    /// A text, read aloud.
    Said {
        /// The text.
        text: String,
        /// The language it is said in.
        language: Option<String>,
        /// Whose voice says it.
        voice: Option<String>,
    },
    /// A sound file, played.
    Played(Sound),
    /// Something that cannot be told now. Nothing is recorded that is not announced.
    Unable,
}

/// A sound file, as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound {
    bytes: Bytes,
    sha256: String,
    is_mp3: bool,
}

/// A file that cannot be played to anybody.
#[derive(Debug, thiserror::Error)]
pub enum BadSound {
    /// It cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Where it was looked for.
        path: String,
        /// What stands in the way.
        source: io::Error,
    },
    /// It is too long to be an announcement.
    #[error("{path} is larger than 4 MiB; make it shorter, or an MP3 file")]
    TooLarge {
        /// Where it is.
        path: String,
    },
    /// Twilio would not play it.
    #[error("{path} is neither a WAV nor an MP3 file")]
    NoSound {
        /// Where it is.
        path: String,
    },
}

impl Sound {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, BadSound> {
        let told = || path.display().to_string();
        let unreadable = |source| BadSound::Unreadable { path: told(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(SOUND_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > SOUND_BYTES_MAX {
            return Err(BadSound::TooLarge { path: told() });
        }
        let is_wav = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE");
        // An MP3 file begins with its tags, or with a frame: eleven bits of one.
        let frame = matches!(bytes.as_slice(), [0xff, second, ..] if second & 0xe0 == 0xe0);
        let is_mp3 = bytes.starts_with(b"ID3") || frame;
        if !is_wav && !is_mp3 {
            return Err(BadSound::NoSound { path: told() });
        }
        let sha256 = format!("{:x}", Sha256::digest(&bytes));
        Ok(Self { bytes: bytes.into(), sha256, is_mp3: !is_wav })
    }

    /// Returns the name that it is fetched by: of what is in it, so that a changed one is another.
    fn name(&self) -> String {
        format!("{}.{}", self.sha256, if self.is_mp3 { "mp3" } else { "wav" })
    }

    const fn media_type(&self) -> &'static str {
        if self.is_mp3 { "audio/mpeg" } else { "audio/x-wav" }
    }
}

/// Leaves the sound out.
impl fmt::Debug for Sound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sound({}, {} bytes)", self.name(), self.bytes.len())
    }
}

impl Announcement {
    /// Makes it from what is configured.
    pub fn new(
        (text, sound): (&str, Option<&Path>),
        language: Option<String>,
        voice: Option<String>,
    ) -> Self {
        match sound.map(Sound::read) {
            Some(Ok(sound)) => Self::Played(sound),
            Some(Err(error)) => {
                tracing::error!(event = "announcement.missing", error = %error, "the announcement cannot be played, so calls are connected and not recorded: {error}");
                Self::Unable
            }
            None if text.trim().is_empty() => Self::Nothing,
            None => Self::Said { text: text.to_owned(), language, voice },
        }
    }

    /// Says for whoever asks how the appliance is what people are told, and whether they are asked.
    pub fn told(&self, asks: bool) -> Told {
        match self {
            Self::Nothing => Told::Nothing,
            Self::Unable => Told::Unable,
            Self::Said { .. } | Self::Played(_) if asks => Told::Question,
            Self::Said { .. } | Self::Played(_) => Told::Notice,
        }
    }

    /// Returns it for a document; none when nothing is told.
    pub(super) fn prompt(&self, public_url: &PublicUrl) -> Option<Prompt> {
        match self {
            Self::Nothing | Self::Unable => None,
            Self::Said { text, language, voice } => Some(Prompt::Say(Say {
                text: text.clone(),
                language: language.clone(),
                voice: voice.clone(),
            })),
            Self::Played(sound) => {
                let url = public_url.webhook(&format!("{SOUNDS}{}", sound.name()));
                Some(Prompt::Play(Play { url }))
            }
        }
    }

    /// Returns what the ledger keeps of it.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Nothing | Self::Unable => None,
            Self::Said { text, language, voice } => Some(Stamp {
                how: "said",
                sha256: format!("{:x}", Sha256::digest(text.as_bytes())),
                language: language.clone(),
                voice: voice.clone(),
            }),
            Self::Played(sound) => Some(Stamp {
                how: "played",
                sha256: sound.sha256.clone(),
                language: None,
                voice: None,
            }),
        }
    }
}

/// Answers `GET /twilio/announcement/{name}`. It is told to everybody who calls, so no signature is
/// asked for: whether Twilio signs such a request is not written anywhere.
pub(super) async fn sound(
    State(state): State<DoorState>,
    UrlPath(name): UrlPath<String>,
) -> Response {
    let sound = match &state.settings.borrow().answering.announcement {
        Announcement::Played(sound) if sound.name() == name => sound.clone(),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, sound.media_type()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, sound.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn a_sound_file_is_known_by_what_is_in_it() {
        let wav = Sound::read(file(b"RIFF\0\0\0\0WAVEfmt ").path()).unwrap();
        assert_eq!((wav.name().len(), wav.media_type()), (68, "audio/x-wav"));
        for mp3 in [&b"ID3\x04rest"[..], b"\xff\xfb\x90"] {
            assert_eq!(Sound::read(file(mp3).path()).unwrap().media_type(), "audio/mpeg");
        }
        assert!(matches!(Sound::read(file(b"hello").path()), Err(BadSound::NoSound { .. })));
        assert!(matches!(Sound::read(Path::new("/nowhere")), Err(BadSound::Unreadable { .. })));
        let long = vec![0xff; usize::try_from(SOUND_BYTES_MAX).unwrap() + 1];
        assert!(matches!(Sound::read(file(&long).path()), Err(BadSound::TooLarge { .. })));
    }

    #[test]
    fn what_cannot_be_played_is_not_the_same_as_nothing() {
        let nowhere = Some(Path::new("/nowhere"));
        assert_eq!(Announcement::new(("Text.", nowhere), None, None), Announcement::Unable);
        assert_eq!(Announcement::new((" ", None), None, None), Announcement::Nothing);
    }
}
