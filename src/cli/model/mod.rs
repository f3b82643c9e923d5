//! `fieldtape model`: which speech models there are, getting others, and how fast they are here.

mod bench;
mod fetch;
mod ls;

use super::Context;
use super::exit::Failure;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List the models that are here and those that can be fetched
    Ls(ls::Args),
    /// Fetch models from where they are published, a mirror, or a stick
    Fetch(fetch::Args),
    /// Measure how fast each model is on this box, and what it is fit for
    Bench(bench::Args),
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args {
        Args::Ls(args) => ls::run(context, &args),
        Args::Fetch(args) => fetch::run(context, &args),
        Args::Bench(args) => bench::run(context, &args),
    }
}

/// Writes a size as people read it.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn size(bytes: u64) -> String {
    match bytes {
        ..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
