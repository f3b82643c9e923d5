//! What is looked at, in which order, and for how long at most.

use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::super::Context;
use super::super::admin::Appliance;
use super::super::exit::Failure;
use super::outside;
use crate::care;
use crate::clock::{SharedClock, Synchronised, SystemClock};
use crate::config::{AgentSource, Config, DEFAULT_FILE};
use crate::daemon::{certificate_checks, speech_options};
use crate::health::{
    self, Account, Check, Configuration, Kept, Kernel, Pace, Secret, SpeechTried, Wanted,
};
use crate::store;
use crate::transcribe::{Machine, ModelFiles, prove};

/// How long a look at files and sensors may take.
const GLANCE: Duration = Duration::from_secs(5);

/// How long reading something through may take: a ledger of years, a model of gigabytes, on a card.
const READING: Duration = Duration::from_mins(2);

/// Where systemd starts the speech process on an installed box.
const SPEECH_SOCKET: &str = "/run/fieldtape-speech.sock";

/// The name of the token's credential.
const TOKEN_CREDENTIAL: &str = "fieldtape.twilio-auth-token";

/// What only a running appliance can tell.
const INSIDE: [&str; 4] = ["ledger", "sync", "link", "work"];

/// Tells a check, and fails if nobody listens.
pub(super) type Tell<'a> = &'a mut dyn FnMut(Check) -> Result<(), Failure>;

/// The appliance that is examined: its settings, and what a running one says of itself.
pub(super) struct Patient {
    read: Configuration,
    config: Option<Arc<Config>>,
    running: Result<Value, Absent>,
    clock: SharedClock,
}

/// Why a running appliance does not answer.
struct Absent {
    why: String,
    /// It may well run: whoever asks may not speak to it.
    is_closed: bool,
}

impl Patient {
    /// Reads the settings, and asks the appliance how it is.
    pub(super) async fn meet(context: &Context) -> Self {
        let mut read = Configuration::default();
        let config = match super::super::load(context.config.clone()) {
            Ok(config) => {
                read.file.clone_from(&config.file);
                read.warnings = config.warnings.iter().map(ToString::to_string).collect();
                Some(Arc::new(config))
            }
            Err(problems) => {
                read.file = Some(context.config.clone().unwrap_or_else(|| DEFAULT_FILE.into()));
                read.problems = problems.list().iter().map(ToString::to_string).collect();
                None
            }
        };
        let running = match &config {
            Some(config) => ask(context, config).await,
            None => Err(Absent {
                why: "was not asked: the configuration is wrong".to_owned(),
                is_closed: true,
            }),
        };
        Self { read, config, running, clock: Arc::new(SystemClock) }
    }

    /// Looks at everything; the world outside is asked meanwhile and told last.
    pub(super) async fn examine(&self, tell: Tell<'_>) -> Result<(), Failure> {
        let mut told = Vec::new();
        self.look(&mut |check| {
            told.push(check.name.clone());
            tell(check)
        })
        .await?;
        let mut rest = self.own_word().filter(|check| !told.contains(&check.name));
        rest.try_for_each(tell)
    }

    async fn look(&self, tell: Tell<'_>) -> Result<(), Failure> {
        tell(health::configuration(&self.read))?;
        tell(self.daemon())?;
        let Some(config) = &self.config else {
            return self.the_box(None, tell).await;
        };
        let instance = self.running.as_ref().ok().and_then(|health| health["instance"].as_str());
        let outside = outside::look(config, instance, &self.clock);
        let inside = async {
            for check in self.settings(config) {
                tell(check)?;
            }
            self.disk(config, tell).await?;
            self.the_box(Some(config), tell).await?;
            self.speech(config, tell).await
        };
        let (outside, inside) = tokio::join!(outside, inside);
        inside?;
        for check in outside {
            tell(check)?;
        }
        for name in ["link", "work"] {
            tell(self.told(name))?;
        }
        if self.running.is_err() {
            certificate_checks(config, &self.clock).into_iter().try_for_each(&mut *tell)?;
        }
        tell(self.backup(config).await)
    }

