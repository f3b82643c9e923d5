//! What a person has set: whether it is right, complete, and safe from others' eyes.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Check;

/// What all others on the box may do with a file.
const OTHERS: u32 = 0o007;

/// The right of all others to go into a folder.
const ENTER: u32 = 0o001;

/// The two folders that systemd takes a unit's credentials from.
const STORES: [&str; 2] = ["/etc/credstore.encrypted", "/etc/credstore"];

/// What became of reading the configuration.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// The file it was read from; none for built-in defaults.
    pub file: Option<PathBuf>,
    /// What is wrong with it.
    pub problems: Vec<String>,
    /// What was set and has no effect.
    pub warnings: Vec<String>,
}

/// What the appliance needs to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The account and what its webhooks are signed with.
    pub is_set: bool,
    /// The token is kept by systemd for the unit, so whoever asks from outside does not see it.
    pub token_is_stored: bool,
    /// The agent's telephone or browser.
    pub has_agent: bool,
}

/// A secret, and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The key it belongs to.
    pub key: String,
    /// Where it is kept.
    pub place: SecretPlace,
}

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// In the configuration itself.
    Configuration(PathBuf),
    /// In the environment.
    Environment,
    /// In a file that the configuration names.
    File(PathBuf),
    /// In a credential of systemd's, as it gives it to the unit.
    Credential(PathBuf),
}

/// Judges the configuration as `check-config` does.
pub fn configuration(read: &Configuration) -> Check {
    let name = "configuration";
    let from = read
        .file
        .as_deref()
        .map_or_else(|| "no file: built-in defaults".to_owned(), |file| file.display().to_string());
    if !read.problems.is_empty() {
        let what = format!("{from}: {}", read.problems.join("; "));
        return Check::fail(name, what, "correct it; fieldtape check-config says when it is right");
    }
    if !read.warnings.is_empty() {
        let what = format!("{from}: {}", read.warnings.join("; "));
        return Check::warn(name, what, "take those settings out");
    }
    Check::ok(name, from)
}

/// Judges whether calls can come in and be connected.
pub fn account(account: Account) -> Check {
    let name = "account";
    if account.token_is_stored && !account.is_set {
        let what = "the token is in systemd's credential store, which only the unit can read";
        return Check::unknown(name, what)
            .fixed_by("systemctl start fieldtape, then ask as root: sudo fieldtape doctor");
    }
    if !account.is_set {
        return Check::warn(
            name,
            "no call can come in yet: Twilio's account is not set up",
            "set twilio.account_sid, twilio.auth_token and server.public_url in the configuration, then restart or send SIGHUP",
        );
    }
    if !account.has_agent {
        let what = "callers cannot be connected to anybody";
        return Check::fail(name, what, "set twilio.agent_number or twilio.agent_identity");
    }
    Check::ok(name, "account, token, public address and agent are set")
}

/// Judges what callers are told before they are recorded.
pub fn consent(announcement: &str) -> Check {
    let name = "consent";
    if announcement.trim().is_empty() {
        return Check::warn(
            name,
            "callers are not told that they are recorded",
            "set consent.announcement; in many places the law asks for it",
        );
    }
    Check::ok(name, "callers are told before anything is recorded")
}

/// Judges who is let in at Twilio's door.
pub fn signatures(are_checked: bool) -> Check {
    let name = "signatures";
    if are_checked {
        return Check::ok(name, "only what Twilio signed is let in");
    }
    Check::fail(
        name,
        "anybody can place calls into this box: twilio.validate_signatures is false",
        "set it to true; false is for a bench on loopback",
    )
}

/// Looks whether every secret is there, and that nobody else can read it.
pub fn credentials(secrets: &[Secret]) -> Check {
    let name = "credentials";
    let (mut missing, mut open, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let mut unseen = Vec::new();
    for Secret { key, place } in secrets {
        match look(place) {
            Ok(Some(mode)) => open.push(format!("{key} in {} ({mode:o})", place.tell())),
            Ok(None) => kept.push(format!("{key} in {}", place.tell())),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                unseen.push(format!("{key} in {}", place.tell()));
            }
            Err(error) => missing.push(format!("{key} in {}: {error}", place.tell())),
        }
    }
    if !missing.is_empty() {
        let fix = "put the secret there, or correct the configuration";
        return Check::fail(name, format!("not there: {}", missing.join("; ")), fix);
    }
    if !open.is_empty() {
        let what = format!("anybody on this box can read {}", open.join("; "));
        return Check::warn(name, what, "chmod o= FILE, or keep it as a systemd credential");
    }
    if !unseen.is_empty() {
        let what = format!("closed to the user that asks: {}", unseen.join("; "));
        return Check::unknown(name, what).fixed_by("ask as root: sudo fieldtape doctor");
    }
    if kept.is_empty() {
        return Check::ok(name, "none is set");
    }
    Check::ok(name, kept.join("; "))
}

