//! What the operator wants: the settings as they were read last, and what becomes of those that
//! are read while the appliance runs.
//!
//! Invariant: settings are taken whole or not at all, and whoever asked is told which.

use std::sync::Arc;

use sd_notify::NotifyState;
use tokio::sync::watch;

use super::doors;
use crate::config::{Config, Problems};
use crate::web::door::Settings;

/// Reads the configuration again.
pub type Reload = Box<dyn Fn() -> Result<Config, Problems> + Send>;

/// What is wanted. A clone is another handle to the same.
#[derive(Clone)]
pub(super) struct Wishes {
    /// The settings as they were read last.
    read: watch::Sender<Arc<Config>>,
    /// How calls are answered.
    answering: watch::Sender<Settings>,
    /// Why the settings that were read last are not those in use.
    refused: watch::Sender<Option<String>>,
}

impl Wishes {
    /// Takes the settings of the start.
    pub(super) fn new(config: Config) -> Self {
        Self {
            answering: watch::Sender::new(doors::settings(&config)),
            read: watch::Sender::new(Arc::new(config)),
            refused: watch::Sender::new(None),
        }
    }

    /// Reads the settings again; whoever runs takes them.
    pub(super) fn read_again(&self, reload: &Reload) {
        let mut states = vec![NotifyState::Reloading];
        // Needed by systemd 253 and later, and only there; without a clock there is no reloading.
        states.extend(NotifyState::monotonic_usec_now());
        // Without systemd there is nobody to tell.
        let _ = sd_notify::notify(&states);
        match reload() {
            Ok(config) => {
                self.read.send_replace(Arc::new(config));
            }
            Err(problems) => self.refuse(&problems.to_string()),
        }
    }

    /// Returns the settings that were read last, and hears of every change.
    pub(super) fn read(&self) -> watch::Receiver<Arc<Config>> {
        self.read.subscribe()
    }

    /// Returns how calls are answered, as it stands.
    pub(super) fn answering(&self) -> watch::Receiver<Settings> {
        self.answering.subscribe()
    }

    /// Returns why the settings that were read last are not those in use, if so.
    pub(super) fn refused(&self) -> watch::Receiver<Option<String>> {
        self.refused.subscribe()
    }

    /// Says that settings are in use now, but for those that stay until a restart.
    pub(super) fn took(&self, config: &Config, until_restart: &[&str]) {
        for warning in &config.warnings {
            tracing::warn!(event = "config.ignored", "{warning}");
        }
        self.answering.send_replace(doors::settings(config));
        self.refused.send_replace(None);
        if until_restart.is_empty() {
            tracing::info!(event = "config.reloaded", "the settings are in use as they are now");
        } else {
            let which = until_restart.join(", ");
            tracing::warn!(
                event = "config.reloaded",
                "the settings are in use as they are now, but for {which}: restart fieldtape for that"
            );
        }
        // Without systemd there is nobody to tell.
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }

    /// Says that settings are not taken, and why.
    pub(super) fn refuse(&self, why: &str) {
        tracing::error!(
            event = "config.refused",
            error = why,
            "the settings stay as they were: {why}"
        );
        self.refused.send_replace(Some(why.to_owned()));
        // Without systemd there is nobody to tell.
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }
}

/// Puts back into `wanted` what a running appliance cannot change, and names it.
pub(super) fn keep_fixed(running: &Config, wanted: &mut Config) -> Vec<&'static str> {
    let mut kept = keep_ports(running, wanted);
    let (is, will) = (&running.server, &mut wanted.server);
    keep("server.data_dir", &is.data_dir, &mut will.data_dir, &mut kept);
    keep("server.admin_socket", &is.admin_socket, &mut will.admin_socket, &mut kept);
    let (is, will) = (&running.recording, &mut wanted.recording);
    keep("recording.agent_source", &is.agent_source, &mut will.agent_source, &mut kept);
    keep("microphone", &running.microphone, &mut wanted.microphone, &mut kept);
    kept
}

/// Puts back into `wanted` the ports, which are bound, and names those that would be others.
pub(super) fn keep_ports(running: &Config, wanted: &mut Config) -> Vec<&'static str> {
    let mut kept = Vec::new();
    let (is, will) = (&running.server, &mut wanted.server);
    keep("server.lan_listen", &is.lan_listen, &mut will.lan_listen, &mut kept);
    keep("server.twilio_listen", &is.twilio_listen, &mut will.twilio_listen, &mut kept);
    kept
}

fn keep<T: Clone + PartialEq>(
    key: &'static str,
    is: &T,
    will: &mut T,
    kept: &mut Vec<&'static str>,
) {
    if is != will {
        will.clone_from(is);
        kept.push(key);
    }
}
