use super::super::door::PublicUrl;
use super::*;

fn stream() -> Stream {
    Stream::new("wss://h/m", "rec-1", StreamTracks::Both, "https://h/s").unwrap()
}

fn say(text: &str) -> Say {
    Say { text: text.to_owned(), language: None, voice: None }
}

#[test]
fn the_document_for_a_call_is_written_as_twilios_own_libraries_do() {
    let public = PublicUrl::parse("https://rec.example.test").unwrap();
    let stream = Stream::new(
        &public.websocket("/twilio/media-stream"),
        "rec-1",
        StreamTracks::Both,
        &public.callback("/twilio/stream-status"),
    );
    let document = Response::new()
        .then(Say { language: Some("en-US".to_owned()), ..say("This call is recorded.") })
        .then(stream.unwrap().with_parameter("tenant", "a & b <c> \"d\"").unwrap())
        .then(Recording { status_callback: Some(public.callback("/twilio/recording-status")) })
        .then(Dial {
            caller_id: Some("+15005550006".to_owned()),
            answer: AnswerOn::Bridge,
            timeout_s: 20,
            nouns: vec![Noun::Client("agent".to_owned()), Noun::Number("+15005550123".to_owned())],
        });
    let expected = [
        r#"<?xml version="1.0" encoding="UTF-8"?><Response>"#,
        r#"<Say language="en-US">This call is recorded.</Say>"#,
        r#"<Start><Stream name="rec-1" "#,
        r#"statusCallback="https://rec.example.test/twilio/stream-status#rc=5&amp;rp=all" "#,
        r#"statusCallbackMethod="POST" track="both_tracks" "#,
        r#"url="wss://rec.example.test/twilio/media-stream">"#,
        r#"<Parameter name="tenant" value="a &amp; b &lt;c&gt; &quot;d&quot;"/></Stream></Start>"#,
        r#"<Start><Recording channels="dual" recordingStatusCallback="#,
        r#""https://rec.example.test/twilio/recording-status#rc=5&amp;rp=all" "#,
        r#"recordingStatusCallbackEvent="in-progress completed absent" "#,
        r#"recordingStatusCallbackMethod="POST" track="both" trim="do-not-trim"/></Start>"#,
        r#"<Dial answerOnBridge="true" callerId="+15005550006" timeout="20">"#,
        r"<Client>agent</Client><Number>+15005550123</Number></Dial></Response>",
    ];
    assert_eq!(document.to_xml(), expected.concat());
}

#[test]
fn the_small_verbs_are_written_as_twilio_expects() {
    for (verb, xml) in [
        (Verb::Hangup, "<Hangup/>"),
        (Verb::Pause { length_s: 3 }, r#"<Pause length="3"/>"#),
        (Verb::Reject(RejectReason::Busy), r#"<Reject reason="busy"/>"#),
        (Verb::Reject(RejectReason::Rejected), r#"<Reject reason="rejected"/>"#),
    ] {
        assert!(Response::new().then(verb).to_xml().contains(&format!("<Response>{xml}<")));
    }
    let empty = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;
    assert_eq!(Response::new().to_xml(), empty);
}

#[test]
fn a_stream_goes_only_where_twilio_connects() {
    for url in ["https://h/m", "ws://h/m", "wss://h/m?a=1", "wss://h/m#x", "wss://", "/m", ""] {
        let refused = Stream::new(url, "n", StreamTracks::Both, "https://h/s").unwrap_err();
        assert_eq!(refused, TwimlError::StreamUrl, "{url}");
    }
}

#[test]
fn a_parameter_stays_below_500_characters_with_its_name() {
    assert!(stream().with_parameter("token", &"é".repeat(494)).is_ok());
    let refused = stream().with_parameter("token", &"x".repeat(495)).unwrap_err();
    assert_eq!(refused, TwimlError::ParameterTooLong { name: "token".to_owned() });
}

#[test]
fn what_xml_forbids_is_left_out() {
    let xml = Response::new().then(say("a\u{0}b\u{1b}c\u{fffe}d\te")).to_xml();
    assert!(xml.contains("<Say>abcd\te</Say>"), "{xml}");
}

#[test]
fn a_parameters_value_is_not_printed() {
    let stream = stream().with_parameter("token", "secret").unwrap();
    assert!(!format!("{:?}", Response::new().then(stream)).contains("secret"));
}

proptest::proptest! {
    #[test]
    fn any_text_comes_back_as_it_was(text: String, name in ".{0,40}", value in "(?s).{0,200}") {
        let legal = |text: &str| {
            let illegal = |c: &char| *c < ' ' && !"\t\n\r".contains(*c) || matches!(*c as u32, 0xfffe | 0xffff);
            text.chars().filter(|c| !illegal(c)).collect::<String>()
        };
        let document = Response::new()
            .then(Say { voice: Some(name.clone()), ..say(&text) })
            .then(stream().with_parameter(&name, &value).unwrap());
        let xml = document.to_xml();
        let read = roxmltree::Document::parse(&xml).unwrap();
        let element = |tag| read.descendants().find(|node| node.has_tag_name(tag)).unwrap();
        let legal_text = legal(&text);
        proptest::prop_assert_eq!(element("Say").text().unwrap_or(""), &legal_text);
        proptest::prop_assert_eq!(element("Say").attribute("voice").unwrap(), legal(&name));
        proptest::prop_assert_eq!(element("Parameter").attribute("name").unwrap(), legal(&name));
        proptest::prop_assert_eq!(element("Parameter").attribute("value").unwrap(), legal(&value));
    }
}
