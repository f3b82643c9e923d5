//! What can come of a request, by what its caller can do.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use super::resources::Word;
use crate::twilio::moment;

/// The longest pause that Twilio's word for it is taken for.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(15);

/// As much of Twilio's own words as a log line or a page shows.
const MESSAGE_CHARS_MAX: usize = 200;

/// A word longer than this is an identifier or a secret, not a word.
const WORD_CHARS_MAX: usize = 20;

/// Fewer digits than this are no telephone number.
const NUMBER_DIGITS_MIN: usize = 7;

const BAD_CREDENTIALS: u32 = 20003;
const NOT_FOUND: u32 = 20404;
const TOO_MANY_REQUESTS: u32 = 20429;
const RECORDING_BEING_CHANGED: u32 = 16114;
const NOT_ELIGIBLE_FOR_RECORDING: u32 = 21220;

/// Why a request did not bring what it was for.
///
/// Sources are kept as text: a transport's own error carries the URL, and a URL can carry a
/// telephone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// No HTTP answer came back. Ask [`probe`](super::Client::probe) whether the link is down.
    #[error("Twilio cannot be reached: {why}")]
    Unreachable {
        /// What stood in the way.
        why: String,
    },
    /// The request arrived, or may have, and what became of it is not known. Look before asking
    /// again. Only what changes something at Twilio ends so.
    #[error("Twilio may have done it without saying so: {why}; look there before asking again")]
    Unanswered {
        /// What came instead of an answer.
        why: String,
    },
    /// Too many requests at once. This one was not processed.
    #[error("Twilio has too many requests of this account at once; ask again later")]
    Throttled {
        /// How long Twilio wants to be left alone.
        after: Option<Duration>,
    },
    /// Twilio is in trouble, or changing what was asked for.
    #[error("Twilio is busy or in trouble (HTTP {status}); ask again later")]
    Busy {
        /// Its answer.
        status: u16,
        /// How long it wants to be left alone.
        after: Option<Duration>,
    },
    /// The call is not in progress: not yet, or no longer.
    #[error("the call cannot be recorded at this moment: ask again while it has not ended")]
    TooEarly,
    /// Not there: not yet, not any more, or in another account or region.
    #[error("Twilio does not have it: not yet, not any more, or not in this account and region")]
    NotFound,
    /// Wrong credentials, or ones that may not do this.
    #[error(
        "Twilio does not accept the credentials (HTTP {status}): check twilio.account_sid and \
         twilio.auth_token, or the API key and what it may do"
    )]
    Unauthorized {
        /// Its answer.
        status: u16,
    },
    /// The recording has not the two channels that were asked for.
    #[error("Twilio has no two channels of this recording: ask for one")]
    NotDual,
    /// The sound ends before the byte that was asked for.
    #[error("Twilio's file ends before the byte asked for: fetch it from the start")]
    BeyondEnd,
    /// Any other refusal.
    #[error("Twilio refused (HTTP {status}{}): {message}", named(*.code))]
    Refused {
        /// Its answer.
        status: u16,
        /// Its error code; `https://www.twilio.com/docs/errors/<code>` explains it.
        code: Option<u32>,
        /// Its words, with numbers and long words taken out.
        message: String,
    },
    /// An answer that is not what was asked for.
    #[error("Twilio's answer is not what was asked for: {why}")]
    Garbled {
        /// What is wrong with it.
        why: String,
    },
}

fn named(code: Option<u32>) -> String {
    code.map(|code| format!(", error {code}")).unwrap_or_default()
}

impl RestError {
    /// Takes a request's transport error.
    pub(super) fn cut(error: reqwest::Error) -> Self {
        Self::Unreachable { why: reason(error) }
    }

    /// Takes the transport error of a request that changes something. Whatever came after the
    /// connection leaves its fate open.
    pub(super) fn cut_while_changing(error: reqwest::Error) -> Self {
        if error.is_connect() { Self::cut(error) } else { Self::Unanswered { why: reason(error) } }
    }

