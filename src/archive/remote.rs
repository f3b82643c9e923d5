//! The archive itself: what is put there, and what it shows back.

use std::sync::Arc;

use futures_util::StreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpService};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _, RetryConfig};
use tokio::io::AsyncReadExt as _;

use super::error::{Error, is_missing};
use super::fingerprint::{Fingerprint, PART_BYTES, Taker};
use super::place::{BadPlace, Place, PlaceOptions};
use super::wire::{Line, Wire};
use crate::pipeline::Throttle;

/// The object by which it is proved that the archive works.
const PROOF: &str = "fieldtape-was-here";

/// An archive in any store that speaks S3. A clone is another handle to the same.
#[derive(Clone)]
pub struct Remote {
    pub(super) store: Arc<AmazonS3>,
    /// What the client above sends its requests over, for the one that it has no word for.
    pub(super) line: HttpClient,
    pub(super) bucket: Arc<str>,
    prefix: Arc<str>,
    throttle: Throttle,
}

/// How an object is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Its size, and its checksum as the archive tells it; it is read back when the archive tells
    /// none that says anything.
    Told,
    /// It is read back to the last byte, whatever the archive tells.
    Through,
}

/// What the archive shows of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// It is what it should be.
    Confirmed {
        /// The archive's own mark of it.
        etag: Option<String>,
    },
    /// It is something else.
    Differs {
        /// What.
        why: String,
    },
    /// It is not there.
    Missing,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Remote(s3://{}/{})", self.bucket, self.prefix)
    }
}

impl Remote {
    /// Sets the line to an archive up; nothing is sent yet.
    pub fn open(options: &PlaceOptions, throttle: Throttle) -> Result<Self, BadPlace> {
        let place = Place::new(options)?;
        let wire = Wire::new(place.origin.clone(), throttle.clone())?;
        Self::over(wire, place, options, throttle)
    }

