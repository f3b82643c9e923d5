//! The certificates of the two ports: read at start, at a reload, and when their files change.
//!
//! Invariant: one that cannot be used never takes the place of one that can.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::names::own_names;
use crate::clock::SharedClock;
use crate::config::{Config, LanTls};
use crate::health::{Check, CheckState};
use crate::web::tls::{Identity, Spoken, Tls, TlsError, keep_self_signed, self_signed};

/// How often the files are looked at: whoever renews a certificate need not tell us.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// With fewer days left than this something has gone wrong: those who renew by themselves do it 30
/// days before the end.
const DAYS_ENOUGH: i64 = 14;

/// The page's own certificate, in the data folder.
const KEPT: &str = "lan_tls.pem";

/// The certificates of the two ports.
pub(super) struct Certificates {
    lan: Side,
    twilio: Side,
    clock: SharedClock,
}

/// One port's.
struct Side {
    key: &'static str,
    /// Whose door it is, for a person.
    door: &'static str,
    /// What it means that there is none, or one that is not good.
    when_bad: CheckState,
    spoken: watch::Sender<Tls>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    wanted: Option<Wanted>,
    /// How the files were when they were last tried.
    stamp: Vec<Option<Stamp>>,
    /// Why what is there now cannot be used.
    trouble: Option<String>,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    tls: LanTls,
    kept: PathBuf,
    names: Vec<String>,
}

/// What changes about a file when it is written anew.
type Stamp = (SystemTime, u64, u64);

/// Says how the certificates are that were made elsewhere, where no appliance runs to tell. Of one
/// that the appliance makes for itself there is nothing to tell.
pub fn certificate_checks(config: &Config, clock: &SharedClock) -> Vec<Check> {
    let mut config = config.clone();
    config.server.lan_tls.take_if(|tls| *tls == LanTls::SelfSigned);
    Certificates::open(&config, clock).checks()
}

impl Certificates {
    /// Reads those that are asked for. One that cannot be read leaves its port mute until it can.
    pub(super) fn open(config: &Config, clock: &SharedClock) -> Self {
        let side = |key, door, when_bad| Side {
            key,
            door,
            when_bad,
            spoken: watch::Sender::new(Tls::Plain),
            state: Mutex::default(),
        };
        let certificates = Self {
            lan: side("server.lan_tls", "the page", CheckState::Warn),
            twilio: side("server.twilio_tls", "Twilio's door", CheckState::Fail),
            clock: Arc::clone(clock),
        };
        for (side, wanted) in certificates.wanted(config) {
            let found = wanted.as_ref().map(Wanted::read);
            side.state().wanted = wanted;
            match found {
                None => {}
                Some(Ok(identity)) => side.speak(identity),
                Some(Err(error)) => side.be_mute(&error),
            }
        }
        certificates
    }

    /// What is spoken at the page's port.
    pub(super) fn lan(&self) -> Spoken {
        self.lan.spoken.subscribe()
    }

    /// What is spoken at Twilio's port.
    pub(super) fn twilio(&self) -> Spoken {
        self.twilio.spoken.subscribe()
    }

    /// Takes what a new configuration asks for: all of it, or, with the reason, nothing.
    pub(super) fn reload(&self, config: &Config) -> Result<(), String> {
        let mut found = Vec::new();
        for (side, wanted) in self.wanted(config) {
            let identity = wanted.as_ref().map(|wanted| self.usable(wanted)).transpose();
            let identity = identity.map_err(|why| format!("{}: {why}", side.key))?;
            found.push((side, wanted, identity));
        }
        for (side, wanted, identity) in found {
            side.state().wanted = wanted;
            match identity {
                Some(identity) => side.speak(identity),
                None => side.speak_plainly(),
            }
        }
        Ok(())
    }

    /// Looks at the files until `stop`.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(LOOK_EVERY) => {}
            }
            let looking = Arc::clone(&self);
            // A look that broke has told the log so itself, and the next one comes.
            let _ = tokio::task::spawn_blocking(move || looking.look()).await;
        }
    }

    /// Reads what has changed on disk, and what could not be used before.
    fn look(&self) {
        for side in [&self.lan, &self.twilio] {
            let (wanted, seen) = {
                let state = side.state();
                (state.wanted.clone(), state.stamp.clone())
            };
            let Some(wanted) = wanted else { continue };
            if wanted.stamp() == seen && !side.is_makeshift() {
                continue;
            }
            match self.usable(&wanted) {
                Ok(identity) => side.speak(identity),
                Err(why) => side.stay(&wanted, why),
            }
        }
    }

    /// Reads a certificate that is to take another's place.
    fn usable(&self, wanted: &Wanted) -> Result<Identity, String> {
        let identity = wanted.read().map_err(|error| error.to_string())?;
        let days_left = identity.days_left(self.clock.now());
        if days_left < 0 && self.clock.synchronised() {
            return Err(format!("the certificate expired {} days ago", -days_left));
        }
        Ok(identity)
    }

    /// Says how they are; nothing about a port without one.
    pub(super) fn checks(&self) -> Vec<Check> {
        [("page certificate", &self.lan), ("twilio certificate", &self.twilio)]
            .into_iter()
            .filter_map(|(name, side)| {
                let (state, detail, fix) = side.judge(&self.clock)?;
                Some(Check {
                    name: name.to_owned(),
                    state,
                    detail,
                    fix: fix.map(|fix| format!("{fix} ({})", side.key)),
                })
            })
            .collect()
    }

    fn wanted(&self, config: &Config) -> [(&Side, Option<Wanted>); 2] {
        let server = &config.server;
        let wanted = |tls: LanTls| Wanted {
            tls,
            kept: server.data_dir.join(KEPT),
            names: own_names(server.lan_listen),
        };
        let twilio = server.twilio_tls.clone().map(LanTls::Files);
        [(&self.lan, server.lan_tls.clone().map(wanted)), (&self.twilio, twilio.map(wanted))]
    }
}

