//! What an upgrade came to. The package's scripts write it down, as root, in a folder of their own;
//! this program only reads it. How it works: packaging/trial.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::clock::SharedClock;
use crate::health::{Check, CheckState};
use crate::store::SignOfLife;

/// There while a new version has not been READY yet.
const ON_TRIAL: &str = "trial";

/// There while the previous version is back.
const WENT_BACK: &str = "went-back";

/// How long a start may take, by one sign of life after the other: an hour of calls to be sealed on
/// a slow card, a large ledger to be copied. `fieldtape.service` itself allows 30 s.
const START_MAX: Duration = Duration::from_mins(10);

/// What one sign of life is good for.
const START_MORE: Duration = Duration::from_secs(30);

/// How often systemd is told of them.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Two versions, as the package database calls them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Versions {
    from: String,
    to: String,
}

/// How the last upgrade stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// There was none, or it is done with.
    Settled,
    /// The new version has yet to show that it works: it is READY within 30 s, or the old one comes
    /// back.
    OnTrial(Versions),
    /// The new version did not, and this is the old one.
    WentBack(Versions, String),
}

impl Upgrade {
    /// Reads how it stands; nothing is to be read where no package was installed.
    pub(super) fn read(folder: Option<&Path>) -> Self {
        let Some(folder) = folder else { return Self::Settled };
        let (trial, back) = (Note::read(folder.join(ON_TRIAL)), Note::read(folder.join(WENT_BACK)));
        match (trial, back) {
            // The power went while the old version was being put back.
            (Some(Note { versions, why: Some(why) }), _) => Self::WentBack(versions, why),
            (Some(Note { versions, why: None }), _) => Self::OnTrial(versions),
            (None, Some(Note { versions, why })) => {
                Self::WentBack(versions, why.unwrap_or_default())
            }
            (None, None) => Self::Settled,
        }
    }

    /// Tells the journal.
    pub(super) fn tell(&self) {
        match self {
            Self::Settled => {}
            Self::OnTrial(Versions { from, to }) => tracing::info!(
                event = "upgrade.trial",
                "version {to} starts for the first time: {from} comes back if it is not ready within 30 s"
            ),
            Self::WentBack(..) => {
                let Check { detail, fix, .. } = self.check();
                let fix = fix.unwrap_or_default();
                tracing::error!(event = "upgrade.undone", error = detail, "{detail}; {fix}");
            }
        }
    }

    /// Says whether a start that cannot open the data folder is no start: the version before could
    /// a moment ago.
    pub(super) fn is_on_trial(&self) -> bool {
        matches!(self, Self::OnTrial(_))
    }

    /// Says whether a newer ledger may be replaced by the one from before.
    pub(super) fn went_back(&self) -> bool {
        matches!(self, Self::WentBack(..))
    }

    /// Asks systemd for patience. On trial there is none beyond 30 s without a sign of life.
    pub(super) fn ask_for_patience(&self, clock: &SharedClock) -> SignOfLife {
        if !self.is_on_trial() {
            extend(START_MAX);
            return Arc::new(|| {});
        }
        let (clock, began) = (Arc::clone(clock), clock.since_boot());
        let next_ms = AtomicU64::new(0);
        Arc::new(move || {
            let passed = clock.since_boot().saturating_sub(began);
            let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
            if passed < START_MAX && passed_ms >= next_ms.load(Ordering::Relaxed) {
                let after = u64::try_from(TELL_EVERY.as_millis()).unwrap_or(0);
                next_ms.store(passed_ms + after, Ordering::Relaxed);
                extend(START_MORE);
            }
        })
    }

    /// Tells the page and `fieldtape status`.
    pub(super) fn check(&self) -> Check {
        let own = env!("CARGO_PKG_VERSION");
        let (state, detail, fix) = match self {
            Self::Settled => (CheckState::Ok, format!("is {own}"), None),
            Self::OnTrial(Versions { from, to }) => {
                (CheckState::Ok, format!("is {to}; {from} was before it"), None)
            }
            Self::WentBack(Versions { from, to }, why) => (
                CheckState::Warn,
                format!(
                    "{to} {why}: {from} is back, although the package database says that {to} is installed"
                ),
                Some(
                    "install a version that works; `journalctl -u fieldtape` says what went wrong",
                ),
            ),
        };
        Check { name: "version".to_owned(), state, detail, fix: fix.map(str::to_owned) }
    }
}

fn extend(by: Duration) {
    let by_us = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
    // Without systemd there is nobody to ask.
    let _ = sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(by_us)]);
}

/// What is written in one of the two files: lines of `key=value`.
struct Note {
    versions: Versions,
    why: Option<String>,
}

impl Note {
    fn read(path: PathBuf) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
        };
        let version = |key| value(key).unwrap_or_else(|| "another version".to_owned());
        let versions = Versions { from: version("from"), to: version("to") };
        Some(Self { versions, why: value("why") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(trial: Option<&str>, back: Option<&str>) -> Upgrade {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [(ON_TRIAL, trial), (WENT_BACK, back)] {
            if let Some(text) = text {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
        }
        Upgrade::read(Some(folder.path()))
    }

    #[test]
    fn where_nothing_is_written_nothing_was_upgraded() {
        assert_eq!(Upgrade::read(None), Upgrade::Settled);
        assert_eq!(Upgrade::read(Some(Path::new("/nowhere"))), Upgrade::Settled);
        assert_eq!(standing(None, None).check().state, CheckState::Ok);
    }

    #[test]
    fn a_new_version_is_on_trial_whatever_came_of_the_one_before() {
        let versions = Versions { from: "1-1".to_owned(), to: "3-1".to_owned() };
        let found = standing(Some("from=1-1\nto=3-1\n"), Some("from=1-1\nto=2-1\nwhy=died\n"));
        assert_eq!(found, Upgrade::OnTrial(versions));
        assert!(found.is_on_trial() && !found.went_back());
    }

    #[test]
    fn a_version_that_is_back_says_so_and_why_also_when_the_way_back_was_cut_off() {
        let note = "from=1-1\nto=2-1\nwhy=ended with exit code 1=1\n";
        for found in [standing(None, Some(note)), standing(Some(note), None)] {
            assert!(found.went_back() && !found.is_on_trial());
            let check = found.check();
            assert_eq!(check.state, CheckState::Warn);
            assert!(
                check.detail.starts_with("2-1 ended with exit code 1=1: 1-1 is back"),
                "{check:?}"
            );
        }
    }
}
