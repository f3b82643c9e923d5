//! A track heard window by window, each kept in the ledger before the next is begun.
//!
//! Invariant: whatever cuts it off, and whenever, costs one window: what was kept is not heard
//! again, and what is put together from it is the same as if nothing had happened.

use std::fs::File;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::schedule::{Course, Schedule};
use super::{Segment, Speech, SpeechError, TrackJob, WindowText};
use crate::clock::SharedClock;
use crate::domain::Stage;
use crate::store::{Claim, HeardWindow, Store, StoreError};

/// A track as text, as far as it has been heard.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct TrackText {
    /// What was said, by start time.
    pub(super) segments: Vec<Segment>,
    /// The language it was taken for, if anything was heard.
    pub(super) language: Option<String>,
    /// The model that heard it, by name.
    pub(super) model: Option<String>,
    /// Stretches that were heard and dropped.
    pub(super) dropped: u32,
    /// The sample up to which it has been heard.
    heard_to: u64,
    /// All of it has been.
    finished: bool,
}

/// What one window brought, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Found {
    segments: Vec<Segment>,
    language: Option<String>,
    model: String,
    dropped: u32,
    finished: bool,
}

/// Why a track was not heard to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("the ledger: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Speech(#[from] SpeechError),
    /// Something else goes first.
    #[error("something else goes first")]
    GivesWay,
}

/// One call's tracks being heard.
pub(super) struct Hearing<'a> {
    pub(super) store: &'a Store,
    pub(super) clock: &'a SharedClock,
    pub(super) schedule: &'a Schedule,
    pub(super) speech: &'a Speech,
    pub(super) language: &'a str,
    pub(super) claim: &'a Claim,
    /// By which model and settings, from which files: see [`manner`].
    pub(super) manner: String,
    /// What was kept of the call's tracks in this manner.
    pub(super) kept: Vec<HeardWindow>,
}

impl Hearing<'_> {
    /// Hears a track, going on where it was cut off; what of the other party's comes back on it is
    /// left out.
    pub(super) async fn track(
        &self,
        path: &str,
        audio: &Arc<File>,
        other: Option<&Arc<File>>,
    ) -> Result<TrackText, Cut> {
        let mut text = self.as_kept(path);
        while !text.finished {
            let gently = match self.schedule.course() {
                Course::Held { .. } => return Err(Cut::GivesWay),
                Course::Gently => true,
                Course::Freely => false,
            };
            if self.is_hurried().await? {
                return Err(Cut::GivesWay);
            }
            let language = text.language.as_deref().unwrap_or(self.language).to_owned();
            let (audio, from_sample) = (Arc::clone(audio), text.heard_to);
            let job = TrackJob { audio, other: other.cloned(), from_sample, language, gently };
            let window = self.speech.window(job).await?;
            self.keep(path, from_sample, window, &mut text).await?;
        }
        Ok(text)
    }

    /// Says whether somebody looks at another call, and that one is due.
    async fn is_hurried(&self) -> Result<bool, StoreError> {
        let looked_at = self.schedule.looked_at();
        if looked_at.is_empty() || looked_at.contains(self.claim.call_sid()) {
            return Ok(false);
        }
        let due = self.store.due_among(Stage::Transcript, &looked_at, self.clock.now()).await?;
        Ok(due.is_some())
    }

    /// Puts a track together from its windows that were kept, up to the first that is missing.
    fn as_kept(&self, path: &str) -> TrackText {
        let mut text = TrackText::default();
        for window in self.kept.iter().filter(|window| window.path == path) {
            let Ok(found) = serde_json::from_str::<Found>(&window.found) else { break };
            if window.from_sample != text.heard_to {
                break;
            }
            text.add(found, window.to_sample);
        }
        if text.heard_to > 0 {
            tracing::info!(
                event = "transcript.resumed",
                "the transcript of {} goes on at {} s of {path}",
                self.claim.call_sid(),
                text.heard_to / 16_000
            );
        }
        text
    }

    async fn keep(
        &self,
        path: &str,
        from_sample: u64,
        window: WindowText,
        text: &mut TrackText,
    ) -> Result<(), Cut> {
        let to_sample = window.consumed_to;
        tracing::debug!(
            event = "transcript.window",
            from_sample,
            to_sample,
            "heard a window of {path}"
        );
        let WindowText { segments, language, model, dropped, finished, .. } = window;
        let found = Found { segments, language, model, dropped, finished };
        let kept = HeardWindow {
            path: path.to_owned(),
            from_sample,
            to_sample,
            // Plain text and finite numbers always become JSON; what did not would be heard again.
            found: serde_json::to_string(&found).unwrap_or_default(),
        };
        self.store.keep_heard(self.claim.call(), self.manner.clone(), kept).await?;
        text.add(found, to_sample);
        Ok(())
    }
}

impl TrackText {
    fn add(&mut self, found: Found, heard_to: u64) {
        self.segments.extend(found.segments);
        self.dropped += found.dropped;
        self.language = found.language.or(self.language.take());
        self.model = Some(found.model);
        self.heard_to = heard_to;
        self.finished = found.finished;
    }
}

/// Names the manner in which a call is heard: by what, in which language, and from which files as
/// they are now. If any of it changes, nothing that was heard before is of use.
pub(super) fn manner<'a>(
    by: &str,
    language: &str,
    files: impl Iterator<Item = (&'a str, &'a File)>,
) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(by);
    add(language);
    for (path, file) in files {
        add(path);
        add(&stamp(file)?);
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Returns what changes when a file does.
pub(super) fn stamp(file: &File) -> std::io::Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    let about = file.metadata()?;
    Ok(format!("{} {}.{:09}", about.len(), about.mtime(), about.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn another_manner_is_another_name() {
        let mut file = tempfile::tempfile().unwrap();
        let name = |by: &str, language: &str, files: &[(&str, &File)]| {
            manner(by, language, files.iter().copied()).unwrap()
        };
        let one = name("tiny", "en", &[("a", &file)]);
        assert_eq!(one, name("tiny", "en", &[("a", &file)]));
        let others = [
            name("base", "en", &[("a", &file)]),
            name("tiny", "de", &[("a", &file)]),
            name("tiny", "en", &[("b", &file)]),
            name("tiny", "en", &[("a", &file), ("b", &file)]),
        ];
        assert!(!others.contains(&one));
        file.write_all(b"more").unwrap();
        assert_ne!(name("tiny", "en", &[("a", &file)]), one);
    }
}
