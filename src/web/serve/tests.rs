use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Ends, Limits, Listener, serve};
use crate::web::tls::Tls;
use crate::web::tls::tests::known;

const DEADLINE: Duration = Duration::from_secs(10);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

struct Open {
    address: std::net::SocketAddr,
    spoken: watch::Sender<Tls>,
    stop: CancellationToken,
    tasks: TaskTracker,
    accepting: tokio::task::JoinHandle<()>,
}

async fn open(router: Router, limits: Limits) -> Open {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let (its_stop, its_tasks) = (stop.clone(), tasks.clone());
    let (spoken, heard) = watch::channel(Tls::Plain);
    let accepting = tasks.spawn(async move {
        serve(&Listener::Tcp(listener, heard), router, limits, its_stop, &its_tasks).await;
    });
    Open { address, spoken, stop, tasks, accepting }
}

impl Open {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn encrypted(&self, client: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
        client.connect("tape.example".try_into().unwrap(), self.connect().await).await
    }

    async fn ends(self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(DEADLINE, self.tasks.wait()).await.expect("all connections end");
        self.accepting.await.unwrap();
    }
}

async fn read_until(stream: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains(end) {
        let count =
            tokio::time::timeout(DEADLINE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(count > 0, "ended after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}

async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut text = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

#[tokio::test]
async fn a_request_knows_both_ends_of_its_connection() {
    let router = Router::new().route(
        "/",
        get(|Extension(ends): Extension<Ends>| async move {
            format!("{} {}.", ends.local, ends.remote)
        }),
    );
    let open = open(router, Limits::DOOR).await;
    let mut stream = open.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    let mine = stream.local_addr().unwrap();
    let answer = read_until(&mut stream, &format!("{mine}.")).await;
    assert!(answer.ends_with(&format!("{} {mine}.", open.address)), "{answer}");
    open.ends().await;
}

#[tokio::test]
async fn a_socket_file_is_served_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let (its_stop, its_tasks) = (stop.clone(), tasks.clone());
    let router = Router::new()
        .route("/", get(|ends: Option<Extension<Ends>>| async move { format!("{ends:?}.") }));
    tasks.spawn(async move {
        serve(&Listener::Unix(listener), router, Limits::DOOR, its_stop, &its_tasks).await;
    });
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    read_until(&mut stream, "None.").await;
    stop.cancel();
    tasks.close();
    tokio::time::timeout(DEADLINE, tasks.wait()).await.unwrap();
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let limits = Limits { head_timeout: Duration::from_millis(50), ..Limits::DOOR };
    let open = open(Router::new(), limits).await;
    let mut stream = open.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHos").await.unwrap();
    read_to_end(&mut stream).await;
    open.ends().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let open = open(Router::new(), Limits::DOOR).await;
    let mut stream = open.connect().await;
    let filling = "x".repeat(17 * 1024);
    stream.write_all(format!("GET /{filling} HTTP/1.1\r\n").as_bytes()).await.unwrap();
    read_until(&mut stream, "HTTP/1.1 4").await;
    open.ends().await;
}

#[tokio::test]
async fn one_connection_too_many_waits_until_another_ends() {
    let limits = Limits { connections_max: 1, ..Limits::DOOR };
    let open = open(Router::new().route("/", get(async || "hello")), limits).await;
    let mut first = open.connect().await;
    first.write_all(REQUEST).await.unwrap();
    read_until(&mut first, "hello").await;
    let mut second = open.connect().await;
    second.write_all(REQUEST).await.unwrap();
    drop(first);
    read_until(&mut second, "hello").await;
    open.ends().await;
}

#[tokio::test]
async fn a_connection_that_was_just_taken_is_answered_although_told_to_stop() {
    let open = open(Router::new().route("/", get(async || "hello")), Limits::DOOR).await;
    let mut stream = open.connect().await;
    let taken = async {
        // The one that takes, and the one that answers.
        while open.tasks.len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, taken).await.unwrap();
    open.stop.cancel();
    tokio::task::yield_now().await;
    stream.write_all(REQUEST).await.unwrap();
    read_until(&mut stream, "hello").await;
    open.ends().await;
}

#[tokio::test]
async fn an_answer_under_way_is_finished_when_told_to_stop() {
    let (entered, is_in) = oneshot::channel();
    let (go_on, told) = oneshot::channel::<()>();
    let parts = std::sync::Arc::new(std::sync::Mutex::new(Some((entered, told))));
    let router = Router::new().route(
        "/",
        get(move || {
            let parts = parts.lock().unwrap().take();
            async move {
                let (entered, told) = parts.unwrap();
                entered.send(()).unwrap();
                told.await.unwrap();
                "finished"
            }
        }),
    );
    let open = open(router, Limits::DOOR).await;
    let mut busy = open.connect().await;
    let mut idle = open.connect().await;
    busy.write_all(REQUEST).await.unwrap();
    is_in.await.unwrap();
    open.stop.cancel();
    assert_eq!(read_to_end(&mut idle).await, "", "an idle connection is closed");
    go_on.send(()).unwrap();
    assert!(read_to_end(&mut busy).await.ends_with("finished"));
    open.ends().await;
}

#[tokio::test]
async fn a_certificate_can_change_between_two_connections() {
    let hello = get(|Extension(ends): Extension<Ends>| async move { format!("{ends:?}.") });
    let open = open(Router::new().route("/", hello), Limits::DOOR).await;
    let mut in_the_clear = open.connect().await;
    in_the_clear.write_all(REQUEST).await.unwrap();
    read_until(&mut in_the_clear, "remote").await;

    let (first, its_client) = known("tape.example");
    open.spoken.send_replace(Tls::Under(first));
    let mut under_first = open.encrypted(&its_client).await.unwrap();
    under_first.write_all(REQUEST).await.unwrap();
    read_until(&mut under_first, "remote").await;

    let (second, client) = known("tape.example");
    open.spoken.send_replace(Tls::Under(second));
    assert!(open.encrypted(&its_client).await.is_err(), "it is not known there");
    let mut under_second = open.encrypted(&client).await.unwrap();
    for stream in [&mut under_first, &mut under_second] {
        stream.write_all(REQUEST).await.unwrap();
        read_until(stream, "remote").await;
    }
    in_the_clear.write_all(REQUEST).await.unwrap();
    read_until(&mut in_the_clear, "remote").await;
    drop((in_the_clear, under_first, under_second));
    open.ends().await;
}

#[tokio::test]
async fn who_speaks_in_the_clear_is_told_so_and_who_says_nothing_is_not_waited_for() {
    let limits = Limits { head_timeout: Duration::from_millis(200), ..Limits::DOOR };
    let open = open(Router::new().route("/", get(async || "hello")), limits).await;
    open.spoken.send_replace(Tls::Under(known("tape.example").0));
    let mut plain = open.connect().await;
    plain.write_all(REQUEST).await.unwrap();
    let answer = read_to_end(&mut plain).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("https://"), "{answer}");
    let mut silent = open.connect().await;
    assert_eq!(read_to_end(&mut silent).await, "");
    open.ends().await;
}

#[tokio::test]
async fn without_a_certificate_nothing_is_said_in_the_clear() {
    let open = open(Router::new().route("/", get(async || "hello")), Limits::DOOR).await;
    open.spoken.send_replace(Tls::Mute);
    let mut stream = open.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::new();
    // What was sent and not read may make it a reset.
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty());
    open.ends().await;
}

#[tokio::test]
async fn an_encrypted_connection_is_finished_in_good_order_when_told_to_stop() {
    let open = open(Router::new().route("/", get(async || "hello")), Limits::DOOR).await;
    let (identity, client) = known("tape.example");
    open.spoken.send_replace(Tls::Under(identity));
    let mut idle = open.encrypted(&client).await.unwrap();
    idle.write_all(REQUEST).await.unwrap();
    read_until(&mut idle, "hello").await;
    // Somebody is in the middle of shaking hands.
    let _waiting = open.connect().await;
    open.stop.cancel();
    // A connection that was cut off and not ended would be an error here.
    assert_eq!(read_to_end(&mut idle).await, "");
    open.ends().await;
}
