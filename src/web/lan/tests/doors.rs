//! Who is let in, and what stands on every answer.

use super::super::routes::Route;
use super::super::{api_routes, page_routes};
use super::*;

/// Every route behind the login, with the method it takes.
pub(super) fn routes() -> Vec<Route> {
    let routes = api_routes().and(page_routes());
    assert!(routes.list().len() > 20, "the router was read");
    routes.list().to_vec()
}

pub(super) fn request(method: &str, path: &str, host: &str) -> axum::http::request::Builder {
    let path = path.replace("{call_sid}", sid(1).as_str()).replace("{name}", "mixed.wav");
    let path = path.replace("{id}", "1").replace("{number}", "+15125550143");
    Request::builder().method(method).uri(path).header("host", host)
}

pub(super) fn on_network(office: &Office) -> Router {
    router(office.state.clone(), Gate::new("0.0.0.0:8080".parse().unwrap(), "depot", &[]))
}

#[tokio::test]
async fn every_answer_carries_the_policy_and_is_kept_by_nobody() {
    let office = Office::new().await;
    for path in ["/", "/nowhere", "/api/v1/nowhere", "/api/v1/calls", "/calls/CA1", "/healthz"] {
        let answer = office.get(path).await;
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'",
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_421_on_every_route() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let open = [("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/login"), ("POST", "/first-run")];
    let routes = routes();
    let routes = routes.iter().map(|route| (route.method.as_str(), route.path));
    for (method, path) in routes.chain(open) {
        let foreign = request(method, path, "evil.example").header("x-fieldtape", "1");
        office.ask(foreign.body(Body::empty()).unwrap()).await.problem(421);
    }
    let unnamed = Request::get("/").body(Body::empty()).unwrap();
    office.ask(unnamed).await.problem(421);
    let twice = get("/").header("host", "evil.example").body(Body::empty()).unwrap();
    office.ask(twice).await.problem(421);
    let absolute = Request::get("http://evil.example/").header("host", "localhost");
    office.ask(absolute.body(Body::empty()).unwrap()).await.problem(421);
}

#[tokio::test]
async fn a_route_that_is_not_there_is_404_before_anything_else() {
    let office = Office::new().await;
    let network = on_network(&office);
    for page in [&office.page, &network] {
        let foreign = Request::get("/api/v1/nobody").header("host", "evil.example");
        ask(page, foreign.body(Body::empty()).unwrap()).await.problem(404);
        let twilio = get("/twilio/voice").body(Body::empty()).unwrap();
        assert_eq!(ask(page, twilio).await.status, 404);
    }
}

#[tokio::test]
async fn a_change_that_another_site_may_have_sent_is_403() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.settle(Settlement::Never { why: "it broke".to_owned() }).await;
    let changes = || routes().into_iter().filter(|route| route.method != "GET");
    let sent = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let request = request(method, path, "localhost:8080");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).unwrap()
    };
    for Route { method, path, .. } in changes() {
        for headers in [
            &[][..],
            &[("content-type", "application/x-www-form-urlencoded")],
            &[("origin", "http://evil.example"), ("x-fieldtape", "1")],
            &[("origin", "null")],
            &[("origin", "http://localhost:9999")],
            &[("sec-fetch-site", "cross-site"), ("x-fieldtape", "1")],
        ] {
            office.ask(sent(method.as_str(), path, headers)).await.problem(403);
        }
    }
    assert_eq!(office.trail(), [""; 0]);
    let ours = [("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")];
    let by_form = office.ask(sent("POST", "/calls/{call_sid}/retry", &ours)).await;
    assert_eq!(by_form.status, 303);
    assert_eq!(by_form.header("location"), format!("/calls/{}", sid(1)));
    assert_eq!(office.trail(), ["local retry transcript"]);
}

#[tokio::test]
async fn from_the_network_only_the_first_run_page_is_served() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let network = on_network(&office);
    let ask_network = async |method: &str, path: &str| {
        let request = request(method, path, "depot:8080").header("x-fieldtape", "1");
        ask(&network, request.body(Body::empty()).unwrap()).await
    };
    let front = ask_network("GET", "/").await;
    assert_eq!(front.status, 200);
    assert!(front.text().contains("user add --first"), "{}", front.text());
    for Route { method, path, .. } in routes().into_iter().filter(|route| route.path != "/") {
        let answer = ask_network(method.as_str(), path).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(!answer.text().contains("0143"), "{path} tells a number");
    }
    for open in ["/healthz", "/readyz"] {
        assert_eq!(ask_network("GET", open).await.status, 200, "{open}");
    }
    let style = front.text().split('"').find(|text| text.ends_with("fieldtape.css")).unwrap();
    assert_eq!(ask_network("GET", style).await.status, 200);
    assert_eq!(office.trail(), [""; 0]);
}

#[tokio::test]
async fn the_command_lines_socket_serves_the_api_alone_and_asks_for_no_name() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.settle(Settlement::Never { why: "it broke".to_owned() }).await;
    let admin = crate::web::admin::router(office.state.clone());
    let calls = ask(&admin, Request::get("/api/v1/calls").body(Body::empty()).unwrap()).await;
    assert_eq!(calls.json()["calls"][0]["call_sid"], sid(1).as_str());
    let retry = Request::post(format!("/api/v1/calls/{}/retry", sid(1))).body(Body::empty());
    assert_eq!(ask(&admin, retry.unwrap()).await.status, 202);
    assert_eq!(office.trail(), ["local retry transcript"]);
    assert_eq!(ask(&admin, get("/").body(Body::empty()).unwrap()).await.status, 404);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let office = Office::new().await;
    let body = Body::from(vec![b' '; 64 * 1024 + 1]);
    let retry =
        request("POST", "/api/v1/calls/{call_sid}/retry", "localhost").header("x-fieldtape", "1");
    assert_eq!(office.ask(retry.body(body).unwrap()).await.status, 413);
}

#[tokio::test]
async fn assets_are_kept_for_good_under_the_name_of_their_content_only() {
    let office = Office::new().await;
    let front = office.get("/").await;
    for name in ["fieldtape.css", "fieldtape.js", "icon.svg"] {
        let path = front.text().split('"').find(|text| text.ends_with(name)).unwrap();
        let asset = office.get(path).await;
        assert_eq!(asset.status, 200);
        assert!(asset.header("cache-control").contains("immutable"), "{path}");
        let old = office.get(&format!("/assets/0123456789abcdef/{name}")).await;
        assert_eq!((old.status.as_u16(), old.header("cache-control")), (200, "no-cache"));
        assert_eq!(old.body, asset.body);
    }
    office.get("/assets/0123456789abcdef/secrets.txt").await.problem(404);
}
