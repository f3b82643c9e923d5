//! What is wrong with a configuration, all of it.

use std::fmt;

/// One thing that is wrong, or that has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, as `section.key`; or the file.
    pub key: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.key, self.what)
    }
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Returns the problems, in the order they were found.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    pub(super) fn add(&mut self, key: impl Into<String>, what: impl fmt::Display) {
        self.list.push(Problem { key: key.into(), what: what.to_string() });
    }

    /// Keeps a value, or notes why there is none.
    pub(super) fn keep<T, E: fmt::Display>(&mut self, key: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.add(key, error)).ok()
    }

    pub(super) fn none_or<T>(self, config: Option<T>) -> Result<T, Self> {
        match config {
            Some(config) if self.list.is_empty() => Ok(config),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        write!(out, "{count} problem{} in the configuration", if count == 1 { "" } else { "s" })?;
        for problem in &self.list {
            write!(out, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
