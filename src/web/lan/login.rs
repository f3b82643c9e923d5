//! Coming in: who it is that asks, and the page on which they say so.
//!
//! A browser shows its session's cookie, a program a token. While there is no user, whoever reached
//! a loopback address is `local` and may do everything; whoever came to any other address is shown
//! how the first user is made, and nothing else.

use std::net::{IpAddr, Ipv4Addr};

use askama::Template;
use axum::Extension;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use cookie::{Cookie, SameSite};

use super::frame::Frame;
use super::pages::{self, PageProblem};
use super::problem::Problem;
use super::{BODY_BYTES_MAX, Gate, LanState};
use crate::access::{Access, AccessError, Actor, NewUser, Session};
use crate::domain::Role;
use crate::web::serve::Ends;

/// Not `__Host-`: that asks for https, which a page on the LAN need not have.
const COOKIE: &str = "fieldtape_session";

/// Where a script puts the key of its session's forms.
const FORM_KEY: HeaderName = HeaderName::from_static("x-form-key");

/// And where a form does.
const FORM_KEY_FIELD: &str = "form_key";

/// What stands between a request and the routes behind it.
#[derive(Clone)]
pub(super) struct Entrance {
    pub(super) gate: Gate,
    pub(super) access: Access,
}

/// Finds out who asks, and turns away whom nobody knows.
pub(super) async fn recognise(
    State(entrance): State<Entrance>,
    request: Request,
    next: Next,
) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let (mut request, actor) = match who(&entrance, request).await {
        Ok((request, Some(actor))) => (request, actor),
        Ok((request, None)) if !entrance.access.has_users() => {
            return first_run(request.uri().path());
        }
        Ok((request, None)) => {
            return if is_api { Problem::log_in().into_response() } else { to_login(&request) };
        }
        Err(problem) if is_api => return problem.into_response(),
        Err(problem) => return pages::problem(&problem),
    };
    request.extensions_mut().insert(actor);
    next.run(request).await
}

async fn who(entrance: &Entrance, request: Request) -> Result<(Request, Option<Actor>), Problem> {
    let access = &entrance.access;
    if let Some(token) = bearer(request.headers()) {
        let actor = access.by_token(remote(&request), token).await?;
        return Ok((request, Some(actor)));
    }
    if !access.has_users() {
        let local = entrance.gate.is_loopback().then(Actor::local);
        return Ok((request, local));
    }
    let Some(shown) = session_cookie(request.headers()) else { return Ok((request, None)) };
    let Some(actor) = access.by_session(&shown).await? else { return Ok((request, None)) };
    let request = with_form_key(request, &actor).await?;
    Ok((request, Some(actor)))
}

