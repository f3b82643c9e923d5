//! A certificate that the box signs for itself, for the office's own network: nobody vouches for
//! it, so a person compares its fingerprint once.

use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use super::identity::read;
use super::{Identity, TlsError};

/// What it is called where nobody gave it a name.
const COMMON_NAME: &str = "fieldtape";

/// Made without a clock that could be trusted, it is good from long ago until long after: what
/// it is trusted for is its fingerprint.
const FROM: (i32, u8, u8) = (2020, 1, 1);
const UNTIL: (i32, u8, u8) = (2049, 12, 31);

/// Returns the certificate that is kept in `file`, key and all; if there is none, one for `names` is
/// made there, readable for us alone.
pub fn keep_self_signed(file: &Path, names: &[String]) -> Result<Identity, TlsError> {
    match read(file) {
        Ok(text) => return Identity::of_pem((file, &text), (file, &text)),
        Err(TlsError::Disk { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let text = make(names)?;
    keep(file, &text).map_err(|source| TlsError::Disk { path: file.to_owned(), source })?;
    Identity::of_pem((file, text.as_bytes()), (file, text.as_bytes()))
}

/// Makes one for `names` that nobody keeps, for as long as there is nowhere to keep it.
pub fn self_signed(names: &[String]) -> Result<Identity, TlsError> {
    let (text, nowhere) = (make(names)?, Path::new("memory"));
    Identity::of_pem((nowhere, text.as_bytes()), (nowhere, text.as_bytes()))
}

/// Makes a key and its certificate, one PEM text.
fn make(names: &[String]) -> Result<String, TlsError> {
    let unmade = |error: rcgen::Error| TlsError::Unmade { why: error.to_string() };
    let key = KeyPair::generate().map_err(unmade)?;
    let mut parameters = CertificateParams::new(names).map_err(unmade)?;
    let day = |(year, month, day)| rcgen::date_time_ymd(year, month, day);
    (parameters.not_before, parameters.not_after) = (day(FROM), day(UNTIL));
    let called = names.first().map_or(COMMON_NAME, String::as_str);
    parameters.distinguished_name.push(DnType::CommonName, called);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = parameters.self_signed(&key).map_err(unmade)?;
    Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
}

/// Whole or not at all, and for nobody else to read: that is how a temporary file is made.
fn keep(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    // At a first start it may come before the recordings.
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    File::open(folder)?.sync_all()
}