    /// Marks what leaves open whether something was changed.
    pub(super) fn in_doubt(self) -> Self {
        match self {
            Self::Unreachable { why } | Self::Garbled { why } => Self::Unanswered { why },
            Self::Busy { status, .. } => Self::Unanswered { why: format!("HTTP {status}") },
            clear => clear,
        }
    }

    /// Reads the refusal to start a recording. A call that is not yet in progress is not found,
    /// or not eligible.
    pub(super) fn of_a_start(self) -> Self {
        match self {
            Self::NotFound | Self::Refused { code: Some(NOT_ELIGIBLE_FOR_RECORDING), .. } => {
                Self::TooEarly
            }
            other => other.in_doubt(),
        }
    }

    pub(super) fn garbled(why: &str) -> Self {
        Self::Garbled { why: why.to_owned() }
    }

    /// Reads an answer that is none of success, by its status and code, never by its words.
    pub(super) fn of_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        // An error page of something in between is not JSON; the status says enough then.
        let body: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
        let code: Option<u32> = body.code.number();
        let after = retry_after(headers);
        let status = status.as_u16();
        match (status, code) {
            (401 | 403, _) | (_, Some(BAD_CREDENTIALS)) => Self::Unauthorized { status },
            (429, _) | (_, Some(TOO_MANY_REQUESTS)) => Self::Throttled { after },
            (408 | 500.., _) | (_, Some(RECORDING_BEING_CHANGED)) => Self::Busy { status, after },
            (404 | 410, _) | (_, Some(NOT_FOUND)) => Self::NotFound,
            (400..=499, _) => {
                let message = shown(body.message.0.as_deref().unwrap_or("no reason given"));
                Self::Refused { status, code, message }
            }
            (300..=399, _) => Self::garbled("a redirect, which is not followed here"),
            _ => Self::garbled("a status that no answer to this has"),
        }
    }
}

/// Twilio's error body.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    code: Word,
    message: Word,
}

/// Reads `Retry-After`, in seconds or as a date. A date is taken against the answer's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wanted = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => moment::rfc2822(text)?.since(date(headers)?),
    };
    Some(wanted.min(RETRY_AFTER_MAX))
}

/// Reads the moment at which Twilio answered, by Twilio's clock.
pub(super) fn date(headers: &HeaderMap) -> Option<crate::domain::UnixMillis> {
    moment::rfc2822(headers.get(DATE)?.to_str().ok()?)
}

/// Says in plain words what stood in the way, with the innermost error's words: the outer ones
/// only say that sending did not work.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let what = match (error.is_dns(), error.is_timeout(), error.is_connect()) {
        (true, ..) => "its name cannot be resolved",
        (_, true, true) => return "no connection within the time allowed".to_owned(),
        (_, true, false) => return "no answer within the time allowed".to_owned(),
        (_, _, true) => "no connection",
        _ => "the connection broke off",
    };
    let error: &dyn std::error::Error = &error;
    let innermost = std::iter::successors(Some(error), |error| error.source()).last();
    format!("{what} ({})", innermost.map(ToString::to_string).unwrap_or_default())
}

/// Takes out of Twilio's words what must not be shown: telephone numbers, identifiers, whatever
/// may be a secret, and everything that is not printable. Cut short last, so that no part of a
/// long word passes for a short one.
fn shown(message: &str) -> String {
    let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let short = |word| if str::chars(word).count() > WORD_CHARS_MAX { "…" } else { word };
    let words: Vec<&str> = message.split_whitespace().map(short).collect();
    let message = without_numbers(&words.join(" "));
    message.trim().chars().take(MESSAGE_CHARS_MAX).collect()
}