impl Secret {
    /// Says whether systemd keeps a credential of that name for the unit, readable or not.
    pub fn is_stored(credential: &str) -> bool {
        STORES.iter().any(|store| Path::new(store).join(credential).exists())
    }
}

impl SecretPlace {
    fn tell(&self) -> String {
        match self {
            Self::Configuration(path) | Self::File(path) => path.display().to_string(),
            Self::Environment => "the environment".to_owned(),
            Self::Credential(path) => format!("the credential {}", path.display()),
        }
    }
}

/// Opens a secret's file; returns its mode if it is anybody's.
fn look(place: &SecretPlace) -> io::Result<Option<u32>> {
    let (SecretPlace::Configuration(path)
    | SecretPlace::File(path)
    | SecretPlace::Credential(path)) = place
    else {
        return Ok(None);
    };
    let mode = fs::File::open(path)?.metadata()?.permissions().mode() & 0o7777;
    Ok((mode & OTHERS != 0 && others_come_to(path)).then_some(mode))
}

/// Says whether others may go as far as a file: into every folder above it.
fn others_come_to(path: &Path) -> bool {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors().skip(1).all(|folder| {
        // A folder that does not say so is not taken for closed.
        fs::metadata(folder).map_or(true, |folder| folder.permissions().mode() & ENTER != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::super::CheckState;
    use super::*;

    #[test]
    fn a_configuration_is_judged_by_everything_that_is_wrong_with_it() {
        let mut read =
            Configuration { file: Some("/etc/x.toml".into()), ..Configuration::default() };
        assert_eq!(configuration(&read), Check::ok("configuration", "/etc/x.toml"));
        read.warnings.push("a.b: has no effect".to_owned());
        assert_eq!(configuration(&read).state, CheckState::Warn);
        read.problems = vec!["a.b: bad".to_owned(), "c.d: worse".to_owned()];
        let check = configuration(&read);
        assert_eq!(check.state, CheckState::Fail);
        assert!(check.detail.contains("a.b: bad; c.d: worse"));
    }

    #[test]
    fn an_appliance_that_nobody_can_call_or_answer_says_so() {
        let state = |is_set, token_is_stored, has_agent| {
            account(Account { is_set, token_is_stored, has_agent }).state
        };
        assert_eq!(state(true, false, true), CheckState::Ok);
        assert_eq!(state(false, false, true), CheckState::Warn);
        assert_eq!(state(false, true, true), CheckState::Unknown);
        assert_eq!(state(true, true, false), CheckState::Fail);
        assert_eq!(consent(" ").state, CheckState::Warn);
        assert_eq!(signatures(false).state, CheckState::Fail);
    }

    #[test]
    fn a_secret_that_is_gone_or_that_all_can_read_is_told_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let open =
            |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        open(0o755);
        let file = dir.path().join("token");
        let secret = |place| [Secret { key: "twilio.auth_token".to_owned(), place }];
        let gone = credentials(&secret(SecretPlace::File(file.clone())));
        assert_eq!(gone.state, CheckState::Fail);
        assert!(gone.detail.contains(file.to_str().unwrap()), "{gone:?}");
        fs::write(&file, "hush").unwrap();
        for (mode, state) in [(0o640, CheckState::Ok), (0o644, CheckState::Warn)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let check = credentials(&secret(SecretPlace::File(file.clone())));
            assert_eq!(check.state, state, "{check:?}");
            assert!(!check.detail.contains("hush"));
        }
        open(0o700);
        let closed = credentials(&secret(SecretPlace::File(file)));
        assert_eq!(closed.state, CheckState::Ok, "nobody comes that far");
        assert_eq!(credentials(&secret(SecretPlace::Environment)).state, CheckState::Ok);
        assert_eq!(credentials(&[]).state, CheckState::Ok);
    }
}
