//! What still works when the data folder, the disk or the model does not.

use std::process::Command;

use fieldtape::simulate::Sound;
use rustix::process::Signal;

use crate::support::{
    Appliance, Connected, Form, Home, fresh_call_sid, fresh_recording_sid, noise,
};

/// A call is answered, announced, recorded at Twilio and connected; nothing else is promised, and
/// nothing is hidden.
async fn still_answers(appliance: &Appliance) {
    let twilio = appliance.twilio();
    let call_sid = fresh_call_sid();
    let text = twilio.voice(&Form::voice(&call_sid)).await;
    let document = roxmltree::Document::parse(&text).unwrap();
    let verbs: Vec<_> = document.root_element().children().collect();
    let names: Vec<&str> = verbs.iter().map(|verb| verb.tag_name().name()).collect();
    assert_eq!(names, ["Say", "Start", "Dial"], "{text}");
    assert!(verbs[1].first_element_child().unwrap().has_tag_name("Recording"), "{text}");

    // Twilio sends again what was not taken.
    let recording = Form::recording(&call_sid, &fresh_recording_sid(), "completed");
    for (path, form) in [
        ("/twilio/status", Form::progress(&call_sid, "completed")),
        ("/twilio/recording-status", recording),
    ] {
        assert_eq!(twilio.post(path, &form).await.status(), 503, "{path}");
        assert_eq!(twilio.post_signed(path, &form, None).await.status(), 403, "{path}");
    }
    let upgrade = twilio.sign_upgrade("/twilio/media-stream");
    let Connected::Refused(503) = Connected::with(appliance.door(), Some(&upgrade)).await else {
        panic!("a stream was taken that cannot be recorded");
    };

    assert_eq!(appliance.get("/readyz").await.status(), 503);
    let page = appliance.get("/").await;
    assert_eq!(page.status(), 503);
    assert!(page.text().await.unwrap().contains("nothing can be recorded here"));
    let api = appliance.get("/api/v1/health").await;
    assert_eq!(api.headers()["content-type"], "application/problem+json");
    appliance.log().await_line(&["event=\"degraded\""]).await;
    assert_eq!(appliance.log().lines_with(&["event=\"degraded\""]).len(), 1, "loud, and once");
}

async fn records_again(appliance: &Appliance) {
    appliance.await_ready().await;
    appliance.log().await_line(&["event=\"recovered\""]).await;
    let sound = Sound::stereo(noise(1, 400), noise(2, 400));
    let report = appliance.play(sound, |_| {}).await;
    assert_eq!(report.troubles, []);
    appliance.await_recorded(&report.call_sid).await;
}

#[tokio::test]
async fn without_a_data_folder_calls_are_answered_until_there_is_one() {
    let home = Home::new();
    std::fs::remove_dir(home.data_dir()).unwrap();
    std::fs::write(home.data_dir(), "where the folder should be").unwrap();
    let socket = home.path().join("admin.sock");
    let home = home.with("server.admin_socket", socket.to_str().unwrap());
    let appliance = home.start_degraded().await;
    still_answers(&appliance).await;
    for args in [&["status"][..], &["calls", "ls"], &["calls", "ls", "--json"]] {
        let answer = home.run(args).await;
        assert_eq!(answer.code, Some(1), "{answer:?}");
        assert!(answer.err.contains("nothing can be recorded here"), "{answer:?}");
        assert!(answer.err.contains("server.data_dir"), "it says what to do: {answer:?}");
    }
    std::fs::remove_file(home.data_dir()).unwrap();
    records_again(&appliance).await;
    assert_eq!(home.run(&["status"]).await.code, Some(0));
    appliance.stop().await;
}

#[tokio::test]
async fn a_data_folder_where_none_can_be_is_no_reason_to_stop() {
    let home = Home::new().with("server.data_dir", "/proc/fieldtape");
    let mut appliance = home.start_degraded().await;
    still_answers(&appliance).await;
    appliance.signal(Signal::TERM);
    assert_eq!(appliance.ended().await.code(), Some(0));
}

