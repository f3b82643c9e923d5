//! What follows from the answers: shown, written, taken up.

use std::path::Path;
use std::process::Command;

use similar::TextDiff;

use super::Plan;
use super::ask::Asker;
use crate::cli::exit::Failure;
use crate::cli::output;
use crate::config::{Config, Draft, Environment};

/// Lines shown around one that changes.
const CONTEXT: usize = 1;

/// The unit that the package brings.
const UNIT: &str = "fieldtape.service";

/// Finds out at once what would else be found out after the last question.
pub(super) fn can_write(file: &Path) -> Result<(), Failure> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    match rustix::fs::access(folder, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::NOENT) => {
            Err(Failure::Failed(format!("there is no folder {}", folder.display())))
        }
        Err(error) => Err(Failure::Failed(format!(
            "{} cannot be written ({error}): run it as root, or name another file with -c",
            folder.display()
        ))),
    }
}

/// Shows it, and returns the configuration as it will be.
pub(super) fn show(draft: &Draft, plan: &Plan) -> Result<Config, Failure> {
    let config = match &plan.token {
        Some(token) => token.check(draft)?,
        None => {
            draft.check(&Environment).map_err(|problems| Failure::Config(problems.to_string()))?
        }
    };
    let (before, after) = draft.texts();
    if before == after {
        output::line("The configuration stays as it is.")?;
    } else {
        let (before, after) = (masked(before), masked(after));
        let diff = TextDiff::from_lines(&before, &after);
        let name = config.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        let diff = diff.unified_diff().context_radius(CONTEXT).header(&name, &name).to_string();
        output::say(&diff)?;
    }
    if let Some(token) = &plan.token {
        output::line(&token.told())?;
    }
    for line in plan.number.iter().flat_map(super::number::Number::told) {
        output::line(&line)?;
    }
    for missing in missing(&config, plan) {
        output::line(&format!("Still missing: {missing}"))?;
    }
    Ok(config)
}

/// A secret that stands in the file is nobody's to see, on its way out either.
fn masked(text: &str) -> String {
    let is_secret = |key: &str| {
        let key = key.trim().trim_start_matches('#');
        ["auth_token", "api_key_secret", "shared_key", "secret_access_key", "api_key"]
            .contains(&key)
    };
    let mask = |line: &str| match line.split_once('=') {
        Some((key, value)) if is_secret(key) => {
            let end = if value.ends_with('\n') { "\n" } else { "" };
            format!("{key}= \"…\"{end}")
        }
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(mask).collect()
}

/// Says what calls would need and is not there.
fn missing(config: &Config, plan: &Plan) -> Vec<&'static str> {
    let twilio = &config.twilio;
    let has_token = plan.token.is_some() || plan.client.is_some() || twilio.auth_token.is_some();
    let has_agent = twilio.agent_number.is_some() || twilio.agent_identity.is_some();
    [
        (twilio.account_sid.is_some(), "the account (--account-sid)"),
        (has_token, "its auth token (--auth-token-file)"),
        (config.server.public_url.is_some(), "the public address (--public-url)"),
        (has_agent, "who rings when somebody calls (--agent-number or --agent-identity)"),
    ]
    .into_iter()
    .filter_map(|(is_there, what)| (!is_there).then_some(what))
    .collect()
}

/// Writes the token, then the configuration, then tells Twilio.
pub(super) async fn write(draft: &Draft, plan: &Plan, file: &Path) -> Result<(), Failure> {
    if let Some(token) = &plan.token {
        token.keep()?;
    }
    draft.write().map_err(|error| Failure::Failed(error.to_string()))?;
    output::line(&format!("{} is written.", file.display()))?;
    if let (Some(number), Some(client)) = (&plan.number, &plan.client) {
        number.set(client).await?;
    }
    Ok(())
}

/// Has the running program take it up: by a reload, in which no call is disturbed, where that is
/// enough.
pub(super) fn take_up(
    asker: &Asker,
    (at_once, plan): (bool, &Plan),
    was: &Config,
    config: &Config,
) -> Result<(), Failure> {
    let (is, will) = (&was.server, &config.server);
    let rebound = is.twilio_listen != will.twilio_listen || is.lan_listen != will.lan_listen;
    let needs_restart =
        rebound || plan.token.as_ref().is_some_and(super::token::Token::needs_restart);
    let verb = if needs_restart { "restart" } else { "reload" };
    let by_hand = format!("systemctl {verb} fieldtape");
    if !Path::new("/run/systemd/system").exists() || !has_unit() {
        let how = if needs_restart { "restart it" } else { "send it SIGHUP" };
        return output::line(&format!("For a running fieldtape to take it up, {how}."));
    }
    let wanted =
        at_once || (asker.is_person() && asker.confirm(&format!("{by_hand} now?"), true)?);
    if !wanted {
        return output::line(&format!("`{by_hand}` has it taken up."));
    }
    // One that does not run yet is started by either.
    let verb = if needs_restart { "restart" } else { "reload-or-restart" };
    let done = Command::new("systemctl").args([verb, UNIT]).status();
    match done {
        Ok(status) if status.success() => output::line("fieldtape has taken it up."),
        _ => Err(Failure::Failed(format!(
            "the configuration is written, but `{by_hand}` failed: see journalctl -u fieldtape"
        ))),
    }
}

fn has_unit() -> bool {
    let shown = Command::new("systemctl").args(["cat", UNIT]).output();
    shown.is_ok_and(|shown| shown.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown_on_its_way_out() {
        let text = "[twilio]\nauth_token = \"abc\"\n#api_key_secret = \"def\"\naccount_sid = \"AC1\"\n\
                    [archive]\nsecret_access_key=\"ghi\"\nauth_token_file = \"/f\"";
        let masked = masked(text);
        for secret in ["abc", "def", "ghi"] {
            assert!(!masked.contains(secret), "{masked}");
        }
        assert!(
            masked.contains("account_sid = \"AC1\"\n") && masked.ends_with("= \"/f\""),
            "{masked}"
        );
        assert_eq!(masked.lines().count(), text.lines().count());
    }
}
