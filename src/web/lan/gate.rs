//! What every request passes before it is served: Host, origin, role, and the headers that go
//! out with every answer. Who it is that asks is found out in `login`.
//!
//! A route that does not exist is 404 before any of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::pages;
use super::problem::Problem;
use crate::access::Actor;
use crate::domain::Role;
use crate::web::serve::Ends;

/// Scripts, styles, pictures, sound and connections from here only; nothing inline, nothing from
/// elsewhere, no frame around it.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// Says that a request was made by a program that knows what it does; no web page of another
/// site can send it without asking first, and asking is not answered.
const DELIBERATE: HeaderName = HeaderName::from_static("x-fieldtape");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who may come in from the network.
#[derive(Debug, Clone)]
pub struct Gate {
    listen: SocketAddr,
    names: Arc<[String]>,
}

impl Gate {
    /// Makes the gate of a listener on `listen`, on a machine of that `hostname`, which goes by
    /// the `configured` names too.
    pub fn new(listen: SocketAddr, hostname: &str, configured: &[String]) -> Self {
        let own = [hostname.to_owned(), format!("{hostname}.local"), "localhost".to_owned()];
        let names = own.iter().chain(configured).map(|name| name.to_ascii_lowercase());
        Self { listen, names: names.filter(|name| !name.is_empty() && name != ".local").collect() }
    }

    /// Says whether only this machine can reach the listener.
    pub fn is_loopback(&self) -> bool {
        self.listen.ip().is_loopback()
    }

    /// Says whether a request for `host` may have been meant for us. A page of another site
    /// whose name was made to point here (DNS rebinding) still sends that other name.
    fn admits(&self, host: &Authority, ends: Option<Ends>) -> bool {
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = name.parse::<IpAddr>() {
            return address.is_loopback()
                || address == self.listen.ip()
                || ends.is_some_and(|ends| ends.local.ip().to_canonical() == address);
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.names.contains(&name)
    }
}

/// Lets through what was meant for this appliance by name.
pub(super) async fn host(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let ends = request.extensions().get::<Ends>().copied();
    match named_host(&request) {
        Some(host) if gate.admits(&host, ends) => next.run(request).await,
        _ => Problem::wrong_host().into_response(),
    }
}

/// The authority a request is for: of its target if that is absolute, else of its one `Host`.
fn named_host(request: &Request) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?.parse().ok()?;
    hosts.next().is_none().then_some(host)
}

/// Lets through what reads, and what changes something if our own page or a program asks.
pub(super) async fn origin(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads || was_meant(request.headers(), named_host(&request).as_ref()) {
        next.run(request).await
    } else {
        Problem::foreign_origin().into_response()
    }
}

/// A browser says where a request comes from (`Origin`, `Sec-Fetch-Site`); a program says
/// neither, but can send what a form of another site cannot.
fn was_meant(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let same_site = headers.get(SEC_FETCH_SITE).map(|site| site == "same-origin");
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let from = origin.split_once("://").map(|(_, authority)| authority);
        return same_site != Some(false) && from.is_some() && from == host.map(Authority::as_str);
    }
    same_site.unwrap_or_else(|| headers.contains_key(DELIBERATE) || is_json(headers))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Lets through who may do what this route does.
pub(super) async fn allowed(State(role): State<Role>, request: Request, next: Next) -> Response {
    match request.extensions().get::<Actor>() {
        Some(actor) if actor.role >= role => next.run(request).await,
        Some(actor) => {
            let problem = Problem::not_allowed(actor.role, role);
            let is_api = request.uri().path().starts_with("/api/");
            if is_api { problem.into_response() } else { pages::problem(&problem) }
        }
        // No route is reached without an actor; if one were, it would stay closed.
        None => Problem::log_in().into_response(),
    }
}

/// Puts on every answer the headers that keep a browser from being used against its user.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let out = response.headers_mut();
    out.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: with that a browser sends `Origin: null` from our own forms, which could
    // not be told from a stranger's.
    out.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    // Calls are private: nothing of them stays in a cache unless the route says so.
    out.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(listen: &str) -> Gate {
        Gate::new(listen.parse().unwrap(), "Depot-7", &["tape.example.com".to_owned()])
    }

    #[test]
    fn the_appliance_answers_to_its_own_names_only() {
        let gate = gate("192.168.1.20:8080");
        for host in [
            "localhost:8080",
            "127.0.0.1",
            "[::1]:9000",
            "192.168.1.20:8080",
            "depot-7",
            "DEPOT-7.local:80",
            "depot-7.",
            "tape.example.com",
        ] {
            assert!(gate.admits(&host.parse().unwrap(), None), "{host}");
        }
        for host in ["evil.example", "192.168.1.21", "localhost.evil.example", "8.8.8.8", "local"] {
            assert!(!gate.admits(&host.parse().unwrap(), None), "{host}");
        }
    }

    #[test]
    fn a_listener_on_all_addresses_answers_to_the_one_that_was_reached() {
        let ends = Ends {
            local: "10.0.0.5:8080".parse().unwrap(),
            remote: "10.0.0.9:40000".parse().unwrap(),
        };
        let gate = gate("0.0.0.0:8080");
        assert!(gate.admits(&"10.0.0.5:8080".parse().unwrap(), Some(ends)));
        assert!(!gate.admits(&"10.0.0.6:8080".parse().unwrap(), Some(ends)));
    }

    #[test]
    fn only_our_own_page_or_a_program_may_change_something() {
        let host: Authority = "depot-7:8080".parse().unwrap();
        let judge = |fields: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.insert(
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                );
            }
            was_meant(&headers, Some(&host))
        };
        let ours = ("origin", "http://depot-7:8080");
        assert!(judge(&[ours]));
        assert!(judge(&[ours, ("sec-fetch-site", "same-origin")]));
        assert!(judge(&[("sec-fetch-site", "same-origin")]));
        assert!(judge(&[("x-fieldtape", "1")]));
        assert!(judge(&[("content-type", "application/json; charset=utf-8")]));

        assert!(!judge(&[]), "a form of another site through an old browser");
        assert!(!judge(&[("content-type", "text/plain")]));
        assert!(!judge(&[("origin", "null"), ("x-fieldtape", "1")]));
        assert!(!judge(&[("origin", "http://depot-7:9090")]), "another port is another site");
        assert!(!judge(&[("origin", "http://evil.example"), ("x-fieldtape", "1")]));
        assert!(!judge(&[ours, ("sec-fetch-site", "cross-site")]));
        assert!(!judge(&[("sec-fetch-site", "same-site"), ("x-fieldtape", "1")]));
        assert!(!judge(&[("sec-fetch-site", "none"), ("content-type", "application/json")]));
    }
}
