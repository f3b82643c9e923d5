//! `fieldtape completions` and `fieldtape man`: made from the commands themselves.

use std::path::PathBuf;

use clap::CommandFactory as _;

use super::exit::Failure;
use super::{Cli, output};

#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// For which shell
    shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// The folder to write into
    dir: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "fieldtape", &mut script);
    output::say(&String::from_utf8_lossy(&script))
}

pub(super) fn man(args: &ManArgs) -> Result<(), Failure> {
    clap_mangen::generate_to(Cli::command(), &args.dir).map_err(|error| {
        Failure::Failed(format!("the manual cannot be written to {}: {error}", args.dir.display()))
    })
}