/// Lets a change through only if it carries the key that the pages of this session carry.
async fn with_form_key(request: Request, actor: &Actor) -> Result<Request, Problem> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let Some(key) = actor.form_key.as_ref().filter(|_| !reads) else { return Ok(request) };
    let header = request.headers().get(FORM_KEY).and_then(|given| given.to_str().ok());
    if header.is_some_and(|given| key.is(given)) {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| Problem::too_large())?;
    if !form(&body, FORM_KEY_FIELD).is_some_and(|given| key.is(&given)) {
        return Err(Problem::stale_form());
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// A page is shown after the login; a change is not made twice by a guess.
fn to_login(request: &Request) -> Response {
    if *request.method() != Method::GET {
        return pages::problem(&Problem::log_in());
    }
    let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
    let next: String =
        form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
    Redirect::to(&format!("/login?{next}")).into_response()
}

fn first_run(path: &str) -> Response {
    if path.starts_with("/api/") {
        return Problem::first_run().into_response();
    }
    let status = if path == "/" { StatusCode::OK } else { StatusCode::FORBIDDEN };
    first_run_page(status, None, "")
}

fn first_run_page(status: StatusCode, trouble: Option<String>, name: &str) -> Response {
    let page = FirstRunPage { frame: Frame::plain(), trouble, name: name.to_owned() };
    (status, pages::html(&HeaderMap::new(), &page)).into_response()
}

#[derive(Template)]
#[template(path = "first_run.html")]
struct FirstRunPage {
    frame: Frame,
    trouble: Option<String>,
    name: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    trouble: Option<String>,
    name: String,
    next: String,
}

/// The page for logging in is there once there is somebody who can.
pub(super) async fn before_login(
    State(entrance): State<Entrance>,
    request: Request,
    next: Next,
) -> Response {
    let is_first_run = request.uri().path() == "/first-run";
    if is_first_run == entrance.access.has_users() {
        return Redirect::to("/").into_response();
    }
    next.run(request).await
}

/// `GET /login`
pub(super) async fn page(RawQuery(query): RawQuery) -> Response {
    let next = form(query.unwrap_or_default().as_bytes(), "next");
    login_page(StatusCode::OK, None, "", &own_page(next.as_deref()))
}

fn login_page(status: StatusCode, trouble: Option<String>, name: &str, next: &str) -> Response {
    let (name, next) = (name.to_owned(), next.to_owned());
    let page = LoginPage { frame: Frame::plain(), trouble, name, next };
    (status, pages::html(&HeaderMap::new(), &page)).into_response()
}

/// `POST /login`
pub(super) async fn log_in(
    State(lan): State<LanState>,
    ends: Option<Extension<Ends>>,
    body: Bytes,
) -> Result<Response, PageProblem> {
    let field = |name| form(&body, name).unwrap_or_default();
    let (name, next) = (field("name"), own_page(form(&body, "next").as_deref()));
    match lan.access.log_in(address(ends), &name, field("password")).await {
        Ok(session) => {
            lan.audit(&session.actor, "login", None, "").await?;
            Ok(come_in(&lan, &session, &next))
        }
        Err(error @ (AccessError::Wrong | AccessError::TooOften { .. })) => {
            let from = address(ends);
            tracing::warn!(event = "login.refused", "somebody at {from} was not let in: {error}");
            let status = Problem::from_refusal(&error);
            Ok(login_page(status, Some(error.to_string()), &name, &next))
        }
        Err(error) => Err(Problem::from(error).into()),
    }
}

/// `POST /first-run`
pub(super) async fn first_user(
    State(lan): State<LanState>,
    ends: Option<Extension<Ends>>,
    body: Bytes,
) -> Result<Response, PageProblem> {
    let field = |name| form(&body, name).unwrap_or_default();
    let typed = field("name");
    let made = async {
        let (password, again) = (field("password"), field("password_again"));
        if password != again {
            return Err(AccessError::WeakPassword("the two passwords are not the same"));
        }
        let user = NewUser { name: typed.parse()?, role: Role::Admin, password };
        lan.access.first_user(address(ends), &field("code"), user).await
    };
    match made.await {
        Ok(session) => {
            lan.audit(&session.actor, "user.add", None, &typed).await?;
            tracing::info!(event = "user.added", "the first user, an admin, has been made");
            Ok(come_in(&lan, &session, "/"))
        }
        Err(AccessError::Store(error)) => Err(error.into()),
        Err(error) => {
            let status = Problem::from_refusal(&error);
            Ok(first_run_page(status, Some(error.to_string()), &typed))
        }
    }
}

/// `POST /logout`
pub(super) async fn log_out(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
) -> Result<Response, PageProblem> {
    if let Some(shown) = session_cookie(&headers) {
        lan.access.log_out(&shown).await?;
        lan.audit(&actor, "logout", None, "").await?;
    }
    let mut gone = session(String::new(), lan.https);
    gone.make_removal();
    Ok(with_cookie(&gone, "/login"))
}

fn come_in(lan: &LanState, begun: &Session, next: &str) -> Response {
    with_cookie(&session(begun.secret.reveal().to_owned(), lan.https), next)
}

/// The cookie lasts as long as the browser is open, or the session, whichever ends first.
fn session(secret: String, https: bool) -> Cookie<'static> {
    let cookie = Cookie::build((COOKIE, secret)).http_only(true).same_site(SameSite::Strict);
    cookie.path("/").secure(https).build()
}

fn with_cookie(cookie: &Cookie<'_>, next: &str) -> Response {
    let mut response = Redirect::to(next).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie.to_string()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn session_cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(Cookie::split_parse).filter_map(Result::ok);
    cookies.find(|cookie| cookie.name() == COOKIE).map(|cookie| cookie.value().to_owned())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Takes a page of ours to go to; what would lead elsewhere leads to the first one.
fn own_page(next: Option<&str>) -> String {
    let is_ours = |next: &&str| {
        let rest = next.strip_prefix('/');
        rest.is_some_and(|rest| !rest.starts_with(['/', '\\'])) && !next.contains(char::is_control)
    };
    next.filter(is_ours).unwrap_or("/").to_owned()
}

fn form(body: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn remote(request: &Request) -> IpAddr {
    address(request.extensions().get::<Ends>().copied().map(Extension))
}

/// Who came over a socket file, or by no socket at all, is on this machine.
pub(super) fn address(ends: Option<Extension<Ends>>) -> IpAddr {
    ends.map_or(Ipv4Addr::LOCALHOST.into(), |Extension(ends)| ends.remote.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_login_nobody_is_led_elsewhere() {
        for own in ["/", "/calls/CA1?x=1", "/queue#now"] {
            assert_eq!(own_page(Some(own)), own);
        }
        for other in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb"] {
            assert_eq!(own_page(Some(other)), "/", "{other}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; fieldtape_session=xyz; c"));
        assert_eq!(session_cookie(&headers).as_deref(), Some("xyz"));
        let cookie = session("xyz".to_owned(), true).to_string();
        assert_eq!(cookie, "fieldtape_session=xyz; HttpOnly; SameSite=Strict; Secure; Path=/");
    }
}
