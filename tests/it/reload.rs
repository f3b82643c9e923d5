//! What a reload changes while calls go on, and what it says about the rest.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use fieldtape::simulate::cloud::Endpoint;
use rustix::process::Signal;

use crate::support::{
    Appliance, Form, Home, Socket, eventually, fresh_call_sid, noise, twilio_api,
};

/// Has the appliance read its settings again, and returns what it says to that.
async fn reload(appliance: &Appliance, event: &str) -> String {
    let before = appliance.log().lines_with(&[event]).len();
    appliance.signal(Signal::HUP);
    eventually("it was read again", async || {
        appliance.log().lines_with(&[event]).into_iter().nth(before)
    })
    .await
}

#[tokio::test]
async fn everything_but_the_ports_and_the_data_folder_changes_while_a_call_goes_on() {
    let home = Home::new();
    let appliance = home.start().await;
    let call_sid = fresh_call_sid();
    let mut socket = Socket::begin(&appliance, &call_sid, None).await;
    socket.both(0, &noise(1, 200), &noise(2, 200)).await;
    appliance.log().await_line(&["stream.started"]).await;
    let said = reload(&appliance, "config.reloaded").await;
    assert!(!said.contains("restart"), "{said}");

    // Twilio moves to where it answers, there is an archive, and less is kept of each call.
    let cloud = twilio_api().await;
    let elsewhere = home.path().join("elsewhere");
    let _home = home
        .with("twilio.api_url", cloud.url())
        .with("twilio.cloud_recording", "rest")
        .with("recording.rates_hz", vec![8000])
        .with("recording.sync_every", "200ms")
        .with("recording.min_free", "1000000GiB")
        .with("transcription.model", "another")
        .with("archive.url", "s3://office")
        .with("archive.endpoint", "http://127.0.0.1:9")
        .with("archive.access_key_id", "a")
        .with("archive.secret_access_key", "s")
        .with("server.max_calls", 2)
        .with("server.lan_listen", "127.0.0.1:1")
        .with("server.data_dir", elsewhere.to_str().unwrap());
    let said = reload(&appliance, "config.reloaded").await;
    assert!(said.contains("but for server.lan_listen, server.data_dir"), "{said}");
    eventually("Twilio is asked at its new address", async || {
        (!cloud.requests_for(Endpoint::Calls).is_empty()).then_some(())
    })
    .await;
    eventually("the new model and the new limit are looked at", async || {
        let health = appliance.api("/health").await.to_string();
        (health.contains("another") && health.contains("recording.min_free")).then_some(())
    })
    .await;
    let status = appliance.api("/queue").await.to_string();
    assert!(status.contains("\"up\""), "the page asks the link that is used: {status}");

    let second = fresh_call_sid();
    let mut other = Socket::begin(&appliance, &second, None).await;
    other.both(0, &noise(5, 200), &noise(6, 200)).await;
    eventually("both are heard", async || {
        (appliance.log().lines_with(&["stream.started"]).len() == 2).then_some(())
    })
    .await;
    let third = appliance.twilio().voice(&Form::voice(&fresh_call_sid())).await;
    assert!(!third.contains("<Stream"), "max_calls is 2 now: {third}");

    socket.both(200, &noise(3, 200), &noise(4, 200)).await;
    socket.stop().await;
    other.stop().await;
    let ledger = appliance.ledger();
    appliance.stop().await;
    let tracks = ledger.tracks(&call_sid);
    assert!(tracks.len() == 4 && tracks[0].samples == 3200, "as it began: {tracks:?}");
    assert_eq!(ledger.gaps(&call_sid), []);
    let tracks = ledger.tracks(&second);
    assert!(tracks.len() == 2 && tracks[0].samples == 1600, "as it is now: {tracks:?}");
}

#[tokio::test]
async fn a_data_folder_that_was_written_down_wrongly_is_taken_without_a_restart() {
    let home = Home::new().with("server.data_dir", "/proc/fieldtape");
    let home = home.with("server.admin_socket", "/proc/fieldtape/admin.sock");
    let appliance = home.start_degraded().await;
    appliance.log().await_line(&["event=\"degraded\""]).await;
    let folder = home.path().join("data");
    let home = home.with("server.data_dir", folder.to_str().unwrap());
    let home = home.without("server.admin_socket");
    reload(&appliance, "config.reloaded").await;
    appliance.await_ready().await;
    assert!(folder.join("fieldtape.db").exists());
    assert_eq!(home.run(&["status"]).await.code, Some(0));
}

/// Listens as systemd does until it has heard READY so often.
async fn until_ready(systemd: &UnixDatagram, heard: &mut Vec<String>, count: usize) {
    eventually("systemd is told", async || {
        let mut message = [0; 4096];
        while let Ok(length) = systemd.recv(&mut message) {
            let text = std::str::from_utf8(&message[..length]).unwrap();
            heard.extend(text.lines().map(str::to_owned));
        }
        (heard.iter().filter(|line| *line == "READY=1").count() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn systemd_hears_when_a_reload_begins_and_when_it_is_over() {
    let home = Home::new();
    let path = home.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_nonblocking(true).unwrap();
    let mut command = Command::new("/usr/bin/env");
    command.env_clear().current_dir(home.path()).stdin(Stdio::null());
    command.arg(format!("NOTIFY_SOCKET={}", path.display()));
    let appliance = home.start_by(command).await;
    appliance.await_ready().await;
    let mut heard = Vec::new();
    until_ready(&systemd, &mut heard, 1).await;
    let home = home.with("server.max_calls", "many");
    reload(&appliance, "config.refused").await;
    until_ready(&systemd, &mut heard, 2).await;
    let _home = home.with("server.max_calls", 4);
    reload(&appliance, "config.reloaded").await;
    until_ready(&systemd, &mut heard, 3).await;
    let beside = ["WATCHDOG", "STATUS", "EXTEND_TIMEOUT_USEC"];
    heard.retain(|line| !beside.iter().any(|begins| line.starts_with(begins)));
    let [ready, first @ .., _, _] = heard.as_slice() else { panic!("{heard:?}") };
    let [reloading, monotonic, done, again] = first else { panic!("{heard:?}") };
    assert_eq!(
        [ready, reloading, done, again],
        ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1"]
    );
    let since_boot: u64 = monotonic.strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!(since_boot > 0);
    appliance.stop().await;
}
