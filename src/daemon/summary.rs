//! The server that writes summaries, if there is to be one.

use std::sync::Arc;

use anyhow::Context as _;

use crate::config::Config;
use crate::summarize::Server;

/// Opens the line to it.
pub(super) fn server(config: &Config) -> anyhow::Result<Option<Arc<Server>>> {
    let server = config.summary.clone().map(Server::new).transpose();
    Ok(server.context("no line to the summary server")?.map(Arc::new))
}
