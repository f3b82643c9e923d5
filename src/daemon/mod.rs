//! The appliance: builds the house up the stair, runs it, takes it down in reverse.
//!
//! Invariants: systemd hears READY only when the ports are bound and the ledger is open; while the
//! data folder cannot be used the appliance stays up, says so, and answers Twilio so that calls
//! connect (READY then too, but from a version on trial); a task that ends unasked ends the process,
//! loudly. The order of birth and death is
//! the one function [`run`] and what it calls, in reading order.

mod building;
mod certificates;
mod data;
mod doors;
mod ear;
mod handed;
mod health;
mod heart;
mod house;
mod index;
mod keeping;
mod names;
mod outside;
mod sight;
mod signals;
mod speech;
mod summary;
mod upgrade;
mod way_in;
mod wing;
mod wishes;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use certificates::Certificates;
use wishes::Wishes;

use crate::clock::{SharedClock, SystemClock};
use crate::config::Config;
use crate::web::serve::Listener;
use upgrade::Upgrade;

pub use certificates::certificate_checks;
pub use handed::Handed;
pub use signals::Signals;
pub use speech::speech_options;
pub use wishes::Reload;

/// How often a port that is in use is tried again, and after which pause: for 2 s.
const PORT_TRIES: u32 = 40;
const PORT_AGAIN: Duration = Duration::from_millis(50);

/// The two bound ports.
struct Ports {
    lan: Listener,
    twilio: Listener,
    certificates: Arc<Certificates>,
    /// Names this run of the program, so that an answer over the public address can be told from
    /// that of another box.
    instance: Arc<str>,
}

/// Runs the appliance until a signal stops it.
pub async fn run(config: Config, handed: Handed, reload: Reload) -> anyhow::Result<()> {
    let clock: SharedClock = Arc::new(SystemClock);
    for warning in &config.warnings {
        tracing::warn!(event = "config.ignored", "{warning}");
    }
    let upgrade = Upgrade::read(config.server.upgrade_folder.as_deref());
    upgrade.tell();
    let certificates = Arc::new(Certificates::open(&config, &clock));
    let ports = bind(&config, handed, &certificates).await?;
    let (lan, twilio) = (ports.lan.address(), ports.twilio.address());
    let scheme = if config.server.lan_tls.is_some() { "https" } else { "http" };
    tracing::info!(
        event = "started",
        "the page is at {scheme}://{lan}/, Twilio's door at {twilio}"
    );
    let stop = CancellationToken::new();
    let wishes = Wishes::new(config);
    let mut signals = Signals::listen(stop.clone(), wishes.clone(), reload)?;
    let ports = Arc::new(ports);
    let renewed = async {
        certificates.run(stop.clone()).await;
        // It has nothing to say about the end.
        std::future::pending::<()>().await;
    };
    let served = async {
        let mut read = wishes.read();
        let waiting = open_or_wait(&mut read, &clock, (&ports, &wishes), &upgrade, &stop);
        let Some(house) = waiting.await? else { return Ok(()) };
        house.run(ports, wishes, read, stop.clone()).await
    };
    tokio::select! {
        result = served => result,
        error = signals.run() => Err(error),
        () = renewed => Ok(()),
    }
}

/// Names this run of the program.
fn instance() -> anyhow::Result<Arc<str>> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes).context("the kernel has no randomness to give")?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)).into())
}

async fn bind(
    config: &Config,
    handed: Handed,
    certificates: &Arc<Certificates>,
) -> anyhow::Result<Ports> {
    let server = &config.server;
    let unusable = |what: &str, address| {
        format!("{what} = \"{address}\" cannot be listened on: is another program there?")
    };
    let lan = listen(server.lan_listen).await;
    let twilio = listen_for_twilio(server.twilio_listen, handed).await;
    Ok(Ports {
        lan: Listener::Tcp(
            lan.with_context(|| unusable("server.lan_listen", server.lan_listen))?,
            certificates.lan(),
        ),
        twilio: Listener::Tcp(
            twilio.with_context(|| unusable("server.twilio_listen", server.twilio_listen))?,
            certificates.twilio(),
        ),
        certificates: Arc::clone(certificates),
        instance: instance()?,
    })
}

