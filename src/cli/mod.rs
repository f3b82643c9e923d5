//! The command line: one file per command, each with its arguments and what it does.
//!
//! Invariant: answers go to standard output, everything else to standard error or the journal;
//! the exit code is 0 done, 1 failed, 64 bad usage or configuration, 69 appliance not reachable.
//!
//! Not here: what a command does beyond reading its arguments and printing its answer.

mod admin;
mod audio;
mod bar;
mod call;
mod calls;
mod care;
mod check_config;
mod contacts;
mod doctor;
mod erase;
mod exit;
mod export;
mod generate;
mod model;
mod output;
mod people;
mod purge;
mod queue;
mod retry;
mod run;
mod search;
mod setup;
mod simulate;
mod speech;
mod status;
mod support_bundle;
mod transcribe;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, Environment, Lookup, Sources};
use crate::telemetry;
use exit::Failure;

/// Where systemd puts the unit's credentials while it runs.
const UNIT_CREDENTIALS: &str = "/run/credentials/fieldtape.service";

/// Records a field office's Twilio calls on its own box, transcribes them there, and loses nothing.
#[derive(Debug, Parser)]
#[command(name = "fieldtape", version, max_term_width = 100)]
struct Cli {
    /// Configuration file [default: $`FIELDTAPE_CONFIG`, else /etc/fieldtape/config.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// What is logged, as tracing filters [default: $`FIELDTAPE_LOG`, else info
    /// for run and warn for the rest]
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,

    /// How log lines look when they do not go to the journal
    #[arg(long, global = true, value_name = "FORMAT", default_value = "auto")]
    log_format: LogFormat,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Auto,
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the appliance
    Run,
    /// Set this box up, question by question
    Setup(setup::Args),
    /// Transcribe WAV files, offline, without the appliance
    Transcribe(transcribe::Args),
    /// Play a stereo WAV into a running appliance as Twilio does
    Simulate(simulate::Args),
    /// Say how the appliance is
    Status(status::Args),
    /// List, show, export or correct calls
    #[command(subcommand)]
    Calls(calls::Args),
    /// Ring a number through Twilio, and connect whoever answers to the agent
    Call(call::Args),
    /// Take in whose number it is, or list that
    #[command(subcommand)]
    Contacts(contacts::Args),
    /// List what is undone, or try it now
    #[command(subcommand)]
    Queue(queue::Args),
    /// Try failed stages again
    Retry(retry::Args),
    /// Find what was said
    Search(search::Args),
    /// Let go what is past its days or must make room, or say what would go and what stays back
    Purge(purge::Args),
    /// Erase every call of a telephone number, here, in the archive and at Twilio
    Erase(erase::Args),
    /// Save everything into a folder elsewhere, or bring that up to date
    Backup(care::BackupArgs),
    /// Make the data folder again from a backup
    Restore(care::RestoreArgs),
    /// Look whether every file is there and whole
    Fsck(care::FsckArgs),
    /// Read every file through and compare it with its hash
    Verify(care::VerifyArgs),
    /// Say who may log in
    #[command(subcommand)]
    User(people::UserArgs),
    /// Make and revoke tokens for programs
    #[command(subcommand)]
    Token(people::TokenArgs),
    /// List, fetch and measure speech models
    #[command(subcommand)]
    Model(model::Args),
    /// List microphones, or show what one hears
    #[command(subcommand)]
    Audio(audio::Args),
    /// Check the configuration and say everything that is wrong with it
    CheckConfig,
    /// Look at everything that can be looked at, and say what to do about it
    Doctor(doctor::Args),
    /// Pack what a helper needs to know into one file, without secrets, numbers and words
    SupportBundle(support_bundle::Args),
    /// Print a completion script
    Completions(generate::CompletionsArgs),
    /// Write the manual pages into a folder
    Man(generate::ManArgs),
    /// The speech process; started by the appliance
    #[command(hide = true)]
    SpeechWorker,
}

