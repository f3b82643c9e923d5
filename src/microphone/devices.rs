//! Which microphones there are, for a person who has to choose one.

use super::cards::{Card, Roots, cards};
use super::ear::{self, Options};
use super::name::DeviceName;
use super::opener::{Format, OpenError, Opener, Target};
use super::state::{Finding, State};

/// A microphone that could be chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// What is to be written as `microphone.device`.
    pub name: DeviceName,
    /// What it is called.
    pub label: String,
    /// How it records, or why it cannot be listened to now; none for a PCM, which is not asked:
    /// opening one may wait for whatever stands behind it.
    pub format: Option<Result<Format, OpenError>>,
}

/// Lists the sound cards that record, then the PCMs of ALSA's configuration.
pub fn devices(roots: &Roots, opener: &mut dyn Opener) -> Vec<Choice> {
    let cards = cards(roots);
    let mut choices: Vec<Choice> = Vec::new();
    for card in &cards {
        let Card { index, device, label, .. } = card.clone();
        let format = Some(opener.look(&Target::Card { index, device }));
        choices.push(Choice { name: card.name(&cards), label, format });
    }
    for pcm in opener.pcms() {
        // With a colon it is some card's by name or number, and those are there already.
        if let Ok(name @ DeviceName::Pcm(_)) = pcm.parse()
            && !pcm.contains(':')
            && pcm != "null"
        {
            choices.push(Choice {
                name,
                label: "of ALSA's configuration".to_owned(),
                format: None,
            });
        }
    }
    choices
}

/// Looks whether a microphone could be listened to, and says what is wrong with it if not.
///
/// An appliance that runs has the device itself, and then it is taken: ask how that one's is first.
pub fn check(options: &Options, opener: &mut dyn Opener) -> Finding {
    let state = match ear::probe(options, opener) {
        Ok(format) => State::Hearing(format),
        Err(state) => state,
    };
    let mut finding = state.finding(&options.device, std::time::Duration::ZERO);
    if let State::Hearing(format) = state {
        finding.detail = format!("{} can be listened to: {format}", options.device);
    }
    finding
}
