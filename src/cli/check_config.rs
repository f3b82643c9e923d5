//! `fieldtape check-config`: everything that is wrong, at once.

use super::exit::Failure;
use super::{Context, output};

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let config = context.config()?;
    for warning in &config.warnings {
        output::error(&warning.to_string());
    }
    config.check_files().map_err(|problems| Failure::Config(problems.to_string()))?;
    let from = config
        .file
        .as_ref()
        .map_or_else(|| "no file: built-in defaults".to_owned(), |file| file.display().to_string());
    output::line(&format!("ok ({from})"))
}
