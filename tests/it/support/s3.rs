//! A real S3 server on a socket of this machine, with its objects in a folder.

use std::path::PathBuf;

use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::Home;

const BUCKET: &str = "office";
const KEY_ID: &str = "the-key-of-the-tests";
const SECRET: &str = "the-secret-of-the-tests";

/// A running server.
pub(crate) struct S3 {
    folder: TempDir,
    endpoint: String,
    _serving: JoinSet<()>,
}

impl S3 {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let router = axum::Router::new().fallback(answer).with_state(service.build());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { folder, endpoint, _serving: serving }
    }

    /// Has an appliance archive here.
    pub(crate) fn archive_of(&self, home: Home) -> Home {
        home.with("archive.url", format!("s3://{BUCKET}/box"))
            .with("archive.endpoint", self.endpoint.clone())
            .with("archive.access_key_id", KEY_ID)
            .with("archive.secret_access_key", SECRET)
    }

    /// Where an object's bytes are, whose key is as a file's path in the data folder.
    pub(crate) fn object(&self, path: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join("box").join(path)
    }
}

async fn answer(
    axum::extract::State(service): axum::extract::State<S3Service>,
    request: axum::extract::Request,
) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    match service.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(answer) => answer.map(axum::body::Body::new),
        Err(error) => {
            (axum::http::StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response()
        }
    }
}
