//! The stage `fetch`: Twilio's copies of a call, brought here whole.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::news;
use crate::clock::SharedClock;
use crate::domain::{RecordingSid, Stage, UnixMillis, WaitingFor};
use crate::pipeline::{Throttle, Verdict, Work};
use crate::store::{CallDetail, Claim, CloudRecordingRow, Fetched, Output, Store, StoreError};
use crate::twilio::rest::{Channels, Client, Extent, RestError};
use crate::vault::{self, Download, DownloadError, Expect, Folder, SealedDownload, Vault};

/// Bytes gathered before they are written: a transfer of 1 MB/s is four writes a second.
const BLOCK_BYTES: usize = 256 * 1024;

/// Bytes of a part's end that are asked for once more when a transfer goes on, and compared: more
/// than a file system leaves unwritten at a time.
const OVERLAP_BYTES: usize = 1024 * 1024;

/// So soon after the word that a recording is complete, Twilio may not have it yet; what is not
/// there later was deleted.
const NOT_YET: Duration = Duration::from_mins(30);

/// How long Twilio is left alone when it asks for that without saying how long.
const THROTTLED_FOR: Duration = Duration::from_secs(30);

/// What the stage needs.
pub struct FetchOptions {
    /// Twilio.
    pub client: Client,
    /// The ledger.
    pub store: Store,
    /// The recordings.
    pub vault: Vault,
    /// The time.
    pub clock: SharedClock,
    /// How fast bytes may come.
    pub throttle: Throttle,
}

/// The work of the stage `fetch`.
pub struct FetchWork {
    options: FetchOptions,
}

