//! The stream's socket: who may stream, and that nothing a message does loses what was heard.

use std::time::Duration;

use fieldtape::domain::CallSid;
use fieldtape::domain::StreamTrack::{Inbound, Outbound};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    Appliance, Form, Gap, Home, Socket, decoded, eventually, fresh_call_sid, fresh_stream_sid,
    noise, read_wav,
};

const STATUS: &str = "/twilio/status";

const POLICY: Option<u16> = Some(1008);

/// Makes the first message of a socket's stream.
type Spoiled = Box<dyn FnOnce(&Socket) -> String>;

/// Tells that the call is over and waits until its files are the ledger's.
async fn end(appliance: &Appliance, call_sid: &CallSid) {
    let form = Form::progress(call_sid, "completed").with("CallDuration", "1");
    assert_eq!(appliance.twilio().post(STATUS, &form).await.status(), 204);
    appliance.await_recorded(call_sid).await;
}

/// Reads what was recorded of a party at 8 kHz.
fn heard(home: &Home, call_sid: &CallSid, party: &str) -> Vec<i16> {
    let tracks = home.ledger().tracks(call_sid);
    let track = tracks.iter().find(|t| t.party == party && t.rate_hz == 8000).unwrap();
    read_wav(&home.data_dir().join(&track.path), 8000)
}

/// Begins the stream of a call that was announced.
async fn live(appliance: &Appliance) -> (CallSid, Socket) {
    let call_sid = fresh_call_sid();
    let token = appliance.twilio().announce(&call_sid).await;
    let socket = Socket::begin(appliance, &call_sid, Some(&token)).await;
    (call_sid, socket)
}

fn gap(party: &str, start: u64, end: u64) -> Gap {
    Gap { party: party.to_owned(), start, end, reason: "lost".to_owned() }
}

#[tokio::test]
async fn a_stream_of_a_call_that_nobody_announced_is_recorded_and_marked() {
    let home = Home::new();
    let appliance = home.start().await;
    let call_sid = fresh_call_sid();
    let mut socket = Socket::begin(&appliance, &call_sid, None).await;
    let (inbound, outbound) = (noise(1, 400), noise(2, 400));
    socket.both(0, &inbound, &outbound).await;
    socket.stop().await;
    end(&appliance, &call_sid).await;
    assert_eq!(heard(&home, &call_sid, "technician"), decoded(&inbound));
    assert_eq!(heard(&home, &call_sid, "agent"), decoded(&outbound));
    let streams = home.ledger().streams(&call_sid);
    assert_eq!((streams.len(), streams[0].verified, streams[0].frames), (1, false, 40));
    appliance.log().await_line(&["stream.unverified"]).await;
    appliance.stop().await;
}

#[tokio::test]
async fn an_announced_stream_brings_its_token_and_is_verified() {
    let home = Home::new();
    let appliance = home.start().await;
    let (call_sid, mut socket) = live(&appliance).await;
    socket.both(102, &noise(1, 200), &noise(2, 200)).await;
    socket.stop().await;
    end(&appliance, &call_sid).await;
    let stream = home.ledger().streams(&call_sid).pop().unwrap();
    assert!(stream.verified && stream.stopped_at_ms.is_some());
    assert_eq!((stream.origin, stream.frames, stream.frames_skipped), (Some(0), 20, 0));
    appliance.stop().await;
}

#[tokio::test]
async fn a_token_that_is_wrong_or_spent_or_another_calls_is_refused() {
    let home = Home::new();
    let appliance = home.start().await;
    let (call_sid, mut first) = live(&appliance).await;
    appliance.log().await_line(&["stream.started", call_sid.as_str()]).await;
    let other = fresh_call_sid();
    let others_token = appliance.twilio().announce(&other).await;
    for token in ["wrong", "", &others_token] {
        let mut socket = Socket::begin(&appliance, &call_sid, Some(token)).await;
        assert_eq!(socket.closed().await, POLICY, "{token:?}");
    }
    let mut used = Socket::begin(&appliance, &other, Some(&others_token)).await;
    used.both(0, &noise(3, 100), &noise(4, 100)).await;
    // Of two sockets at once either may be the first to show its token.
    appliance.log().await_line(&["stream.started", other.as_str()]).await;
    let mut again = Socket::begin(&appliance, &other, Some(&others_token)).await;
    assert_eq!(again.closed().await, POLICY, "spent");
    // None of this has touched the streams that were right.
    first.both(0, &noise(1, 200), &noise(2, 200)).await;
    first.stop().await;
    used.stop().await;
    for (call_sid, ms) in [(&call_sid, 200), (&other, 100)] {
        end(&appliance, call_sid).await;
        assert_eq!(home.ledger().streams(call_sid).len(), 1);
        assert_eq!(heard(&home, call_sid, "agent").len(), ms * 8);
    }
    appliance.stop().await;
}

