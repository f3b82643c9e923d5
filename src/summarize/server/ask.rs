//! One question to the server, and its answer as text.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::address::{Address, ApiKey};
use super::error::ServerError;

/// The largest answer that is read: a summary has some thousand letters.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The longest answer asked for: room for every statement and item there may be. A small model
/// that has lost its way would write for ever.
const ANSWER_TOKENS_MAX: u32 = 1800;

/// How long to wait for the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, its encryption included.
    pub connect: Duration,
    /// For a whole answer: nothing of it comes before the model has thought.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        // A small model on a small box reads 20 tokens a second and writes 4.
        Self { connect: Duration::from_secs(10), answer: Duration::from_mins(10) }
    }
}

/// Where the server is, and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Where it is.
    pub address: Address,
    /// The model, as the server names it.
    pub model: String,
    /// What opens it, if anything must.
    pub key: Option<ApiKey>,
    /// How long to wait for it.
    pub timeouts: Timeouts,
}

/// The line to a server.
pub(super) struct Line {
    http: reqwest::Client,
    options: ServerOptions,
    /// The first of [`Form::ALL`] that it has not refused: servers know different parts of the API.
    form: AtomicUsize,
}

/// In what form an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Held to a schema.
    Schema,
    /// Held to be JSON.
    Object,
    /// Asked in words.
    Words,
    /// Asked in words and nothing else: some know none of the usual settings.
    Bare,
}

impl Form {
    const ALL: [Self; 4] = [Self::Schema, Self::Object, Self::Words, Self::Bare];
}

/// A question.
pub(super) struct Question<'a> {
    /// What is to be done.
    pub(super) task: &'a str,
    /// What with.
    pub(super) material: &'a str,
    /// What the answer looks like.
    pub(super) schema: &'a Value,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<usize>,
}

impl Line {
    pub(super) fn new(options: ServerOptions) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("fieldtape/", env!("CARGO_PKG_VERSION")))
            // Words and key go to this server and to no other.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.timeouts.connect)
            .timeout(options.timeouts.answer)
            .build()?;
        Ok(Self { http, options, form: AtomicUsize::new(0) })
    }

    /// Returns the model, as the server names it.
    pub(super) fn model(&self) -> &str {
        &self.options.model
    }

    /// Asks, in the best form that the server takes.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<String, ServerError> {
        let first = self.form.load(Ordering::Relaxed);
        for (at, form) in Form::ALL.iter().enumerate().skip(first) {
            match self.ask_as(question, *form).await {
                Err(ServerError::Refused { .. }) if at + 1 < Form::ALL.len() => {}
                Ok(answer) => {
                    self.form.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => return Err(error),
            }
        }
        Err(ServerError::Refused { status: StatusCode::BAD_REQUEST.as_u16() })
    }

    async fn ask_as(&self, question: &Question<'_>, form: Form) -> Result<String, ServerError> {
        let url = self.options.address.completions();
        let mut request = self.http.post(url).json(&self.body(question, form));
        if let Some(key) = &self.options.key {
            request = request.bearer_auth(key.reveal());
        }
        let response = request.send().await.map_err(|error| self.fault(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(refusal(response).await);
        }
        let bytes = read(response).await.map_err(|error| self.fault_of_body(&error))?;
        let bytes = bytes.ok_or(ServerError::Garbled { what: "it does not end" })?;
        let answer: Completion = serde_json::from_slice(&bytes)
            .map_err(|_| ServerError::Garbled { what: "it is not as the API has it" })?;
        content(answer, question)
    }

    fn body(&self, question: &Question<'_>, form: Form) -> Value {
        let mut body = json!({
            "model": self.options.model,
            "messages": [
                {"role": "system", "content": question.task},
                {"role": "user", "content": question.material},
            ],
        });
        let format = match form {
            Form::Schema => Some(json!({
                "type": "json_schema",
                "json_schema": {"name": "summary", "strict": true, "schema": question.schema},
            })),
            Form::Object => Some(json!({"type": "json_object"})),
            Form::Words | Form::Bare => None,
        };
        if let (Some(format), Some(body)) = (format, body.as_object_mut()) {
            body.insert("response_format".to_owned(), format);
        }
        if let (true, Some(body)) = (form != Form::Bare, body.as_object_mut()) {
            body.insert("temperature".to_owned(), json!(0));
            body.insert("seed".to_owned(), json!(1));
            body.insert("max_tokens".to_owned(), json!(ANSWER_TOKENS_MAX));
        }
        body
    }

    fn fault(&self, error: &reqwest::Error) -> ServerError {
        if error.is_connect() || !error.is_timeout() {
            let cause = std::iter::successors(std::error::Error::source(error), |e| e.source());
            let why = cause.last().map_or_else(|| "no answer".to_owned(), ToString::to_string);
            return ServerError::Unreachable { at: self.options.address.to_string(), why };
        }
        ServerError::TooSlow { within: self.options.timeouts.answer }
    }

    fn fault_of_body(&self, error: &reqwest::Error) -> ServerError {
        if error.is_timeout() {
            return ServerError::TooSlow { within: self.options.timeouts.answer };
        }
        ServerError::CutOff
    }
}

/// Reads an answer; none if it is too large.
async fn read(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// Sorts an answer that is none. What it says is not repeated: it may quote the call.
async fn refusal(response: Response) -> ServerError {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    match status.as_u16() {
        status @ (401 | 403) => ServerError::Denied { status },
        status @ (404 | 405 | 410 | 300..=399) => ServerError::NotThere { status },
        413 => ServerError::TooLong,
        status @ (408 | 425 | 429 | 500..) => ServerError::Busy { status, after },
        status => {
            // A body that does not come is told like one that says nothing.
            let said = read(response).await.ok().flatten().unwrap_or_default();
            let said = String::from_utf8_lossy(&said).to_lowercase();
            let long = said.contains("context")
                && ["exceed", "length", "maximum", "too long"]
                    .iter()
                    .any(|word| said.contains(word));
            if long { ServerError::TooLong } else { ServerError::Refused { status } }
        }
    }
}

fn content(answer: Completion, question: &Question<'_>) -> Result<String, ServerError> {
    let read = answer.usage.and_then(|usage| usage.prompt_tokens);
    // Each word is a token at least. A server that read fewer has cut the call without a word.
    let words =
        question.task.split_whitespace().count() + question.material.split_whitespace().count();
    if read.is_some_and(|tokens| tokens > 0 && tokens < words) {
        return Err(ServerError::TooLong);
    }
    let choice = answer.choices.into_iter().next();
    let choice = choice.ok_or(ServerError::Garbled { what: "it has no choices" })?;
    if choice.finish_reason.as_deref() == Some("length") {
        return Err(ServerError::Garbled { what: "it has no end" });
    }
    choice.message.content.ok_or(ServerError::Garbled { what: "it has no content" })
}
