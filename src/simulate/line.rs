//! The line to the appliance: signed requests, repeated by Twilio's rules.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HOST, USER_AGENT};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use super::report::{Trouble, Webhook};
use super::way::Way;
use crate::twilio::door::PublicUrl;
use crate::twilio::signature::{AuthToken, Validator};

/// Twilio's limit for a request with all its repetitions.
const TOTAL: Duration = Duration::from_secs(15);

/// The wait before the first repetition; it doubles. Five of them stay below the limit. How
/// long Twilio itself waits is not documented.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// A form that is to be told.
pub(super) struct Letter {
    /// The absolute URL, perhaps with retry rules behind a `#`.
    pub(super) url: String,
    /// What it is about, for the report.
    pub(super) event: String,
    pub(super) fields: Vec<(String, String)>,
}

/// What came of a letter.
pub(super) struct Delivery {
    pub(super) webhook: Webhook,
    pub(super) outcome: Outcome,
}

/// The last attempt's end.
pub(super) enum Outcome {
    Answered { status: u16, content_type: String, body: String },
    Lost { why: String },
    Stray(Trouble),
}

/// The line to the appliance.
pub(super) struct Line {
    client: reqwest::Client,
    way: Way,
    public_url: PublicUrl,
    validator: Validator,
}

impl Line {
    /// Opens it: `way` leads to where `public_url` does for Twilio.
    pub(super) fn new(
        way: Way,
        public_url: PublicUrl,
        auth_token: AuthToken,
    ) -> reqwest::Result<Self> {
        let validator = Validator::new(auth_token, None);
        Ok(Self { client: way.client()?, way, public_url, validator })
    }

    /// Returns the way it goes.
    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    /// Returns the public URL that a number at Twilio asks for its `TwiML`.
    pub(super) fn webhook(&self, path: &str) -> String {
        self.public_url.webhook(path)
    }

    /// Returns the public URL that Twilio was told to report to, retry rules included.
    pub(super) fn callback(&self, path: &str) -> String {
        self.public_url.callback(path)
    }

    pub(super) fn host(&self) -> &str {
        self.public_url.host()
    }

    pub(super) fn sign(&self, url: &str, fields: &[(String, String)]) -> String {
        self.validator.sign(url, fields)
    }

    /// Returns where a public URL leads from here, and its path: what a tunnel or proxy would
    /// do between Twilio and the appliance.
    pub(super) fn local(&self, public: &str) -> Result<(Url, String), Trouble> {
        let stray = || Trouble::StrayUrl {
            url: public.to_owned(),
            public_url: self.public_url.as_str().to_owned(),
        };
        let without_rules = public.split('#').next().unwrap_or_default();
        let bases = [self.public_url.webhook(""), self.public_url.websocket("")];
        let target = bases.iter().find_map(|base| without_rules.strip_prefix(base.as_str()));
        let target = target.filter(|target| target.starts_with('/')).ok_or_else(stray)?;
        let url = self.way.url(target).ok_or_else(stray)?;
        let path = target.split('?').next().unwrap_or(target).to_owned();
        Ok((url, path))
    }

    /// Delivers a letter, with repetitions as its URL asks for.
    pub(super) async fn deliver(&self, letter: &Letter) -> Delivery {
        let event = letter.event.clone();
        let (url, path) = match self.local(&letter.url) {
            Ok(found) => found,
            Err(stray) => {
                let latency = Duration::ZERO;
                let path = letter.url.clone();
                let webhook = Webhook { path, event, status: None, attempts: 0, latency };
                return Delivery { webhook, outcome: Outcome::Stray(stray) };
            }
        };
        let rules = Rules::of(&letter.url);
        let deadline = Instant::now() + TOTAL;
        let token = format!("{:032x}", rand::random::<u128>());
        let mut attempts = 0;
        loop {
            attempts += 1;
            let began = Instant::now();
            let request = self.attempt(&url, letter, &token);
            let attempt = timeout_at(deadline, request).await.unwrap_or(Err(Failure::NoAnswer));
            let latency = began.elapsed();
            let wait = FIRST_WAIT * 2_u32.pow(attempts - 1);
            let again = attempts <= rules.retries && Instant::now() + wait < deadline;
            if again && rules.repeat(&attempt) {
                sleep(wait).await;
                continue;
            }
            let status = attempt.as_ref().ok().map(|(status, ..)| *status);
            let webhook = Webhook { path, event, status, attempts, latency };
            let outcome = match attempt {
                Ok((status, content_type, body)) => {
                    Outcome::Answered { status, content_type, body }
                }
                Err(failure) => Outcome::Lost { why: failure.why() },
            };
            return Delivery { webhook, outcome };
        }
    }