#[tokio::test]
async fn a_start_that_is_not_for_us_is_refused_and_changes_nothing() {
    let home = Home::new();
    let appliance = home.start().await;
    let call_sid = fresh_call_sid();
    let spoil = |path: &[&str], value: serde_json::Value| {
        let (call_sid, path) = (call_sid.clone(), path.iter().map(|p| (*p).to_owned()));
        let path: Vec<String> = path.collect();
        move |socket: &Socket| {
            let mut start = socket.start(&call_sid, None);
            let place = path.iter().fold(&mut start, |place, key| &mut place[key.as_str()]);
            *place = value;
            start.to_string()
        }
    };
    let other_account = json!("AC00000000000000000000000000000002");
    let cases: Vec<(Spoiled, Option<u16>)> = vec![
        (Box::new(spoil(&["start", "accountSid"], other_account)), POLICY),
        (Box::new(spoil(&["start", "callSid"], json!("CA/../../x"))), POLICY),
        (Box::new(spoil(&["start", "callSid"], json!(7))), POLICY),
        (Box::new(spoil(&["event"], json!("media"))), POLICY),
        (Box::new(|_| "this is no JSON".to_owned()), POLICY),
        (Box::new(spoil(&["start", "mediaFormat", "encoding"], json!("audio/x-l16"))), Some(1003)),
        (Box::new(spoil(&["start", "mediaFormat", "sampleRate"], json!(16000))), Some(1003)),
        (Box::new(spoil(&["start", "mediaFormat", "channels"], json!(2))), Some(1003)),
    ];
    for (start, code) in cases {
        let mut socket = Socket::open(&appliance).await;
        let start = start(&socket);
        socket.send(&start).await;
        assert_eq!(socket.closed().await, code, "{start}");
    }
    let ledger = home.ledger();
    assert_eq!((ledger.count("calls"), ledger.count("streams")), (0, 0));
    appliance.stop().await;
}

#[tokio::test]
async fn a_socket_that_says_nothing_is_closed() {
    let home = Home::new();
    let appliance = home.start().await;
    let mut socket = Socket::open(&appliance).await;
    assert_eq!(socket.closed().await, POLICY);
    appliance.stop().await;
}

#[tokio::test]
async fn a_message_of_more_than_64_kib_closes_the_stream_and_what_was_heard_is_kept() {
    let home = Home::new();
    let appliance = home.start().await;
    let (call_sid, mut socket) = live(&appliance).await;
    let sound = noise(1, 200);
    socket.both(0, &sound, &sound).await;
    // The appliance may close before all of it has been taken.
    let _ = socket.try_send(Message::text("x".repeat(65 * 1024))).await;
    assert_eq!(socket.closed().await, Some(1009));
    end(&appliance, &call_sid).await;
    assert_eq!(heard(&home, &call_sid, "technician"), decoded(&sound));
    appliance.stop().await;
}

#[tokio::test]
async fn messages_that_make_no_sense_are_skipped_counted_and_logged_once() {
    let home = Home::new();
    let appliance = home.start().await;
    let (call_sid, mut socket) = live(&appliance).await;
    let (inbound, outbound) = (noise(1, 400), noise(2, 400));
    socket.both(102, &inbound[..1600], &outbound[..1600]).await;
    let media = |track: &str, payload: &str| {
        json!({"event": "media", "sequenceNumber": "5000", "streamSid": "x", "media":
            {"track": track, "chunk": "1", "timestamp": "5", "payload": payload}})
    };
    let senseless = [
        json!({"event": "weather", "sequenceNumber": "22"}).to_string(),
        json!({"sequenceNumber": "22"}).to_string(),
        "{\"event\":\"media\"".to_owned(),
        "[]".to_owned(),
        String::new(),
        media("inbound", "this is no base64!").to_string(),
        media("sideways", "//8=").to_string(),
        media("inbound", &"A".repeat(8192)).to_string(),
        socket.start(&call_sid, None).to_string(),
    ];
    for message in &senseless {
        socket.send(message).await;
    }
    socket.try_send(Message::binary(vec![0; 160])).await.unwrap();
    socket.try_send(Message::Ping(vec![1].into())).await.unwrap();
    let pressed = socket.next_sequence().to_string();
    let dtmf = json!({"event": "dtmf", "sequenceNumber": pressed, "streamSid": "x",
        "dtmf": {"track": "inbound_track", "digit": "1"}});
    socket.send(&dtmf.to_string()).await;
    socket.both(302, &inbound[1600..], &outbound[1600..]).await;
    socket.stop().await;
    end(&appliance, &call_sid).await;
    assert_eq!(heard(&home, &call_sid, "technician"), decoded(&inbound));
    assert_eq!(heard(&home, &call_sid, "agent"), decoded(&outbound));
    assert_eq!(home.ledger().gaps(&call_sid), []);
    let stream = home.ledger().streams(&call_sid).pop().unwrap();
    assert_eq!((stream.frames, stream.frames_skipped), (40, senseless.len() as u64 + 1));
    appliance.log().await_line(&["stream.skipped"]).await;
    assert_eq!(appliance.log().lines_with(&["stream.skipped"]).len(), 1);
    appliance.stop().await;
}