    fn daemon(&self) -> Check {
        match &self.running {
            Ok(health) => health::daemon(Ok(health["version"].as_str().unwrap_or("unknown"))),
            Err(Absent { why, is_closed: true }) => {
                let root = "ask as root: sudo fieldtape doctor";
                Check::unknown("daemon", why.as_str()).fixed_by(root)
            }
            Err(Absent { why, is_closed: false }) => health::daemon(Err(why.clone())),
        }
    }

    /// Everything that the running appliance says of itself.
    fn own_word(&self) -> impl Iterator<Item = Check> {
        let checks = self.running.as_ref().ok().and_then(|health| health["checks"].as_array());
        checks.into_iter().flatten().filter_map(check_from)
    }

    /// What the running appliance says of itself about this.
    fn told(&self, name: &str) -> Check {
        let told = self.own_word().find(|check| check.name == name);
        let silent = if INSIDE.contains(&name) && self.running.is_err() {
            "only a running fieldtape can tell"
        } else {
            "the running fieldtape does not tell"
        };
        told.unwrap_or_else(|| Check::unknown(name, silent))
    }

    fn settings(&self, config: &Config) -> Vec<Check> {
        let twilio = &config.twilio;
        let has_token = twilio.auth_token.is_some();
        let account = Account {
            is_set: has_token && twilio.account_sid.is_some() && config.server.public_url.is_some(),
            token_is_stored: !has_token && Secret::is_stored(TOKEN_CREDENTIAL),
            has_agent: twilio.agent_identity.is_some() || twilio.agent_number.is_some(),
        };
        vec![
            health::account(account),
            health::consent(&config.consent.announcement),
            health::signatures(twilio.validate_signatures),
            health::credentials(&config.secrets),
            health::clock(Synchronised::of(&*self.clock)),
        ]
    }

    /// The disk, by the word of the running appliance where there is one: it is whose files go
    /// there.
    async fn disk(&self, config: &Config, tell: Tell<'_>) -> Result<(), Failure> {
        let dir = config.server.data_dir.clone();
        let min_free = config.recording.min_free_bytes;
        let pace = Pace {
            calls_max: config.server.max_calls as u64,
            sync_every: config.recording.sync_every,
        };
        if self.running.is_ok() {
            tell(self.told("disk"))?;
        } else {
            let dir = dir.clone();
            tell(within("disk", GLANCE, move || health::writable(&dir)).await)?;
        }
        let there = dir.clone();
        let space = move || health::space(health::free_bytes(&there), min_free);
        tell(within("space", GLANCE, space).await)?;
        let (there, clock) = (dir.clone(), Arc::clone(&self.clock));
        let speed = move || health::speed(&there, pace, &*clock);
        tell(within("speed", READING, speed).await)?;
        tell(self.told("ledger"))?;
        tell(self.told("sync"))?;
        let integrity = move || health::integrity(damage(&dir.join(care::LEDGER)));
        tell(within("integrity", READING, integrity).await)
    }

    async fn the_box(&self, config: Option<&Arc<Config>>, tell: Tell<'_>) -> Result<(), Failure> {
        tell(within("wear", GLANCE, || Kernel::this().wear()).await)?;
        tell(within("power", GLANCE, || Kernel::this().power()).await)?;
        let heat = || health::temperature(Machine::this().millidegrees());
        tell(within("temperature", GLANCE, heat).await)?;
        tell(within("journal", GLANCE, || Kernel::this().journal()).await)?;
        if config.is_some_and(|config| hears_by_microphone(config)) {
            let heard = self.running.is_ok().then(|| self.told("microphone"));
            let there = within("microphone", GLANCE, || Kernel::this().sound_cards());
            tell(match heard {
                Some(heard) => heard,
                None => there.await,
            })?;
        }
        Ok(())
    }

    async fn speech(&self, config: &Arc<Config>, tell: Tell<'_>) -> Result<(), Failure> {
        let for_model = Arc::clone(config);
        tell(within("model", READING, move || model(&for_model)).await)?;
        let (config, clock) = (Arc::clone(config), Arc::clone(&self.clock));
        tell(within("speech", READING, move || health::speech(try_speech(&config, &clock))).await)
    }

