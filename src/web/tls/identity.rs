//! A certificate with its key, and what can be said of it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::CertificateFiles;
use crate::domain::UnixMillis;

/// A certificate and its key are a few kilobytes each; what is larger is something else.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {why}", path.display())]
    Unfit {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The key is another certificate's.
    #[error("the key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    Strangers {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// No certificate can be made here.
    #[error("no certificate can be made: {why}")]
    Unmade {
        /// Why.
        why: String,
    },
}

/// A certificate with its key, ready to be spoken under.
pub struct Identity {
    server: Arc<ServerConfig>,
    fingerprint: String,
    names: Vec<String>,
    not_before: UnixMillis,
    not_after: UnixMillis,
}

/// Never shows the key.
impl std::fmt::Debug for Identity {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Identity({})", self.fingerprint)
    }
}

impl Identity {
    /// Reads it from its files. One that has expired is read too: which day it is, is known to
    /// who asks.
    pub fn read(files: &CertificateFiles) -> Result<Self, TlsError> {
        let CertificateFiles { certificate, key } = files;
        Self::of_pem((certificate, &read(certificate)?), (key, &read(key)?))
    }

    /// Takes a certificate and a key out of the text of two files, or twice of one.
    pub(super) fn of_pem(
        (certificate, chain): (&Path, &[u8]),
        (key, key_text): (&Path, &[u8]),
    ) -> Result<Self, TlsError> {
        let unfit = |path: &Path, why: String| TlsError::Unfit { path: path.to_owned(), why };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|error| unfit(certificate, format!("is no PEM: {error}")))?;
        let first = chain.first().cloned().ok_or_else(|| {
            unfit(certificate, "has no certificate in it (-----BEGIN CERTIFICATE-----)".to_owned())
        })?;
        let private = PrivateKeyDer::from_pem_slice(key_text).map_err(|error| {
            unfit(key, format!("has no key in it (-----BEGIN PRIVATE KEY-----): {error}"))
        })?;
        let provider = Arc::new(default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Unmade { why: error.to_string() })?
            .with_no_client_auth()
            .with_single_cert(chain, private);
        let mut server = server.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::Strangers { certificate: certificate.to_owned(), key: key.to_owned() }
            }
            error => unfit(certificate, error.to_string()),
        })?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (_, parsed) = X509Certificate::from_der(&first)
            .map_err(|error| unfit(certificate, format!("is no certificate: {error}")))?;
        let moment = |seconds: i64| UnixMillis::new(seconds.saturating_mul(1000));
        Ok(Self {
            fingerprint: fingerprint(&first),
            names: names(&parsed),
            not_before: moment(parsed.validity().not_before.timestamp()),
            not_after: moment(parsed.validity().not_after.timestamp()),
            server: Arc::new(server),
        })
    }

    /// Returns its SHA-256 as browsers show it: `AB:CD:…`.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns the names and addresses it is for.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the whole days from `now` on that it is good for; negative when it is no longer.
    pub fn days_left(&self, now: UnixMillis) -> i64 {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        self.not_after.get().saturating_sub(now.get()).div_euclid(DAY_MS)
    }

    /// Says how long it takes until it becomes good; none when it has.
    pub fn good_in(&self, now: UnixMillis) -> Option<Duration> {
        Some(self.not_before.since(now)).filter(|wait| !wait.is_zero())
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let disk = |source| TlsError::Disk { path: path.to_owned(), source };
    let mut text = Vec::new();
    let file = File::open(path).map_err(disk)?;
    file.take(PEM_BYTES_MAX + 1).read_to_end(&mut text).map_err(disk)?;
    if text.len() as u64 > PEM_BYTES_MAX {
        let why = "is far larger than a certificate or a key".to_owned();
        return Err(TlsError::Unfit { path: path.to_owned(), why });
    }
    Ok(text)
}

fn fingerprint(certificate: &[u8]) -> String {
    let hash = Sha256::digest(certificate);
    hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    // What cannot be read there names nobody.
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let general = alternatives.map(|names| names.value.general_names.as_slice());
    general.unwrap_or_default().iter().filter_map(name).collect()
}

fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            if let Ok(bytes) = <[u8; 4]>::try_from(*bytes) {
                return Some(std::net::Ipv4Addr::from(bytes).to_string());
            }
            let bytes = <[u8; 16]>::try_from(*bytes).ok()?;
            Some(std::net::Ipv6Addr::from(bytes).to_string())
        }
        _ => None,
    }
}