#[tokio::test]
async fn frames_repeated_late_and_missing_leave_every_other_sample_in_its_place() {
    let home = Home::new();
    let appliance = home.start().await;
    let (call_sid, mut socket) = live(&appliance).await;
    let sound = noise(1, 1000);
    let frame = |n: u64| {
        let start = usize::try_from(n).unwrap() * 160;
        &sound[start..start + 160]
    };
    let order = [
        0, 1, 3, 2, 4, 4, 4, 5, 7, 6, 6, 8, 9, /* 10 to 14 are lost */ 15, 16, 17, 3, 18, 20,
        19,
    ];
    for n in order {
        for (track, sequence) in [(Inbound, 2 + 2 * n), (Outbound, 3 + 2 * n)] {
            socket.media_at(sequence, track, 102 + n * 20, frame(n)).await;
        }
    }
    // Twenty minutes ahead: nothing is written until there.
    socket.media_at(100, Inbound, 1_200_000, frame(0)).await;
    socket.media_at(101, Inbound, u64::MAX, frame(0)).await;
    socket.stop().await;
    end(&appliance, &call_sid).await;
    let mut expected = decoded(&sound[..21 * 160]);
    expected[1600..2400].fill(0);
    for party in ["agent", "technician"] {
        let heard = heard(&home, &call_sid, party);
        assert!(heard == expected, "{party}: {} samples", heard.len());
    }
    let expected = [gap("agent", 1600, 2400), gap("technician", 1600, 2400)];
    assert_eq!(home.ledger().gaps(&call_sid), expected);
    let stream = home.ledger().streams(&call_sid).pop().unwrap();
    assert_eq!(stream.frames, 2 * order.len() as u64 + 2);
    assert_eq!(stream.frames_skipped, 4 * 2 + 2, "four came again, two are far ahead");
    appliance.stop().await;
}

#[tokio::test]
async fn a_stream_that_never_says_stop_ends_with_its_call() {
    let home = Home::new();
    let appliance = home.start().await;
    // One socket breaks off, another stays open and silent.
    let (cut, mut socket) = live(&appliance).await;
    let sound = noise(1, 300);
    socket.both(0, &sound, &sound).await;
    socket.cut();
    let (open, mut silent) = live(&appliance).await;
    silent.both(0, &sound, &sound).await;
    for call_sid in [&cut, &open] {
        end(&appliance, call_sid).await;
        let call = home.ledger().call(call_sid).unwrap();
        assert_eq!(call.end_reason.as_deref(), Some("completed"));
        assert_eq!(call.duration_source.as_deref(), Some("twilio"));
        assert_eq!(heard(&home, call_sid, "agent"), decoded(&sound));
    }
    appliance.stop().await;
}

#[tokio::test]
async fn a_call_whose_stream_and_last_callback_are_both_lost_ends_after_ten_seconds() {
    let home = Home::new();
    let appliance = home.start().await;
    let (cut, mut socket) = live(&appliance).await;
    let (stopped, mut other) = live(&appliance).await;
    for socket in [&mut socket, &mut other] {
        socket.both(0, &noise(1, 300), &noise(2, 300)).await;
    }
    socket.cut();
    other.stop().await;
    let began = tokio::time::Instant::now();
    for (call_sid, reason) in [(&cut, "interrupted"), (&stopped, "completed")] {
        appliance.await_recorded(call_sid).await;
        assert!(began.elapsed() > Duration::from_secs(9), "it waits for its stream to come back");
        let call = home.ledger().call(call_sid).unwrap();
        assert_eq!(call.end_reason.as_deref(), Some(reason));
        assert_eq!(call.duration_s, Some(1), "any sound is a second at least");
    }
    appliance.stop().await;
}

#[tokio::test]
async fn another_stream_of_the_same_call_takes_over() {
    let home = Home::new();
    let appliance = home.start().await;
    let (call_sid, mut first) = live(&appliance).await;
    first.both(0, &noise(1, 200), &noise(2, 200)).await;
    appliance.log().await_line(&["stream.started", call_sid.as_str()]).await;
    let mut second = Socket::begin(&appliance, &call_sid, None).await;
    second.stream_sid = fresh_stream_sid();
    eventually("the second stream is known", async || {
        (home.ledger().streams(&call_sid).len() == 2).then_some(())
    })
    .await;
    second.both(0, &noise(3, 200), &noise(4, 200)).await;
    second.stop().await;
    end(&appliance, &call_sid).await;
    let heard = heard(&home, &call_sid, "technician");
    assert_eq!(heard[..1600], decoded(&noise(1, 200)));
    assert_eq!(heard[heard.len() - 1600..], decoded(&noise(3, 200)));
    appliance.stop().await;
}