/// Why a recording is not here.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Twilio(#[from] RestError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}", chain(.0))]
    Vault(#[from] vault::Error),
    #[error("{}", chain(.0))]
    Download(#[from] DownloadError),
    #[error("{0}")]
    NotYet(String),
    #[error("{0}")]
    Gone(String),
    #[error("a thread of fieldtape's broke: {0}")]
    Broken(#[from] tokio::task::JoinError),
    #[error("the file of a transfer was lost to a broken thread")]
    Lost,
}

/// A part of a recording that is on its way, and what is gathered for its next write.
struct Transfer {
    /// None while a thread writes to it, and for good if that broke.
    download: Option<Download>,
    block: BytesMut,
}

impl FetchWork {
    /// Makes the stage's work.
    pub fn new(options: FetchOptions) -> Self {
        Self { options }
    }

    async fn fetch(&self, claim: &Claim) -> Result<(), Failure> {
        let Some(detail) = self.options.store.call_as_recorded(claim.call_sid()).await? else {
            return Ok(());
        };
        let (mut failed, mut fetched) = (None, 0_u32);
        for row in &detail.cloud_recordings {
            if row.status != "completed" || row.path.is_some() {
                continue;
            }
            match self.fetch_one(claim, &detail, row).await {
                Ok(()) => fetched += 1,
                // One that cannot be had does not keep the others from coming.
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
        if fetched == 0 && detail.cloud_recordings.iter().all(|row| row.path.is_none()) {
            return Err(nothing_to_fetch(&detail.cloud_recordings));
        }
        Ok(())
    }

    async fn fetch_one(
        &self,
        claim: &Claim,
        detail: &CallDetail,
        row: &CloudRecordingRow,
    ) -> Result<(), Failure> {
        let FetchOptions { store, vault, clock, .. } = &self.options;
        let folder = self.folder(claim, detail, row).await?;
        let sid = &row.recording_sid;
        let (looked, place, named) = (vault.clone(), folder.clone(), sid.clone());
        // A crash may have come between the file's name and the ledger.
        let found =
            tokio::task::spawn_blocking(move || looked.found_download(&place, &named)).await??;
        let sealed = match found {
            Some(sealed) => sealed,
            None => self.download(&folder, detail, row).await?,
        };
        let SealedDownload { path, size_bytes, sha256, channels, rate_hz, frames } = sealed;
        tracing::info!(
            event = "cloud.fetched", recording.sid = %sid, size_bytes,
            "Twilio's copy {sid} is here: {size_bytes} bytes"
        );
        let fetched = Fetched {
            recording_sid: sid.clone(),
            path: path.as_str().to_owned(),
            size_bytes,
            sha256,
            channels: u32::from(channels),
            frames,
            rate_hz,
        };
        Ok(store.recording_fetched(fetched, clock.now()).await?)
    }

    /// Returns the call's folder; a call never heard here gets one now.
    async fn folder(
        &self,
        claim: &Claim,
        detail: &CallDetail,
        row: &CloudRecordingRow,
    ) -> Result<Folder, Failure> {
        let call = &detail.call;
        let began_at = call.started_at.or(row.started_at).unwrap_or(call.created_at);
        let fresh = Folder::new(&call.call_sid, began_at).map_err(vault::Error::from)?;
        let text = match &call.folder {
            Some(text) => text.clone(),
            None => self.options.store.give_folder(claim.call(), fresh.as_str().to_owned()).await?,
        };
        Ok(text.parse::<Folder>().map_err(vault::Error::from)?)
    }

    async fn download(
        &self,
        folder: &Folder,
        detail: &CallDetail,
        row: &CloudRecordingRow,
    ) -> Result<SealedDownload, Failure> {
        let (vault, place, sid) =
            (self.options.vault.clone(), folder.clone(), row.recording_sid.clone());
        let download =
            tokio::task::spawn_blocking(move || vault.open_download(&place, &sid)).await??;
        let mut transfer = Transfer { download: Some(download), block: BytesMut::new() };
        let channels = if row.channels == Some(1) { Channels::One } else { Channels::Two };
        let brought = match self.bring(&mut transfer, &row.recording_sid, channels).await {
            // One that Twilio said to have two channels is waited for: half of it is not it.
            Err(Failure::Twilio(RestError::NotDual)) if row.channels != Some(2) => {
                self.bring(&mut transfer, &row.recording_sid, Channels::One).await
            }
            brought => brought,
        };
        if let Err(Failure::Twilio(RestError::NotFound)) = brought {
            let began_at = row.started_at.unwrap_or(detail.call.created_at);
            transfer.discard_if_empty().await?;
            return Err(self.missing(row, began_at).await);
        }
        brought?;
        let expect = Expect { duration_s: row.duration_s, channels: row.channels };
        Ok(transfer.on_disk(move |download| (download.finish(expect), None)).await??)
    }

    /// Brings what is missing of a recording, on from where an earlier attempt was cut.
    async fn bring(
        &self,
        transfer: &mut Transfer,
        sid: &RecordingSid,
        channels: Channels,
    ) -> Result<(), Failure> {
        let client = &self.options.client;
        let (tail, from) = transfer.tail().await?;
        let mut media = match client.media(sid, channels, from).await {
            Err(RestError::BeyondEnd) => {
                transfer.restart().await?;
                client.media(sid, channels, 0).await?
            }
            media => media?,
        };
        let mut known = match media.extent() {
            Extent::Partial { from: begins, .. } if begins == from && from > 0 => Bytes::from(tail),
            Extent::Partial { .. } | Extent::Full { .. } => {
                transfer.restart().await?;
                Bytes::new()
            }
        };
        let outcome = loop {
            let mut chunk = match media.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(error) => break Err(Failure::from(error)),
            };
            self.options.throttle.take(chunk.len()).await;
            let again = known.len().min(chunk.len());
            if known.split_to(again) != chunk.split_to(again) {
                // The part's end is not the recording's: what a power cut left, or another file.
                transfer.restart().await?;
                break Err(RestError::Unreachable {
                    why: "what was here of it is not what Twilio has; it is fetched anew"
                        .to_owned(),
                }
                .into());
            }
            transfer.block.extend_from_slice(&chunk);
            if transfer.block.len() >= BLOCK_BYTES {
                transfer.write().await?;
            }
        };
        // What has come is kept, however it ended.
        transfer.write().await?;
        outcome
    }

    /// Finds out why Twilio has no sound under a recording's name.
    async fn missing(&self, row: &CloudRecordingRow, began_at: UnixMillis) -> Failure {
        let FetchOptions { client, store, clock, .. } = &self.options;
        let sid = &row.recording_sid;
        let now = clock.now();
        let gone = |what: &str| Failure::Gone(format!("Twilio's copy {sid} {what}"));
        match client.recording(sid).await {
            Ok(dated) => {
                let word = dated.resource.status.clone();
                if let Some(update) = news::recording(&dated.resource, now)
                    && let Err(error) = store.cloud_recording(update).await
                {
                    return error.into();
                }
                match word.as_str() {
                    "deleted" => gone("was deleted at Twilio before it could be fetched"),
                    "absent" => gone("was never made by Twilio (absent)"),
                    _ => {
                        Failure::NotYet(format!("Twilio does not give out the sound of {sid} yet"))
                    }
                }
            }
            Err(RestError::NotFound) if is_recent(row, began_at, now) => {
                Failure::NotYet(format!("Twilio does not have {sid} yet"))
            }
            Err(RestError::NotFound) => match store.recording_gone(sid.clone(), now).await {
                Ok(()) => gone(
                    "is not there: deleted before it could be fetched, or in another account or region",
                ),
                Err(error) => error.into(),
            },
            Err(error) => error.into(),
        }
    }
}

fn is_recent(row: &CloudRecordingRow, began_at: UnixMillis, now: UnixMillis) -> bool {
    let length = Duration::from_secs(u64::from(row.duration_s.unwrap_or(0)));
    now.since(began_at) < length + NOT_YET
}

/// Says why a call has nothing to fetch and nothing that was fetched.
fn nothing_to_fetch(rows: &[CloudRecordingRow]) -> Failure {
    let words: Vec<_> = rows
        .iter()
        .map(|row| {
            let code = row.error_code.as_ref().map(|code| format!(", error {code}"));
            format!("{} is {}{}", row.recording_sid, row.status, code.unwrap_or_default())
        })
        .collect();
    Failure::Gone(format!("Twilio has no recording of this call to fetch: {}", words.join("; ")))
}

impl Transfer {
    /// Does something with the file off the async threads, which carry sound.
    async fn on_disk<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(Download) -> (T, Option<Download>) + Send + 'static,
    ) -> Result<T, Failure> {
        let Some(download) = self.download.take() else { return Err(Failure::Lost) };
        let (out, download) = tokio::task::spawn_blocking(move || act(download)).await?;
        self.download = download;
        Ok(out)
    }

    /// Returns the end of what is here, and where that begins.
    async fn tail(&mut self) -> Result<(Vec<u8>, u64), Failure> {
        let tail = self.on_disk(|download| {
            let tail = download.tail(OVERLAP_BYTES);
            let from = tail.as_ref().map_or(0, |tail| download.len() - tail.len() as u64);
            (tail.map(|tail| (tail, from)), Some(download))
        });
        Ok(tail.await??)
    }

    /// Throws away what is here.
    async fn restart(&mut self) -> Result<(), Failure> {
        self.block.clear();
        let restarted = self.on_disk(|mut download| (download.restart(), Some(download)));
        Ok(restarted.await??)
    }

    /// Removes the part if nothing came. What came is kept: it may be all there is.
    async fn discard_if_empty(mut self) -> Result<(), Failure> {
        let discarded = self.on_disk(|download| {
            (if download.is_empty() { download.discard() } else { Ok(()) }, None)
        });
        Ok(discarded.await??)
    }

    /// Writes what was gathered.
    async fn write(&mut self) -> Result<(), Failure> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = self.block.split().freeze();
        let written = self.on_disk(move |mut download| (download.append(&block), Some(download)));
        Ok(written.await??)
    }
}

/// An error with all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        let why = failure.to_string();
        match failure {
            Failure::Twilio(error) => match error {
                RestError::Unreachable { .. } => Self::Unreachable { why },
                RestError::Throttled { after } => Self::Waits {
                    waiting_for: WaitingFor::Twilio,
                    why,
                    after: after.unwrap_or(THROTTLED_FOR),
                },
                RestError::Unauthorized { .. } => Self::Never { why },
                RestError::Unanswered { .. }
                | RestError::Busy { .. }
                | RestError::TooEarly
                | RestError::NotFound
                | RestError::NotDual
                | RestError::BeyondEnd
                | RestError::Refused { .. }
                | RestError::Garbled { .. } => Self::Again { why },
            },
            Failure::Vault(vault::Error::Full { .. })
            | Failure::Download(DownloadError::Vault(vault::Error::Full { .. })) => {
                Self::Waits { waiting_for: WaitingFor::Disk, why, after: Duration::from_mins(1) }
            }
            Failure::Gone(_) => Self::Never { why },
            Failure::Store(_)
            | Failure::Vault(_)
            | Failure::Download(_)
            | Failure::NotYet(_)
            | Failure::Broken(_)
            | Failure::Lost => Self::Again { why },
        }
    }
}

impl Work for FetchWork {
    fn stage(&self) -> Stage {
        Stage::Fetch
    }

    fn attempts_max(&self) -> Option<u32> {
        None
    }

    fn run<'a>(&'a self, claim: &'a Claim) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        Box::pin(async move {
            match self.fetch(claim).await {
                Ok(()) => Verdict::Done(Output::Fetched),
                Err(failure) => failure.into(),
            }
        })
    }
}
