//! `fieldtape user` and `fieldtape token`: who may come in.

use std::io::{BufRead as _, IsTerminal as _};

use serde_json::{Value, json};

use super::admin::Appliance;
use super::exit::Failure;
use super::{Context, block_on, output};
use crate::domain::Role;

#[derive(Debug, clap::Subcommand)]
pub(super) enum UserArgs {
    /// Take somebody in; asks for their password
    Add(AddArgs),
    /// Give somebody another password; they are logged out everywhere
    Passwd(PasswdArgs),
    /// Let somebody do more, or less
    Role {
        /// Their name
        name: String,
        /// viewer (sees and hears), operator (also changes calls), admin (also erases, and says who may come in)
        role: Role,
    },
    /// List everybody who may log in
    Ls(LsArgs),
    /// Take somebody off the list; they are logged out everywhere
    Rm {
        /// Their name
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// Their name
    #[arg(required_unless_present = "first")]
    name: Option<String>,
    /// viewer (sees and hears), operator (also changes calls), admin (also erases, and says who may come in)
    #[arg(long, default_value = "viewer")]
    role: Role,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Print a code with which the first user is made on the page, within an hour
    #[arg(long, conflicts_with_all = ["name", "password_stdin"])]
    first: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct PasswdArgs {
    /// Their name
    name: String,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct LsArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum TokenArgs {
    /// Make a token for a program; it is shown this once
    Create {
        /// What it is for
        name: String,
        /// viewer (sees and hears), operator (also changes calls), admin (everything)
        #[arg(long, default_value = "viewer")]
        scope: Role,
        /// How long it is good for [default: until it is revoked]
        #[arg(long, value_name = "N")]
        days: Option<u64>,
    },
    /// Make a token good for nothing, at once
    Revoke {
        /// Its name
        name: String,
    },
    /// List every token, without its secret
    Ls(LsArgs),
}

pub(super) fn user(context: &Context, args: UserArgs) -> Result<(), Failure> {
    let appliance = Appliance::new(context)?;
    match args {
        UserArgs::Add(args) if args.first => block_on(first(&appliance)),
        UserArgs::Add(args) => add(&appliance, &args),
        UserArgs::Passwd(args) => {
            let body = json!({ "password": password(args.password_stdin)? });
            let path = format!("/api/v1/users/{}/password", segment(&args.name));
            block_on(appliance.tell(&path, &body))?;
            output::line(&format!("{}: the password is set", args.name))
        }
        UserArgs::Role { name, role } => {
            let body = json!({ "role": role.as_str() });
            let path = format!("/api/v1/users/{}/role", segment(&name));
            block_on(appliance.tell(&path, &body))?;
            output::line(&format!("{name} is {role}"))
        }
        UserArgs::Ls(args) => list(&appliance, "users", "role", args.json),
        UserArgs::Rm { name } => {
            block_on(appliance.delete(&format!("/api/v1/users/{}", segment(&name))))?;
            output::line(&format!("{name} is off the list"))
        }
    }
}

pub(super) fn token(context: &Context, args: TokenArgs) -> Result<(), Failure> {
    let appliance = Appliance::new(context)?;
    match args {
        TokenArgs::Create { name, scope, days } => {
            let body = json!({ "name": name, "scope": scope.as_str(), "days": days });
            let made: Value = block_on(appliance.post("/api/v1/tokens", &body))?;
            output::line(made["token"].as_str().unwrap_or_default())
        }
        TokenArgs::Revoke { name } => {
            block_on(appliance.delete(&format!("/api/v1/tokens/{}", segment(&name))))?;
            output::line(&format!("{name} is good for nothing any more"))
        }
        TokenArgs::Ls(args) => list(&appliance, "tokens", "scope", args.json),
    }
}

async fn first(appliance: &Appliance) -> Result<(), Failure> {
    let made: Value = appliance.post("/api/v1/users/first", &json!({})).await?;
    output::line(made["code"].as_str().unwrap_or_default())
}

fn add(appliance: &Appliance, args: &AddArgs) -> Result<(), Failure> {
    let name = args.name.as_deref().unwrap_or_default();
    let password = password(args.password_stdin)?;
    let body = json!({ "name": name, "role": args.role.as_str(), "password": password });
    block_on(appliance.tell("/api/v1/users", &body))?;
    output::line(&format!("{name} may log in as {}", args.role))
}

fn list(appliance: &Appliance, what: &str, role: &str, as_json: bool) -> Result<(), Failure> {
    let answer: Value = block_on(appliance.get(&format!("/api/v1/{what}")))?;
    if as_json {
        return output::line(&format!("{answer:#}"));
    }
    let columns = ["name", role, "created_at"];
    let rows = answer[what].as_array().into_iter().flatten().map(|row| {
        columns.iter().map(|key| row[*key].as_str().unwrap_or("-").to_owned()).collect()
    });
    output::table(&rows.collect::<Vec<_>>())
}

/// Asks for a password, twice and without showing it; or takes the first line of standard input.
fn password(from_stdin: bool) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| Failure::Failed(format!("no password: {error}"));
    if from_stdin {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
        return Ok(line.trim_end_matches(['\n', '\r']).to_owned());
    }
    if !std::io::stdin().is_terminal() {
        let how = "there is no terminal to ask for the password on: give it with --password-stdin";
        return Err(Failure::Usage(how.to_owned()));
    }
    let password = rpassword::prompt_password("Password: ").map_err(unreadable)?;
    let again = rpassword::prompt_password("The same once more: ").map_err(unreadable)?;
    if password == again {
        Ok(password)
    } else {
        Err(Failure::Failed("the two passwords are not the same".to_owned()))
    }
}

/// Writes a name so that it can stand in an address.
fn segment(name: &str) -> String {
    // A space is %20 in a path, and + in a form.
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}
