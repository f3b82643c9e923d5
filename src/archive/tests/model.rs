//! An S3 store without a socket, with the same lies as the real one: for ten thousand histories.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService};

use super::super::Remote;
use super::super::fingerprint::Fingerprint;
use super::super::wire::Fault;
use super::server::Lie;
use super::{at_once, options};
use crate::archive::place::Place;

/// An object: what is there, and what is told of it.
#[derive(Debug, Clone)]
struct Held {
    bytes: Option<Vec<u8>>,
    told: Fingerprint,
}

/// The store. A clone is another handle to the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    held: Arc<Mutex<HashMap<String, Held>>>,
    lie: Arc<Mutex<Lie>>,
}

impl Model {
    pub(super) fn remote(&self) -> Remote {
        let options = options("http://127.0.0.1:9");
        let place = Place::new(&options).unwrap();
        Remote::over(self.clone(), place, &options, at_once()).unwrap()
    }

    pub(super) fn empty(&self) {
        self.held.lock().unwrap().clear();
        self.lie(Lie::None);
    }

    pub(super) fn lie(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }

    pub(super) fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.held.lock().unwrap().get(&path(key))?.bytes.clone()
    }

    /// Changes what it holds; what it tells stays.
    pub(super) fn alter(&self, key: &str, alter: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) {
        if let Some(held) = self.held.lock().unwrap().get_mut(&path(key)) {
            held.bytes = held.bytes.take().and_then(alter);
        }
    }

    fn put(&self, path: String, bytes: Vec<u8>, lie: Lie) -> Held {
        let got = Fingerprint::of(&bytes);
        let garbage = vec![0x55; bytes.len()];
        let (bytes, told) = match lie {
            Lie::KeepsNothing => {
                self.held.lock().unwrap().remove(&path);
                return Held { bytes: None, told: got };
            }
            Lie::TellsWhatItNeverKept => (None, got.clone()),
            Lie::KeepsGarbage => (Some(garbage), got.clone()),
            Lie::KeepsHonestGarbage => {
                let told = Fingerprint::of(&garbage);
                (Some(garbage), told)
            }
            Lie::KeepsHalf => {
                let half = bytes[..bytes.len() / 2].to_vec();
                let told = Fingerprint::of(&half);
                (Some(half), told)
            }
            Lie::None | Lie::OpaqueMarks | Lie::Says(..) | Lie::SendsElsewhere(_) => {
                (Some(bytes), got.clone())
            }
        };
        self.held.lock().unwrap().insert(path, Held { bytes, told });
        Held { bytes: None, told: got }
    }

    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let lie = *self.lie.lock().unwrap();
        if let Lie::Says(status, code) = lie {
            return Err(says(status, code));
        }
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let missing = || says(404, if parts.method.as_str() == "HEAD" { "" } else { "NoSuchKey" });
        let (told, bytes) = match parts.method.as_str() {
            "PUT" => {
                let body = body.collect().await?.to_bytes().to_vec();
                (self.put(path, body, lie).told, Vec::new())
            }
            method => {
                let held = self.held.lock().unwrap().get(&path).cloned().ok_or_else(missing)?;
                let bytes = if method == "GET" { held.bytes.ok_or_else(missing)? } else { vec![] };
                (held.told, bytes)
            }
        };
        let etag = if lie == Lie::OpaqueMarks { "opaque-1" } else { &told.etag };
        let length = if bytes.is_empty() { told.size_bytes } else { bytes.len() as u64 };
        let mut response = HttpResponse::new(bytes.into());
        response.headers_mut().insert("etag", format!("\"{etag}\"").parse().unwrap());
        response.headers_mut().insert("content-length", length.into());
        Ok(response)
    }
}

fn path(key: &str) -> String {
    format!("/{}/box-7/{key}", super::BUCKET)
}

fn says(status: u16, code: &str) -> HttpError {
    let fault = Fault::Answer { status, code: code.to_owned(), words: "as told".to_owned() };
    HttpError::new(HttpErrorKind::Unknown, fault)
}

impl HttpService for Model {
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.answer(request))
    }
}
