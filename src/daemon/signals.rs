//! What the operator and systemd tell the process by signals.

use anyhow::Context as _;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::wishes::{Reload, Wishes};

/// SIGTERM and SIGINT stop, in order; a second one stops at once. SIGHUP reads the settings again.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    stop: CancellationToken,
    wishes: Wishes,
    reload: Reload,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn listen(
        stop: CancellationToken,
        wishes: Wishes,
        reload: Reload,
    ) -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened to");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            stop,
            wishes,
            reload,
        })
    }

    /// Serves signals; returns only when told a second time to stop.
    pub(super) async fn run(&mut self) -> anyhow::Error {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                _ = self.hangup.recv() => {
                    self.wishes.read_again(&self.reload);
                    continue;
                }
            }
            if self.stop.is_cancelled() {
                return anyhow::anyhow!(
                    "stopped at once by a second signal; what was not sealed is salvaged at the next start"
                );
            }
            tracing::info!(event = "stopping", "asked to stop: sealing what is being recorded");
            // Without systemd there is nobody to tell.
            let _ = sd_notify::notify(&[NotifyState::Stopping]);
            self.stop.cancel();
        }
    }
}
