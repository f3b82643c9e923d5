//! `server.lan_tls` and `server.twilio_tls`: by which certificates the two ports are encrypted.

use std::path::PathBuf;

use toml::Value;

use super::{Config, LanTls, Problems};
use crate::web::tls::{CertificateFiles, Identity};

const SELF_SIGNED: &str = "self-signed";

/// How a certificate's files are written down.
const AS_FILES: &str = "{ cert = \"/etc/fieldtape/cert.pem\", key = \"/etc/fieldtape/key.pem\" }";

/// Reads the certificates, and says which cannot be used. A start goes on without them, because they
/// may be there a minute later.
pub(super) fn certificates(config: &Config) -> Problems {
    let mut problems = Problems::default();
    let lan = match &config.server.lan_tls {
        Some(LanTls::Files(files)) => Some(files),
        Some(LanTls::SelfSigned) | None => None,
    };
    let named = [("server.lan_tls", lan), ("server.twilio_tls", config.server.twilio_tls.as_ref())];
    for (key, files) in named.into_iter().filter_map(|(key, files)| Some((key, files?))) {
        problems.keep(key, Identity::read(files));
    }
    problems
}

/// Reads `server.lan_tls`.
pub(super) fn lan(value: Option<Value>, problems: &mut Problems) -> Option<LanTls> {
    let key = "server.lan_tls";
    match value? {
        Value::String(text) if text == SELF_SIGNED => Some(LanTls::SelfSigned),
        Value::String(text) if text.is_empty() => None,
        Value::Table(table) => files(key, &table, problems).map(LanTls::Files),
        _ => {
            problems.add(key, format!("write \"{SELF_SIGNED}\", or {AS_FILES}"));
            None
        }
    }
}

/// Reads `server.twilio_tls`.
pub(super) fn twilio(value: Option<Value>, problems: &mut Problems) -> Option<CertificateFiles> {
    let key = "server.twilio_tls";
    match value? {
        Value::String(text) if text.is_empty() => None,
        Value::Table(table) => files(key, &table, problems),
        Value::String(text) if text == SELF_SIGNED => {
            problems.add(key, "Twilio refuses self-signed certificates; one that everybody knows comes from Let's Encrypt, or put a tunnel in front");
            None
        }
        _ => {
            problems.add(key, format!("write {AS_FILES}"));
            None
        }
    }
}

fn files(key: &str, table: &toml::Table, problems: &mut Problems) -> Option<CertificateFiles> {
    for unknown in table.keys().filter(|name| !matches!(name.as_str(), "cert" | "key")) {
        problems.add(format!("{key}.{unknown}"), format!("there is no such key; write {AS_FILES}"));
    }
    let mut path = |name: &str| {
        let path = table.get(name).and_then(Value::as_str).filter(|path| !path.is_empty());
        if path.is_none() {
            problems.add(format!("{key}.{name}"), format!("is missing; write {AS_FILES}"));
        }
        path.map(PathBuf::from)
    };
    let (certificate, private) = (path("cert"), path("key"));
    Some(CertificateFiles { certificate: certificate?, key: private? })
}
