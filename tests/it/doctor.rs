//! `fieldtape doctor`, the health of the API and of the page: the same checks, told truly.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use fieldtape::clock::SystemClock;
use fieldtape::simulate::cloud::{Cloud, CloudOptions};
use fieldtape::twilio::door::PublicUrl;
use fieldtape::twilio::signature::AuthToken;
use serde_json::Value;

use crate::support::{
    ACCOUNT, Answer, Flaw, Form, Home, PUBLIC_URL, S3, TOKEN, Tunnel, eventually, fresh_call_sid,
};

/// Twilio's API, to which this token is the right one.
async fn api(token: &str) -> Cloud {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = CloudOptions {
        account_sid: ACCOUNT.parse().unwrap(),
        auth_token: AuthToken::new(token).unwrap(),
        api_key: None,
        public_url: PublicUrl::parse(PUBLIC_URL).unwrap(),
        clock: std::sync::Arc::new(SystemClock),
        seed: 5,
    };
    Cloud::serve(listener, options).unwrap()
}

/// What was told of each check: state, what was seen, what to do.
fn told(answer: &Answer) -> BTreeMap<String, (String, String, String)> {
    let report: Value = serde_json::from_str(&answer.out).unwrap_or_else(|_| panic!("{answer:?}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().unwrap().iter().map(|check| {
        (text(&check["name"]), (text(&check["state"]), text(&check["detail"]), text(&check["fix"])))
    });
    checks.collect()
}

#[track_caller]
fn is(told: &BTreeMap<String, (String, String, String)>, name: &str, state: &str, part: &str) {
    let check = &told[name];
    assert!(check.0 == state && check.1.contains(part), "{name}: {check:?}");
}

#[tokio::test]
async fn a_box_that_is_well_and_can_be_called_has_nothing_that_fails() {
    let (tunnel, api, s3) = (Tunnel::open(Flaw::None).await, api(TOKEN).await, S3::start().await);
    let home = s3.archive_of(
        Home::with_speech()
            .with("server.public_url", tunnel.url())
            .with("twilio.api_url", api.url()),
    );
    // The token is in it.
    let mine = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(home.config_file(), mine).unwrap();
    let appliance = home.start().await;
    tunnel.lead_to(appliance.door());
    eventually("the link was tried", async || {
        let health = appliance.api("/health").await;
        let checks = health["checks"].as_array().unwrap();
        checks.iter().any(|check| check["name"] == "link" && check["state"] == "ok").then_some(())
    })
    .await;
    let answer = tunnel.run(&home, &["doctor", "--json"]).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let seen = told(&answer);
    for (name, part) in [
        ("configuration", "config.toml"),
        ("daemon", "is running"),
        ("account", "are set"),
        ("consent", "are told"),
        ("signatures", "signed"),
        ("credentials", "twilio.auth_token in"),
        ("disk", "takes recordings"),
        ("space", "free"),
        ("ledger", "takes changes"),
        ("sync", "safe"),
        ("integrity", "whole"),
        ("twilio", "credentials are good"),
        ("archive", "shows it back"),
        ("link", "reached"),
        ("work", "nothing has failed"),
        ("queue", "goes on"),
        ("retention", "what is to go goes"),
        ("backup", "nothing to save"),
    ] {
        is(&seen, name, "ok", part);
    }
    // Only that it leads no further than to this machine is wrong with it.
    is(&seen, "public_url", "warn", "leads here: webhook and stream, signed, certificate for");
    is(&seen, "public_url", "warn", "only from this machine");
    if cfg!(feature = "whisper") {
        is(&seen, "model", "ok", "tiny.en-q8_0 is there and whole");
        is(&seen, "speech", "ok", "it answers");
    }
    for name in ["clock", "speed", "wear", "power", "temperature", "journal"] {
        assert!(seen.contains_key(name), "{name}: {answer:?}");
    }
    let lines = tunnel.run(&home, &["doctor"]).await;
    assert_eq!(lines.out.lines().count(), seen.len(), "one line a check: {lines:?}");
    assert!(!answer.out.contains(TOKEN) && !lines.out.contains(TOKEN));
    appliance.stop().await;
}

#[tokio::test]
async fn without_an_appliance_the_rest_is_looked_at_and_what_was_not_seen_is_told() {
    let files = [("cert", "/nowhere/cert.pem"), ("key", "/nowhere/key.pem")];
    let files: toml::Table =
        files.into_iter().map(|(name, path)| (name.to_owned(), path.into())).collect();
    let home = Home::new().with("consent.announcement", "").with("server.twilio_tls", files);
    let answer = home.run(&["doctor", "--json"]).await;
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let seen = told(&answer);
    is(&seen, "daemon", "fail", "does not answer");
    is(&seen, "disk", "ok", "takes recordings");
    is(&seen, "consent", "warn", "are not told");
    is(&seen, "credentials", "warn", "anybody on this box can read twilio.auth_token");
    is(&seen, "twilio", "warn", "cannot be reached");
    is(&seen, "public_url", "fail", "a name for examples");
    is(&seen, "twilio certificate", "fail", "/nowhere/cert.pem");
    for name in ["ledger", "sync", "link", "work"] {
        is(&seen, name, "unknown", "only a running fieldtape can tell");
    }
    let failed = seen.values().filter(|check| check.0 == "fail").count();
    assert!(answer.err.contains(&format!("{failed} checks fail")), "{answer:?}");
    let silent = seen.values().filter(|check| check.0 == "fail" || check.0 == "warn");
    assert!(silent.clone().count() > 3 && silent.into_iter().all(|check| !check.2.is_empty()));

    let broken = home.with("server.max_calls", 0).with("server.lan_listem", "x");
    let answer = broken.run(&["doctor", "--json"]).await;
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let seen = told(&answer);
    is(&seen, "configuration", "fail", "server.max_calls");
    is(&seen, "configuration", "fail", "lan_listem");
    is(&seen, "daemon", "unknown", "was not asked");
}

