//! `fieldtape contacts import|ls`: whose number it is.

use std::fs::File;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::admin::Appliance;
use super::exit::Failure;
use super::{Context, block_on, output};
use crate::contacts::{Listed, read};

/// Lines that could not be used that are shown one by one; the rest is counted.
const SHOWN_MAX: usize = 10;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Take names from a CSV file whose first line names its columns: a name and a number at least
    Import {
        /// The file, as an address book exports it
        file: PathBuf,
        /// Forget the names of all other numbers
        #[arg(long)]
        only: bool,
        /// Print the answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// List whose numbers are known
    Ls {
        /// Print the answer as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let appliance = Appliance::new(context)?;
    match args {
        Args::Import { file, only, json } => {
            let home = context.config()?.twilio.country;
            let told = |error: &dyn std::fmt::Display| {
                Failure::Failed(format!("{} cannot be used: {error}", file.display()))
            };
            let opened = File::open(file).map_err(|error| told(&error))?;
            let listed = read(opened, home).map_err(|error| told(&error))?;
            let contacts: Vec<Value> = listed
                .entries
                .iter()
                .map(|one| json!({"number": one.number, "name": one.name}))
                .collect();
            let body = json!({"contacts": contacts, "only": only});
            let imported: Value = block_on(appliance.post("/api/v1/contacts", &body))?;
            if *json { output::line(&imported.to_string()) } else { tell(&listed, &imported) }
        }
        Args::Ls { json } => {
            let all: Value = block_on(appliance.get("/api/v1/contacts"))?;
            if *json { output::line(&all.to_string()) } else { list(&all) }
        }
    }
}

fn tell(listed: &Listed, imported: &Value) -> Result<(), Failure> {
    for (line, why) in listed.passed_over.iter().take(SHOWN_MAX) {
        output::line(&format!("line {line}: passed over: {why}"))?;
    }
    if listed.passed_over.len() > SHOWN_MAX {
        output::line(&format!("and {} more lines", listed.passed_over.len() - SHOWN_MAX))?;
    }
    output::line(&format!(
        "{} numbers have a name now: {} new, {} renamed, {} removed",
        imported["contacts"], imported["added"], imported["renamed"], imported["removed"]
    ))
}

fn list(all: &Value) -> Result<(), Failure> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let contacts = all["contacts"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> =
        contacts.map(|one| vec![text(one, "number"), text(one, "name")]).collect();
    if rows.is_empty() {
        return output::line("no names are known; fieldtape contacts import FILE takes them in");
    }
    output::table(&rows)
}