/// What every command is given.
struct Context {
    config: Option<PathBuf>,
}

impl Context {
    fn config(&self) -> Result<Config, Failure> {
        load(self.config.clone()).map_err(|problems| Failure::Config(problems.to_string()))
    }
}

fn load(file: Option<PathBuf>) -> Result<Config, crate::config::Problems> {
    Config::load(&Sources { file, environment: &Surroundings })
}

/// The environment, and for root on an installed box what systemd has given to the unit: the same
/// command then sees the same secrets as the appliance.
struct Surroundings;

impl Lookup for Surroundings {
    fn get(&self, name: &str) -> Option<String> {
        let unit = || Path::new(UNIT_CREDENTIALS).is_dir().then(|| UNIT_CREDENTIALS.to_owned());
        Environment
            .get(name)
            .or_else(|| if name == "CREDENTIALS_DIRECTORY" { unit() } else { None })
    }

    fn beginning_with(&self, prefix: &str) -> Vec<(String, String)> {
        Environment.beginning_with(prefix)
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed terminal is no reason to fail differently.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(exit::USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    if matches!(cli.command, Command::SpeechWorker) {
        return crate::transcribe::worker::main();
    }
    let is_daemon = matches!(cli.command, Command::Run);
    let result = set_log(&cli).and_then(|()| dispatch(cli));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if is_daemon && matches!(failure, Failure::Usage(_) | Failure::Config(_)) {
                // Nobody starts it again before the configuration is mended.
                crate::daemon::Handed::take().turn_away();
            }
            failure.tell()
        }
    }
}

fn set_log(cli: &Cli) -> Result<(), Failure> {
    let usual = match cli.command {
        Command::Run => "info",
        // What becomes of the microphone is the answer.
        Command::Audio(_) => "off",
        _ => "warn",
    };
    let filter = cli.log.clone().or_else(|| Environment.get("FIELDTAPE_LOG"));
    let options = telemetry::Options {
        format: match cli.log_format {
            LogFormat::Auto => telemetry::Format::Auto,
            LogFormat::Text => telemetry::Format::Text,
            LogFormat::Json => telemetry::Format::Json,
        },
        filter: filter.unwrap_or_else(|| usual.to_owned()),
        since_boot: || SystemClock.since_boot(),
    };
    telemetry::init(&options).map_err(|error| Failure::Usage(error.to_string()))
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let context = Context { config: cli.config };
    match cli.command {
        Command::Run => run::run(&context),
        Command::Setup(args) => setup::run(&context, args),
        Command::Transcribe(args) => transcribe::run(&context, args),
        Command::Simulate(args) => simulate::run(&context, args),
        Command::Status(args) => status::run(&context, &args),
        Command::Calls(args) => calls::run(&context, &args),
        Command::Call(args) => call::run(&context, &args),
        Command::Contacts(args) => contacts::run(&context, &args),
        Command::Queue(args) => queue::run(&context, &args),
        Command::Retry(args) => retry::run(&context, &args),
        Command::Search(args) => search::run(&context, &args),
        Command::Purge(args) => purge::run(&context, &args),
        Command::Erase(args) => erase::run(&context, &args),
        Command::Backup(args) => care::backup(&context, &args),
        Command::Restore(args) => care::restore(&context, &args),
        Command::Fsck(args) => care::fsck(&context, &args),
        Command::Verify(args) => care::verify(&context, &args),
        Command::User(args) => people::user(&context, args),
        Command::Token(args) => people::token(&context, args),
        Command::Model(args) => model::run(&context, args),
        Command::Audio(args) => audio::run(&context, args),
        Command::CheckConfig => check_config::run(&context),
        Command::Doctor(args) => doctor::run(&context, &args),
        Command::SupportBundle(args) => support_bundle::run(&context, &args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
        Command::SpeechWorker => Ok(()),
    }
}

/// Runs a future on a runtime of its own, as small as a command needs.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("no async runtime: {error}")))?
        .block_on(future)
}
