use super::*;
use crate::domain::{Direction, EndReason, Origin};

const CALL: &str = "CA11111111111111111111111111111111";
const ACCOUNT: &str = "AC00000000000000000000000000000001";

fn form(fields: &str) -> Form {
    Form::parse(format!("CallSid={CALL}&AccountSid={ACCOUNT}&{fields}").as_bytes()).unwrap()
}

#[test]
fn who_began_a_call_and_who_rang_whom_follow_from_direction_and_from() {
    for (fields, direction, origin, child) in [
        ("Direction=inbound&From=%2B1500", Direction::Inbound, Origin::Number, false),
        ("Direction=inbound&From=anonymous", Direction::Inbound, Origin::Number, false),
        ("Direction=inbound&From=client:ann", Direction::Outbound, Origin::Client, false),
        ("Direction=outbound-api&From=%2B1500", Direction::Outbound, Origin::Rest, false),
        ("Direction=outbound-dial&From=%2B1500", Direction::Outbound, Origin::Number, true),
        ("Direction=outbound-new&From=%2B1500", Direction::Outbound, Origin::Rest, false),
        ("Direction=trunking&From=%2B1500", Direction::Inbound, Origin::Number, false),
        ("From=", Direction::Inbound, Origin::Number, false),
    ] {
        let request = VoiceRequest::from_form(&form(fields)).unwrap();
        assert_eq!(request.direction(), direction, "{fields}");
        assert_eq!(request.origin(), origin, "{fields}");
        assert_eq!(request.is_child_leg(), child, "{fields}");
    }
    let unknown = VoiceRequest::from_form(&form("Direction=trunking")).unwrap();
    assert_eq!(unknown.voice_direction, VoiceDirection::Other("trunking".to_owned()));
}

#[test]
fn a_leg_with_a_parent_is_a_child_leg() {
    let fields = format!("ParentCallSid={CALL}&Direction=inbound");
    assert!(VoiceRequest::from_form(&form(&fields)).unwrap().is_child_leg());
    assert!(!VoiceRequest::from_form(&form("ParentCallSid=")).unwrap().is_child_leg());
}

#[test]
fn a_malformed_or_missing_identifier_names_its_field() {
    let error = |body: &str| {
        VoiceRequest::from_form(&Form::parse(body.as_bytes()).unwrap()).unwrap_err().to_string()
    };
    assert_eq!(error("AccountSid=x"), "field CallSid is missing");
    assert_eq!(error("CallSid=CA1"), "field CallSid is not a CallSid (CA and 32 hex digits)");
    assert_eq!(error(&format!("CallSid={CALL}&AccountSid=")), "field AccountSid is missing");
    let parent = format!("CallSid={CALL}&AccountSid={ACCOUNT}&ParentCallSid=../x");
    assert!(error(&parent).starts_with("field ParentCallSid is"), "{}", error(&parent));
}

#[test]
fn the_length_of_a_call_is_in_seconds_and_not_the_minutes_beside_it() {
    let fields = "CallStatus=completed&CallDuration=37&Duration=1&SequenceNumber=3\
                  &Timestamp=Tue,%2024%20Mar%202026%2018:16:20%20%2B0000&AnsweredBy=human";
    let callback = CallStatusCallback::from_form(&form(fields)).unwrap();
    assert_eq!(callback.duration_s, Some(37));
    assert_eq!(callback.sequence, Some(3));
    assert_eq!(callback.timestamp, Some(UnixMillis::new(1_774_376_180_000)));
    let minutes = CallStatusCallback::from_form(&form("CallStatus=completed&Duration=1")).unwrap();
    assert_eq!(minutes.duration_s, None);
}

#[test]
fn a_number_or_time_that_cannot_be_read_does_not_cost_the_news() {
    let fields = "CallStatus=completed&CallDuration=-1&SequenceNumber=x&Timestamp=yesterday";
    let callback = CallStatusCallback::from_form(&form(fields)).unwrap();
    assert!(callback.status.is_terminal());
    assert_eq!((callback.duration_s, callback.sequence, callback.timestamp), (None, None, None));
}

