//! What signals do: stop in good order, stop at once, read the settings again.

use std::time::Duration;

use fieldtape::domain::CallSid;
use fieldtape::simulate::{self, Sound};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{
    Appliance, Form, Home, Socket, Twilio, asset_sound, decoded, eventually, fresh_call_sid, noise,
    read_wav, tone,
};

/// Rings with calls that go on until the set is dropped.
fn ring(appliance: &Appliance, sounds: &[Sound]) -> (Vec<CallSid>, JoinSet<()>) {
    let mut ringing = JoinSet::new();
    let calls = sounds.iter().map(|sound| {
        let options = appliance.call_options(|_| {});
        let (call_sid, sound) = (options.call_sid.clone(), sound.clone());
        ringing.spawn(async move {
            simulate::run(options, sound, CancellationToken::new()).await.unwrap();
        });
        call_sid
    });
    (calls.collect(), ringing)
}

async fn await_live(appliance: &Appliance, calls: usize) {
    eventually("the calls are live", async || {
        (appliance.log().lines_with(&["stream.started"]).len() == calls).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stop_seals_the_calls_in_progress_and_their_words_are_written_later() {
    let home = Home::with_speech();
    let mut appliance = home.start().await;
    // In one of them somebody speaks; what says nothing costs the speech model nothing.
    let hum = || Sound::stereo(tone(60_000), tone(60_000));
    let sounds = [asset_sound("service-call.wav"), hum(), hum(), hum()];
    let (calls, ringing) = ring(&appliance, &sounds);
    await_live(&appliance, 4).await;
    eventually("a second of each is on disk", async || {
        let (files, shortest) = parts(&home);
        (files == 16 && shortest > 16_000).then_some(())
    })
    .await;
    let asked = tokio::time::Instant::now();
    appliance.signal(Signal::TERM);
    let status = appliance.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    let ledger = home.ledger();
    ledger.check_against(&home.data_dir());
    drop(ringing);
    for (call_sid, sound) in calls.iter().zip(&sounds) {
        let call = ledger.call(call_sid).unwrap();
        assert_eq!(call.end_reason.as_deref(), Some("interrupted"));
        assert_eq!(call.recording_status, "completed");
        let tracks = ledger.tracks(call_sid);
        assert_eq!(tracks.len(), 4);
        assert_eq!(ledger.gaps(call_sid), []);
        for track in tracks.iter().filter(|track| track.rate_hz == 8000) {
            assert!(!track.salvaged, "sealed in good order");
            let heard = read_wav(&home.data_dir().join(&track.path), 8000);
            let sent = decoded(sound.of(track.party.parse().unwrap()));
            // The stop may fall between the two tracks' frames: then one ends in 20 ms of padding.
            let whole = heard.len() - 160;
            assert!(heard[..whole] == sent[..whole], "{track:?}");
        }
    }
    drop(appliance);
    let appliance = home.start().await;
    for call_sid in &calls {
        eventually("the words are written down", async || {
            let status = home.ledger().call(call_sid).unwrap().transcript_status;
            (status == "completed").then_some(())
        })
        .await;
    }
    appliance.stop().await;
}

/// Counts the files under way, and tells the size of the shortest.
fn parts(home: &Home) -> (usize, u64) {
    let parts = home.files_under_way();
    let sizes = parts.iter().map(|file| std::fs::metadata(file).map_or(0, |meta| meta.len()));
    (parts.len(), sizes.min().unwrap_or(0))
}

#[tokio::test]
async fn a_second_signal_stops_at_once_and_nothing_is_lost_by_it() {
    let home = Home::new();
    let mut appliance = home.start().await;
    let call_sid = fresh_call_sid();
    let token = appliance.twilio().announce(&call_sid).await;
    let mut socket = Socket::begin(&appliance, &call_sid, Some(&token)).await;
    let sound = noise(1, 600);
    socket.both(0, &sound, &sound).await;
    eventually("sound is on disk", async || (parts(&home).1 == 44 + 9600).then_some(())).await;
    appliance.signal(Signal::TERM);
    appliance.signal(Signal::INT);
    let status = appliance.ended().await;
    // Whether anything was left to be cut short is a matter of milliseconds.
    assert!(matches!(status.code(), Some(0 | 1)), "{status}");
    drop(appliance);
    let appliance = home.start().await;
    appliance.await_recorded(&call_sid).await;
    for track in home.ledger().tracks(&call_sid).iter().filter(|track| track.rate_hz == 8000) {
        assert_eq!(read_wav(&home.data_dir().join(&track.path), 8000), decoded(&sound));
    }
    appliance.stop().await;
}

#[tokio::test]
async fn a_hangup_reads_the_settings_again_and_a_bad_file_changes_nothing() {
    let home = Home::new();
    let appliance = home.start().await;
    // A call in progress does not notice.
    let call_sid = fresh_call_sid();
    let mut socket = Socket::begin(&appliance, &call_sid, None).await;
    socket.both(0, &noise(1, 200), &noise(2, 200)).await;
    let voice = async || {
        let form = Form::voice(&fresh_call_sid());
        let twilio = Twilio::new(appliance.door(), "the-next-token");
        let answer = twilio.post("/twilio/voice", &form).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(voice().await.0, 403);
    let home =
        home.with("twilio.auth_token", "the-next-token").with("consent.announcement", "We listen.");
    appliance.signal(Signal::HUP);
    appliance.log().await_line(&["config.reloaded"]).await;
    let (status, document) = voice().await;
    assert!(status == 200 && document.contains("<Say>We listen.</Say>"), "{document}");

    let home = home.with("consent.announcement", "Unheard.").with("server.max_calls", "many");
    appliance.signal(Signal::HUP);
    let refused = appliance.log().await_line(&["config.refused"]).await;
    assert!(refused.contains("server.max_calls"), "{refused}");
    let (status, document) = voice().await;
    assert!(status == 200 && document.contains("<Say>We listen.</Say>"), "{document}");

    let home = home.with("server.max_calls", 4).with("consent.announcement", "");
    appliance.signal(Signal::HUP);
    eventually("it was read again", async || {
        (appliance.log().lines_with(&["config.reloaded"]).len() == 2).then_some(())
    })
    .await;
    assert!(!voice().await.1.contains("<Say>"));
    socket.both(200, &noise(3, 200), &noise(4, 200)).await;
    socket.stop().await;
    appliance.stop().await;
    let tracks = home.ledger().tracks(&call_sid);
    assert!(tracks.len() == 4 && tracks[0].samples == 3200, "{tracks:?}");
}