impl Wanted {
    fn read(&self) -> Result<Identity, TlsError> {
        match &self.tls {
            LanTls::SelfSigned => keep_self_signed(&self.kept, &self.names),
            LanTls::Files(files) => Identity::read(files),
        }
    }

    fn stamp(&self) -> Vec<Option<Stamp>> {
        let files = match &self.tls {
            LanTls::SelfSigned => vec![&self.kept],
            LanTls::Files(files) => vec![&files.certificate, &files.key],
        };
        files.into_iter().map(|file| stamp(file)).collect()
    }
}

/// None when there is no such file.
fn stamp(file: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let facts = file.metadata().ok()?;
    Some((facts.modified().ok()?, facts.len(), facts.ino()))
}

impl Side {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is spoken should be replaced as soon as that is possible.
    fn is_makeshift(&self) -> bool {
        let unkept = self.state().trouble.is_some();
        matches!(&*self.spoken.borrow(), Tls::Mute) || unkept
    }

    fn speak(&self, identity: Identity) {
        {
            let mut state = self.state();
            state.stamp = state.wanted.as_ref().map(Wanted::stamp).unwrap_or_default();
            state.trouble = None;
        }
        let same = |tls: &Tls| matches!(tls, Tls::Under(old) if old.fingerprint() == identity.fingerprint());
        if same(&self.spoken.borrow()) {
            return;
        }
        let (door, fingerprint) = (self.door, identity.fingerprint());
        let names = identity.names().join(", ");
        tracing::info!(
            event = "tls.ready",
            "{door} is encrypted by a certificate for {names}; its SHA-256 fingerprint is {fingerprint}"
        );
        self.spoken.send_replace(Tls::Under(Arc::new(identity)));
    }

    fn speak_plainly(&self) {
        *self.state() = State::default();
        if !matches!(&*self.spoken.borrow(), Tls::Plain) {
            tracing::info!(event = "tls.off", "{} is no longer encrypted", self.door);
        }
        self.spoken.send_replace(Tls::Plain);
    }

    /// At the start nothing is there to go on with: one of our own that cannot be kept is used all
    /// the same, else the port closes what comes.
    fn be_mute(&self, error: &TlsError) {
        let (key, door, why) = (self.key, self.door, error.to_string());
        let wanted = self.state().wanted.clone();
        let own = wanted.as_ref().filter(|wanted| wanted.tls == LanTls::SelfSigned);
        let makeshift = own.and_then(|wanted| self_signed(&wanted.names).ok());
        let spoken = if let Some(identity) = makeshift {
            tracing::warn!(
                event = "tls.unkept",
                error = why,
                "{key}: the certificate for {door} cannot be kept: {why}; until it can, another one is used"
            );
            Tls::Under(Arc::new(identity))
        } else {
            tracing::error!(
                event = "tls.failed",
                error = why,
                "{key}: {why}; until that is mended {door} closes every connection"
            );
            Tls::Mute
        };
        self.spoken.send_replace(spoken);
        let mut state = self.state();
        state.stamp = wanted.as_ref().map(Wanted::stamp).unwrap_or_default();
        state.trouble = Some(why);
    }

    /// Goes on with what there is; says so once for each thing that is wrong.
    fn stay(&self, wanted: &Wanted, why: String) {
        let mut state = self.state();
        state.stamp = wanted.stamp();
        if state.trouble.as_ref() == Some(&why) {
            return;
        }
        let (key, door) = (self.key, self.door);
        tracing::error!(
            event = "tls.refused",
            error = why,
            "{key}: {why}; {door} goes on as before"
        );
        state.trouble = Some(why);
    }

    fn judge(&self, clock: &SharedClock) -> Option<(CheckState, String, Option<&'static str>)> {
        let (now, sure) = (clock.now(), clock.synchronised());
        let trouble = self.state().trouble.clone();
        let spoken = self.spoken.borrow().clone();
        let identity = match spoken {
            Tls::Plain => return None,
            Tls::Mute => {
                let why = trouble.unwrap_or_default();
                let detail = format!("every connection is closed: {why}");
                return Some((
                    self.when_bad,
                    detail,
                    Some("mend the files; they are tried again every minute"),
                ));
            }
            Tls::Under(identity) => identity,
        };
        let days = identity.days_left(now);
        let renew = Some("renew it; new files are taken within a minute");
        if let Some(why) = trouble {
            let detail = format!(
                "what is there now cannot be used: {why}; the one in use is good for {days} days"
            );
            return Some((
                CheckState::Warn,
                detail,
                Some("mend the files; they are tried again every minute"),
            ));
        }
        if sure && days < 0 {
            return Some((self.when_bad, format!("expired {} days ago", -days), renew));
        }
        if let Some(wait) = identity.good_in(now).filter(|_| sure) {
            let detail = format!("is not good yet, for another {}", crate::domain::lasting(wait));
            return Some((self.when_bad, detail, renew));
        }
        if sure && days < DAYS_ENOUGH {
            return Some((CheckState::Warn, format!("is good for {days} more days only"), renew));
        }
        let fingerprint = identity.fingerprint();
        let detail = format!("is good for {days} days; its SHA-256 fingerprint is {fingerprint}");
        Some((CheckState::Ok, detail, None))
    }
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
