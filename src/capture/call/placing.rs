//! Where a call's files go: the ledger says, or a new call's place when it does not.

use tokio::sync::oneshot;
use tracing::Instrument;

use super::agent::Agent;
use super::{OngoingCall, PLACE_WITHIN};
use crate::capture::scribe::{Lane, Order};
use crate::domain::Samples8k;
use crate::store::{NewStream, StoreError};
use crate::vault::Folder;

impl OngoingCall {
    /// Has the stream written down; the answer says where the files go.
    pub(super) fn tell_ledger(&mut self, stream: NewStream) {
        let (reply, answer) = oneshot::channel();
        // In line before the spawned task runs: a short stream's end must not overtake its start.
        let placing = self.options.store.stream_started(stream);
        let span = self.span.clone();
        self.options.tasks.spawn(
            async move {
                let placed = placing.await;
                if let Err(error) = &placed {
                    tracing::error!(error = %error, "the ledger did not take the stream; its sound is recorded all the same");
                }
                // Nobody waits any more when the call took its own way.
                let _ = reply.send(placed);
            }
            .instrument(span),
        );
        if self.call.is_none() {
            self.placing = Some((answer, self.options.clock.since_boot()));
        }
    }

    /// Has the files made, once the ledger has said where, or takes too long to.
    pub(super) fn place(&mut self) {
        let Some((answer, since)) = &mut self.placing else { return };
        let waited = self.options.clock.since_boot().saturating_sub(*since);
        let late = waited > PLACE_WITHIN;
        let place = match answer.try_recv() {
            Ok(answer) => answer,
            Err(oneshot::error::TryRecvError::Empty) if !late => return,
            Err(_) => Err(StoreError::Closed),
        };
        self.placing = None;
        if let Ok(place) = place {
            self.call = Some(place.call);
            // A call that was sealed before goes on in new files at its own later time.
            if let (None, Some(since)) = (&self.folder, place.sound_since) {
                let since = (since + waited).as_millis();
                self.offset = Samples8k::from_millis(u64::try_from(since).unwrap_or(0));
                // The first word of it stands.
                self.started = None;
            }
            let known = place.folder.and_then(|text| text.parse::<Folder>().ok());
            self.open_files(known);
        } else {
            self.open_files(None);
        }
        self.tell_beginning();
    }

    pub(super) fn open_files(&mut self, known: Option<Folder>) {
        if self.folder.is_some() {
            return;
        }
        let now = self.options.clock.now();
        match known.map_or_else(|| Folder::new(&self.call_sid, now), Ok) {
            Ok(folder) => {
                self.folder = Some(folder.clone());
                let lanes = Lane::of_a_call(self.agent.as_ref().map(Agent::source));
                self.order(Order::Open { folder, offset: self.offset, lanes });
            }
            Err(error) => {
                tracing::error!(event = "recording.failed", error = %error, "{} has no folder: the clock is out of all bounds", self.call_sid);
            }
        }
    }

    pub(super) fn tell_beginning(&mut self) {
        let (Some(call), Some(started), Some(folder)) =
            (self.call, self.started.clone(), &self.folder)
        else {
            return;
        };
        let folder = folder.as_str().to_owned();
        if let Err(error) = self.options.store.sound_began(call, started, folder) {
            tracing::error!(error = %error, "the ledger did not take the start of {}", self.call_sid);
        }
    }
}
