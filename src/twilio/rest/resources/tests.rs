use super::*;

const CALL: &str = "CA11111111111111111111111111111111";
const RECORDING: &str = "RE22222222222222222222222222222222";
const OURS: &str = "AC00000000000000000000000000000001";

fn ours() -> AccountSid {
    OURS.parse().unwrap()
}

fn read_call(fields: &str) -> Result<CallResource, RestError> {
    let body = format!(r#"{{"sid":"{CALL}","account_sid":"{OURS}"{fields}}}"#);
    call(&ours(), body.as_bytes())
}

fn read_recording(fields: &str) -> Result<RecordingResource, RestError> {
    let body = format!(r#"{{"sid":"{RECORDING}","account_sid":"{OURS}"{fields}}}"#);
    recording(&ours(), body.as_bytes())
}

#[test]
fn a_call_is_read_as_twilio_writes_it() {
    let call = read_call(
        r#","parent_call_sid":null,"direction":"outbound-api","from":"+15005550006",
           "to":"+15005550001","status":"completed","duration":"63","price":"-0.03",
           "start_time":"Wed, 20 Apr 2022 23:45:25 +0000","answered_by":null,
           "end_time":"Wed, 20 Apr 2022 23:46:28 +0000","subresource_uris":{"a":["b",{}]},
           "date_created":"Wed, 20 Apr 2022 23:45:20 +0000""#,
    )
    .unwrap();
    assert_eq!(call.sid.as_str(), CALL);
    assert_eq!(call.parent_call_sid, None);
    assert_eq!((call.direction(), call.origin()), (Direction::Outbound, Origin::Rest));
    assert_eq!((call.from.as_str(), call.to.as_str()), ("+15005550006", "+15005550001"));
    assert!(call.status.is_terminal());
    assert_eq!(call.duration_s, Some(63));
    assert_eq!(call.start_time, Some(UnixMillis::new(1_650_498_325_000)));
    assert_eq!(call.end_time, Some(UnixMillis::new(1_650_498_388_000)));
    assert_eq!(call.date_created, Some(UnixMillis::new(1_650_498_320_000)));
}

#[test]
fn who_began_a_call_follows_from_the_same_rule_as_in_a_webhook() {
    for (fields, direction, origin, child) in [
        (r#","direction":"inbound","from":"+1""#, Direction::Inbound, Origin::Number, false),
        (r#","direction":"inbound","from":"client:a""#, Direction::Outbound, Origin::Client, false),
        (r#","direction":"outbound-dial","from":"+1""#, Direction::Outbound, Origin::Number, true),
        (r#","direction":"trunking-originating""#, Direction::Inbound, Origin::Number, false),
        (r#","direction":null,"from":null"#, Direction::Inbound, Origin::Number, false),
        ("", Direction::Inbound, Origin::Number, false),
    ] {
        let call = read_call(fields).unwrap();
        assert_eq!((call.direction(), call.origin()), (direction, origin), "{fields}");
        assert_eq!(call.is_child_leg(), child, "{fields}");
    }
    let child = read_call(&format!(r#","parent_call_sid":"{CALL}""#)).unwrap();
    assert!(child.is_child_leg());
}

#[test]
fn a_recording_is_read_whether_its_figures_are_numbers_or_texts() {
    for fields in [
        r#","channels":2,"duration":"36","error_code":null"#,
        r#","channels":"2","duration":36,"error_code":0"#,
        r#","channels":2.0,"duration":"36","error_code":"0""#,
        r#","channels":2,"duration":36,"error_code":"""#,
    ] {
        let recording = read_recording(fields).unwrap();
        assert_eq!((recording.channels, recording.duration_s), (Some(2), Some(36)), "{fields}");
        assert_eq!(recording.error_code, None, "{fields}");
    }
    let recording = read_recording(&format!(
        r#","call_sid":"{CALL}","status":"absent","source":"StartCallRecordingTwiML",
           "track":"both","error_code":13227,"start_time":"Wed, 20 Apr 2022 23:45:25 +0000",
           "media_url":"http://evil.test/""#
    ))
    .unwrap();
    assert_eq!(recording.call_sid.as_ref().map(CallSid::as_str), Some(CALL));
    assert_eq!((recording.status.as_str(), recording.error_code), ("absent", Some(13227)));
    assert_eq!(recording.source.as_deref(), Some("StartCallRecordingTwiML"));
    assert_eq!(recording.track.as_deref(), Some("both"));
    assert_eq!(recording.start_time, Some(UnixMillis::new(1_650_498_325_000)));
    assert!(!format!("{recording:?}").contains("evil"));
}

#[test]
fn what_cannot_be_read_is_absent_and_costs_no_more() {
    let recording = read_recording(
        r#","call_sid":"../x","channels":-1,"duration":"-1","status":null,"source":{"a":[1]},
           "track":[],"start_time":"yesterday","date_created":17,"error_code":1.5"#,
    )
    .unwrap();
    assert_eq!(recording.status, "");
    assert_eq!(
        (&recording.call_sid, recording.channels, recording.duration_s),
        (&None, None, None)
    );
    assert_eq!((recording.source, recording.track, recording.error_code), (None, None, None));
    assert_eq!((recording.start_time, recording.date_created), (None, None));
}

#[test]
fn an_unknown_word_is_kept() {
    assert_eq!(read_recording(r#","status":"melting""#).unwrap().status, "melting");
    assert_eq!(read_call(r#","status":"dreaming""#).unwrap().status.as_str(), "dreaming");
}

#[test]
fn a_resource_without_its_sid_or_of_another_account_is_no_answer() {
    let bodies = [
        format!(r#"{{"account_sid":"{OURS}"}}"#),
        format!(r#"{{"account_sid":"{OURS}","sid":"CA1"}}"#),
        format!(r#"{{"sid":"{RECORDING}"}}"#),
        format!(r#"{{"sid":"{RECORDING}","account_sid":"{}"}}"#, OURS.replace('1', "2")),
        "[]".to_owned(),
        "null".to_owned(),
        r#"{"sid":"RE22"#.to_owned(),
        "<TwilioResponse><RestException><Code>20404</Code></RestException></TwilioResponse>"
            .to_owned(),
        String::new(),
    ];
    for body in bodies {
        let read = [
            recording(&ours(), body.as_bytes()).map(drop),
            call(&ours(), body.as_bytes()).map(drop),
            recordings(&ours(), format!(r#"{{"recordings":[{body}]}}"#).as_bytes()).map(drop),
        ];
        for result in read {
            assert!(
                matches!(result, Err(RestError::Garbled { .. })) || body.is_empty(),
                "{body}: {result:?}"
            );
        }
    }
}

#[test]
fn a_page_without_its_list_is_not_an_empty_page() {
    assert!(calls(&ours(), br#"{"next_page_uri":null}"#).is_err());
    assert!(calls(&ours(), br#"{"calls":null}"#).is_err());
    assert!(recordings(&ours(), br#"{"calls":[]}"#).is_err());
    let page = calls(&ours(), br#"{"calls":[],"next_page_uri":null}"#).unwrap();
    assert!(page.items.is_empty() && page.next.is_none());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_resource_or_an_error(body: Vec<u8>, text in ".{0,60}") {
        drop(call(&ours(), &body));
        drop(recordings(&ours(), &body));
        let quoted = serde_json::to_string(&text).unwrap();
        let fields = format!(r#","duration":{quoted},"start_time":{quoted},"channels":{quoted}"#);
        read_recording(&fields).unwrap();
    }
}
