//! What stands around every page: how the appliance is, and who looks.

use super::assets;
use super::pages::words;
use crate::access::Actor;
use crate::health::{CheckState, Health};

/// What stands around every page.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) assets: String,
    pub(super) state: CheckState,
    pub(super) troubles: Vec<Trouble>,
    /// Who has logged in.
    pub(super) user: Option<String>,
    /// What every form of the page carries.
    pub(super) form_key: Option<String>,
}

/// A check that is not as it should be.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) failing: bool,
    pub(super) name: String,
    pub(super) detail: String,
    pub(super) fix: Option<String>,
}

impl Frame {
    /// Makes it for somebody.
    pub(super) fn new(health: &Health, actor: &Actor) -> Self {
        let troubles = health.troubles().into_iter().map(|check| Trouble {
            failing: check.state == CheckState::Fail,
            name: check.name.clone(),
            detail: check.detail.clone(),
            fix: check.fix.clone(),
        });
        let form_key = actor.form_key.as_ref().map(|key| key.as_str().to_owned());
        Self {
            assets: assets::base(),
            state: health.worst(),
            troubles: troubles.collect(),
            user: form_key.is_some().then(|| actor.name.to_string()),
            form_key,
        }
    }

    /// Makes it for somebody whom nothing is told.
    pub(super) fn plain() -> Self {
        Self {
            assets: assets::base(),
            state: CheckState::Ok,
            troubles: Vec::new(),
            user: None,
            form_key: None,
        }
    }

    /// Names the state for the style sheet.
    pub(super) const fn class(&self) -> &'static str {
        self.state.as_str()
    }

    /// Says in two words how the appliance is.
    pub(super) fn summary(&self) -> String {
        match self.troubles.len() {
            0 => "All is well".to_owned(),
            count => words::count(count as u64, "problem", "problems"),
        }
    }
}
