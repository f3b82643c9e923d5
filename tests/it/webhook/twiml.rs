//! What a call is told to do.

use roxmltree::{Document, Node};

use super::STATUS;
use crate::support::{AGENT, Form, Home, Socket, eventually, fresh_call_sid};

fn element<'a, 'i>(parent: Node<'a, 'i>, place: usize, name: &str) -> Node<'a, 'i> {
    let child = parent.children().nth(place).unwrap_or_else(|| panic!("no {name} at {place}"));
    assert!(child.has_tag_name(name), "{child:?} instead of {name}");
    child
}

fn attributes<'a>(node: Node<'a, '_>) -> Vec<(&'a str, &'a str)> {
    let mut all: Vec<_> = node.attributes().map(|a| (a.name(), a.value())).collect();
    all.sort_unstable();
    all
}

fn is_stream(start: Node<'_, '_>) {
    let stream = element(start, 0, "Stream");
    let expected = [
        ("name", "fieldtape"),
        ("statusCallback", "https://fieldtape.example/twilio/stream-status#rc=5&rp=all"),
        ("statusCallbackMethod", "POST"),
        ("track", "both_tracks"),
        ("url", "wss://fieldtape.example/twilio/media-stream"),
    ];
    assert_eq!(attributes(stream), expected);
    let parameter = element(stream, 0, "Parameter");
    assert_eq!(parameter.attribute("name"), Some("token"));
    assert!(parameter.attribute("value").unwrap().len() >= 22, "128 bits of it");
    assert_eq!((start.children().count(), stream.children().count()), (1, 1));
}

fn is_recording(start: Node<'_, '_>) {
    let expected = [
        ("channels", "dual"),
        (
            "recordingStatusCallback",
            "https://fieldtape.example/twilio/recording-status#rc=5&rp=all",
        ),
        ("recordingStatusCallbackEvent", "in-progress completed absent"),
        ("recordingStatusCallbackMethod", "POST"),
        ("track", "both"),
        ("trim", "do-not-trim"),
    ];
    assert_eq!(attributes(element(start, 0, "Recording")), expected);
    assert_eq!(start.children().count(), 1);
}

#[tokio::test]
async fn a_call_is_told_to_announce_then_record_then_connect_whoever_began_it() {
    let home = Home::new().with("twilio.caller_id", "+15550177").with("consent.language", "en-GB");
    let appliance = home.start().await;
    let browser = |form: Form| form.with("From", "client:anna").with("To", "+15550155");
    let rest =
        |form: Form| form.with("Direction", "outbound-api").with("CallStatus", "in-progress");
    let number: fn(Form) -> Form = |form| form;
    for (change, origin, dialled, caller_id) in [
        (number, ("number", "inbound"), AGENT, None),
        (browser, ("client", "outbound"), "+15550155", Some("+15550177")),
        (rest, ("rest", "outbound"), AGENT, None),
    ] {
        let call_sid = fresh_call_sid();
        let text = appliance.twilio().voice(&change(Form::voice(&call_sid))).await;
        assert!(text.starts_with("<?xml"), "{text}");
        let document = Document::parse(&text).unwrap();
        let response = document.root_element();
        assert!(response.has_tag_name("Response"));
        let say = element(response, 0, "Say");
        assert_eq!(say.text(), Some("This call is recorded."));
        assert_eq!(attributes(say), [("language", "en-GB")]);
        is_stream(element(response, 1, "Start"));
        is_recording(element(response, 2, "Start"));
        let dial = element(response, 3, "Dial");
        assert_eq!(dial.attribute("callerId"), caller_id, "{origin:?}");
        assert_eq!(element(dial, 0, "Number").text(), Some(dialled), "{origin:?}");
        assert_eq!(response.children().count(), 4);

        let call = home.ledger().call(&call_sid).unwrap();
        assert_eq!((call.origin.as_str(), call.direction.as_str()), origin);
        assert!(call.live_copy && call.ended_at_ms.is_none());
    }
    appliance.stop().await;
}

#[tokio::test]
async fn what_is_switched_off_is_not_in_the_document() {
    let home = Home::new()
        .with("twilio.cloud_recording", "off")
        .with("twilio.agent_identity", "anna")
        .with("consent.announcement", "");
    let appliance = home.start().await;
    let text = appliance.twilio().voice(&Form::voice(&fresh_call_sid())).await;
    let document = Document::parse(&text).unwrap();
    let response = document.root_element();
    is_stream(element(response, 0, "Start"));
    let dial = element(response, 1, "Dial");
    assert_eq!(element(dial, 0, "Client").text(), Some("anna"));
    assert_eq!(element(dial, 1, "Number").text(), Some(AGENT));
    assert_eq!(response.children().count(), 2);
    appliance.stop().await;
}

#[tokio::test]
async fn an_announcement_is_said_as_it_is_written() {
    let words = "Sie & wir: \"alles\" wird aufgezeichnet — <klar>? 'Ja'";
    let home = Home::new().with("consent.announcement", words);
    let appliance = home.start().await;
    let text = appliance.twilio().voice(&Form::voice(&fresh_call_sid())).await;
    let document = Document::parse(&text).unwrap();
    assert_eq!(element(document.root_element(), 0, "Say").text(), Some(words));
    appliance.stop().await;
}

#[tokio::test]
async fn one_call_more_than_allowed_is_recorded_at_twilio_only() {
    let home = Home::new().with("server.max_calls", 1);
    let appliance = home.start().await;
    let twilio = appliance.twilio();
    let first = fresh_call_sid();
    let token = twilio.announce(&first).await;
    let socket = Socket::begin(&appliance, &first, Some(&token)).await;
    appliance.log().await_line(&["stream.started", first.as_str()]).await;

    let second = fresh_call_sid();
    let text = twilio.voice(&Form::voice(&second)).await;
    let document = Document::parse(&text).unwrap();
    let response = document.root_element();
    element(response, 0, "Say");
    is_recording(element(response, 1, "Start"));
    element(response, 2, "Dial");
    assert_eq!(response.children().count(), 3);
    assert!(!home.ledger().call(&second).unwrap().live_copy);

    socket.stop().await;
    twilio.post(STATUS, &Form::progress(&first, "completed")).await;
    eventually("there is room again", async || {
        let text = twilio.voice(&Form::voice(&fresh_call_sid())).await;
        text.contains("<Stream").then_some(())
    })
    .await;
    appliance.stop().await;
}
