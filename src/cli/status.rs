//! `fieldtape status`: how the appliance is.

use serde_json::{Value, json};

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
        let health: Value = appliance.get("/api/v1/health").await?;
        // Without a data folder there is no queue, which one of the checks says.
        match appliance.get("/api/v1/queue").await {
            Err(Failure::Failed(_)) if health["ready"] == false => Ok((health, Value::Null)),
            queue => Ok((health, queue?)),
        }
    })?;
    if args.json {
        let told = json!({ "summary": summary(&health), "health": health, "queue": queue });
        output::line(&told.to_string())?;
    } else {
        output::table(&rows(&health, &queue))?;
    }
    if health["ready"] == true { Ok(()) } else { Err(not_ready(&health)) }
}

/// What an appliance lacks that takes no calls.
fn not_ready(health: &Value) -> Failure {
    let failing = checks(health).filter(|check| check["state"] == "fail");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told: Vec<String> = failing
        .map(|check| {
            format!(
                "{}: {} -> {}",
                text(&check["name"]),
                text(&check["detail"]),
                text(&check["fix"])
            )
        })
        .collect();
    Failure::Failed(if told.is_empty() { "still starting".to_owned() } else { told.join("; ") })
}

fn rows(health: &Value, queue: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for check in checks(health) {
        let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
        let fix = match check["fix"].as_str() {
            Some(fix) if is_trouble(check) => format!(" -> {fix}"),
            _ => String::new(),
        };
        rows.push(vec![text("state"), text("name"), text("detail") + &fix]);
    }
    if !queue.is_null() {
        rows.push(vec!["link".to_owned(), "network".to_owned(), link(&queue["link"])]);
        for line in pauses(queue) {
            rows.push(vec!["queue".to_owned(), "paused".to_owned(), line]);
        }
        for [stage, detail] in backlog(queue) {
            rows.push(vec!["queue".to_owned(), stage, detail]);
        }
    }
    let live = health["live_calls"].as_u64().unwrap_or(0);
    rows.push(vec!["live".to_owned(), "calls".to_owned(), live.to_string()]);
    rows
}

/// The appliance in a few words, for a program that only wants to know whether to wake somebody.
fn summary(health: &Value) -> Value {
    let troubles: Vec<&Value> =
        checks(health).filter(|check| is_trouble(check)).map(|check| &check["name"]).collect();
    json!({
        "status": health["status"],
        "ready": health["ready"],
        "version": health["version"],
        "tally": health["tally"],
        "troubles": troubles,
    })
}

fn checks(health: &Value) -> impl Iterator<Item = &Value> {
    health["checks"].as_array().into_iter().flatten()
}

/// As the appliance counts them: what is unknown and has no cure is none.
fn is_trouble(check: &Value) -> bool {
    match check["state"].as_str() {
        Some("ok") | None => false,
        Some("unknown") => !check["fix"].is_null(),
        Some(_) => true,
    }
}
