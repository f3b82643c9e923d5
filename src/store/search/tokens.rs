//! Words as the index has them: letters and digits in lower case, without their diacritics.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A word of a text, as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Where it begins, in bytes.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// As the index has it.
    pub(super) plain: String,
}

/// Takes a text apart.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut start = None;
    for (at, letter) in text.char_indices() {
        if letter.is_alphanumeric() || (start.is_some() && is_combining_mark(letter)) {
            start.get_or_insert(at);
        } else if let Some(start) = start.take() {
            out.push(token(text, start, at));
        }
    }
    out.extend(start.map(|start| token(text, start, text.len())));
    out
}

fn token(text: &str, start: usize, end: usize) -> Token {
    Token { start, end, plain: folded(text.get(start..end).unwrap_or_default()) }
}

/// Writes a word as the index has it.
pub(super) fn folded(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.nfd().filter(|letter| !is_combining_mark(*letter)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart_as_the_index_does_it() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch(
            "create virtual table said using fts5 (text, tokenize = 'unicode61 remove_diacritics 2');
             create virtual table heard using fts5vocab (said, 'instance');",
        )
        .unwrap();
        for text in [
            "It’s 7315-082, don't touch \"that\"!",
            "Über Café naïve ÅNGSTRÖM e\u{301}tude",
            "Ünïcödé 東京 ташкент ΑΘΗΝΑ",
            "½ m² _under_ a.b@c +1-512",
            "",
        ] {
            db.execute("delete from said", []).unwrap();
            db.execute("insert into said values (?1)", [text]).unwrap();
            let mut found = db.prepare("select term from heard order by \"offset\"").unwrap();
            let theirs: Vec<String> =
                found.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
            let ours: Vec<String> = tokens(text).into_iter().map(|token| token.plain).collect();
            assert_eq!(ours, theirs, "{text}");
        }
    }
}
