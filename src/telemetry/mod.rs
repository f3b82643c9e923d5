//! Where log lines go: the journal when systemd listens, standard error otherwise.
//!
//! Invariant: a line carries the fields of the spans it was written in, so that
//! `journalctl CALL_SID=…` tells the whole story of a call; whatever floods the journal, no error
//! and no line of a call is left out. Standard output is for answers and
//! is never written to.
//!
//! Not here: what is logged. Phone numbers (beyond their last four digits), words spoken and
//! secrets never are; that is the duty of whoever logs.

mod fields;
mod flood;
mod journal;

use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How lines look when they do not go to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// To the journal if systemd listens there, else [`Format::Text`].
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// How lines look.
    pub format: Format,
    /// Which lines, in the syntax of `tracing`'s filters (`info`, `fieldtape=debug`).
    pub filter: String,
    /// The time since the machine booted, by which a flood of lines is cut short.
    pub since_boot: fn() -> Duration,
}

/// A log that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("bad log filter {filter:?}: {reason}")]
    BadFilter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A log is set up already.
    #[error("the log is set up already")]
    Twice,
}

/// Sets the process's log up, and has panics written to it.
pub fn init(options: &Options) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&options.filter).map_err(|error| {
        TelemetryError::BadFilter { filter: options.filter.clone(), reason: error.to_string() }
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    let stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let set = match options.format {
        Format::Json => registry.with(stderr.json().flatten_event(true)).try_init(),
        Format::Auto if systemd_journal_logger::connected_to_journal() => {
            match journal::connect(options.since_boot) {
                Ok(layer) => registry.with(layer).try_init(),
                Err(error) => {
                    let set = registry.with(stderr.with_target(false).with_ansi(false)).try_init();
                    tracing::warn!(error = %error, "journald cannot be reached: lines go to standard error, without fields to search by");
                    set
                }
            }
        }
        Format::Auto | Format::Text => {
            let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry.with(stderr.with_target(false).with_ansi(colour)).try_init()
        }
    };
    set.map_err(|_| TelemetryError::Twice)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Writes a panic to the log: a bug is loud.
fn log_panic(info: &std::panic::PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let backtrace = std::backtrace::Backtrace::force_capture();
    tracing::error!(
        event = "panic",
        error = message,
        backtrace = %backtrace,
        "fieldtape has a fault at {place} (thread {name}): {message}"
    );
}
