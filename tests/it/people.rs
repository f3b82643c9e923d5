//! Who may come in: made on the box by the command line, asked for on the page.

use std::fs::File;
use std::process::Stdio;

use crate::support::{Answer, Home, fieldtape};

const PASSWORD: &str = "two vans and a ladder";

/// Runs a command with a password on its standard input.
async fn with_password(home: &Home, args: &[&str], password: &str) -> Answer {
    let file = home.path().join("password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    let mut command = fieldtape(home.path());
    command.arg("-c").arg(home.config_file()).args(args).arg("--password-stdin");
    command.stdin(Stdio::from(File::open(file).unwrap()));
    Answer::of(command).await
}

#[tokio::test]
async fn from_the_first_user_on_everybody_logs_in_and_programs_show_a_token() {
    let home = Home::new();
    let appliance = home.start().await;
    assert_eq!(appliance.get("/api/v1/calls").await.status(), 200, "nobody can log in yet");
    let made = with_password(&home, &["user", "add", "maria", "--role", "admin"], PASSWORD).await;
    assert_eq!(
        (made.code, made.out.as_str()),
        (Some(0), "maria may log in as admin\n"),
        "{made:?}"
    );
    assert_eq!(appliance.get("/api/v1/calls").await.status(), 401);
    assert_eq!(home.run(&["calls", "ls"]).await.code, Some(0), "the box itself asks nobody");

    let token = home.run(&["token", "create", "wallboard", "--days", "30"]).await;
    let token = token.out.trim().to_owned();
    let client = reqwest::Client::new();
    let shown = async |method: reqwest::Method, path: &str| {
        let url = format!("http://{}{path}", appliance.lan());
        client.request(method, url).bearer_auth(&token).send().await.unwrap().status().as_u16()
    };
    assert_eq!(shown(reqwest::Method::GET, "/api/v1/calls").await, 200);
    assert_eq!(shown(reqwest::Method::GET, "/api/v1/users").await, 403, "a viewer's");
    assert_eq!(shown(reqwest::Method::DELETE, "/api/v1/users/maria").await, 403);
    let tokens = home.run(&["token", "ls"]).await;
    assert!(tokens.out.contains("wallboard  viewer") && !tokens.out.contains(&token), "{tokens:?}");
    assert_eq!(home.run(&["token", "revoke", "wallboard"]).await.code, Some(0));
    assert_eq!(shown(reqwest::Method::GET, "/api/v1/calls").await, 401);

    let told: String = appliance.log().text();
    assert!(!told.contains(PASSWORD) && !told.contains(&token));
    appliance.stop().await;
    let again = home.start().await;
    assert_eq!(again.get("/api/v1/calls").await.status(), 401, "after a restart too");
    again.stop().await;
}

#[tokio::test]
async fn what_would_lock_everybody_out_or_is_soon_guessed_is_refused() {
    let home = Home::new();
    let appliance = home.start().await;
    let code = home.run(&["user", "add", "--first"]).await;
    assert_eq!((code.code, code.out.trim().len()), (Some(0), 10), "{code:?}");
    let weak = with_password(&home, &["user", "add", "maria"], "short").await;
    assert_eq!(weak.code, Some(1));
    assert!(weak.err.contains("at least 10 characters"), "{weak:?}");
    let unasked = home.run(&["user", "add", "maria"]).await;
    assert_eq!(unasked.code, Some(64), "{unasked:?}");
    assert!(unasked.err.contains("--password-stdin"), "{unasked:?}");
    with_password(&home, &["user", "add", "maria", "--role", "admin"], PASSWORD).await;
    for (args, words) in [
        (&["user", "rm", "maria"][..], "only admin"),
        (&["user", "role", "maria", "viewer"], "only admin"),
        (&["user", "rm", "nobody"], "none of that name"),
        (&["user", "add", "--first"], "a user already"),
        (&["token", "revoke", "nobody"], "none of that name"),
        (&["token", "create", "a b"], "letters, digits"),
    ] {
        let refused = home.run(args).await;
        assert_eq!(refused.code, Some(1), "{args:?}: {refused:?}");
        assert!(refused.err.contains(words), "{args:?}: {refused:?}");
    }
    let twice = with_password(&home, &["user", "add", "MARIA"], PASSWORD).await;
    assert!(twice.err.contains("already"), "{twice:?}");
    with_password(&home, &["user", "add", "ole"], PASSWORD).await;
    let users = home.run(&["user", "ls"]).await;
    assert!(users.out.contains("maria  admin") && users.out.contains("ole    viewer"), "{users:?}");
    let changed = with_password(&home, &["user", "passwd", "ole"], "three vans and a boat").await;
    assert_eq!(changed.code, Some(0), "{changed:?}");
    appliance.stop().await;
}
