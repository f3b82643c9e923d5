//! The languages that Whisper's models know.

use std::fmt;
use std::str::FromStr;

/// How alike two names must be for one to be taken for the other's slip.
const NEAR_LIKENESS: f64 = 0.8;

/// A language by its code: two or three letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language {
    code: &'static str,
    name: &'static str,
}

/// A word that names no language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no speech model knows the language {word:?}: {instead}")]
pub struct BadLanguage {
    word: String,
    instead: String,
}

impl Language {
    /// Returns its code, such as "en".
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// Returns its English name, in lower case.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Says whether it is the one that every model knows.
    pub fn is_english(self) -> bool {
        self.code == "en"
    }

    /// Lists all there are.
    pub fn all() -> impl Iterator<Item = Self> {
        LANGUAGES.iter().map(|&(code, name)| Self { code, name })
    }

    /// Reads a code, a name, or "auto" for one yet to be found out.
    pub fn or_auto(word: &str) -> Result<Option<Self>, BadLanguage> {
        match word.trim().to_lowercase().as_str() {
            "" | "auto" => Ok(None),
            word => word.parse().map(Some),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code)
    }
}

impl FromStr for Language {
    type Err = BadLanguage;

    fn from_str(word: &str) -> Result<Self, BadLanguage> {
        let wanted = word.trim().to_lowercase();
        let found = Self::all().find(|known| known.code == wanted || known.name == wanted);
        found.ok_or_else(|| {
            // "de-AT" is German as spoken in Austria.
            let plain = wanted.split(['-', '_']).next().unwrap_or_default();
            let near = Self::all().find(|known| known.code == plain).or_else(|| nearest(&wanted));
            let instead = match near {
                Some(near) => format!("did you mean \"{}\" ({})?", near.code, near.name),
                None => "write its two letters, such as \"en\", or \"auto\"".to_owned(),
            };
            BadLanguage { word: word.to_owned(), instead }
        })
    }
}

fn nearest(word: &str) -> Option<Language> {
    Language::all()
        .map(|known| (strsim::jaro_winkler(known.name, word), known))
        .filter(|(likeness, _)| *likeness >= NEAR_LIKENESS)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

const LANGUAGES: [(&str, &str); 100] = [
    ("en", "english"),
    ("zh", "chinese"),
    ("de", "german"),
    ("es", "spanish"),
    ("ru", "russian"),
    ("ko", "korean"),
    ("fr", "french"),
    ("ja", "japanese"),
    ("pt", "portuguese"),
    ("tr", "turkish"),
    ("pl", "polish"),
    ("ca", "catalan"),
    ("nl", "dutch"),
    ("ar", "arabic"),
    ("sv", "swedish"),
    ("it", "italian"),
    ("id", "indonesian"),
    ("hi", "hindi"),
    ("fi", "finnish"),
    ("vi", "vietnamese"),
    ("he", "hebrew"),
    ("uk", "ukrainian"),
    ("el", "greek"),
    ("ms", "malay"),
    ("cs", "czech"),
    ("ro", "romanian"),
    ("da", "danish"),
    ("hu", "hungarian"),
    ("ta", "tamil"),
    ("no", "norwegian"),
    ("th", "thai"),
    ("ur", "urdu"),
    ("hr", "croatian"),
    ("bg", "bulgarian"),
    ("lt", "lithuanian"),
    ("la", "latin"),
    ("mi", "maori"),
    ("ml", "malayalam"),
    ("cy", "welsh"),
    ("sk", "slovak"),
    ("te", "telugu"),
    ("fa", "persian"),
    ("lv", "latvian"),
    ("bn", "bengali"),
    ("sr", "serbian"),
    ("az", "azerbaijani"),
    ("sl", "slovenian"),
    ("kn", "kannada"),
    ("et", "estonian"),
    ("mk", "macedonian"),
    ("br", "breton"),
    ("eu", "basque"),
    ("is", "icelandic"),
    ("hy", "armenian"),
    ("ne", "nepali"),
    ("mn", "mongolian"),
    ("bs", "bosnian"),
    ("kk", "kazakh"),
    ("sq", "albanian"),
    ("sw", "swahili"),
    ("gl", "galician"),
    ("mr", "marathi"),
    ("pa", "punjabi"),
    ("si", "sinhala"),
    ("km", "khmer"),
    ("sn", "shona"),
    ("yo", "yoruba"),
    ("so", "somali"),
    ("af", "afrikaans"),
    ("oc", "occitan"),
    ("ka", "georgian"),
    ("be", "belarusian"),
    ("tg", "tajik"),
    ("sd", "sindhi"),
    ("gu", "gujarati"),
    ("am", "amharic"),
    ("yi", "yiddish"),
    ("lo", "lao"),
    ("uz", "uzbek"),
    ("fo", "faroese"),
    ("ht", "haitian creole"),
    ("ps", "pashto"),
    ("tk", "turkmen"),
    ("nn", "nynorsk"),
    ("mt", "maltese"),
    ("sa", "sanskrit"),
    ("lb", "luxembourgish"),
    ("my", "myanmar"),
    ("bo", "tibetan"),
    ("tl", "tagalog"),
    ("mg", "malagasy"),
    ("as", "assamese"),
    ("tt", "tatar"),
    ("haw", "hawaiian"),
    ("ln", "lingala"),
    ("ha", "hausa"),
    ("ba", "bashkir"),
    ("jw", "javanese"),
    ("su", "sundanese"),
    ("yue", "cantonese"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_known_by_code_and_by_name() {
        assert_eq!("DE".parse::<Language>().unwrap().code(), "de");
        assert_eq!("German".parse::<Language>().unwrap().code(), "de");
        assert_eq!(Language::or_auto("auto"), Ok(None));
        assert_eq!(Language::or_auto(""), Ok(None));
        assert_eq!(Language::or_auto("yue").unwrap().unwrap().name(), "cantonese");
    }

    #[test]
    fn what_is_none_is_told_with_what_was_meant() {
        for (word, meant) in [("de-AT", "\"de\""), ("germn", "\"de\""), ("klingon", "two letters")]
        {
            let message = Language::or_auto(word).unwrap_err().to_string();
            assert!(message.contains(meant), "{message}");
        }
    }
}
