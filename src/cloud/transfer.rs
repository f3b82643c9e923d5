//! A recording on its way to the disk.

use bytes::BytesMut;

use super::failure::Failure;
use crate::vault::{Download, Expect, SealedDownload};

/// Bytes gathered before they are written: a transfer of 1 MB/s is four writes a second.
const BLOCK_BYTES: usize = 256 * 1024;

/// Bytes of a part's end that are asked for once more when a transfer goes on, and compared: more
/// than a file system leaves unwritten at a time.
const OVERLAP_BYTES: usize = 1024 * 1024;

/// A part of a recording that is on its way, and what is gathered for its next write.
pub(super) struct Transfer {
    /// None while a thread writes to it, and for good if that broke.
    download: Option<Download>,
    block: BytesMut,
}

impl Transfer {
    /// Goes on with a download.
    pub(super) fn new(download: Download) -> Self {
        Self { download: Some(download), block: BytesMut::new() }
    }

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
    pub(super) async fn tail(&mut self) -> Result<(Vec<u8>, u64), Failure> {
        let tail = self.on_disk(|download| {
            let tail = download.tail(OVERLAP_BYTES);
            let from = tail.as_ref().map_or(0, |tail| download.len() - tail.len() as u64);
            (tail.map(|tail| (tail, from)), Some(download))
        });
        Ok(tail.await??)
    }

    /// Throws away what is here.
    pub(super) async fn restart(&mut self) -> Result<(), Failure> {
        self.block.clear();
        let restarted = self.on_disk(|mut download| (download.restart(), Some(download)));
        Ok(restarted.await??)
    }

    /// Removes the part if nothing came. What came is kept: it may be all there is.
    pub(super) async fn discard_if_empty(mut self) -> Result<(), Failure> {
        let discarded = self.on_disk(|download| {
            (if download.is_empty() { download.discard() } else { Ok(()) }, None)
        });
        Ok(discarded.await??)
    }

    /// Takes what came, and writes when there is enough of it.
    pub(super) async fn take(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.block.extend_from_slice(chunk);
        if self.block.len() >= BLOCK_BYTES { self.write().await } else { Ok(()) }
    }

    /// Makes what has come the recording.
    pub(super) async fn finish(mut self, expect: Expect) -> Result<SealedDownload, Failure> {
        Ok(self.on_disk(move |download| (download.finish(expect), None)).await??)
    }

    /// Writes what was gathered.
    pub(super) async fn write(&mut self) -> Result<(), Failure> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = self.block.split().freeze();
        let written = self.on_disk(move |mut download| (download.append(&block), Some(download)));
        Ok(written.await??)
    }
}
