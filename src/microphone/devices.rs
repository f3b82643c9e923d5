//! Which microphones there are, for a person who has to choose one.

use std::time::Duration;

use super::cards::{Card, Roots, cards, find};
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
    /// Whether it is the one that is meant by the configuration.
    pub is_meant: bool,
}

/// Lists the sound cards that record, then the PCMs of ALSA's configuration; one of them may be
/// meant.
pub fn devices(roots: &Roots, opener: &mut dyn Opener, meant: &DeviceName) -> Vec<Choice> {
    let cards = cards(roots);
    let meant_card = find(meant, &cards).ok().flatten();
    let mut choices: Vec<Choice> = Vec::new();
    for card in &cards {
        let Card { index, device, label, .. } = card.clone();
        let format = Some(opener.look(&Target::Card { index, device }));
        let is_meant = meant_card.as_ref() == Some(card);
        choices.push(Choice { name: card.name(&cards), label, format, is_meant });
    }
    for pcm in opener.pcms() {
        // With a colon it is some card's by name or number, and those are there already.
        if let Ok(name @ DeviceName::Pcm(_)) = pcm.parse()
            && !pcm.contains(':')
            && pcm != "null"
        {
            let is_meant = name == *meant;
            let label = "of ALSA's configuration".to_owned();
            choices.push(Choice { name, label, format: None, is_meant });
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
    let mut finding = state.finding(&options.device, Duration::ZERO);
    if let State::Hearing(format) = state {
        finding.detail = format!("{} can be listened to: {format}", options.device);
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::super::opener::Listening;
    use super::super::ring::Capture;
    use super::*;

    /// Cards of which the first is free and the second taken.
    struct Two;

    impl Opener for Two {
        fn look(&mut self, target: &Target) -> Result<Format, OpenError> {
            match target {
                Target::Card { index: 1, .. } => {
                    Ok(Format { rate_hz: 48_000, channels: 1, sample: "16 bits" })
                }
                Target::Card { .. } => Err(OpenError::Busy),
                Target::Pcm(_) => Err(OpenError::Gone),
            }
        }

        fn open(
            &mut self,
            _: &Target,
            _: Format,
            _: Capture,
        ) -> Result<Box<dyn Listening>, OpenError> {
            Err(OpenError::Gone)
        }

        fn pcms(&mut self) -> Vec<String> {
            ["null", "default", "hw:CARD=A,DEV=0", "sysdefault:CARD=A"].map(str::to_owned).to_vec()
        }
    }

    #[test]
    fn cards_and_pcms_are_listed_by_names_that_last_and_the_one_that_is_meant_is_marked() {
        let folder = tempfile::tempdir().unwrap();
        for (card, id) in [("card1", "A"), ("card2", "B")] {
            let card = folder.path().join("asound").join(card);
            std::fs::create_dir_all(card.join("pcm0c")).unwrap();
            std::fs::write(card.join("id"), id).unwrap();
        }
        let root = || folder.path().to_owned();
        let roots = Roots { proc: root(), sys: root(), dev: root() };
        let meant: DeviceName = "card:B".parse().unwrap();
        let listed = devices(&roots, &mut Two, &meant);
        let names: Vec<String> = listed.iter().map(|choice| choice.name.to_string()).collect();
        assert_eq!(names, ["card:A", "card:B", "default"]);
        let is_meant: Vec<bool> = listed.iter().map(|choice| choice.is_meant).collect();
        assert_eq!(is_meant, [false, true, false]);
        assert_eq!(listed[1].format, Some(Err(OpenError::Busy)));

        let options = |device: &str| Options {
            device: device.parse().unwrap(),
            gain_db: 0.0,
            roots: roots.clone(),
        };
        let told = |device: &str| check(&options(device), &mut Two);
        assert!(told("card:A").is_well && told("card:A").detail.contains("48000 Hz"));
        assert!(!told("card:B").is_well && told("card:B").detail.contains("taken"));
        assert!(told("card:C").fix.unwrap().contains("\"card:A\" or \"card:B\""));
        let hidden = told("default");
        assert!(hidden.fix.unwrap().contains("microphone.conf"), "cards are there, and not for us");
    }
}
