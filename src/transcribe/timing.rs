//! Gives each word a time, from the few times that the model writes and those it only thinks of.
//!
//! The model writes a time where a phrase begins and ends. At every token it also holds some time
//! the most probable, and that is a hint where it is probable at all. Between such knots time
//! goes by in proportion to how long the letters take to say. Rough: a few tenths of a second.

use super::heard::Word;

/// A token of text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    /// Its letters; one letter may be spread over tokens.
    pub(crate) bytes: Vec<u8>,
    /// Its log-probability.
    pub(crate) logprob: f32,
    /// The sample at which the model thinks it begins, if it thinks so with any conviction.
    pub(crate) hint: Option<usize>,
}

/// What the model wrote between two times.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Phrase {
    /// The sample it begins at.
    pub(crate) start: usize,
    /// The sample it ends at.
    pub(crate) end: usize,
    /// Its text.
    pub(crate) tokens: Vec<Token>,
}

/// Makes words of the phrases of a window.
pub(crate) fn words(phrases: &[Phrase], no_speech_prob: f32) -> Vec<Word> {
    let mut words = Vec::new();
    for (number, phrase) in phrases.iter().enumerate() {
        let times = times(phrase);
        let mut current: Option<(Word, Vec<u8>)> = None;
        for (token, (start, end)) in phrase.tokens.iter().zip(times) {
            if token.bytes.first() == Some(&b' ') {
                words.extend(current.take().and_then(finished));
            }
            let (word, bytes) = current.get_or_insert_with(|| {
                let begun = Word {
                    text: String::new(),
                    start,
                    end,
                    logprob_sum: 0.0,
                    tokens: 0,
                    phrase: number,
                    no_speech_prob,
                };
                (begun, Vec::new())
            });
            bytes.extend_from_slice(&token.bytes);
            word.end = end;
            word.logprob_sum += token.logprob;
            word.tokens += 1;
        }
        words.extend(current.and_then(finished));
    }
    words
}

fn finished((word, bytes): (Word, Vec<u8>)) -> Option<Word> {
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(Word { text, ..word })
}

/// Returns when each token begins and ends.
fn times(phrase: &Phrase) -> Vec<(usize, usize)> {
    let end = phrase.end.max(phrase.start);
    let mut times = Vec::with_capacity(phrase.tokens.len());
    let (mut knot, mut waiting) = (phrase.start, Vec::new());
    for token in &phrase.tokens {
        if let Some(hint) = token.hint.filter(|hint| *hint > knot && *hint < end) {
            share(&mut times, &waiting, knot, hint);
            waiting.clear();
            knot = hint;
        }
        waiting.push(length(&token.bytes));
    }
    share(&mut times, &waiting, knot, end);
    times
}

/// Shares the time from `from` to `to` among tokens by their lengths.
fn share(times: &mut Vec<(usize, usize)>, lengths: &[usize], from: usize, to: usize) {
    let all = lengths.iter().sum::<usize>().max(1);
    let mut passed = 0;
    let at = |passed: usize| from + (to - from) * passed / all;
    for length in lengths {
        times.push((at(passed), at(passed + length)));
        passed += length;
    }
}

/// How long a token takes to say, in letters: a digit is a word, and at a stop one pauses.
fn length(bytes: &[u8]) -> usize {
    let each = |byte: &u8| match byte {
        b'0'..=b'9' | b'.' | b'!' | b'?' => 3,
        b',' => 2,
        // A space, or the later bytes of one letter.
        b' ' | 0x80..=0xbf => 0,
        _ => 1,
    };
    bytes.iter().map(each).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, hint: Option<usize>) -> Token {
        Token { bytes: text.as_bytes().to_vec(), logprob: -0.5, hint }
    }

    fn timed(words: &[Word]) -> Vec<(&str, usize, usize)> {
        words.iter().map(|word| (word.text.as_str(), word.start, word.end)).collect()
    }

    #[test]
    fn time_goes_by_with_the_letters() {
        let tokens = vec![token(" one", None), token(" three", None), token(" no", None)];
        let words = words(&[Phrase { start: 1000, end: 2000, tokens }], 0.1);
        let times = [("one", 1000, 1300), ("three", 1300, 1800), ("no", 1800, 2000)];
        assert_eq!(timed(&words), times);
    }

    #[test]
    fn a_hint_is_a_knot_unless_it_goes_back_or_leaves_the_phrase() {
        let hints = [None, Some(1600), Some(900), Some(5000)];
        let tokens = [" one", " two", " ten", " six"].iter().zip(hints);
        let tokens = tokens.map(|(text, hint)| token(text, hint)).collect();
        let words = words(&[Phrase { start: 1000, end: 2500, tokens }], 0.1);
        let times = [("one", 1000, 1600), ("two", 1600, 1900), ("ten", 1900, 2200)];
        assert_eq!(timed(&words)[..3], times);
        assert_eq!(timed(&words)[3], ("six", 2200, 2500));
    }

    #[test]
    fn tokens_without_a_space_are_one_word_within_a_phrase() {
        let first = vec![token(" com", None), token("pressor", None), token(".", None)];
        let second = vec![token("Yes", None)];
        let phrases = [
            Phrase { start: 0, end: 1300, tokens: first },
            Phrase { start: 1300, end: 1600, tokens: second },
        ];
        let words = words(&phrases, 0.1);
        assert_eq!(timed(&words), [("compressor.", 0, 1300), ("Yes", 1300, 1600)]);
        assert_eq!((words[0].tokens, words[0].phrase, words[1].phrase), (3, 0, 1));
        assert!((words[0].logprob_sum + 1.5).abs() < 1e-6);
    }

    #[test]
    fn a_letter_spread_over_tokens_is_put_together() {
        let [first, second] = [&"ü".as_bytes()[..1], &"ü".as_bytes()[1..]].map(<[u8]>::to_vec);
        let part = |bytes| Token { bytes, logprob: -0.5, hint: None };
        let tokens = vec![token(" T", None), part(first), part(second), token("r", None)];
        let words = words(&[Phrase { start: 0, end: 300, tokens }], 0.1);
        assert_eq!(timed(&words), [("Tür", 0, 300)]);
    }
}