/// Runs the appliance with a file system of its own over the data folder, which `break_it` breaks
/// before and `repair` heals when a file `repair` appears beside it.
async fn on_a_disk_of_its_own(home: &Home, break_it: &str, repair: &str) -> Appliance {
    let script = format!(
        r#"mount -t tmpfs -o size=8m tmpfs "$DATA" && {{ {break_it}; }} || exit 99
        (for _ in $(seq 1200); do
            if [ -e "$HOME/repair" ]; then {repair}; exit; fi; sleep 0.1
        done) >/dev/null 2>&1 </dev/null &
        exec "$@""#
    );
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-c", &script, "sh"]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("DATA", home.data_dir()).env("HOME", home.path());
    command.current_dir(home.path());
    home.start_by(command).await
}

#[tokio::test]
async fn on_a_full_disk_calls_are_answered_until_there_is_room() {
    let home = Home::new();
    let break_it = r#"head -c 9000000 /dev/zero > "$DATA/filler" || true"#;
    let mut appliance = on_a_disk_of_its_own(&home, break_it, r#"rm "$DATA/filler""#).await;
    still_answers(&appliance).await;
    std::fs::write(home.path().join("repair"), "").unwrap();
    records_again(&appliance).await;
    appliance.signal(Signal::TERM);
    assert_eq!(appliance.ended().await.code(), Some(0));
}

#[tokio::test]
async fn on_a_read_only_disk_calls_are_answered_until_it_can_be_written() {
    let home = Home::new();
    let break_it = r#"mount -o remount,ro "$DATA""#;
    let repair = r#"mount -o remount,rw "$DATA""#;
    let mut appliance = on_a_disk_of_its_own(&home, break_it, repair).await;
    still_answers(&appliance).await;
    std::fs::write(home.path().join("repair"), "").unwrap();
    records_again(&appliance).await;
    appliance.signal(Signal::TERM);
    assert_eq!(appliance.ended().await.code(), Some(0));
}

#[cfg(feature = "whisper")]
mod without_a_model {
    use fieldtape::domain::Party;

    use super::*;
    use crate::support::{asset_sound, eventually, root};

    #[tokio::test]
    async fn calls_are_recorded_and_their_words_wait_for_it() {
        let home = Home::new();
        let appliance = home.start().await;
        let call = asset_sound("service-call.wav");
        let first_seconds = |party| call.of(party)[..24_000].to_vec();
        let sound = Sound::stereo(first_seconds(Party::Agent), first_seconds(Party::Technician));
        let report = appliance.play(sound, |options| options.speed = 4.0).await;
        let call_sid = &report.call_sid;
        appliance.await_recorded(call_sid).await;
        let waiting = eventually("the words wait", async || {
            let call = home.ledger().call(call_sid).unwrap();
            call.waiting_for.is_some().then_some(call)
        })
        .await;
        assert_eq!(waiting.waiting_for.as_deref(), Some("model"));
        assert_eq!(waiting.transcript_status, "pending");
        assert!(waiting.last_error.unwrap().contains("tiny.en-q8_0"), "it says what to do");
        let health = appliance.api("/health").await.to_string();
        assert!(health.contains("tiny.en-q8_0"), "{health}");
        assert_eq!(appliance.get("/readyz").await.status(), 200, "calls are recorded all the same");

        let models = home.data_dir().join("models");
        std::fs::create_dir_all(&models).unwrap();
        for name in ["ggml-silero-v6.2.3.bin", "ggml-tiny.en-q8_0.bin"] {
            std::fs::copy(root().join("models").join(name), models.join(name)).unwrap();
        }
        // A person need not wait for the next look.
        let retried = home.run(&["retry", call_sid.as_str()]).await;
        assert_eq!(retried.code, Some(0), "{retried:?}");
        eventually("the words are written down", async || {
            (home.ledger().call(call_sid).unwrap().transcript_status == "completed").then_some(())
        })
        .await;
        let shown = home.run(&["calls", "show", call_sid.as_str()]).await;
        assert_eq!(shown.code, Some(0), "{shown:?}");
        appliance.stop().await;
    }
}