    async fn attempt(&self, url: &Url, letter: &Letter, token: &str) -> Attempt {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&letter.fields)
            .finish()
            .replace('+', "%20");
        let request = self
            .client
            .post(url.clone())
            .header(HOST, self.host())
            .header(USER_AGENT, "TwilioProxy/1.1")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
            .header("X-Twilio-Signature", self.sign(&letter.url, &letter.fields))
            .header("I-Twilio-Idempotency-Token", token)
            .body(body);
        let answer = request.send().await.map_err(Failure::of)?;
        let status = answer.status().as_u16();
        let content_type = answer.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or("");
        let content_type = content_type.to_owned();
        let body = answer.text().await.map_err(Failure::of)?;
        Ok((status, content_type, body))
    }
}

type Attempt = Result<(u16, String, String), Failure>;

enum Failure {
    NotConnected(String),
    NoAnswer,
    Broken(String),
}

impl Failure {
    fn of(error: reqwest::Error) -> Self {
        let connecting = error.is_connect();
        let why = root_cause(&error.without_url());
        if connecting { Self::NotConnected(why) } else { Self::Broken(why) }
    }

    fn why(self) -> String {
        match self {
            Self::NotConnected(why) | Self::Broken(why) => why,
            Self::NoAnswer => "no answer within 15 s".to_owned(),
        }
    }
}

/// Returns the innermost error's words: the outer ones only say that sending did not work.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .map_or_else(String::new, ToString::to_string)
}

/// How often and on what a request is repeated: the `#rc=…&rp=…` of its URL.
#[derive(Debug, PartialEq, Eq)]
struct Rules {
    retries: u32,
    on: Vec<String>,
}

impl Rules {
    /// Twilio's own rule is one repetition if it could not connect.
    fn of(url: &str) -> Self {
        let fragment = url.split_once('#').map_or("", |(_, fragment)| fragment);
        let mut rules = Self { retries: 1, on: vec!["ct".to_owned()] };
        for (key, value) in fragment.split('&').filter_map(|rule| rule.split_once('=')) {
            match key {
                "rc" => rules.retries = value.parse().unwrap_or(1).min(5),
                "rp" => rules.on = value.split(',').map(str::to_owned).collect(),
                _ => {}
            }
        }
        rules
    }

    fn repeat(&self, attempt: &Attempt) -> bool {
        let kind = match attempt {
            Ok((400..=499, ..)) => "4xx",
            Ok((500..=599, ..)) => "5xx",
            Ok(_) => return false,
            Err(Failure::NotConnected(_)) => "ct",
            Err(Failure::NoAnswer | Failure::Broken(_)) => "rt",
        };
        self.on.iter().any(|on| on == kind || on == "all")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_follow_the_urls_fragment() {
        let answered = |status| Ok((status, String::new(), String::new()));
        let usual = Rules::of("https://h/x");
        assert_eq!(usual, Rules { retries: 1, on: vec!["ct".to_owned()] });
        assert!(!usual.repeat(&answered(500)) && !usual.repeat(&Err(Failure::NoAnswer)));
        assert!(usual.repeat(&Err(Failure::NotConnected(String::new()))));
        let all = Rules::of("https://h/x?rc=1#rc=9&rp=all");
        assert_eq!(all.retries, 5);
        assert!(all.repeat(&answered(500)) && all.repeat(&answered(404)));
        assert!(all.repeat(&Err(Failure::NoAnswer)) && !all.repeat(&answered(204)));
        let some = Rules::of("https://h/x#rp=5xx,rt");
        assert!(some.repeat(&answered(503)) && !some.repeat(&answered(403)));
    }
}
