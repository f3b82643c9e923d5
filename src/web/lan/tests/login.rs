//! Who may do what: every route of the router times everybody who may come.

use super::super::routes::Route;
use super::doors::{on_network, request, routes};
use super::*;
use crate::access::NewUser;

const PASSWORD: &str = "two vans and a ladder";
const HOST: &str = "depot:8080";
const OURS: (&str, &str) = ("origin", "http://depot:8080");

/// A browser with a session.
#[derive(Clone)]
struct Browser {
    cookie: String,
    form_key: String,
}

impl Office {
    async fn add_user(&self, name: &str, role: Role) {
        let password = PASSWORD.to_owned();
        let user = NewUser { name: name.parse().unwrap(), role, password };
        self.state.access.add_user(user).await.unwrap();
    }

    /// Logs in as a person does: by the form.
    async fn log_in(&self, page: &Router, name: &str) -> Browser {
        let form = format!("name={name}&password={}&next=%2Faccount", PASSWORD.replace(' ', "+"));
        let entered = ask(page, sent("POST", "/login", &[OURS], &form)).await;
        assert_eq!((entered.status.as_u16(), entered.header("location")), (303, "/account"));
        let cookie = entered.header("set-cookie");
        assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mine = ask(page, sent("GET", "/account", &[("cookie", &cookie)], "")).await;
        let (_, rest) = mine.text().split_once("name=\"form_key\" value=\"").unwrap();
        Browser { form_key: rest.split('"').next().unwrap().to_owned(), cookie }
    }
}

fn sent(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let request = request(method, path, HOST);
    let add = |request: axum::http::request::Builder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    headers.iter().fold(request, add).body(Body::from(body.to_owned())).unwrap()
}

#[tokio::test]
async fn every_route_asks_who_it_is_and_what_they_may_do() {
    let office = Office::new().await;
    office.finished_call(1).await;
    for role in Role::ALL {
        office.add_user(role.as_str(), *role).await;
    }
    let page = on_network(&office);
    let mut tokens = Vec::new();
    for role in Role::ALL {
        let name = format!("t-{role}").parse().unwrap();
        let token = office.state.access.make_token(&name, *role, None).await.unwrap();
        tokens.push((*role, format!("Bearer {}", token.reveal())));
    }
    for Route { method, path, role: needed } in routes() {
        let method = method.as_str();
        let nobody = ask(&page, sent(method, path, &[OURS], "")).await.status.as_u16();
        let expected = if method == "GET" && !path.starts_with("/api/") { 303 } else { 401 };
        assert_eq!(nobody, expected, "{method} {path} by nobody");
        let stranger = [OURS, ("authorization", "Bearer fieldtape_no")];
        let stranger = ask(&page, sent(method, path, &stranger, "")).await.status.as_u16();
        assert!([401, 429].contains(&stranger), "{method} {path} with a token of nobody");
        for (role, token) in &tokens {
            let by = ask(&page, sent(method, path, &[OURS, ("authorization", token)], "")).await;
            let is_refused = by.status == 403 && by.text().contains("role");
            assert_eq!(is_refused, *role < needed, "{method} {path} by {role}: {}", by.status);
            assert!(is_refused || by.status != 401, "{method} {path} by {role}");
        }
    }
}

#[tokio::test]
async fn every_change_by_a_browser_carries_the_key_of_its_session() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.add_user("maria", Role::Admin).await;
    office.add_user("eve", Role::Admin).await;
    let page = on_network(&office);
    let (maria, eve) = (office.log_in(&page, "maria").await, office.log_in(&page, "eve").await);
    let changes = routes().into_iter().filter(|route| route.method != "GET");
    for Route { method, path, .. } in changes.filter(|route| route.path != "/logout") {
        let method = method.as_str();
        let cookie = ("cookie", maria.cookie.as_str());
        let theirs = format!("form_key={}", eve.form_key);
        for body in ["", "form_key=", &theirs] {
            let forged = ask(&page, sent(method, path, &[OURS, cookie], body)).await;
            assert_eq!(forged.status, 403, "{method} {path} with {body:?}");
            assert!(
                forged.text().contains("form is out of date")
                    || forged.text().contains("stale-form")
            );
        }
        let header = [OURS, cookie, ("x-form-key", maria.form_key.as_str())];
        let own = ask(&page, sent(method, path, &header, "")).await;
        let refused = ["stale-form", "form is out of date", "Nobody is logged in"];
        let text = String::from_utf8_lossy(&own.body);
        assert!(!refused.iter().any(|refused| text.contains(refused)), "{method} {path}: {text}");
    }
}

