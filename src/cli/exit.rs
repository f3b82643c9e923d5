//! How a command ends.

use std::process::ExitCode;

use super::output;

/// Bad usage or configuration: `EX_USAGE` of sysexits.h.
pub(super) const USAGE: u8 = 64;

/// The appliance cannot be reached: `EX_UNAVAILABLE`.
const UNREACHABLE: u8 = 69;

/// Why a command did not do as asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was asked wrongly.
    Usage(String),
    /// The configuration is wrong.
    Config(String),
    /// The appliance cannot be reached.
    Unreachable(String),
    /// It went wrong.
    Failed(String),
}

impl Failure {
    /// Returns what went wrong, in words.
    pub(super) fn text(&self) -> &str {
        let (Self::Usage(text) | Self::Config(text) | Self::Unreachable(text) | Self::Failed(text)) =
            self;
        text
    }

    /// Tells the person, and returns the exit code.
    pub(super) fn tell(self) -> ExitCode {
        let (text, code) = match self {
            Self::Usage(text) | Self::Config(text) => (text, USAGE),
            Self::Unreachable(text) => (text, UNREACHABLE),
            Self::Failed(text) => (text, 1),
        };
        output::error(&text);
        ExitCode::from(code)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}