    /// Sets an archive up over a transport.
    pub(super) fn over(
        transport: impl HttpService,
        place: Place,
        options: &PlaceOptions,
        throttle: Throttle,
    ) -> Result<Self, BadPlace> {
        let line = HttpClient::new(transport);
        let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&place.bucket)
            .with_region(&place.region)
            .with_access_key_id(&options.access_key_id)
            .with_secret_access_key(options.secret_access_key.reveal())
            .with_virtual_hosted_style_request(!place.path_style)
            .with_retry(once)
            // One object at a time: what is removed is looked for by itself.
            .with_disable_bulk_delete(true)
            .with_http_connector(Line(line.clone()));
        if let Some(endpoint) = &place.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.build().map_err(|error| BadPlace::Transport(error.to_string()))?;
        let (bucket, prefix) = (place.bucket.into(), place.prefix.into());
        Ok(Self { store: Arc::new(store), line, bucket, prefix, throttle })
    }

    /// Proves that the archive takes what is put there and shows it back, with a small object of one
    /// name that stays there.
    pub async fn prove(&self) -> Result<(), Error> {
        let bytes = b"Put here by fieldtape to see whether it can be read back.\n";
        self.put_bytes(PROOF, bytes.to_vec()).await?;
        let shown = self.confirm(PROOF, &Fingerprint::of(bytes), None, Look::Through).await?;
        let why = match shown {
            Shown::Confirmed { .. } => return Ok(()),
            Shown::Differs { why } => why,
            Shown::Missing => "it is not there".to_owned(),
        };
        Err(Error::NotShown { key: PROOF.to_owned(), why })
    }

    /// Puts bytes there. That it said yes proves nothing: see [`Remote::confirm`].
    pub(super) async fn put_bytes(&self, key: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let put = self.store.put(&self.location(key)?, bytes.into()).await;
        put.map(|_| ()).map_err(|error| self.sorted(&error))
    }

    /// Puts a file there, a part at a time, and lets it stand only if what was sent is what was
    /// `expected`. That it said yes proves nothing: see [`Remote::confirm`].
    pub(super) async fn put(
        &self,
        key: &str,
        file: std::fs::File,
        expected: &Fingerprint,
    ) -> Result<(), Error> {
        let mut file = tokio::fs::File::from_std(file);
        let mut taker = Taker::default();
        let room = usize::try_from(expected.size_bytes).unwrap_or(PART_BYTES).min(PART_BYTES);
        let first = next_part(&mut file, &mut taker, room).await?;
        if expected.size_bytes <= PART_BYTES as u64 {
            unaltered(key, &taker.finish(), expected)?;
            return self.put_bytes(key, first).await;
        }
        let location = self.location(key)?;
        let begun = self.store.put_multipart(&location).await;
        let mut upload = begun.map_err(|error| self.sorted(&error))?;
        let sent = self.put_parts(upload.as_mut(), &mut file, (taker, first)).await;
        let sent = sent.and_then(|sent| unaltered(key, &sent, expected));
        if let Err(error) = sent {
            if let Err(left) = upload.abort().await {
                let error = self.sorted(&left);
                tracing::warn!(error = %error, key, "parts of an upload that was given up stay in the archive");
            }
            return Err(error);
        }
        upload.complete().await.map(|_| ()).map_err(|error| self.sorted(&error))
    }

    async fn put_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        file: &mut tokio::fs::File,
        (mut taker, mut part): (Taker, Vec<u8>),
    ) -> Result<Fingerprint, Error> {
        while !part.is_empty() {
            let put = upload.put_part(part.into()).await;
            put.map_err(|error| self.sorted(&error))?;
            part = next_part(file, &mut taker, PART_BYTES).await?;
        }
        Ok(taker.finish())
    }

    /// Looks whether an object is what it should be. `known_etag` is the mark the archive gave to
    /// it when it was last proved to be.
    pub(super) async fn confirm(
        &self,
        key: &str,
        expected: &Fingerprint,
        known_etag: Option<&str>,
        look: Look,
    ) -> Result<Shown, Error> {
        let head = match self.store.head(&self.location(key)?).await {
            Ok(head) => head,
            Err(error) if is_missing(&error) => return Ok(Shown::Missing),
            Err(error) => return Err(self.sorted(&error)),
        };
        let size_bytes = expected.size_bytes;
        if head.size != size_bytes {
            let why = format!("it shows {} bytes instead of {size_bytes}", head.size);
            return Ok(Shown::Differs { why });
        }
        let etag = head.e_tag.map(|etag| etag.trim_matches('"').to_owned());
        let told = etag.as_deref().filter(|etag| !etag.is_empty());
        let is_proof = told.is_some_and(|told| told == expected.etag || Some(told) == known_etag);
        if is_proof && look == Look::Told {
            return Ok(Shown::Confirmed { etag });
        }
        Ok(match self.read_back(key, size_bytes).await? {
            Some(seen) if seen.sha256 == expected.sha256 => Shown::Confirmed { etag },
            Some(seen) => Shown::Differs {
                why: format!("read back, its SHA-256 is {}, not {}", seen.sha256, expected.sha256),
            },
            None => Shown::Missing,
        })
    }

    /// Reads an object through; no further than one byte past what it should have.
    async fn read_back(&self, key: &str, size_max: u64) -> Result<Option<Fingerprint>, Error> {
        let got = match self.store.get(&self.location(key)?).await {
            Ok(got) => got,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(self.sorted(&error)),
        };
        let mut blocks = got.into_stream();
        let mut taker = Taker::default();
        let mut size_bytes = 0;
        while let Some(block) = blocks.next().await {
            let block = block.map_err(|error| self.sorted(&error))?;
            self.throttle.take(block.len()).await;
            taker.take(&block);
            size_bytes += block.len() as u64;
            if size_bytes > size_max {
                break;
            }
        }
        Ok(Some(taker.finish()))
    }

    pub(super) fn location(&self, key: &str) -> Result<Path, Error> {
        let text = format!("{}/{key}", self.prefix);
        Path::parse(text.trim_start_matches('/'))
            .map_err(|error| Error::Refused { why: error.to_string() })
    }

    pub(super) fn sorted(&self, error: &object_store::Error) -> Error {
        Error::of(error, &self.bucket)
    }
}

async fn next_part(
    file: &mut tokio::fs::File,
    taker: &mut Taker,
    room: usize,
) -> Result<Vec<u8>, Error> {
    let mut part = Vec::with_capacity(room);
    file.take(PART_BYTES as u64)
        .read_to_end(&mut part)
        .await
        .map_err(|error| Error::Unreadable { why: error.to_string() })?;
    taker.take(&part);
    Ok(part)
}

/// What is sent is what was to be sent, or nothing is.
fn unaltered(key: &str, sent: &Fingerprint, expected: &Fingerprint) -> Result<(), Error> {
    if sent == expected {
        return Ok(());
    }
    Err(Error::Altered {
        path: key.to_owned(),
        what: format!("SHA-256 {} instead of {}", sent.sha256, expected.sha256),
    })
}