/// Takes the port for Twilio as systemd holds it. If the configuration names another one, that one
/// is taken; if it cannot be, because the one held is in its way, better the one held than none.
async fn listen_for_twilio(
    address: SocketAddr,
    mut handed: Handed,
) -> std::io::Result<TcpListener> {
    if let Some(held) = handed.at(address) {
        return TcpListener::from_std(held);
    }
    let Some(held) = handed.any() else {
        return listen(address).await;
    };
    let instead = TcpListener::from_std(held)?;
    let held = instead.local_addr()?;
    let fix = "write it as ListenStream with `systemctl edit fieldtape.socket`, then restart both";
    match listen(address).await {
        Ok(listener) => {
            tracing::warn!(
                event = "config.ignored",
                "systemd holds {held}, and server.twilio_listen is {address}: webhooks are refused while fieldtape restarts; {fix}"
            );
            Ok(listener)
        }
        Err(error) => {
            tracing::error!(
                event = "config.ignored", error = %error,
                "server.twilio_listen = {address} cannot be listened on beside {held}, which systemd holds: Twilio is heard at {held} only; {fix}"
            );
            Ok(instead)
        }
    }
}

/// Takes a port, in a moment if not at once: when a killed predecessor was just starting its speech
/// process, that has the predecessor's ports, and its locks on recordings, until it is a program
/// of its own.
async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let mut tries_left = PORT_TRIES;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && tries_left > 0 => {
                tries_left -= 1;
                tokio::time::sleep(PORT_AGAIN).await;
            }
            result => return result,
        }
    }
}

/// Opens the data folder; while it cannot be used, serves without it and tries again, and at once
/// when the settings have changed. None when told to stop meanwhile.
async fn open_or_wait(
    read: &mut watch::Receiver<Arc<Config>>,
    clock: &SharedClock,
    (ports, wishes): (&Arc<Ports>, &Wishes),
    upgrade: &Upgrade,
    stop: &CancellationToken,
) -> anyhow::Result<Option<house::House>> {
    let mut config = Config::clone(&read.borrow_and_update());
    let alive = upgrade.ask_for_patience(clock);
    let mut degraded: Option<doors::Degraded> = None;
    loop {
        match house::House::open(&config, clock, (upgrade, &alive), stop).await {
            Ok(house) => {
                if let Some(degraded) = degraded {
                    tracing::info!(event = "recovered", "the data folder can be used again");
                    degraded.close().await;
                }
                return Ok(Some(house));
            }
            Err(error) if degraded.is_none() => {
                let text = format!("{error:#}");
                tracing::error!(
                    event = "degraded", error = %text,
                    "nothing can be recorded here: {text}; calls are connected and recorded at Twilio only, and the folder is tried again every {} s",
                    doors::OPEN_AGAIN.as_secs()
                );
                let status = format!("DEGRADED: nothing can be recorded here: {text}");
                // Without systemd there is nobody to tell.
                let _ = sd_notify::notify(&[NotifyState::Status(&status)]);
                if !upgrade.is_on_trial() {
                    let _ = sd_notify::notify(&[NotifyState::Ready]);
                }
                let settings = wishes.answering();
                degraded = Some(doors::Degraded::open(&text, &config, clock, ports, &settings));
            }
            Err(_) => {
                // Without systemd there is nobody to tell; the loop itself is the sign of life.
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                if let Some(degraded) = degraded {
                    degraded.close().await;
                }
                return Ok(None);
            }
            Ok(()) = read.changed() => {
                let wanted = Arc::clone(&read.borrow_and_update());
                take_degraded(&mut config, &wanted, ports, wishes);
            }
            () = tokio::time::sleep(doors::OPEN_AGAIN) => {}
        }
    }
}

/// Takes new settings while there is no house: all but the ports, which are bound.
fn take_degraded(config: &mut Config, wanted: &Config, ports: &Ports, wishes: &Wishes) {
    let mut wanted = wanted.clone();
    let until_restart = wishes::keep_ports(config, &mut wanted);
    match ports.certificates.reload(&wanted) {
        Ok(()) => {
            *config = wanted;
            wishes.took(config, &until_restart);
        }
        Err(why) => wishes.refuse(&why),
    }
}
