//! A server that speaks OpenAI's API on a real socket, and misbehaves as it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::super::{Address, ApiKey, Server, ServerOptions, Timeouts};

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Answers with this text.
    Says(String),
    /// Answers with this body, as it stands.
    Body(String),
    /// Answers with a status, a header and a body.
    Status(u16, &'static str, &'static str),
    /// Says how much is to come, and hangs up after so much of it.
    CutAfter(usize),
    /// Hangs up without a word.
    HangsUp,
    /// Never answers.
    Stalls,
}

type Script = dyn FnMut(usize, &Value) -> Reply + Send;

/// The server, gone when this is dropped.
pub(super) struct Played {
    url: String,
    /// Every request: its body, and its Authorization.
    pub(super) asked: Arc<Mutex<Vec<(Value, String)>>>,
    _tasks: JoinSet<()>,
}

impl Played {
    /// Starts a server that asks the script what to do with each request.
    pub(super) async fn start(script: impl FnMut(usize, &Value) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(script)));
        let mut tasks = JoinSet::new();
        let seen = Arc::clone(&asked);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                connections.spawn(serve(socket, Arc::clone(&seen), Arc::clone(&script)));
            }
        });
        Self { url, asked, _tasks: tasks }
    }

    /// A server that says the same to whatever it is asked.
    pub(super) async fn saying(text: &Value) -> Self {
        let text = text.to_string();
        Self::start(move |_, _| Reply::Says(text.clone())).await
    }

    pub(super) fn options(&self) -> ServerOptions {
        ServerOptions {
            address: Address::parse(&self.url).unwrap(),
            model: "tiny-llama".to_owned(),
            key: ApiKey::new("the-key"),
            timeouts: Timeouts { connect: Duration::from_secs(10), answer: Duration::from_mins(1) },
        }
    }

    pub(super) fn server(&self) -> Server {
        Server::new(self.options()).unwrap()
    }

    /// What stood in the last message of each request.
    pub(super) fn materials(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|(body, _)| body["messages"][1]["content"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn serve(
    mut socket: TcpStream,
    asked: Arc<Mutex<Vec<(Value, String)>>>,
    script: Arc<Mutex<Box<Script>>>,
) {
    while let Some((head, body)) = request(&mut socket).await {
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
        let authorization = head.lines().find_map(|line| line.strip_prefix("authorization: "));
        let number = {
            let mut asked = asked.lock().unwrap();
            asked.push((body.clone(), authorization.unwrap_or_default().to_owned()));
            asked.len() - 1
        };
        let reply = script.lock().unwrap()(number, &body);
        let (status, header, body) = match reply {
            Reply::Says(text) => (200, "", completion(&text)),
            Reply::Body(body) => (200, "", body),
            Reply::Status(status, header, body) => (status, header, body.to_owned()),
            Reply::CutAfter(bytes) => {
                let body = completion(&"…".repeat(4000));
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                socket.write_all(head.as_bytes()).await.unwrap();
                socket.write_all(&body.as_bytes()[..bytes]).await.unwrap();
                return;
            }
            Reply::HangsUp => return,
            Reply::Stalls => std::future::pending().await,
        };
        let answer = format!(
            "HTTP/1.1 {status} Told\r\n{header}content-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// What llama.cpp's server wraps an answer into.
fn completion(text: &str) -> String {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "tiny-llama",
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": text},
        }],
        "usage": {"prompt_tokens": 4000, "completion_tokens": 200, "total_tokens": 4200},
    })
    .to_string()
}

/// Reads a request: its head in lower case but for its first line, and its body.
async fn request(socket: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().unwrap())
            });
            let whole = end + 4 + length.unwrap_or(0);
            if bytes.len() >= whole {
                return Some((head, bytes[end + 4..whole].to_vec()));
            }
        }
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}