#[test]
fn a_calls_words_rank_in_the_order_of_its_life() {
    let life = ["new-word", "queued", "initiated", "ringing", "in-progress", "completed"];
    let ranks: Vec<u8> = life.iter().map(|word| CallStatus::new(word).rank()).collect();
    assert!(ranks.is_sorted_by(|earlier, later| earlier < later), "{ranks:?}");
    for (word, reason) in [
        ("completed", EndReason::Completed),
        ("busy", EndReason::Busy),
        ("failed", EndReason::Failed),
        ("no-answer", EndReason::NoAnswer),
        ("canceled", EndReason::Canceled),
    ] {
        let status = CallStatus::new(word);
        assert_eq!(status.end_reason(), Some(reason));
        assert_eq!(status.rank(), CallStatus::new("completed").rank());
    }
    assert!(!CallStatus::new("in-progress").is_terminal());
}

#[test]
fn a_streams_news_is_read_with_its_nanoseconds() {
    let sid = "MZ33333333333333333333333333333333";
    let fields = format!(
        "StreamSid={sid}&StreamName={sid}&StreamEvent=stream-error&StreamError=handshake\
         &Timestamp=2024-11-29T00:09:39.602648368Z"
    );
    let callback = StreamStatusCallback::from_form(&form(&fields)).unwrap();
    assert_eq!(callback.event, StreamEvent::Error);
    assert_eq!(callback.error.as_deref(), Some("handshake"));
    assert_eq!(callback.timestamp, Some(UnixMillis::new(1_732_838_979_602)));
    for (word, event) in [
        ("stream-started", StreamEvent::Started),
        ("stream-stopped", StreamEvent::Stopped),
        ("stream-muted", StreamEvent::Other("stream-muted".to_owned())),
    ] {
        let fields = format!("StreamSid={sid}&StreamEvent={word}");
        assert_eq!(StreamStatusCallback::from_form(&form(&fields)).unwrap().event, event);
    }
}

#[test]
fn a_recordings_news_is_read_but_not_its_url() {
    let fields = "RecordingSid=RE22222222222222222222222222222222&RecordingStatus=completed\
                  &RecordingDuration=36&RecordingChannels=2&RecordingSource=StartCallRecordingTwiML\
                  &RecordingTrack=both&ErrorCode=0&RecordingUrl=http%3A%2F%2Fevil.test%2F\
                  &RecordingStartTime=Wed%2C%2020%20Apr%202022%2023%3A45%3A25%20%2B0000";
    let callback = RecordingStatusCallback::from_form(&form(fields)).unwrap();
    assert_eq!(callback.status, CloudStatus::Completed);
    assert_eq!((callback.duration_s, callback.channels), (Some(36), Some(2)));
    assert_eq!(callback.start_time, Some(UnixMillis::new(1_650_498_325_000)));
    assert_eq!(callback.track, Some(RecordingTrack::Both));
    assert_eq!(callback.error_code, None);
    assert!(!format!("{callback:?}").contains("evil"));
}

proptest::proptest! {
    #[test]
    fn any_form_is_a_webhook_or_an_error(
        fields in proptest::collection::vec((FIELD, ".{0,40}"), 0..12)
    ) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        let form = Form::parse(body.as_bytes()).unwrap();
        drop(VoiceRequest::from_form(&form).map(|request| (request.direction(), request.origin())));
        drop(CallStatusCallback::from_form(&form).map(|callback| callback.status.rank()));
        drop(StreamStatusCallback::from_form(&form));
        drop(RecordingStatusCallback::from_form(&form));
    }
}

const FIELD: &str = "CallSid|AccountSid|StreamSid|RecordingSid|From|Direction|CallStatus|Timestamp\
                     |CallDuration|StreamEvent|RecordingStatus|RecordingStartTime|[a-zA-Z]{1,8}";
