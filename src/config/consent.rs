//! `[consent]`: what people are told before they are recorded, and whether they are asked.

use std::path::PathBuf;

use super::build::filled;
use super::{Config, Consent, Problem, Problems, raw};
use crate::web::door::{Announcement, Sound};

/// The keys of a telephone.
const KEYS: &str = "0123456789*#";

pub(super) fn consent(
    raw: raw::Consent,
    problems: &mut Problems,
    warnings: &mut Vec<Problem>,
) -> Option<Consent> {
    let decline_key = decline_key(&raw.decline_digit, problems)?;
    let sound = filled(raw.sound).map(PathBuf::from);
    let says_nothing = raw.announcement.trim().is_empty() && sound.is_none();
    let decline_key = match raw.mode.as_str() {
        "notice" => {
            if raw.decline_digit != raw::Consent::default().decline_digit {
                let what = "has no effect while consent.mode is \"notice\": callers are told, and not asked";
                warnings.push(Problem {
                    key: "consent.decline_digit".to_owned(),
                    what: what.to_owned(),
                });
            }
            None
        }
        "keypad" if says_nothing => {
            let what = "\"keypad\" takes words: say in consent.announcement, or in the file consent.sound, which key to press";
            problems.add("consent.mode", what);
            return None;
        }
        "keypad" => Some(decline_key),
        other => {
            problems.add("consent.mode", format!("{other:?} is neither \"notice\" nor \"keypad\""));
            return None;
        }
    };
    Some(Consent {
        announcement: raw.announcement,
        language: filled(raw.language),
        voice: filled(raw.voice),
        sound,
        decline_key,
    })
}

fn decline_key(text: &str, problems: &mut Problems) -> Option<char> {
    let mut keys = text.trim().chars();
    let key = keys.next().filter(|key| KEYS.contains(*key) && keys.next().is_none());
    if key.is_none() {
        let what = format!("{text:?} is no key of a telephone: write one of {KEYS}");
        problems.add("consent.decline_digit", what);
    }
    key
}

impl Consent {
    /// Returns what is told, with the sound file read.
    pub fn announcement(&self) -> Announcement {
        let what = (self.announcement.as_str(), self.sound.as_deref());
        Announcement::new(what, self.language.clone(), self.voice.clone())
    }
}

/// Reads the sound file, and says if it cannot be used. A start goes on without it, and records
/// nothing that is not announced.
pub(super) fn sound_file(config: &Config, problems: &mut Problems) {
    if let Some(path) = &config.consent.sound {
        problems.keep("consent.sound", Sound::read(path));
    }
}
