//! The page's style, script and icon: compiled in, named by content, cached for good.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

const CSS: &[u8] = include_bytes!("assets/fieldtape.css");
const JS: &[u8] = include_bytes!("assets/fieldtape.js");
const ICON: &[u8] = include_bytes!("assets/icon.svg");

/// What all three are, in sixteen hex digits; part of their address.
const VERSION: u64 = fnv1a(ICON, fnv1a(JS, fnv1a(CSS, FNV_BASIS)));

/// Where a [`fnv1a`] chain begins.
pub(super) const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// A year: the address changes when the content does.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// FNV-1a, good enough to tell versions apart and simple enough to run in the compiler.
pub(super) const fn fnv1a(bytes: &[u8], mut hash: u64) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// Returns the folder of the assets' addresses.
pub(super) fn base() -> String {
    format!("/assets/{VERSION:016x}")
}

/// Serves one of the three.
pub(super) async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    let (kind, bytes) = match name.as_str() {
        "fieldtape.css" => ("text/css; charset=utf-8", CSS),
        "fieldtape.js" => ("text/javascript; charset=utf-8", JS),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return Problem::not_found("no such asset").into_response(),
    };
    // A page from before an upgrade still finds its style, but must not keep it under that name.
    let cache = if format!("{VERSION:016x}") == version { FOR_GOOD } else { "no-cache" };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)], bytes).into_response()
}
