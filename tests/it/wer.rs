//! Word error rate, over words made alike: case, punctuation, contractions and ways to write
//! numbers do not count.

/// Errors and words of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wer {
    pub(crate) errors: usize,
    pub(crate) words: usize,
}

impl Wer {
    #[expect(clippy::cast_precision_loss, reason = "counts of words")]
    pub(crate) fn percent(self) -> f64 {
        100.0 * self.errors as f64 / self.words.max(1) as f64
    }
}

/// Compares what was heard with what was said: the fewest words to change, leave out or add.
pub(crate) fn wer(said: &str, heard: &str) -> Wer {
    let (said, heard) = (alike(said), alike(heard));
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, word) in said.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in heard.iter().enumerate() {
            let changed = diagonal + usize::from(word != other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    Wer { errors: row[heard.len()], words: said.len() }
}

/// Makes words alike.
fn alike(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('’', "'");
    let mut words = Vec::new();
    for word in text.split(|c: char| !(c.is_alphanumeric() || c == '\'')) {
        let word = word.trim_matches('\'');
        if word.is_empty() {
        } else if word.bytes().all(|b| b.is_ascii_digit()) {
            words.extend(spoken(word));
        } else {
            words.extend(expanded(word));
        }
    }
    words
}

fn expanded(word: &str) -> Vec<String> {
    let whole = match word {
        "can't" => Some("cannot"),
        "won't" => Some("will not"),
        "let's" => Some("let us"),
        "ok" => Some("okay"),
        "mr" => Some("mister"),
        "yknow" => Some("you know"),
        "um" | "uh" | "hmm" | "mhm" => Some(""),
        _ => None,
    };
    let ends = [
        ("n't", "not"),
        ("'m", "am"),
        ("'re", "are"),
        ("'ll", "will"),
        ("'ve", "have"),
        ("'d", "would"),
    ];
    let text = match whole {
        Some(whole) => whole.to_owned(),
        None => ends
            .iter()
            .find_map(|(end, full)| word.strip_suffix(end).map(|stem| format!("{stem} {full}")))
            .unwrap_or_else(|| match word.strip_suffix("'s") {
                Some(stem @ ("it" | "that" | "he" | "she" | "what" | "who" | "there" | "here")) => {
                    format!("{stem} is")
                }
                _ => word.replace('\'', ""),
            }),
    };
    text.split_whitespace().map(str::to_owned).collect()
}

/// Says a number as people do: up to 99 as one, longer ones and leading zeros digit by digit.
fn spoken(digits: &str) -> Vec<String> {
    const ONES: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] =
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let value: usize = digits.parse().unwrap_or(usize::MAX);
    let plain = digits.len() <= 2 && !(digits.len() == 2 && digits.starts_with('0'));
    match value {
        0..20 if plain => vec![ONES[value].to_owned()],
        20..100 if plain => {
            let one = (!value.is_multiple_of(10)).then(|| ONES[value % 10].to_owned());
            std::iter::once(TENS[value / 10 - 2].to_owned()).chain(one).collect()
        }
        _ => digits.bytes().map(|b| ONES[usize::from(b - b'0')].to_owned()).collect(),
    }
}

#[test]
fn words_written_differently_are_the_same() {
    for (said, heard) in [
        ("I am at forty two.", "I'm at 42"),
        ("seven three one five, zero eight two", "7315-082"),
        ("Okay, Mister Quilter cannot", "OK, Mr. Quilter can't"),
        ("about fourteen fifty five", "about fourteen 55"),
    ] {
        assert_eq!(wer(said, heard).errors, 0, "{said} / {heard}");
    }
}

#[test]
fn each_word_changed_left_out_or_added_is_one_error() {
    let errors = |heard| wer("the main compressor will not start", heard).errors;
    assert_eq!(errors("the main compressor will not start"), 0);
    assert_eq!(errors("the mane compressor will not start"), 1);
    assert_eq!(errors("the compressor will not start"), 1);
    assert_eq!(errors("the main compressor will not start now"), 1);
    assert_eq!(errors(""), 6);
    assert!((wer("a b c d", "a b c").percent() - 25.0).abs() < 1e-9);
}
