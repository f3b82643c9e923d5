//! One run of the program.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use fieldtape::clock::SystemClock;
use fieldtape::domain::{CallSid, Origin};
use fieldtape::simulate::{self, Faults, Report, Sound};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::home::Home;
use super::ledger::Ledger;
use super::twilio::Twilio;
use super::{ACCOUNT, PUBLIC_URL, TOKEN, eventually, fresh_call_sid};

/// The program.
pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_fieldtape");

/// The program, in a clean environment and a folder without models.
pub(crate) fn fieldtape(dir: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().current_dir(dir).stdin(Stdio::null());
    command
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    pub(crate) async fn of(mut command: Command) -> Self {
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Reads the answer of a `--json` command.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }
}

/// A running appliance. It is killed when this is dropped.
pub(crate) struct Appliance {
    child: Child,
    log: Log,
    data_dir: PathBuf,
    lan: String,
    twilio: String,
    http: reqwest::Client,
}

impl Appliance {
    pub(super) async fn start(home: &Home, command: Command) -> Self {
        Self::run(command, &home.config_file(), home.data_dir()).await
    }

    /// Runs by a configuration that no [`Home`] made.
    pub(crate) async fn of(config: PathBuf, data_dir: PathBuf) -> Self {
        let command = fieldtape(config.parent().unwrap());
        Self::run(command, &config, data_dir).await
    }

    async fn run(mut command: Command, config: &Path, data_dir: PathBuf) -> Self {
        command.arg("-c").arg(config).arg("run");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Log::follow(child.stderr.take().unwrap());
        let addresses = eventually("the ports are bound", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the appliance ended at its start with {status}: {}", log.text());
            }
            log.addresses()
        });
        let (lan, twilio) = addresses.await;
        // A connection kept from before a recovery may be closed while it is used again.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        Self { child, log, data_dir, lan, twilio, http }
    }

    pub(crate) async fn await_ready(&self) {
        // At a recovery the doors change hands: who stands in one just then is sent away.
        eventually("the appliance is ready", async || {
            let answer = self.http.get(format!("http://{}/readyz", self.lan)).send().await;
            answer.is_ok_and(|answer| answer.status() == 200).then_some(())
        })
        .await;
    }

    /// Asks the office's door.
    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("http://{}{path}", self.lan)).send().await.unwrap()
    }

    /// Asks the API.
    pub(crate) async fn api(&self, path: &str) -> Value {
        let response = self.get(&format!("/api/v1{path}")).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// Where the office's door is, as `address:port`.
    pub(crate) fn lan(&self) -> &str {
        &self.lan
    }

    /// Where Twilio's door is, as `address:port`.
    pub(crate) fn door(&self) -> &str {
        &self.twilio
    }

    /// Twilio, with our account's token.
    pub(crate) fn twilio(&self) -> Twilio {
        Twilio::new(&self.twilio, TOKEN)
    }

    /// Opens the ledger to read in it.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::open(&self.data_dir)
    }

    /// What has been logged.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Plays a call to its end. Timestamps do not wander, so that sound can be compared sample
    /// by sample, unless `change` says otherwise.
    pub(crate) async fn play(
        &self,
        sound: Sound,
        change: impl FnOnce(&mut simulate::Options),
    ) -> Report {
        let options = self.call_options(change);
        simulate::run(options, sound, CancellationToken::new()).await.unwrap()
    }

    pub(crate) fn call_options(
        &self,
        change: impl FnOnce(&mut simulate::Options),
    ) -> simulate::Options {
        let mut options = simulate::Options {
            target: Url::parse(&format!("http://{}", self.twilio)).unwrap(),
            roots: None,
            public_url: fieldtape::twilio::door::PublicUrl::parse(PUBLIC_URL).unwrap(),
            auth_token: fieldtape::twilio::signature::AuthToken::new(TOKEN).unwrap(),
            account_sid: ACCOUNT.parse().unwrap(),
            call_sid: fresh_call_sid(),
            from: "+15550100".to_owned(),
            to: "+15550199".to_owned(),
            origin: Origin::Number,
            speed: 1.0,
            faults: Faults { jitter_ms: 0, ..Faults::none(1) },
            clock: Arc::new(SystemClock),
            cloud: None,
        };
        change(&mut options);
        options
    }

    /// Waits until a call is over and its files are the ledger's.
    pub(crate) async fn await_recorded(&self, call_sid: &CallSid) {
        let path = format!("/api/v1/calls/{call_sid}");
        eventually("the call is recorded", async || {
            let response = self.get(&path).await;
            if response.status() != 200 {
                return None;
            }
            let call: Value = response.json().await.unwrap();
            let done = call["recording_status"] == "completed" && !call["ended_at"].is_null();
            done.then_some(())
        })
        .await;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the process has ended by itself or by a signal.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        eventually("the appliance ends", async || self.child.try_wait().unwrap()).await
    }

    /// Stops in good order, and checks what a stop must leave behind.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "{}", self.log.text());
        Ledger::open(&self.data_dir).check_against(&self.data_dir);
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what the appliance logged last:\n{}", self.log.tail());
        }
    }
}

/// What the program writes to standard error, line by line.
#[derive(Clone, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    fn follow(stderr: std::process::ChildStderr) -> Self {
        let log = Self::default();
        let lines = Arc::clone(&log.lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        log
    }

    pub(crate) fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    fn tail(&self) -> String {
        let lines = self.lines.lock().unwrap();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// The lines that have all of these words in them.
    pub(crate) fn lines_with(&self, words: &[&str]) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let has_all = |line: &&String| words.iter().all(|word| line.contains(word));
        lines.iter().filter(has_all).cloned().collect()
    }

    /// Waits for a line that has all of these words in it.
    pub(crate) async fn await_line(&self, words: &[&str]) -> String {
        eventually(&format!("the log says {words:?}"), async || {
            self.lines_with(words).into_iter().next()
        })
        .await
    }

    /// The addresses of the office's door and of Twilio's.
    fn addresses(&self) -> Option<(String, String)> {
        let line = self.lines_with(&["the page is at http"]).into_iter().next()?;
        let (_, rest) = line.split_once("the page is at http")?;
        let (_, rest) = rest.split_once("://")?;
        let (lan, rest) = rest.split_once('/')?;
        let (_, rest) = rest.split_once("Twilio's door at ")?;
        let twilio: String =
            rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
        Some((lan.to_owned(), twilio))
    }
}
