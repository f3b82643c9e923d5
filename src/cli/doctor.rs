//! `fieldtape doctor`: everything that can be looked at, a line each, with what to do about it.

mod outside;
mod patient;

use std::time::Duration;

use serde_json::{Value, json};

use self::patient::Patient;
use super::exit::Failure;
use super::{Context, output};
use crate::health::{Check, CheckState, Health};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// How long a check that a sick disk holds up may keep the program from ending.
const LET_GO: Duration = Duration::from_millis(200);

/// The names are padded to this.
const NAME_CHARS: usize = 18;

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let as_json = args.json;
    let checks =
        examine(context, &mut |check| if as_json { Ok(()) } else { output::line(&line(check)) })?;
    if as_json {
        output::line(&report(&checks).to_string())?;
    }
    match checks.iter().filter(|check| check.state == CheckState::Fail).count() {
        0 => Ok(()),
        1 => Err(Failure::Failed("one check fails".to_owned())),
        count => Err(Failure::Failed(format!("{count} checks fail"))),
    }
}

/// Looks at everything, and tells each thing as it is seen.
pub(super) fn examine(
    context: &Context,
    tell: &mut dyn FnMut(&Check) -> Result<(), Failure>,
) -> Result<Vec<Check>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("no async runtime: {error}")))?;
    let examined = runtime.block_on(async {
        let patient = Patient::meet(context).await;
        let mut checks = Vec::new();
        patient
            .examine(&mut |check| {
                tell(&check)?;
                checks.push(check);
                Ok(())
            })
            .await?;
        Ok(checks)
    });
    // A disk that does not answer has been told; it must not keep this waiting as well.
    runtime.shutdown_timeout(LET_GO);
    examined
}

/// All checks, for programs.
pub(super) fn report(checks: &[Check]) -> Value {
    let health =
        Health { checks: checks.to_vec(), ready: true, live_calls: 0, instance: String::new() };
    let tally = health.tally().map(|one| (one.state.as_str().to_owned(), json!(one.checks)));
    let checks: Vec<Value> = checks
        .iter()
        .map(|check| {
            json!({ "name": check.name, "state": check.state.as_str(), "detail": check.detail, "fix": check.fix })
        })
        .collect();
    json!({
        "status": health.worst().as_str(),
        "version": env!("CARGO_PKG_VERSION"),
        "tally": tally.into_iter().collect::<serde_json::Map<_, _>>(),
        "checks": checks,
    })
}

fn line(check: &Check) -> String {
    let fix = check.fix.as_deref().filter(|_| check.is_trouble());
    let fix = fix.map(|fix| format!(" -> {fix}")).unwrap_or_default();
    // One line, whatever an error's text brings.
    let detail = check.detail.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{:<7}  {:<NAME_CHARS$}  {detail}{fix}", check.state.as_str(), check.name)
}
