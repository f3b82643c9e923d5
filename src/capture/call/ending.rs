//! The end of a call: seal its files, then tell the ledger until it takes them.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{OngoingCall, PLACE_WITHIN};
use crate::capture::scribe::{Order, Written};
use crate::capture::session::Event;
use crate::clock::BootMoment;
use crate::domain::{EndReason, UnixMillis};
use crate::store::{Finish, NewTrack, StoreError};

/// How long a call waits for its stream to come back.
const RETURN_WITHIN: Duration = Duration::from_secs(10);

/// After Twilio's word that the call is over, how long without a frame ends it.
const DRAIN_QUIET: Duration = Duration::from_secs(2);

/// And how long at most.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// A socket that brings nothing for so long is taken for closed: tunnels were seen to keep one
/// open for ever.
const SILENT_SOCKET: Duration = Duration::from_mins(5);

/// How long a finished call waits before it tells the ledger again.
const TELL_AGAIN: Duration = Duration::from_secs(5);

impl OngoingCall {
    /// Says whether the call is over, and why.
    pub(super) fn over(&mut self) -> Option<EndReason> {
        let now = self.options.clock.since_boot();
        if let Some(stream) = &self.stream {
            let quiet = now.saturating_sub(stream.last_word);
            if let Some(ended) = self.ended {
                let drained = quiet >= DRAIN_QUIET || now.saturating_sub(ended) >= DRAIN_MAX;
                return drained.then_some(EndReason::Completed);
            }
            if quiet >= SILENT_SOCKET {
                tracing::warn!(
                    event = "stream.silent",
                    "the stream of {} has been silent for five minutes",
                    self.call_sid
                );
                self.close(false);
            }
            return None;
        }
        let (closed, _, stopped) = self.closed?;
        if self.ended.is_some() {
            return Some(EndReason::Completed);
        }
        let waited = now.saturating_sub(closed) >= RETURN_WITHIN;
        waited.then_some(if stopped { EndReason::Completed } else { EndReason::Interrupted })
    }

    pub(super) async fn finish(mut self, reason: EndReason) {
        if self.stream.is_some() {
            self.close(false);
        }
        if self.folder.is_none() {
            self.await_place().await;
        }
        self.step(Event::End);
        self.end_agent();
        self.flush();
        let mut ended = (self.options.clock.now(), self.options.clock.boot());
        if let Some((since_boot, at, _)) = self.closed {
            ended = (at, BootMoment { since_boot, ..ended.1 });
        }
        let written = self.seal().await;
        let seconds = self.session.length().as_secs_f64();
        let bytes: u64 = written.tracks.iter().map(|track| track.size_bytes).sum();
        if written.tracks.is_empty() {
            tracing::error!(event = "recording.failed", "{} left no sound here", self.call_sid);
        } else {
            let files = written.tracks.len();
            let duration_ms = self.session.length().as_millis();
            tracing::info!(
                event = "recording.completed", duration_ms, size_bytes = bytes, reason = %reason,
                "{} is recorded: {seconds:.1} s in {files} files ({reason})", self.call_sid
            );
        }
        self.hand_over(written, reason, ended).await;
        self.options.due.ring();
    }

    pub(super) async fn await_place(&mut self) {
        if let Some((answer, _)) = &mut self.placing {
            let answer = tokio::time::timeout(PLACE_WITHIN, answer).await;
            let (reply, receiver) = oneshot::channel();
            if let Ok(Ok(place)) = answer {
                // The receiver is right below.
                let _ = reply.send(place);
            }
            self.placing = Some((receiver, Duration::ZERO));
        }
        self.place();
    }

    pub(super) async fn seal(&mut self) -> Written {
        let (reply, answer) = oneshot::channel();
        let (scribe, end) = (self.scribe.clone(), self.session.length());
        // The queue may be full behind a slow disk: this waits for it, off the async threads.
        let sent =
            tokio::task::spawn_blocking(move || scribe.send(Order::Finish { end, reply })).await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::error!(
                event = "recording.failed",
                "the scribe of {} is gone; what it wrote is salvaged at the next start",
                self.call_sid
            );
        }
        answer.await.unwrap_or_default()
    }

    /// Tells the ledger until it takes it. What it never takes is found at the next start.
    pub(super) async fn hand_over(
        &mut self,
        written: Written,
        reason: EndReason,
        ended: (UnixMillis, BootMoment),
    ) {
        let Written { tracks, gaps, mut trouble } = written;
        self.gaps.extend(gaps);
        if tracks.is_empty() {
            trouble.get_or_insert_with(|| "Twilio opened a stream and sent no sound".to_owned());
        }
        loop {
            match self.tell_end(&tracks, trouble.as_deref(), (reason, &ended)).await {
                Ok(()) => return,
                Err(StoreError::Erased) => {
                    tracing::error!(
                        event = "recording.failed",
                        "{} was erased before: what came of it now is left for fsck to tell of",
                        self.call_sid
                    );
                    return;
                }
                Err(error) => {
                    tracing::error!(error = %error, "the ledger does not take the end of {}; its files are safe and it is told again", self.call_sid);
                }
            }
            tokio::select! {
                biased;
                () = self.options.stop.cancelled() => return,
                () = tokio::time::sleep(TELL_AGAIN) => {}
            }
        }
    }

    pub(super) async fn tell_end(
        &mut self,
        tracks: &[NewTrack],
        trouble: Option<&str>,
        (reason, (ended_at, boot)): (EndReason, &(UnixMillis, BootMoment)),
    ) -> Result<(), StoreError> {
        let store = &self.options.store;
        let call = match (self.call, &self.announced) {
            (Some(call), _) => call,
            (None, Some(call)) => {
                let folder = self.folder.as_ref().map(|folder| folder.as_str().to_owned());
                store.adopt_call(call.clone(), folder).await?
            }
            (None, None) => return Ok(()),
        };
        self.call = Some(call);
        store
            .finish_call(Finish {
                call,
                tracks: tracks.to_vec(),
                gaps: self.gaps.clone(),
                reason,
                ended_at: *ended_at,
                ended_boot: Some(boot.clone()),
                at: self.options.clock.now(),
                trouble: trouble.map(str::to_owned),
            })
            .await
    }
}
