//! The stage `fetch`: Twilio's copies of a call, brought here whole.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::failure::Failure;
use super::news;
use super::transfer::Transfer;
use crate::clock::SharedClock;
use crate::domain::{RecordingSid, Stage, UnixMillis};
use crate::pipeline::{Throttle, Verdict, Work};
use crate::store::{CallDetail, Claim, CloudRecordingRow, Fetched, Output, Store};
use crate::twilio::rest::{Channels, Client, Extent, RestError};
use crate::vault::{self, Expect, Folder, SealedDownload, Vault};

/// So soon after the word that a recording is complete, Twilio may not have it yet; what is not
/// there later was deleted.
const NOT_YET: Duration = Duration::from_mins(30);

/// How soon it is looked again whether there is room.
pub(super) const NO_ROOM_AGAIN: Duration = Duration::from_secs(10);

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
            // What was here and went by the rules of retention does not come back.
            if row.status != "completed" || row.path.is_some() || row.purged_at.is_some() {
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
        let was_here = |row: &CloudRecordingRow| row.path.is_some() || row.purged_at.is_some();
        if fetched == 0 && !detail.cloud_recordings.iter().any(was_here) {
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
        let mut transfer = Transfer::new(download);
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
        transfer.finish(expect).await
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
            transfer.take(&chunk).await?;
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
            // It may be a minute old: by such a clock nothing is given up.
            Err(RestError::NotFound) if !clock.synchronised() => Failure::NotYet(format!(
                "Twilio does not have {sid}, and how old it is cannot be said before the clock is synchronised"
            )),
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

impl Work for FetchWork {
    fn stage(&self) -> Stage {
        Stage::Fetch
    }

    fn attempts_max(&self) -> Option<u32> {
        None
    }

    /// What is left of the disk is for what is live; Twilio keeps its copies meanwhile.
    fn held(&self) -> Option<Duration> {
        (self.options.vault.mark() == vault::Mark::Spent).then_some(NO_ROOM_AGAIN)
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
