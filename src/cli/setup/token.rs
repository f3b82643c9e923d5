//! The account's token: asked for, and put where only fieldtape can read it.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ask::Asker;
use crate::cli::exit::Failure;
use crate::cli::output;
use crate::config::{Config, Draft, Environment, Lookup};
use crate::domain::AccountSid;
use crate::twilio::rest::Credentials;
use crate::twilio::signature::AuthToken;

/// What systemd and the unit call it.
const CREDENTIAL: &str = "fieldtape.twilio-auth-token";

/// Where systemd looks for what it decrypts for units.
const CREDSTORE: &str = "/etc/credstore.encrypted";

/// Here while systemd runs the machine.
const SYSTEMD: &str = "/run/systemd/system";

/// A token that is to be kept. It is never shown.
pub(super) struct Token {
    text: String,
    home: std::cell::OnceCell<Home>,
}

/// Where it is kept.
enum Home {
    /// Encrypted for this box alone.
    Credential(PathBuf),
    /// In a file that its owner alone can read.
    File(PathBuf),
}

/// Takes the token from a file, or asks; none keeps the one there is.
pub(super) fn ask(
    asker: &Asker,
    given: Option<PathBuf>,
    config: &Config,
) -> Result<Option<Token>, Failure> {
    let text = match given {
        Some(file) => Some(read(&file)?),
        None if is_kept(config) => asker.secret("Auth token (empty keeps the one there is)")?,
        None => asker.secret("Auth token (it is not shown)")?,
    };
    let Some(text) = text else { return Ok(None) };
    AuthToken::new(&text).map_err(|error| Failure::Usage(format!("the auth token: {error}")))?;
    Ok(Some(Token { text, home: std::cell::OnceCell::new() }))
}

/// Returns what Twilio is asked with: the new token, or else what is kept.
pub(super) fn credentials(
    token: Option<&Token>,
    account: &AccountSid,
    config: &Config,
) -> Result<Option<Credentials>, Failure> {
    let kept = match token {
        Some(token) => Some(token.text.clone()),
        None if config.twilio.account_sid.as_ref() == Some(account)
            && config.twilio.api.is_some() =>
        {
            return Ok(config.twilio.api.clone());
        }
        None => decrypted(),
    };
    let Some(kept) = kept else { return Ok(None) };
    let origin = config.twilio.api_origin.clone();
    Credentials::new(origin, account.as_str(), &kept)
        .map(Some)
        .map_err(|error| Failure::Usage(format!("the auth token: {error}")))
}

impl Token {
    /// Decides where it goes, and has the configuration say so.
    pub(super) fn plan(&self, draft: &mut Draft, file: &Path, plain: bool) -> Result<(), Failure> {
        let failed = |error: crate::config::EditError| Failure::Failed(error.to_string());
        draft.unset("twilio.auth_token").map_err(failed)?;
        let home = if !plain && can_encrypt() {
            draft.unset("twilio.auth_token_file").map_err(failed)?;
            Home::Credential(Path::new(CREDSTORE).join(CREDENTIAL))
        } else {
            let folder = file.parent().unwrap_or(Path::new("/"));
            let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
            let path = folder.join("twilio-auth-token");
            draft.set("twilio.auth_token_file", &path.to_string_lossy()).map_err(failed)?;
            Home::File(path)
        };
        // Planned once more after a wrong answer, it goes to the same place.
        let _ = self.home.set(home);
        Ok(())
    }

    /// Checks a configuration with this token in it, which is not where the configuration looks for
    /// it yet.
    pub(super) fn check(&self, draft: &Draft) -> Result<Config, Failure> {
        let mut draft = draft.clone();
        let unset = draft.unset("twilio.auth_token_file");
        unset.map_err(|error| Failure::Failed(error.to_string()))?;
        draft
            .check(&WithToken(&self.text))
            .map_err(|problems| Failure::Config(problems.to_string()))
    }

