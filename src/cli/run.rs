//! `fieldtape run`: the daemon.

use super::Context;
use super::exit::Failure;
use crate::daemon;

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    // What is recorded is nobody else's business: files are 0600, folders 0700.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let config = context.config()?;
    let handed = daemon::Handed::take();
    let file = context.config.clone();
    let reload = Box::new(move || super::load(file.clone()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("fieldtape")
        .build()
        .map_err(|error| Failure::Failed(format!("no async runtime: {error}")))?;
    let result = runtime.block_on(daemon::run(config, handed, reload));
    // What a slow disk still holds up must not hold the exit up: it is salvaged.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result.map_err(Failure::from)
}