#[tokio::test]
async fn a_form_goes_through_with_its_key_in_it_and_says_who_sent_it() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.settle(Settlement::Never { why: "it broke".to_owned() }).await;
    office.add_user("maria", Role::Operator).await;
    let page = on_network(&office);
    let maria = office.log_in(&page, "maria").await;
    let cookie = ("cookie", maria.cookie.as_str());
    let body = format!("stage=transcript&form_key={}", maria.form_key);
    let path = "/calls/{call_sid}/retry";
    let retried = ask(&page, sent("POST", path, &[OURS, cookie], &body)).await;
    assert_eq!(retried.status, 303);
    assert_eq!(office.trail(), ["maria login ", "maria retry transcript"]);
    let shown = ask(&page, sent("GET", "/calls/{call_sid}", &[cookie], "")).await;
    assert!(shown.text().contains("maria"), "who is logged in");
}

#[tokio::test]
async fn a_session_that_has_ended_leads_back_to_the_login_and_then_on() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.add_user("maria", Role::Viewer).await;
    let page = on_network(&office);
    let maria = office.log_in(&page, "maria").await;
    let cookie = ("cookie", maria.cookie.as_str());
    let wanted = sent("GET", "/queue?x=1", &[cookie], "");
    assert_eq!(ask(&page, wanted).await.status, 200);
    office.clock.advance(Duration::from_hours(13));
    let late = ask(&page, sent("GET", "/queue?x=1", &[cookie], "")).await;
    assert_eq!(
        (late.status.as_u16(), late.header("location")),
        (303, "/login?next=%2Fqueue%3Fx%3D1")
    );
    ask(&page, sent("GET", "/api/v1/calls", &[cookie], "")).await.problem(401);
    let maria = office.log_in(&page, "maria").await;
    let out = [OURS, ("cookie", maria.cookie.as_str()), ("x-form-key", maria.form_key.as_str())];
    let left = ask(&page, sent("POST", "/logout", &out, "")).await;
    assert!(left.header("set-cookie").contains("Max-Age=0"), "{}", left.header("set-cookie"));
    let after = sent("GET", "/api/v1/calls", &[("cookie", &maria.cookie)], "");
    ask(&page, after).await.problem(401);
}

#[tokio::test]
async fn a_wrong_password_is_told_on_the_form_and_too_many_have_to_wait() {
    let office = Office::new().await;
    office.add_user("maria", Role::Viewer).await;
    let page = on_network(&office);
    let body = "name=%3Cb%3Emaria&password=something+else&next=//evil.example";
    for _ in 0..10 {
        let wrong = ask(&page, sent("POST", "/login", &[OURS], body)).await;
        assert_eq!(wrong.status, 401);
        assert!(wrong.text().contains("check the name"), "{}", wrong.text());
        assert!(!wrong.text().contains("<b>maria") && !wrong.text().contains("evil"));
    }
    assert_eq!(ask(&page, sent("POST", "/login", &[OURS], body)).await.status, 429);
    let foreign = [("origin", "http://evil.example")];
    ask(&page, sent("POST", "/login", &foreign, body)).await.problem(403);
}

#[tokio::test]
async fn the_first_user_is_made_with_the_code_and_then_everybody_logs_in() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let page = on_network(&office);
    let on_the_box = office.page.clone();
    assert_eq!(ask(&page, sent("GET", "/login", &[], "")).await.header("location"), "/");
    let form = |code: &str, again: &str| {
        format!("code={code}&name=maria&password=two+vans+and+a+ladder&password_again={again}")
    };
    let wrong = form("0000000000", "two+vans+and+a+ladder");
    let wrong = ask(&page, sent("POST", "/first-run", &[OURS], &wrong)).await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.text().contains("value=\"maria\""), "what was typed stays");
    let admin = crate::web::admin::router(office.state.clone());
    let made = Request::post("/api/v1/users/first").body(Body::empty()).unwrap();
    let code = ask(&admin, made).await.json()["code"].as_str().unwrap().to_owned();
    let apart = ask(&page, sent("POST", "/first-run", &[OURS], &form(&code, "three"))).await;
    assert_eq!(apart.status, 422);
    let right = form(&code, "two+vans+and+a+ladder");
    let entered = ask(&page, sent("POST", "/first-run", &[OURS], &right)).await;
    assert_eq!((entered.status.as_u16(), entered.header("location")), (303, "/"));
    assert_eq!(office.trail(), ["maria user.add maria"]);
    let closed = ask(&on_the_box, get("/api/v1/calls").body(Body::empty()).unwrap()).await;
    closed.problem(401);
    let again = ask(&page, sent("POST", "/first-run", &[OURS], &right)).await;
    assert_eq!(again.header("location"), "/");
}
