//! The command line's way to the running appliance: its API, over the admin socket.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Context;
use super::exit::Failure;

/// How long the appliance may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take to change something: it may look for Twilio before it answers.
const CHANGE_PATIENCE: Duration = Duration::from_mins(1);

/// No call is longer.
const CALL_MAX: Duration = Duration::from_hours(24);

/// The appliance, as the command line sees it.
pub(super) struct Appliance {
    client: reqwest::Client,
    socket: String,
}

impl Appliance {
    /// Takes the socket's place from the configuration.
    pub(super) fn new(context: &Context) -> Result<Self, Failure> {
        Self::at(&context.config()?.server.admin_socket)
    }

    /// Takes the socket.
    pub(super) fn at(socket: &Path) -> Result<Self, Failure> {
        let socket = socket.to_owned();
        let client = reqwest::Client::builder()
            .unix_socket(socket.clone())
            .timeout(PATIENCE)
            .build()
            .map_err(|error| Failure::Failed(format!("no HTTP client: {error}")))?;
        Ok(Self { client, socket: socket.display().to_string() })
    }

    /// Asks.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.answer(self.client.get(url(path))).await
    }

    /// Asks for text.
    pub(super) async fn text(&self, path: &str) -> Result<String, Failure> {
        let response = self.send(self.client.get(url(path))).await?;
        response.text().await.map_err(|error| Failure::Failed(error.to_string()))
    }

    /// Asks for text that may not be there (yet).
    pub(super) async fn text_if_there(&self, path: &str) -> Result<Option<String>, Failure> {
        let response = self.client.get(url(path)).send().await;
        let response = response.map_err(|error| self.unreachable(&error))?;
        if response.status() == reqwest::StatusCode::CONFLICT {
            return Ok(None);
        }
        let text = told(response).await?.text().await;
        text.map(Some).map_err(|error| Failure::Failed(error.to_string()))
    }

    /// Asks for something large, piece by piece; each piece may take as long as an answer.
    pub(super) async fn download(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let late = |_| Failure::Failed("the appliance stopped in the middle of a file".to_owned());
        let request = self.client.get(url(path)).timeout(CALL_MAX);
        let sent = tokio::time::timeout(PATIENCE, self.send(request));
        let mut response = sent.await.map_err(late)??;
        loop {
            let chunk = tokio::time::timeout(PATIENCE, response.chunk()).await.map_err(late)?;
            match chunk.map_err(|error| Failure::Failed(error.to_string()))? {
                Some(bytes) => take(&bytes)?,
                None => return Ok(()),
            }
        }
    }

    /// Listens to server-sent events.
    pub(super) async fn events(&self, path: &str) -> Result<Events, Failure> {
        // A call may be silent for longer than an answer may take.
        let request = self.client.get(url(path)).timeout(CALL_MAX);
        Ok(Events { response: self.send(request).await?, buffer: String::new() })
    }

    /// Tells.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, Failure> {
        self.answer(self.client.post(url(path)).json(body).timeout(CHANGE_PATIENCE)).await
    }

    /// Tells, where there is nothing to answer.
    pub(super) async fn tell(&self, path: &str, body: &Value) -> Result<(), Failure> {
        let request = self.client.post(url(path)).json(body).timeout(CHANGE_PATIENCE);
        self.send(request).await.map(|_| ())
    }

    /// Removes.
    pub(super) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(self.client.delete(url(path)).timeout(CHANGE_PATIENCE)).await.map(|_| ())
    }

    /// Removes, and takes the answer.
    pub(super) async fn remove<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.answer(self.client.delete(url(path)).timeout(CHANGE_PATIENCE)).await
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, Failure> {
        let response = self.send(request).await?;
        response
            .json()
            .await
            .map_err(|error| Failure::Failed(format!("the appliance's answer: {error}")))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        told(response).await
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let cause = std::iter::successors(std::error::Error::source(error), |e| e.source()).last();
        let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
        Failure::Unreachable(format!(
            "the appliance cannot be reached at {} ({cause}): is `fieldtape run` running, with this configuration and this user?",
            self.socket
        ))
    }
}

/// Server-sent events as they come.
pub(super) struct Events {
    response: reqwest::Response,
    buffer: String,
}

impl Events {
    /// Returns the next event's name and data; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<(String, Value)>, Failure> {
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let event: String = self.buffer.drain(..end + 2).collect();
                let field = |name: &str| {
                    event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default()
                };
                let name = field("event:").trim().to_owned();
                let data = serde_json::from_str(field("data:").trim()).unwrap_or_default();
                if name.is_empty() {
                    continue;
                }
                return Ok(Some((name, data)));
            }
            let chunk = self.response.chunk().await;
            match chunk.map_err(|error| Failure::Failed(error.to_string()))? {
                Some(bytes) => self.buffer.push_str(&String::from_utf8_lossy(&bytes)),
                None => return Ok(None),
            }
        }
    }
}

/// Takes an answer, or what the appliance says instead of one.
async fn told(response: reqwest::Response) -> Result<reqwest::Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let problem: Value = response.json().await.unwrap_or_default();
    let detail = problem.get("detail").and_then(Value::as_str);
    let detail = detail.map_or_else(|| format!("HTTP {status}"), str::to_owned);
    Err(Failure::Failed(detail))
}

fn url(path: &str) -> String {
    format!("http://localhost{path}")
}
