//! A data folder and a configuration, as an operator would have made them.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use toml::{Table, Value};

use super::ledger::{Ledger, files_below};
use super::process::{Appliance, PROGRAM, fieldtape};
use super::root;

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "the-token-of-the-tests";
pub(crate) const PUBLIC_URL: &str = "https://fieldtape.example";
pub(crate) const AGENT: &str = "+15550142";

/// What survives a run of the appliance.
pub(crate) struct Home {
    dir: TempDir,
    config: Table,
}

impl Home {
    /// Makes an empty one: an account, an agent, an announcement, any free ports, and no speech
    /// model, so that nothing is transcribed unless a test asks for it.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("fieldtape-it-").tempdir().unwrap();
        let data_dir = dir.path().join("data");
        std::fs::create_dir(&data_dir).unwrap();
        let home = Self { dir, config: Table::new() };
        home.with("server.data_dir", data_dir.to_str().unwrap())
            .with("server.lan_listen", "127.0.0.1:0")
            .with("server.twilio_listen", "127.0.0.1:0")
            .with("server.public_url", PUBLIC_URL)
            .with("twilio.account_sid", ACCOUNT)
            .with("twilio.auth_token", TOKEN)
            .with("twilio.agent_number", AGENT)
            // Nobody is there: a test that has a Twilio says where.
            .with("twilio.api_url", "http://127.0.0.1:9")
            .with("recording.min_free", "1MiB")
            .with("transcription.live", false)
            .with("consent.announcement", "This call is recorded.")
    }

    /// The same with the bundled speech model.
    pub(crate) fn with_speech() -> Self {
        let model = root().join("models/ggml-tiny.en-q8_0.bin");
        Self::new().with("transcription.model", model.to_str().unwrap())
    }

    /// Sets one key.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let (section, key) = key.split_once('.').unwrap();
        let section = self.config.entry(section).or_insert_with(|| Value::Table(Table::new()));
        section.as_table_mut().unwrap().insert(key.to_owned(), value.into());
        self.write();
        self
    }

    /// Takes one key out.
    pub(crate) fn without(mut self, key: &str) -> Self {
        let (section, key) = key.split_once('.').unwrap();
        self.config[section].as_table_mut().unwrap().remove(key);
        self.write();
        self
    }

    fn write(&self) {
        std::fs::write(self.config_file(), self.config.to_string()).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.path().join("config.toml")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.config["server"]["data_dir"].as_str().unwrap().into()
    }

    /// The recordings that are not sealed.
    pub(crate) fn files_under_way(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.data_dir().join("recordings"));
        files.retain(|file| file.extension().is_some_and(|extension| extension == "part"));
        files
    }

    /// Opens the ledger to read in it.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::open(&self.data_dir())
    }

    /// Runs the appliance until it is ready.
    pub(crate) async fn start(&self) -> Appliance {
        let appliance = self.start_degraded().await;
        appliance.await_ready().await;
        appliance
    }

    /// Runs the appliance until its ports are bound.
    pub(crate) async fn start_degraded(&self) -> Appliance {
        Appliance::start(self, fieldtape(self.path())).await
    }

    /// Runs the appliance by a command that runs what its last arguments say.
    pub(crate) async fn start_by(&self, mut command: Command) -> Appliance {
        command.arg(PROGRAM);
        Appliance::start(self, command).await
    }

    /// Runs a command with this configuration, and returns what it printed.
    pub(crate) async fn run(&self, args: &[&str]) -> super::Answer {
        let mut command = fieldtape(self.path());
        command.arg("-c").arg(self.config_file()).args(args);
        super::Answer::of(command).await
    }
}
