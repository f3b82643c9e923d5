//! Certificates of our own: read, made, and spoken under.
//!
//! Invariant: a listener that is to be encrypted never speaks in the clear; while it has no
//! certificate it closes every connection.
//!
//! Not here: when a certificate is read again, and who is told how long it is still good (the
//! daemon's).

mod greeting;
mod identity;
mod self_signed;

#[cfg(test)]
pub(super) mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

pub(super) use greeting::{Greeted, greet};
pub use identity::{Identity, TlsError};
pub use self_signed::{keep_self_signed, self_signed};

/// A certificate and its key as files, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, with those between it and its root behind it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What a listener speaks.
#[derive(Debug, Clone, Default)]
pub enum Tls {
    /// In the clear.
    #[default]
    Plain,
    /// Under this certificate.
    Under(Arc<Identity>),
    /// Nothing: it should be encrypted, and there is no certificate.
    Mute,
}

/// What a listener speaks from now on; it can change between two connections.
pub type Spoken = watch::Receiver<Tls>;