    /// Says where it goes.
    pub(super) fn told(&self) -> String {
        match self.home.get() {
            Some(Home::Credential(path)) => {
                format!("The token goes to {}, encrypted for this box alone.", path.display())
            }
            Some(Home::File(path)) => {
                format!("The token goes to {}, readable for fieldtape alone.", path.display())
            }
            None => String::new(),
        }
    }

    /// Says whether a restart is needed for it to be read: systemd hands credentials out at a start.
    pub(super) fn needs_restart(&self) -> bool {
        matches!(self.home.get(), Some(Home::Credential(_)))
    }

    /// Puts it there, whole or not at all.
    pub(super) fn keep(&self) -> Result<(), Failure> {
        match self.home.get() {
            Some(Home::Credential(path)) => encrypt(&self.text, path),
            Some(Home::File(path)) => write(&self.text, path),
            None => Ok(()),
        }
    }
}

/// The environment, and a token in it.
struct WithToken<'a>(&'a str);

impl Lookup for WithToken<'_> {
    fn get(&self, name: &str) -> Option<String> {
        Environment.get(name)
    }

    fn beginning_with(&self, prefix: &str) -> Vec<(String, String)> {
        let mut found = Environment.beginning_with(prefix);
        found.push(("FIELDTAPE_TWILIO__AUTH_TOKEN".to_owned(), self.0.to_owned()));
        found
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::Usage(format!("{}: {error}", file.display()));
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
    } else {
        text = std::fs::read_to_string(file).map_err(failed)?;
    }
    Ok(text.trim().to_owned())
}

fn is_kept(config: &Config) -> bool {
    config.twilio.auth_token.is_some() || Path::new(CREDSTORE).join(CREDENTIAL).exists()
}

fn can_encrypt() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let tool = || Command::new("systemd-creds").arg("--version").stdout(Stdio::null()).status();
    is_root && Path::new(SYSTEMD).exists() && tool().is_ok_and(|status| status.success())
}

/// Returns the credential that is kept, where we may read it.
fn decrypted() -> Option<String> {
    let path = Path::new(CREDSTORE).join(CREDENTIAL);
    if !path.exists() {
        return None;
    }
    let mut command = Command::new("systemd-creds");
    command.arg("decrypt").arg(format!("--name={CREDENTIAL}")).arg(path).arg("-");
    let answer = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    answer.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn encrypt(token: &str, path: &Path) -> Result<(), Failure> {
    let failed = |what: String| Failure::Failed(format!("the token cannot be kept: {what}"));
    let folder = path.parent().unwrap_or(Path::new("/"));
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| failed(format!("{}: {error}", folder.display())))?;
    let new = path.with_extension("new");
    let mut command = Command::new("systemd-creds");
    command.arg("encrypt").arg(format!("--name={CREDENTIAL}")).arg("-").arg(&new);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let encrypted = command.spawn().and_then(|mut child| {
        // It is in the child's memory then, and on no command line.
        if let Some(mut input) = child.stdin.take() {
            input.write_all(token.as_bytes())?;
        }
        child.wait_with_output()
    });
    let encrypted = encrypted.map_err(|error| failed(format!("systemd-creds: {error}")))?;
    if !encrypted.status.success() {
        return Err(failed(String::from_utf8_lossy(&encrypted.stderr).trim().to_owned()));
    }
    std::fs::rename(&new, path).map_err(|error| failed(format!("{}: {error}", path.display())))
}

/// The file is the recorder's own, if there is a user for it.
fn write(token: &str, path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::Failed(format!("the token cannot be kept: {}: {error}", path.display()))
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    new.write_all(token.as_bytes()).map_err(failed)?;
    new.as_file().set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
    new.as_file().sync_all().map_err(failed)?;
    new.persist(path).map_err(|error| failed(error.error))?;
    if rustix::process::geteuid().is_root() {
        let given =
            Command::new("chown").arg("fieldtape:").arg(path).stderr(Stdio::null()).status();
        if !given.is_ok_and(|status| status.success()) {
            output::error(&format!(
                "there is no user fieldtape here: {} is readable for {} only",
                path.display(),
                "root"
            ));
        }
    }
    Ok(())
}
