//! The fields of spans and events, as texts.

use std::fmt::Write as _;

use tracing::field::{Field, Visit};

/// Fields in the order they were given; a later one of the same name takes the place of an
/// earlier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// The event's own words.
    pub(super) message: String,
    /// Everything else.
    pub(super) pairs: Vec<(String, String)>,
}

impl Fields {
    /// Adds all of `other`'s pairs.
    pub(super) fn extend(&mut self, other: &Self) {
        for (name, value) in &other.pairs {
            self.set(name, value.clone());
        }
    }

    /// Says whether it is a part of a call's story.
    pub(super) fn is_of_call(&self) -> bool {
        self.pairs.iter().any(|(name, _)| name == "call.sid")
    }

    fn set(&mut self, name: &str, value: String) {
        match self.pairs.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.pairs.push((name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.set(field.name(), value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        // Writing to a String cannot fail; a Debug that does leaves what it wrote.
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }
}
