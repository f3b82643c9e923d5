//! The listeners and what they serve.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Ports;
use super::heart::Heart;
use super::wing::Wing;
use crate::clock::SharedClock;
use crate::config::{CloudRecording, Config};
use crate::health::{Check, Health};
use crate::twilio::door::Door;
use crate::twilio::signature::Validator;
use crate::web::door::{Answering, CloudCopy, DoorState, Gatekeeper, Settings};
use crate::web::serve::{Limits, Listener, serve};
use crate::web::{Router, admin, door, lan};

/// How often a data folder that cannot be used is tried again.
pub(super) const OPEN_AGAIN: Duration = Duration::from_secs(5);

/// How long answers under way may take when the doors close.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Builds the door's settings from the configuration.
pub(super) fn settings(config: &Config) -> Settings {
    let twilio = &config.twilio;
    let gatekeeper = match (&twilio.account_sid, &twilio.auth_token, &config.server.public_url) {
        (Some(account_sid), Some(token), Some(public_url)) => {
            let validator = Validator::new(token.clone(), twilio.shared_key.clone());
            let door = Door::new(public_url.clone(), validator);
            Some(Gatekeeper {
                door: twilio.validate_signatures.then_some(door),
                account_sid: account_sid.clone(),
                public_url: public_url.clone(),
            })
        }
        _ => None,
    };
    Settings {
        gatekeeper,
        answering: Answering {
            announcement: config.consent.announcement.clone(),
            language: config.consent.language.clone(),
            caller_id: twilio.caller_id.clone(),
            agent_identity: twilio.agent_identity.clone(),
            agent_number: twilio.agent_number.clone(),
            cloud_copy: match twilio.cloud_recording {
                CloudRecording::Twiml => CloudCopy::Twiml,
                CloudRecording::Rest => CloudCopy::Rest,
                CloudRecording::Off => CloudCopy::Off,
            },
        },
    }
}

/// The doors while the data folder cannot be used.
pub(super) struct Degraded {
    wing: Wing,
    answers: TaskTracker,
}

impl Degraded {
    /// Opens them.
    pub(super) fn open(
        why: &str,
        config: &Config,
        clock: &SharedClock,
        ports: &Arc<Ports>,
        settings: &watch::Receiver<Settings>,
    ) -> Self {
        let (stop, answers) = (CancellationToken::new(), TaskTracker::new());
        let mut wing = Wing::new(&stop, &Heart::default());
        let health = Health {
            checks: vec![Check::fail(
                "disk",
                format!("nothing can be recorded here: {why}"),
                "mount or free the disk, or correct server.data_dir; it is tried again by itself",
            )],
            ready: false,
            live_calls: 0,
            instance: ports.instance.to_string(),
        };
        let door = door::router(DoorState {
            settings: settings.clone(),
            inside: None,
            clock: Arc::clone(clock),
            instance: Arc::clone(&ports.instance),
            stop: wing.stop(),
        });
        let page = lan::degraded_router(health.clone());
        spawn_doors(ports, (door, page), &mut wing, &answers);
        match bind_admin(config) {
            Ok(admin) => {
                spawn_admin(&Arc::new(admin), admin::degraded_router(health), &mut wing, &answers);
            }
            // Most likely it lies in the folder that cannot be used.
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "the command line cannot reach this appliance meanwhile; its page can be");
            }
        }
        Self { wing, answers }
    }

    /// Closes them, so that the ports can be used by others.
    pub(super) async fn close(self) {
        self.wing.close().await;
        self.answers.close();
        if tokio::time::timeout(CLOSE_WITHIN, self.answers.wait()).await.is_err() {
            tracing::warn!("a connection did not end in time");
        }
    }
}

/// Makes the command line's socket; one left by a program that was killed is replaced.
pub(super) fn bind_admin(config: &Config) -> anyhow::Result<Listener> {
    let path = &config.server.admin_socket;
    let unusable = || format!("server.admin_socket = {} cannot be made", path.display());
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).with_context(unusable);
    }
    let listener = UnixListener::bind(path).with_context(unusable)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(unusable)?;
    Ok(Listener::Unix(listener))
}

/// Serves the command line's socket as long as the wing stands.
pub(super) fn spawn_admin(
    admin: &Arc<Listener>,
    router: Router,
    wing: &mut Wing,
    answers: &TaskTracker,
) {
    let (admin, stop, answers) = (Arc::clone(admin), wing.stop(), answers.clone());
    wing.spawn("the command line's door", async move {
        serve(&admin, router, Limits::DOOR, stop, &answers).await;
    });
}

/// Serves both ports as long as the wing stands.
pub(super) fn spawn_doors(
    ports: &Arc<Ports>,
    (door, page): (Router, Router),
    wing: &mut Wing,
    answers: &TaskTracker,
) {
    for (name, router, is_lan) in [("the page's door", page, true), ("Twilio's door", door, false)]
    {
        let (ports, stop, answers) = (Arc::clone(ports), wing.stop(), answers.clone());
        wing.spawn(name, async move {
            let listener = if is_lan { &ports.lan } else { &ports.twilio };
            serve(listener, router, Limits::DOOR, stop, &answers).await;
        });
    }
}
