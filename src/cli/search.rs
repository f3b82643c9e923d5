//! `fieldtape search WORDS`: what was said, found again.

use serde_json::Value;

use super::admin::Appliance;
use super::exit::Failure;
use super::{Context, block_on, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to look for: words, '"a phrase"', begin*, party:technician, number:0143, from:2026-11-01, to:2026-11-21
    #[arg(required = true)]
    words: Vec<String>,
    /// In how many calls at most
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("q", &args.words.join(" "));
    query.append_pair("limit", &args.limit.to_string());
    let path = format!("/api/v1/search?{}", query.finish());
    let found: Value = block_on(Appliance::new(context)?.get(&path))?;
    if args.json {
        return output::line(&found.to_string());
    }
    tell(&found)
}

fn tell(found: &Value) -> Result<(), Failure> {
    let hits = found["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut call = "";
    for hit in hits {
        let sid = text(hit, "call_sid");
        if sid != call {
            let who = if hit["direction"] == "outbound" { "to" } else { "from" };
            let more = match hit["more_in_call"].as_u64() {
                Some(more) if more > 0 => format!(", and {more} more there"),
                _ => String::new(),
            };
            let began = text(hit, "began_at");
            let name = hit["name"].as_str().map(|name| format!(" ({name})")).unwrap_or_default();
            output::line(&format!("{sid}  {began}  {who} {}{name}{more}", text(hit, who)))?;
            call = sid;
        }
        let (speaker, snippet) = (text(hit, "speaker"), text(hit, "snippet"));
        match hit["start_s"].as_f64() {
            Some(at_s) => output::line(&format!("{at_s:10.1} s  {speaker:<10}  {snippet}"))?,
            None if hit["kind"] == "note" => {
                output::line(&format!("{:>12}  {:<10}  {snippet}", "", "note"))?;
            }
            None => {}
        }
    }
    if hits.is_empty() {
        output::line("nothing found")?;
    }
    if !found["next_cursor"].is_null() {
        output::line("there are older calls too: ask for more with --limit")?;
    }
    match found["unindexed"].as_u64() {
        Some(left) if left > 0 => {
            output::line(&format!("{left} older calls are still being made searchable"))
        }
        _ => Ok(()),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
