//! The release program at work, and a call played into it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use fieldtape::clock::SystemClock;
use fieldtape::domain::Origin;
use fieldtape::simulate::{Faults, Options, fresh_call_sid};
use fieldtape::twilio::door::PublicUrl;
use fieldtape::twilio::signature::AuthToken;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::time::sleep;

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "the-token-of-the-bench";
const PUBLIC_URL: &str = "https://fieldtape.example";

/// How long the program may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// How often it is looked at.
pub(crate) const GLANCE: Duration = Duration::from_millis(100);

/// Ticks of `/proc/PID/stat` in a second, the same on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// The release program, recording into a folder of its own.
pub(crate) struct Daemon {
    child: Child,
    door: String,
    /// Where the office's door is.
    pub(crate) page: String,
}

impl Daemon {
    /// Starts it with so many calls at most, and this in its configuration.
    pub(crate) async fn start(dir: &Path, calls: u64, more: &str) -> anyhow::Result<Self> {
        let (config, log) = (dir.join("config.toml"), dir.join("log"));
        std::fs::write(
            &config,
            format!(
                "[server]\ndata_dir = \"{}\"\nlan_listen = \"127.0.0.1:0\"\n\
                 twilio_listen = \"127.0.0.1:0\"\npublic_url = \"{PUBLIC_URL}\"\n\
                 max_calls = {calls}\n\
                 [twilio]\naccount_sid = \"{ACCOUNT}\"\nauth_token = \"{TOKEN}\"\n\
                 agent_number = \"+15550142\"\n\
                 {more}\n",
                dir.join("data").display()
            ),
        )?;
        let child = Command::new(env!("CARGO_BIN_EXE_fieldtape"))
            .arg("-c")
            .arg(&config)
            .arg("run")
            .stdin(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut daemon = Self { child, door: String::new(), page: String::new() };
        let starting = async {
            loop {
                let text = std::fs::read_to_string(&log)?;
                let after = |words: &str| {
                    let (_, rest) = text.split_once(words)?;
                    let ends = |letter: char| letter.is_whitespace() || letter == '/';
                    rest.split(ends).next().map(str::to_owned)
                };
                let ports = after("Twilio's door at ").zip(after("the page is at http://"));
                if let (Some(ports), true) = (ports, text.contains("event=\"opened\"")) {
                    return anyhow::Ok(ports);
                }
                sleep(GLANCE).await;
            }
        };
        (daemon.door, daemon.page) = tokio::time::timeout(STARTS_WITHIN, starting)
            .await
            .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())??;
        Ok(daemon)
    }

    /// Makes a call of it.
    pub(crate) fn call(&self) -> anyhow::Result<Options> {
        Ok(Options {
            roots: None,
            target: format!("http://{}", self.door).parse()?,
            public_url: PublicUrl::parse(PUBLIC_URL)?,
            auth_token: AuthToken::new(TOKEN)?,
            account_sid: ACCOUNT.parse()?,
            call_sid: fresh_call_sid(),
            from: "+15550100".to_owned(),
            to: "+15550199".to_owned(),
            origin: Origin::Number,
            speed: 1.0,
            faults: Faults::none(1),
            clock: Arc::new(SystemClock),
            cloud: None,
        })
    }

    /// What its threads have used of the processor, until now or until it ended.
    pub(crate) fn cpu_s(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, after_name) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        // The 14th and 15th field; the third is the first behind the name.
        let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.collect::<Result<Vec<_>, _>>()?.iter().sum::<f64>() / TICKS_PER_S)
    }

    /// What memory it has just now.
    pub(crate) fn rss_kib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Stops it; returns all the processor time it has used.
    pub(crate) fn stop(&mut self) -> anyhow::Result<f64> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)?;
        // Its figures stay readable until it is waited for.
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        let cpu_s = self.cpu_s()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        Ok(cpu_s)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only if it has been stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
