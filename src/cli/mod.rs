//! Room cli.

use std::process::ExitCode;

/// Runs the program.
pub fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("speech-worker") {
        return crate::transcribe::worker::main();
    }
    ExitCode::SUCCESS
}
