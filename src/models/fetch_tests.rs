use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::super::install::sha256;
use super::*;
use crate::clock::ManualClock;
use crate::domain::UnixMillis;

const NAME: &str = "ours";
const BYTES: usize = 300_000;

/// How one request is answered.
#[derive(Debug, Clone)]
enum Answer {
    /// As it should be: from where it was asked.
    Well,
    /// The same, closed after so many bytes.
    Cut(usize),
    /// All of it, whatever was asked.
    Whole,
    /// All of it without a length.
    Endless,
    /// From the first byte, said to be a part.
    WrongPart,
    /// Another file of the same length.
    Other,
    /// A page that wants a login.
    Page,
    /// Nothing but a status.
    Status(u16),
    /// Elsewhere on the same server.
    Moved,
}

/// A server on a socket of this machine; it answers well when its script is at its end.
struct Server {
    base: String,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Server {
    async fn with(script: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/w", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (heard, mut script) = (Arc::clone(&asked), VecDeque::from(script.to_vec()));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let answer = script.pop_front().unwrap_or(Answer::Well);
                // A client that has gone away is no matter of the server's.
                let _ = serve(socket, &answer, &heard).await;
            }
        });
        Self { base, asked, _serving: serving }
    }

    /// The ranges asked for, in order; empty for all.
    fn ranges(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let range = |text: &String| {
            let line = text.lines().find_map(|line| line.strip_prefix("range: "));
            line.unwrap_or_default().to_owned()
        };
        asked.iter().map(range).collect()
    }
}

async fn serve(
    mut socket: TcpStream,
    answer: &Answer,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(&mut socket);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = head.to_lowercase();
    asked.lock().unwrap().push(head.clone());
    let start: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok())
        .unwrap_or(0);
    let content = content();
    let ranged = |from: usize| match from {
        0 => format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n"),
        from => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\n\
             Content-Range: bytes {from}-{}/{BYTES}\r\n\r\n",
            BYTES - from,
            BYTES - 1
        ),
    };
    let (head, body) = match answer {
        Answer::Well => (ranged(start), content[start..].to_vec()),
        Answer::Cut(after) => (ranged(start), content[start..start + after].to_vec()),
        Answer::Whole => (ranged(0), content),
        Answer::Endless => ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned(), content),
        Answer::WrongPart => (ranged(1), content[1..].to_vec()),
        Answer::Other => (ranged(start), vec![7; BYTES - start]),
        Answer::Page => (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n".to_owned(),
            b"login".to_vec(),
        ),
        Answer::Status(status) => {
            (format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"), Vec::new())
        }
        Answer::Moved => (
            "HTTP/1.1 302 Found\r\nLocation: /store/blob\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Vec::new(),
        ),
    };
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(&body).await?;
    socket.shutdown().await
}

