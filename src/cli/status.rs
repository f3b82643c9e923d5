//! `fieldtape status`: how the appliance is.

use serde_json::Value;

use super::admin::Appliance;
use super::exit::Failure;
use super::queue::{backlog, link, pauses};
use super::{Context, block_on, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let appliance = Appliance::new(context)?;
    let (health, queue): (Value, Value) = block_on(async {
        Ok((appliance.get("/api/v1/health").await?, appliance.get("/api/v1/queue").await?))
    })?;
    if args.json {
        return output::line(&serde_json::json!({ "health": health, "queue": queue }).to_string());
    }
    let mut rows = Vec::new();
    for check in health["checks"].as_array().into_iter().flatten() {
        let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
        let fix = if text("state") == "ok" || text("fix").is_empty() {
            String::new()
        } else {
            format!(" -> {}", text("fix"))
        };
        rows.push(vec![text("state"), text("name"), text("detail") + &fix]);
    }
    rows.push(vec!["link".to_owned(), "network".to_owned(), link(&queue["link"])]);
    for line in pauses(&queue) {
        rows.push(vec!["queue".to_owned(), "paused".to_owned(), line]);
    }
    for [stage, detail] in backlog(&queue) {
        rows.push(vec!["queue".to_owned(), stage, detail]);
    }
    let live = health["live_calls"].as_u64().unwrap_or(0);
    rows.push(vec!["live".to_owned(), "calls".to_owned(), live.to_string()]);
    output::table(&rows)
}