#[tokio::test]
async fn whatever_is_wrong_with_the_way_in_is_told_apart() {
    let api = api("another-token").await;
    let home = Home::new().with("twilio.api_url", api.url());
    let (expired, deaf) =
        (Tunnel::open(Flaw::Expired).await, Tunnel::open(Flaw::DeafToStreams).await);
    let home = home.with("server.public_url", deaf.url());
    let (appliance, other) =
        (home.start().await, Home::new().with("server.public_url", deaf.url()));
    let other = other.start().await;

    let seen = told(&deaf.run(&home, &["doctor", "--json"]).await);
    is(&seen, "public_url", "fail", "something else answers there (HTTP 502)");
    is(&seen, "twilio", "fail", "does not accept the credentials");
    deaf.lead_to(appliance.door());
    let seen = told(&deaf.run(&home, &["doctor", "--json"]).await);
    is(&seen, "public_url", "fail", "media streams do not (HTTP 502)");
    assert!(seen["public_url"].2.contains("WebSockets"));
    deaf.lead_to(other.door());
    let seen = told(&deaf.run(&home, &["doctor", "--json"]).await);
    is(&seen, "public_url", "fail", "another fieldtape with the same token");

    // Nothing that was asked of the doors has left a trace in the ledger.
    assert!(appliance.api("/calls").await["calls"].as_array().unwrap().is_empty());
    let form = Form::voice(&fresh_call_sid());
    let unsigned = appliance.twilio().post_signed("/twilio/round-trip", &form, None).await;
    assert_eq!(unsigned.status(), 403);
    let without_nonce = appliance.twilio().post("/twilio/round-trip", &form).await;
    assert_eq!(without_nonce.status(), 403, "it is signed over another address");

    let home = home.with("server.public_url", expired.url());
    expired.lead_to(appliance.door());
    let seen = told(&expired.run(&home, &["doctor", "--json"]).await);
    is(&seen, "public_url", "fail", "the certificate there is not good");
    let untrusted = told(&home.run(&["doctor", "--json"]).await);
    is(&untrusted, "public_url", "fail", "certificate");

    // The address that is signed here is not the one that the appliance knows.
    let trusting = home.with("server.public_url", deaf.url().replace("localhost", "LOCALHOST"));
    deaf.lead_to(appliance.door());
    let seen = told(&deaf.run(&trusting, &["doctor", "--json"]).await);
    is(&seen, "public_url", "fail", "its signature was not accepted");
    appliance.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn the_api_the_page_and_status_tell_the_same_checks() {
    let home = Home::new().with("consent.announcement", "");
    let appliance = home.start().await;
    let health = eventually("everything was looked at once", async || {
        let health = appliance.api("/health").await;
        (health["checks"].as_array().unwrap().len() > 10).then_some(health)
    })
    .await;
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(health["instance"].as_str().unwrap().len(), 32);
    let page = appliance.get("/health").await.text().await.unwrap();
    let checks = health["checks"].as_array().unwrap();
    for check in checks {
        let name = check["name"].as_str().unwrap();
        assert!(page.contains(&format!("<strong>{name}</strong>")), "{name}: {page}");
    }
    let counted: u64 =
        health["tally"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(counted, checks.len() as u64);
    let status = home.run(&["status", "--json"]).await.json();
    let summary = &status["summary"];
    assert_eq!((&summary["ready"], &summary["version"]), (&true.into(), &health["version"]));
    assert!(summary["troubles"].as_array().unwrap().contains(&"consent".into()), "{status}");
    assert!(status["health"]["checks"].is_array() && status["queue"]["stages"].is_array());
    appliance.stop().await;
}

#[tokio::test]
async fn an_appliance_without_its_data_folder_says_so_to_the_command_line() {
    let home = Home::new();
    let socket = home.path().join("admin.sock");
    let home = home.with("server.admin_socket", socket.to_str().unwrap());
    std::fs::remove_dir(home.data_dir()).unwrap();
    std::fs::write(home.data_dir(), "a file is in its place").unwrap();
    let appliance = home.start_degraded().await;
    let status = eventually("it answers at its socket", async || {
        let status = home.run(&["status", "--json"]).await;
        // What takes no calls is no success.
        (status.code == Some(1)).then(|| serde_json::from_str::<Value>(&status.out).ok())?
    })
    .await;
    assert_eq!((&status["summary"]["status"], &status["queue"]), (&"fail".into(), &Value::Null));
    let answer = home.run(&["doctor", "--json"]).await;
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let seen = told(&answer);
    is(&seen, "daemon", "ok", "is running");
    is(&seen, "disk", "fail", "nothing can be recorded here");
    drop(appliance);
}