fn content() -> Vec<u8> {
    (0..BYTES).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

fn known() -> Known {
    let sha256 = sha256(&mut &content()[..], &mut |_| {}).unwrap();
    Known { name: NAME, bytes: BYTES as u64, sha256: sha256.leak() }
}

/// Fetches into `dir`, with a clock on which every wait is over at once.
async fn fetch(server: &Server, dir: &Path) -> Result<PathBuf, FetchError> {
    let mirror = Mirror::parse(&server.base).unwrap();
    let put = Put { dir: dir.to_owned(), keep_free: 0 };
    let clock = ManualClock::new(UnixMillis::new(0));
    let known = known();
    let fetch = Fetch { mirror: &mirror, put: &put, clock: &clock };
    let mut tell = |_| {};
    let ticking = async {
        loop {
            clock.advance(Duration::from_mins(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        fetched = fetch.model(&known, &mut tell) => fetched,
        () = ticking => unreachable!(),
    }
}

async fn fetched(script: &[Answer]) -> (Server, tempfile::TempDir, Result<PathBuf, FetchError>) {
    let (server, dir) = (Server::with(script).await, tempfile::tempdir().unwrap());
    let result = fetch(&server, dir.path()).await;
    (server, dir, result)
}

fn names(dir: &tempfile::TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(dir.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_model_comes_whole_under_its_name_and_nothing_is_left_beside_it() {
    let (server, dir, result) = fetched(&[]).await;
    assert_eq!(std::fs::read(result.unwrap()).unwrap(), content());
    assert_eq!(names(&dir), ["ggml-ours.bin"]);
    assert_eq!(server.ranges(), [""]);
    assert!(server.asked.lock().unwrap()[0].starts_with("get /w/ggml-ours.bin "));
}

#[tokio::test]
async fn after_every_cut_it_goes_on_where_it_was() {
    let (server, dir, result) = fetched(&[Answer::Cut(1000), Answer::Cut(99_000)]).await;
    assert_eq!(std::fs::read(result.unwrap()).unwrap(), content());
    assert_eq!(server.ranges(), ["", "bytes=1000-", "bytes=100000-"]);
    assert_eq!(names(&dir).len(), 1);
}

#[tokio::test]
async fn a_part_left_by_an_earlier_attempt_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ggml-ours.bin.part"), &content()[..123_456]).unwrap();
    let server = Server::with(&[]).await;
    fetch(&server, dir.path()).await.unwrap();
    assert_eq!(server.ranges(), ["bytes=123456-"]);
    // A part that lacks nothing needs no network at all.
    std::fs::rename(dir.path().join("ggml-ours.bin"), dir.path().join("ggml-ours.bin.part"))
        .unwrap();
    fetch(&server, dir.path()).await.unwrap();
    assert_eq!(server.ranges().len(), 1);
}

#[tokio::test]
async fn a_part_of_another_file_costs_one_more_download() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ggml-ours.bin.part"), [9; 5000]).unwrap();
    let server = Server::with(&[]).await;
    let path = fetch(&server, dir.path()).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content());
    assert_eq!(server.ranges(), ["bytes=5000-", ""]);
}

#[tokio::test]
async fn a_server_without_ranges_is_asked_for_all_of_it() {
    for unable in [Answer::Whole, Answer::Endless, Answer::WrongPart, Answer::Status(416)] {
        let (_server, dir, result) = fetched(&[Answer::Cut(1000), unable.clone()]).await;
        assert_eq!(std::fs::read(result.unwrap()).unwrap(), content(), "{unable:?}");
        assert_eq!(names(&dir).len(), 1, "{unable:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed() {
    let (server, _dir, result) = fetched(&[Answer::Moved]).await;
    result.unwrap();
    assert!(server.asked.lock().unwrap()[1].starts_with("get /store/blob "));
    let (server, _dir, result) = fetched(&vec![Answer::Moved; 20]).await;
    assert!(matches!(result, Err(FetchError::Unreachable { .. })), "{result:?}");
    assert!(server.ranges().len() <= REDIRECTS_MAX + 1, "not for ever");
}

#[tokio::test]
async fn wrong_bytes_are_thrown_away_and_nothing_is_installed() {
    let (_server, dir, result) = fetched(&[Answer::Other]).await;
    let message = result.unwrap_err().to_string();
    assert!(message.contains(known().sha256) && message.contains("Nothing was installed"));
    assert!(names(&dir).is_empty(), "{:?}", names(&dir));
}

#[tokio::test]
async fn a_page_that_wants_a_login_is_told_before_anything_is_written() {
    let (_server, dir, result) = fetched(&[Answer::Page]).await;
    let message = result.unwrap_err().to_string();
    assert!(message.contains("5 bytes of text/html") && message.contains("login"), "{message}");
    assert_eq!(std::fs::read(dir.path().join("ggml-ours.bin.part")).unwrap(), b"");
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let (_server, _dir, result) = fetched(&[Answer::Status(404)]).await;
    assert!(matches!(result, Err(FetchError::NotThere { .. })), "{result:?}");
    let (_server, _dir, result) = fetched(&[Answer::Status(401)]).await;
    assert!(matches!(result, Err(FetchError::Refused { status: 401, .. })), "{result:?}");
    let (_server, _dir, result) = fetched(&[Answer::Status(503)]).await;
    assert!(matches!(result, Err(FetchError::Unreachable { .. })), "{result:?}");
}

#[tokio::test]
async fn a_network_that_gives_nothing_any_more_is_given_up_and_what_came_is_kept() {
    let mut script = vec![Answer::Cut(1000)];
    script.extend(vec![Answer::Status(503); 20]);
    let (server, dir, result) = fetched(&script).await;
    let message = result.unwrap_err().to_string();
    assert!(message.contains("503") && message.contains("--from"), "{message}");
    assert_eq!(server.ranges().len(), 1 + usize::try_from(FRUITLESS_MAX).unwrap());
    assert_eq!(std::fs::read(dir.path().join("ggml-ours.bin.part")).unwrap(), content()[..1000]);
}

#[tokio::test]
async fn where_nobody_listens_it_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::with(&[]).await;
    server.base = base;
    let message = fetch(&server, dir.path()).await.unwrap_err().to_string();
    assert!(message.contains("refused") && message.contains("127.0.0.1"), "{message}");
}
