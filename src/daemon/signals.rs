//! What the operator and systemd tell the process by signals.

use anyhow::Context as _;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Reload, doors};
use crate::web::door::Settings;

/// SIGTERM and SIGINT stop, in order; a second one stops at once. SIGHUP reads the settings again.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    stop: CancellationToken,
    settings: watch::Sender<Settings>,
    reload: Reload,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn listen(
        stop: CancellationToken,
        settings: watch::Sender<Settings>,
        reload: Reload,
    ) -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened to");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            stop,
            settings,
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
                    self.read_again();
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

    fn read_again(&self) {
        match (self.reload)() {
            Ok(config) => {
                self.settings.send_replace(doors::settings(&config));
                tracing::info!(
                    event = "config.reloaded",
                    "account, token, agent and announcement are read again; other settings need a restart"
                );
            }
            Err(problems) => {
                tracing::error!(event = "config.refused", error = %problems, "the settings stay as they were: {problems}");
            }
        }
    }
}
