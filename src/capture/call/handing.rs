//! What a call hands on while it runs: sound to its scribe, gaps to the ledger.

use std::sync::mpsc::TrySendError;

use super::OngoingCall;
use crate::capture::scribe::Order;
use crate::domain::GapReason;
use crate::store::GapRow;

impl OngoingCall {
    pub(super) fn gap(&mut self, gap: GapRow) {
        if !self.warned_of_gaps {
            self.warned_of_gaps = true;
            let (at_s, ms) = (gap.start.as_secs_f64(), gap.end.since(gap.start) / 8);
            tracing::warn!(
                event = "recording.gap", party = %gap.party, reason = %gap.reason, duration_ms = ms,
                "{ms} ms of the {} at {at_s:.1} s are missing ({}); further gaps are in the ledger", gap.party, gap.reason
            );
        }
        self.gaps.push(gap);
    }

    pub(super) fn warn_of_skips(&mut self, why: &str) {
        if !std::mem::replace(&mut self.warned_of_skips, true) {
            tracing::warn!(
                event = "stream.skipped",
                "a message of {}'s stream {why}; it and others like it are skipped and counted",
                self.call_sid
            );
        }
    }

    /// Hands what is gathered to the scribe, if the disk keeps up.
    pub(super) fn flush(&mut self) {
        if self.folder.is_none() || self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        self.order(Order::Write(batch));
    }

    pub(super) fn order(&mut self, order: Order) {
        match self.scribe.try_send(order) {
            Ok(()) => {
                if std::mem::take(&mut self.disk_behind) {
                    tracing::warn!(
                        event = "disk.recovered",
                        "the disk keeps up with {} again",
                        self.call_sid
                    );
                }
            }
            Err(TrySendError::Full(Order::Write(batch))) => {
                if !std::mem::replace(&mut self.disk_behind, true) {
                    tracing::error!(
                        event = "disk.stalled",
                        "the disk has been stuck for 30 s: sound of {} is being lost here; Twilio's copy has it",
                        self.call_sid
                    );
                }
                for write in batch {
                    let gap = GapRow {
                        party: write.party,
                        source: write.source,
                        start: write.at.plus(self.offset.get()),
                        end: write.end().plus(self.offset.get()),
                        reason: GapReason::Disk,
                    };
                    self.gap(gap);
                }
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                tracing::error!(
                    event = "recording.failed",
                    "the scribe of {} takes no orders",
                    self.call_sid
                );
            }
        }
    }

    pub(super) fn tell_gaps(&mut self) {
        let Some(call) = self.call.filter(|_| !self.gaps.is_empty()) else { return };
        // What the ledger cannot take now is told with the end of the call.
        if self.options.store.gaps_found(call, self.gaps.clone()).is_ok() {
            self.gaps.clear();
        }
    }
}