/// Replaces each run of digits, signs and single blanks between them that is long enough to be
/// a telephone number.
fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit() || c == '+') {
        let (before, from_here) = rest.split_at(start);
        let in_number = |c: char| c.is_ascii_digit() || "+-.() ".contains(c);
        let end = from_here.find(|c| !in_number(c)).unwrap_or(from_here.len());
        let (run, after) = from_here.split_at(end);
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        out.push_str(before);
        out.push_str(match (digits < NUMBER_DIGITS_MIN, run.ends_with(' ')) {
            (true, _) => run,
            (false, true) => "… ",
            (false, false) => "…",
        });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_twilio_says_is_shown_without_numbers_identifiers_and_secrets() {
        for (said, expected) in [
            ("Invalid 'To' Phone Number: +15005550006", "Invalid 'To' Phone Number: …"),
            ("The number +1 (500) 555-0006 is not valid", "The number … is not valid"),
            ("call CA0123456789abcdef0123456789abcdef is over", "call … is over"),
            ("error 21626 at 3 of 10 events", "error 21626 at 3 of 10 events"),
            ("Basic QUMxMjM0NTY3ODkwOnNlY3JldHNlY3JldA==\r\n\u{1b}[2J", "Basic … [2J"),
            ("", ""),
        ] {
            assert_eq!(shown(said), expected);
        }
        assert!(shown(&"long ".repeat(1000)).len() <= MESSAGE_CHARS_MAX);
        let at_the_cut = format!("{}{}", "word ".repeat(39), "s3cret".repeat(10));
        assert!(!shown(&at_the_cut).contains("s3cret"));
    }

    #[test]
    fn a_pause_is_read_in_seconds_or_as_a_date_and_is_bounded() {
        let after = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, "Wed, 20 Apr 2022 23:45:25 GMT".parse().unwrap());
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 20 Apr 2022 23:45:55 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(after("Wed, 20 Apr 2022 23:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("99999999999"), Some(RETRY_AFTER_MAX));
        assert_eq!((after("soon"), after("-1")), (None, None));
    }

    #[test]
    fn an_answer_is_read_by_status_and_code_and_never_by_its_words() {
        let read = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            RestError::of_answer(status, &HeaderMap::new(), body.as_bytes())
        };
        let busy = |status| RestError::Busy { status, after: None };
        for (status, body, expected) in [
            (401, "", RestError::Unauthorized { status: 401 }),
            (403, "{}", RestError::Unauthorized { status: 403 }),
            (400, r#"{"code":20003}"#, RestError::Unauthorized { status: 400 }),
            (429, "", RestError::Throttled { after: None }),
            (400, r#"{"code":"20429"}"#, RestError::Throttled { after: None }),
            (408, r#"{"code":16114,"status":408}"#, busy(408)),
            (500, "<html>", busy(500)),
            (503, "", busy(503)),
            (599, "", busy(599)),
            (404, "", RestError::NotFound),
            (410, "", RestError::NotFound),
            (400, r#"{"code":20404}"#, RestError::NotFound),
        ] {
            assert_eq!(read(status, body), expected, "{status} {body}");
        }
        let refused = read(400, r#"{"code":21626,"message":"bad event","status":400}"#);
        assert_eq!(refused.to_string(), "Twilio refused (HTTP 400, error 21626): bad event");
        let bare = read(422, r#"{"message":null,"code":null}"#);
        assert_eq!(bare.to_string(), "Twilio refused (HTTP 422): no reason given");
        assert!(matches!(read(302, ""), RestError::Garbled { .. }));
        assert!(matches!(read(206, ""), RestError::Garbled { .. }));
    }

    #[test]
    fn a_refused_start_is_too_early_and_a_vague_one_is_in_doubt() {
        let not_eligible =
            RestError::Refused { status: 400, code: Some(21220), message: String::new() };
        assert_eq!(not_eligible.of_a_start(), RestError::TooEarly);
        assert_eq!(RestError::NotFound.of_a_start(), RestError::TooEarly);
        for vague in [RestError::Busy { status: 502, after: None }, RestError::garbled("x")] {
            assert!(matches!(vague.of_a_start(), RestError::Unanswered { .. }));
        }
        for clear in [
            RestError::Throttled { after: None },
            RestError::Unauthorized { status: 401 },
            RestError::Refused { status: 400, code: Some(21626), message: String::new() },
        ] {
            assert_eq!(clear.clone().of_a_start(), clear);
        }
    }
}