    async fn backup(&self, config: &Config) -> Check {
        let dir = config.server.data_dir.clone();
        let (now, is_right) = (self.clock.now(), self.clock.synchronised());
        within("backup", GLANCE, move || {
            let kept = Kept {
                backed_up_at: care::last_backup(&dir),
                // Without a ledger there is nothing to save.
                first_call_at: store::first_call_at(&dir.join(care::LEDGER)).unwrap_or(None),
            };
            health::backup(kept, now, is_right)
        })
        .await
    }
}

/// Does a look that may hang, such as on a sick disk.
async fn within(
    name: &'static str,
    limit: Duration,
    look: impl FnOnce() -> Check + Send + 'static,
) -> Check {
    bounded(name, limit, async {
        let broke = |_| Check::unknown(name, "the look broke off");
        tokio::task::spawn_blocking(look).await.unwrap_or_else(broke)
    })
    .await
}

/// Waits for a check, and not for ever.
pub(super) async fn bounded(
    name: &'static str,
    limit: Duration,
    look: impl Future<Output = Check>,
) -> Check {
    timeout(limit, look).await.unwrap_or_else(|_elapsed| {
        let what = format!("no answer within {} s", limit.as_secs());
        Check::unknown(name, what).fixed_by("look again; if it stays so, what is asked here hangs")
    })
}

/// Asks the running appliance how it is.
async fn ask(context: &Context, config: &Config) -> Result<Value, Absent> {
    let socket = &config.server.admin_socket;
    if let Err(error) = UnixStream::connect(socket) {
        let is_closed = error.kind() == ErrorKind::PermissionDenied;
        let why = format!("does not answer at {}: {error}", socket.display());
        return Err(Absent { why, is_closed });
    }
    let asked = async { Appliance::new(context)?.get::<Value>("/api/v1/health").await };
    asked.await.map_err(|failure| Absent { why: failure.text().to_owned(), is_closed: false })
}

fn check_from(check: &Value) -> Option<Check> {
    Some(Check {
        name: check["name"].as_str()?.to_owned(),
        state: check["state"].as_str()?.parse().ok()?,
        detail: check["detail"].as_str()?.to_owned(),
        fix: check["fix"].as_str().map(str::to_owned),
    })
}

/// Says what is damaged in a ledger, if there is one.
fn damage(ledger: &Path) -> Result<Option<Vec<String>>, String> {
    match ledger.try_exists() {
        Ok(true) => store::ledger_damage(ledger).map(Some).map_err(|error| error.to_string()),
        Ok(false) => Ok(None),
        Err(error) => Err(format!("{}: {error}", ledger.display())),
    }
}

/// Says whether the agent is heard by the box's own microphone, whose check belongs here.
fn hears_by_microphone(config: &Config) -> bool {
    config.recording.agent_source == AgentSource::Microphone
}

fn model(config: &Config) -> Check {
    let wanted = &config.transcription.model;
    let data_dir = &config.server.data_dir;
    let dirs = crate::models::model_dirs(Some(data_dir));
    let found = ModelFiles::find(wanted, &dirs);
    let found = found.map(|files| files.path).map_err(|error| error.to_string());
    health::model(&Wanted { model: wanted, data_dir, is_read: true }, found)
}

/// Starts a speech process as the appliance would.
fn try_speech(config: &Config, clock: &SharedClock) -> Result<SpeechTried, String> {
    let mut options = speech_options(config).map_err(|error| format!("{error:#}"))?;
    let installed = PathBuf::from(SPEECH_SOCKET);
    options.socket = options.socket.or_else(|| Some(installed).filter(|path| path.exists()));
    let socket = options.socket.clone();
    let began = clock.since_boot();
    let proved = prove(options).map_err(|error| error.to_string())?;
    let took = clock.since_boot().saturating_sub(began);
    Ok(SpeechTried { took, passed_by: socket.filter(|_| !proved.by_systemd) })
}
