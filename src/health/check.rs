//! One check, and all of them at one moment.

/// How one check stands. Ordered: the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// Not found out: it may be well or not.
    Unknown,
    /// Something is missing, but no sound is at risk.
    Warn,
    /// Calls or recordings suffer.
    Fail,
}

impl CheckState {
    /// Every state, the best first.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Unknown, Self::Warn, Self::Fail];

    /// Returns the word used in the API and by the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// A word that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of a check")]
pub struct BadState(String);

impl std::str::FromStr for CheckState {
    type Err = BadState;

    fn from_str(word: &str) -> Result<Self, BadState> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == word);
        found.ok_or_else(|| BadState(word.to_owned()))
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, e.g. `disk`.
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// What was seen, in words for a person.
    pub detail: String,
    /// What to do about it; none when there is nothing to do.
    pub fix: Option<String>,
}

impl Check {
    /// It is as it should be.
    pub fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: CheckState::Ok, detail: detail.into(), fix: None }
    }

    /// It could not be found out, and there is nothing to do about that.
    pub fn unknown(name: &str, detail: impl Into<String>) -> Self {
        Self { state: CheckState::Unknown, ..Self::ok(name, detail) }
    }

    /// Something is missing.
    pub fn warn(name: &str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: CheckState::Warn, ..Self::ok(name, detail) }.fixed_by(fix)
    }

    /// Calls or recordings suffer.
    pub fn fail(name: &str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: CheckState::Fail, ..Self::ok(name, detail) }.fixed_by(fix)
    }

    /// Says what to do.
    #[must_use]
    pub fn fixed_by(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    /// Says whether a person has something to do about it. What this machine has no means to tell
    /// is unknown for ever and no trouble.
    pub fn is_trouble(&self) -> bool {
        self.state >= CheckState::Warn || self.state == CheckState::Unknown && self.fix.is_some()
    }
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
    /// Which run of the program this is: drawn anew at each start.
    pub instance: String,
}

/// How many checks stand in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// The state.
    pub state: CheckState,
    /// How many.
    pub checks: usize,
}

impl Health {
    /// Returns the worst state of all troubles.
    pub fn worst(&self) -> CheckState {
        let troubles = self.checks.iter().filter(|check| check.is_trouble());
        troubles.map(|check| check.state).max().unwrap_or(CheckState::Ok)
    }

    /// Returns the checks that are not as they should be, the worst first.
    pub fn troubles(&self) -> Vec<&Check> {
        let mut troubles: Vec<&Check> =
            self.checks.iter().filter(|check| check.is_trouble()).collect();
        troubles.sort_by_key(|check| std::cmp::Reverse(check.state));
        troubles
    }

    /// Counts the checks by state, the best first.
    pub fn tally(&self) -> [Tally; 4] {
        CheckState::ALL.map(|state| Tally {
            state,
            checks: self.checks.iter().filter(|check| check.state == state).count(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_and_cannot_be_mended_is_counted_and_no_trouble() {
        let health = Health {
            checks: vec![
                Check::ok("a", "well"),
                Check::unknown("b", "no sensor"),
                Check::warn("c", "old", "renew it"),
                Check::unknown("d", "not running").fixed_by("start it"),
                Check::fail("e", "gone", "bring it back"),
            ],
            ready: true,
            live_calls: 0,
            instance: String::new(),
        };
        let names: Vec<&str> = health.troubles().iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["e", "c", "d"]);
        assert_eq!(health.worst(), CheckState::Fail);
        assert_eq!(health.tally().map(|tally| tally.checks), [1, 2, 1, 1]);
        let calm = Health { checks: vec![Check::unknown("b", "no sensor")], ..health };
        assert_eq!(calm.worst(), CheckState::Ok);
    }

    #[test]
    fn a_state_is_read_back_from_its_word() {
        for state in CheckState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("degraded".parse::<CheckState>().is_err());
    }
}
