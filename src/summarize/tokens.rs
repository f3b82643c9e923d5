//! Words of a text, one by one.

/// A word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// Where it begins, in bytes.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// As it is written.
    pub(super) text: &'a str,
    /// In lower case, with a plain apostrophe.
    pub(super) plain: String,
}

impl Token<'_> {
    /// Says whether it is written in digits.
    pub(super) fn is_number(&self) -> bool {
        self.text.starts_with(|first: char| first.is_numeric())
    }

    /// Says whether it begins with a capital.
    pub(super) fn is_capital(&self) -> bool {
        self.text.starts_with(char::is_uppercase)
    }
}

/// Takes a text apart. An apostrophe within a word belongs to it.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut start = None;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let inside = start.is_some()
            && is_apostrophe(letter)
            && letters.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        if letter.is_alphanumeric() || inside {
            start.get_or_insert(at);
        } else if let Some(start) = start.take() {
            out.push(token(text, start, at));
        }
    }
    out.extend(start.map(|start| token(text, start, text.len())));
    out
}

fn token(text: &str, start: usize, end: usize) -> Token<'_> {
    let text = text.get(start..end).unwrap_or_default();
    Token { start, end, text, plain: text.to_lowercase().replace('’', "'") }
}

const fn is_apostrophe(letter: char) -> bool {
    matches!(letter, '\'' | '’')
}

/// Says where, from `from` on, a word begins that these follow one another in.
pub(super) fn find(tokens: &[Token<'_>], phrase: &[&str], from: usize) -> Option<usize> {
    let fits = |at: &usize| {
        let here = tokens.get(*at..).unwrap_or_default();
        here.len() >= phrase.len()
            && here.iter().zip(phrase).all(|(token, word)| token.plain == *word)
    };
    (from..tokens.len()).find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart_into_words_and_numbers() {
        let text = "It’s 7315-082, “don't” touch 'Über' — 東京!";
        let found: Vec<String> = tokens(text).into_iter().map(|token| token.plain).collect();
        assert_eq!(found, ["it's", "7315", "082", "don't", "touch", "über", "東京"]);
        for token in tokens(text) {
            assert_eq!(&text[token.start..token.end], token.text);
        }
        assert!(tokens("… — !").is_empty() && tokens("").is_empty());
    }

    #[test]
    fn a_phrase_is_found_word_by_word() {
        let said = tokens("So I will, I will not");
        assert_eq!(find(&said, &["i", "will"], 0), Some(1));
        assert_eq!(find(&said, &["i", "will"], 2), Some(3));
        assert_eq!(find(&said, &["i", "will"], 4), None);
    }
}
