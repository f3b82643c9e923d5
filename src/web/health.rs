//! How the appliance is, as its page, its probes and its command line tell it.

/// How one check stands. Ordered: the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// Something is missing, but no sound is at risk.
    Degraded,
    /// Calls or recordings suffer.
    Failing,
}

impl CheckState {
    /// Returns the word used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, e.g. `disk`.
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// What was found, in words for a person.
    pub detail: String,
    /// What to do about it; none when there is nothing to do.
    pub fix: Option<String>,
}

/// The appliance's health at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Every check, in the order to show them.
    pub checks: Vec<Check>,
    /// Ports bound, ledger open, disk writable. Twilio or the network being away does not unready.
    pub ready: bool,
    /// Calls in progress.
    pub live_calls: u32,
}

impl Health {
    /// Returns the worst state of all checks.
    pub fn worst(&self) -> CheckState {
        self.checks.iter().map(|check| check.state).max().unwrap_or(CheckState::Ok)
    }

    /// Returns the checks that are not as they should be, the worst first.
    pub fn troubles(&self) -> Vec<&Check> {
        let mut troubles: Vec<&Check> =
            self.checks.iter().filter(|check| check.state != CheckState::Ok).collect();
        troubles.sort_by_key(|check| std::cmp::Reverse(check.state));
        troubles
    }
}
