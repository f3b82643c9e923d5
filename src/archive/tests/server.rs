//! A real S3 server (`s3s-fs`) on a socket of this machine, which can be told to lie.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::task::JoinSet;

use super::{BUCKET, KEY_ID, SECRET};

/// What the server does wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Lie {
    /// Nothing.
    #[default]
    None,
    /// It says yes and keeps nothing.
    KeepsNothing,
    /// It keeps nothing, and tells the size and the checksum of what it got. (The real server
    /// tells nothing.)
    TellsWhatItNeverKept,
    /// It keeps as many bytes, others, and tells the checksum of what it got.
    KeepsGarbage,
    /// It keeps as many bytes, others, and tells the checksum of those.
    KeepsHonestGarbage,
    /// It keeps the first half.
    KeepsHalf,
    /// Its marks are no checksums.
    OpaqueMarks,
    /// It answers every request with this status and S3 error code.
    Says(u16, &'static str),
    /// It sends whoever asks elsewhere.
    SendsElsewhere(u16),
}

pub(super) struct Server {
    pub(super) endpoint: String,
    shared: Shared,
    folder: tempfile::TempDir,
    _serving: JoinSet<()>,
}

#[derive(Clone)]
struct Shared {
    service: S3Service,
    root: PathBuf,
    lie: Arc<Mutex<Lie>>,
    seen: Arc<Mutex<Vec<String>>>,
    elsewhere: Arc<Mutex<String>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let shared = Shared {
            service: service.build(),
            root: folder.path().to_owned(),
            lie: Arc::new(Mutex::new(Lie::None)),
            seen: Arc::default(),
            elsewhere: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(shared.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { endpoint, shared, folder, _serving: serving }
    }

    pub(super) fn lie(&self, lie: Lie) {
        *self.shared.lie.lock().unwrap() = lie;
    }

    /// Where it sends whoever asks elsewhere.
    pub(super) fn elsewhere(&self, endpoint: &str) {
        endpoint.clone_into(&mut self.shared.elsewhere.lock().unwrap());
    }

    /// The requests that came, as `METHOD key?query-names`.
    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }

    /// The bytes that the server holds under a key, below the prefix.
    pub(super) fn object(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(key)).ok()
    }

    /// Changes what it holds, without its knowing.
    pub(super) fn alter(&self, key: &str, alter: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) {
        let path = self.path(key);
        match alter(std::fs::read(&path).unwrap()) {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join("box-7").join(key)
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let lie = *shared.lie.lock().unwrap();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let query = uri.query().unwrap_or_default();
    let names: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    shared.seen.lock().unwrap().push(format!("{method} {}?{}", uri.path(), names.join("&")));
    match lie {
        Lie::Says(status, code) => {
            let status = StatusCode::from_u16(status).unwrap();
            let body = format!("<Error><Code>{code}</Code><Message>as told</Message></Error>");
            return (status, body).into_response();
        }
        Lie::SendsElsewhere(status) => {
            let to = format!("{}{uri}", shared.elsewhere.lock().unwrap());
            let to = [(header::LOCATION, to)];
            return (StatusCode::from_u16(status).unwrap(), to).into_response();
        }
        _ => {}
    }
    let request = request.map(s3s::Body::http_body_unsync);
    let response = shared.service.call(request).await.unwrap();
    let mut response = response.map(Body::new);
    let puts = method == Method::PUT && !query.contains("uploadId");
    let completes = method == Method::POST && query.contains("uploadId");
    if response.status().is_success() && (puts || completes) {
        if completes {
            // The answer is made while its body is read, and so is the object.
            let (mut parts, body) = response.into_parts();
            parts.headers.remove(header::TRANSFER_ENCODING);
            let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            response = Response::from_parts(parts, Body::from(whole));
        }
        spoil(&shared.root, uri.path().trim_start_matches('/'), lie);
    }
    if lie == Lie::OpaqueMarks && response.headers().contains_key(header::ETAG) {
        response.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"opaque-1\""));
    }
    response
}

fn spoil(root: &Path, object: &str, lie: Lie) {
    let path = root.join(object);
    let bytes = std::fs::read(&path).unwrap();
    match lie {
        Lie::KeepsNothing | Lie::TellsWhatItNeverKept => std::fs::remove_file(&path).unwrap(),
        Lie::KeepsHalf => std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
        Lie::KeepsGarbage => std::fs::write(&path, vec![0x55; bytes.len()]).unwrap(),
        Lie::KeepsHonestGarbage => {
            std::fs::write(&path, vec![0x55; bytes.len()]).unwrap();
            for entry in std::fs::read_dir(root).unwrap() {
                let entry = entry.unwrap().path();
                if entry.to_string_lossy().ends_with(".internal.json") {
                    std::fs::remove_file(entry).unwrap();
                }
            }
        }
        Lie::None | Lie::OpaqueMarks | Lie::Says(..) | Lie::SendsElsewhere(_) => {}
    }
}
