//! The stage `archive`: everything a call left, brought to the archive and shown back by it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::keep::{Keeper, Wanted, fetch_anew};
use super::manifest::manifest;
use super::remote::Look;
use super::{Error, Remote};
use crate::domain::{Stage, WaitingFor};
use crate::pipeline::{Verdict, Work};
use crate::store::{ArchiveObject, CallDetail, Claim, Output, Store, StoreError, TranscriptRow};
use crate::vault::Vault;

/// How often a clock that was wrong is looked at again.
const CLOCK_AGAIN: Duration = Duration::from_mins(5);

/// A transcript as it is kept beside the sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// For a program.
    pub json: String,
    /// For a person.
    pub txt: String,
}

/// Writes a conversation down. How is not this room's affair.
pub type Render = Arc<dyn Fn(&CallDetail, &TranscriptRow) -> Rendered + Send + Sync>;

/// What the stage needs.
pub struct ArchiveWorkOptions {
    /// The ledger.
    pub store: Store,
    /// The recordings.
    pub vault: Vault,
    /// The archive; none when none is configured.
    pub remote: Option<Remote>,
    /// How a conversation is written down.
    pub render: Render,
}

/// The work of the stage `archive`.
pub struct ArchiveWork {
    options: ArchiveWorkOptions,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the ledger: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Archive(#[from] Error),
}

impl ArchiveWork {
    /// Makes the stage's work.
    pub fn new(options: ArchiveWorkOptions) -> Self {
        Self { options }
    }

    async fn archive(&self, claim: &Claim) -> Result<Option<Vec<ArchiveObject>>, Failure> {
        let ArchiveWorkOptions { store, vault, remote, .. } = &self.options;
        let Some(remote) = remote else { return Ok(None) };
        let Some(detail) = store.call(claim.call_sid()).await? else { return Ok(None) };
        let files = files(&detail);
        let known = store.archive_objects(claim.call_sid()).await?;
        let transcript = store.transcript(claim.call_sid()).await?;
        let gone = gone_here(&files, transcript.is_some(), &known);
        let named = files.first().map(|file| file.path.as_str());
        let named = named.or_else(|| gone.first().map(|object| object.key.as_str()));
        let Some((folder, _)) = named.and_then(|name| name.rsplit_once('/')) else {
            return Ok(None);
        };
        let folder = folder.to_owned();
        let keeper = Keeper { remote, vault, known: &known, look: Look::Told };
        let mut objects = Vec::new();
        for file in &files {
            let kept = keeper.file(file).await;
            if let (Err(Error::Altered { path, .. }), Some(sid)) = (&kept, &file.recording_sid) {
                let now = claim.claimed_at();
                fetch_anew((store, vault), sid, path, now).await?;
            }
            objects.push(kept?);
        }
        for object in gone {
            objects.push(keeper.kept(object).await?);
        }
        if let Some(transcript) = &transcript {
            let Rendered { json, txt } = (self.options.render)(&detail, transcript);
            for (name, text) in [("transcript.json", json), ("transcript.txt", txt)] {
                objects.push(keeper.bytes(&format!("{folder}/{name}"), text.into()).await?);
            }
        }
        // Last: where a manifest is, everything it names is.
        let page = manifest(&detail, transcript.as_ref(), &objects);
        objects.push(keeper.bytes(&format!("{folder}/manifest.json"), page).await?);
        Ok(Some(objects))
    }
}

/// What the archive holds of files that are here no more, and of a transcript that is not either:
/// it is all there is of them.
fn gone_here<'a>(
    files: &[Wanted],
    has_words: bool,
    known: &'a [ArchiveObject],
) -> Vec<&'a ArchiveObject> {
    let is_gone = |object: &&ArchiveObject| match &object.path {
        Some(path) => !files.iter().any(|file| file.path == *path),
        None => !has_words && object.key.contains("/transcript."),
    };
    known.iter().filter(is_gone).collect()
}

/// The files that a call left: Twilio's copies, then each party's.
fn files(detail: &CallDetail) -> Vec<Wanted> {
    let cloud = detail.cloud_recordings.iter().filter_map(|row| {
        let (path, size_bytes) = (row.path.clone()?, row.size_bytes?);
        // Only what Twilio still has can be fetched anew.
        let there = row.status == "completed" && row.twilio_deleted_at.is_none();
        let recording_sid = there.then(|| row.recording_sid.clone());
        Some(Wanted { path, size_bytes, sha256: row.sha256.clone(), recording_sid })
    });
    let tracks = detail.tracks.iter().filter(|track| track.samples > 0).map(|track| Wanted {
        path: track.path.clone(),
        size_bytes: track.size_bytes,
        sha256: track.sha256.clone(),
        recording_sid: None,
    });
    cloud.chain(tracks).collect()
}

impl Work for ArchiveWork {
    fn stage(&self) -> Stage {
        Stage::Archive
    }

    /// Whatever is wrong with an archive may be put right there: it is tried for ever.
    fn attempts_max(&self) -> Option<u32> {
        None
    }

    fn run<'a>(&'a self, claim: &'a Claim) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        Box::pin(async move {
            match self.archive(claim).await {
                Ok(Some(objects)) => Verdict::Done(Output::Archived { objects }),
                Ok(None) => Verdict::Nothing,
                Err(Failure::Store(error)) => {
                    Verdict::Again { why: format!("the ledger: {error}") }
                }
                Err(Failure::Archive(error)) => error.into(),
            }
        })
    }
}

impl From<Error> for Verdict {
    fn from(error: Error) -> Self {
        let why = error.to_string();
        match error {
            Error::Unreachable { .. } => Self::Unreachable { why },
            Error::ClockSkewed => {
                Self::Waits { waiting_for: WaitingFor::Clock, why, after: CLOCK_AGAIN }
            }
            Error::Denied { .. }
            | Error::NoBucket { .. }
            | Error::Elsewhere { .. }
            | Error::Altered { .. } => Self::Never { why },
            Error::Busy { .. }
            | Error::Refused { .. }
            | Error::Unreadable { .. }
            | Error::NotShown { .. } => Self::Again { why },
        }
    }
}
