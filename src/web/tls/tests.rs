use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::domain::UnixMillis;

/// 2026-01-01.
const NOW: UnixMillis = UnixMillis::new(1_767_225_600_000);

/// A certificate and a key in PEM, good from one year's beginning to another's.
pub(in crate::web) fn pem(name: &str, (from, until): (i32, i32)) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.not_before = date_time_ymd(from, 1, 1);
    parameters.not_after = date_time_ymd(until, 1, 1);
    (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// The same in files.
fn files(folder: &std::path::Path, (certificate, key): (&str, &str)) -> CertificateFiles {
    let files =
        CertificateFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, certificate).unwrap();
    std::fs::write(&files.key, key).unwrap();
    files
}

/// An identity for `name`, and a client that trusts nobody else.
pub(in crate::web) fn known(name: &str) -> (Arc<Identity>, TlsConnector) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = pem(name, (2020, 2049));
    let identity = Identity::read(&files(folder.path(), (&certificate, &key))).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    let client = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(identity), TlsConnector::from(Arc::new(client)))
}

#[test]
fn a_self_signed_certificate_is_made_once_and_for_our_eyes_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data/lan_tls.pem");
    let names = ["depot-7", "depot-7.local", "192.168.7.20", "fd00::20"].map(str::to_owned);
    let made = keep_self_signed(&file, &names).unwrap();
    assert_eq!(made.names(), names);
    assert!(made.days_left(NOW) > 8000 && made.good_in(NOW).is_none());
    // The box may believe that it is 1970 when a browser is shown it.
    assert_eq!(made.fingerprint().len(), 32 * 3 - 1);
    for path in [&file, &file.parent().unwrap().to_owned()] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0, "{path:?}");
    }
    let again = keep_self_signed(&file, &["another".to_owned()]).unwrap();
    assert_eq!((again.fingerprint(), again.names()), (made.fingerprint(), made.names()));
    assert_ne!(self_signed(&names).unwrap().fingerprint(), made.fingerprint());
    let key = std::fs::read_to_string(&file).unwrap();
    let shown = format!("{made:?} {:?}", Tls::Under(Arc::new(again)));
    assert!(key.lines().all(|line| !shown.contains(line)), "{shown}");
    std::fs::write(&file, "").unwrap();
    let broken = keep_self_signed(&file, &names).unwrap_err().to_string();
    assert!(broken.contains("lan_tls.pem: has no certificate"), "{broken}");
}

#[test]
fn files_that_are_no_certificate_with_its_key_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let read = |certificate: &str, key: &str| {
        Identity::read(&files(folder.path(), (certificate, key))).unwrap_err().to_string()
    };
    let (certificate, key) = pem("a.example", (2025, 2027));
    let (_, other_key) = pem("a.example", (2025, 2027));
    assert!(read(&certificate, &other_key).contains("is not that of the certificate in"));
    assert!(read("", &key).contains("cert.pem: has no certificate in it"));
    assert!(read(&key, &key).contains("cert.pem: has no certificate in it"));
    assert!(read(&certificate, &certificate).contains("key.pem: has no key in it"));
    assert!(read(&certificate[..200], &key).contains("cert.pem: "));
    let other = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(read(other, &key).contains("cert.pem: "));
    let missing = CertificateFiles { certificate: "/nowhere".into(), key: "/nowhere".into() };
    assert!(matches!(Identity::read(&missing), Err(TlsError::Disk { .. })));
    let huge = CertificateFiles { certificate: "/dev/zero".into(), key: "/dev/zero".into() };
    assert!(Identity::read(&huge).is_err(), "and nothing is read for ever");
}

#[test]
fn a_certificate_knows_from_when_until_when_it_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let of = |years| {
        let (certificate, key) = pem("a.example", years);
        Identity::read(&files(folder.path(), (&certificate, &key))).unwrap()
    };
    let present = of((2025, 2027));
    assert_eq!((present.days_left(NOW), present.good_in(NOW)), (365, None));
    let last_moment = NOW.plus(Duration::from_hours(365 * 24));
    assert_eq!(present.days_left(last_moment), 0);
    assert_eq!(present.days_left(last_moment.plus(Duration::from_secs(1))), -1);
    assert_eq!(of((2024, 2025)).days_left(NOW), -365, "an expired one can be read");
    assert_eq!(of((2027, 2028)).good_in(NOW), Some(Duration::from_hours(365 * 24)));
}
