use super::*;

fn asset(name: &str) -> Vec<String> {
    let path = format!("{}/tests/assets/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn parse(text: &str) -> MediaMessage {
    MediaMessage::parse(text).unwrap()
}

fn error(text: &str) -> MediaError {
    MediaMessage::parse(text).unwrap_err()
}

fn media_frame(track: &str, timestamp: &str, payload: &str) -> String {
    format!(
        r#"{{"event":"media","sequenceNumber":"7","media":{{"track":{track},"chunk":"3","timestamp":{timestamp},"payload":{payload}}},"streamSid":"MZ"}}"#
    )
}

#[test]
fn every_sample_message_reads_and_writes_back_as_it_was() {
    for name in ["stream_unidirectional.jsonl", "stream_bidirectional.jsonl"] {
        let mut stream_sid = None;
        for line in asset(name) {
            let written = match parse(&line) {
                MediaMessage::Connected => MediaMessage::connected_frame(),
                MediaMessage::Start(start) => {
                    stream_sid = Some(start.stream_sid.clone());
                    sorted(&start.frame(), &line)
                }
                MediaMessage::Media(media) => {
                    assert_eq!(media.payload.len(), 160);
                    media.frame(stream_sid.as_ref().unwrap())
                }
                MediaMessage::Stop(stop) => stop.frame(),
                MediaMessage::Dtmf { sequence, digit } => {
                    assert_eq!((sequence, digit.as_str()), (23, "#"));
                    continue;
                }
                MediaMessage::Mark { sequence, name } => {
                    assert_eq!((sequence, name.as_str()), (34, "greeting-end"));
                    continue;
                }
                MediaMessage::Other { event } => panic!("{event} in {name}"),
            };
            assert_eq!(written, line, "{name}");
        }
    }
}

/// Custom parameters have no order of their own: compares as values, then returns the original.
fn sorted(written: &str, line: &str) -> String {
    let value = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(written), value(line));
    let before = |text: &str| text.split("customParameters").next().unwrap().to_owned();
    assert_eq!(before(written), before(line));
    line.to_owned()
}

#[test]
fn a_start_tells_everything_about_its_stream() {
    let lines = asset("stream_unidirectional.jsonl");
    let MediaMessage::Start(start) = parse(&lines[1]) else { panic!("no start") };
    assert_eq!(start.sequence, 1);
    assert_eq!(start.tracks, [StreamTrack::Inbound, StreamTrack::Outbound]);
    assert!(start.format.is_mulaw());
    assert_eq!(start.parameters.get("tenant"), Some("demo"));
    assert!(!format!("{start:?}").contains("demo"), "a value may be the stream's token");
}

#[test]
fn an_old_version_and_an_unknown_event_are_no_error() {
    let old = r#"{"event":"connected","protocol":"Call","version":"0.2.0"}"#;
    assert_eq!(parse(old), MediaMessage::Connected);
    let other = parse(r#"{"event":"weather","sequenceNumber":"x","weather":[1]}"#);
    assert_eq!(other, MediaMessage::Other { event: "weather".to_owned() });
}

#[test]
fn another_media_format_is_shown_for_the_caller_to_refuse() {
    let start = asset("stream_unidirectional.jsonl")[1].clone();
    for (ours, theirs) in [
        ("audio/x-mulaw", "audio/opus"),
        (r#""sampleRate":8000"#, r#""sampleRate":16000"#),
        (r#""channels":1"#, r#""channels":"2""#),
    ] {
        let MediaMessage::Start(start) = parse(&start.replace(ours, theirs)) else {
            panic!("no start")
        };
        assert!(!start.format.is_mulaw(), "{theirs}");
    }
}

#[test]
fn counters_may_be_strings_or_numbers() {
    for timestamp in [r#""155""#, "155"] {
        let MediaMessage::Media(media) =
            parse(&media_frame(r#""inbound""#, timestamp, r#""/w==""#))
        else {
            panic!("no media")
        };
        assert_eq!((media.timestamp_ms, media.payload.as_slice()), (155, [0xff].as_slice()));
    }
}

#[test]
fn escaped_and_unpadded_base64_is_sound_all_the_same() {
    for payload in [r#""\/w==""#, r#""/w""#] {
        let MediaMessage::Media(media) = parse(&media_frame(r#""outbound""#, r#""1""#, payload))
        else {
            panic!("no media")
        };
        assert_eq!(media.payload, [0xff], "{payload}");
        assert_eq!(media.track, StreamTrack::Outbound);
    }
}

#[test]
fn each_fault_has_its_own_error() {
    let (inbound, ms, sound) = (r#""inbound""#, r#""1""#, r#""/w==""#);
    let number = MediaError::BadNumber { field: "media.timestamp" };
    for bad in [r#""1.5""#, r#""-1""#, "-1", "1.5", r#""x""#, r#""99999999999999999999999""#] {
        assert_eq!(error(&media_frame(inbound, bad, sound)), number, "{bad}");
    }
    assert_eq!(error(&media_frame(inbound, ms, r#""/w=*""#)), MediaError::BadBase64);
    assert_eq!(error(&media_frame(r#""third""#, ms, sound)), MediaError::OtherTrack);
    let missing = MediaError::Missing { field: "media.track" };
    assert_eq!(error(&media_frame("null", ms, sound)), missing);
    assert_eq!(error("{}"), MediaError::Missing { field: "event" });
    assert_eq!(error(r#"{"event":"media"}"#), MediaError::Missing { field: "media" });
    for broken in ["", "{", "[]", "nonsense", r#"{"event":{}}"#] {
        assert!(matches!(error(broken), MediaError::Json { .. }), "{broken}");
    }
    let start = asset("stream_unidirectional.jsonl")[1].replace("CA1111", "CA11");
    assert!(matches!(error(&start), MediaError::BadSid { field: "start.callSid", .. }));
}

#[test]
fn a_message_carries_a_bounded_piece_of_sound() {
    let frame = |bytes: usize| {
        use base64::Engine as _;
        let payload = base64::engine::general_purpose::STANDARD.encode(vec![0x7f; bytes]);
        media_frame(r#""inbound""#, r#""1""#, &format!("{payload:?}"))
    };
    assert!(MediaMessage::parse(&frame(PAYLOAD_BYTES_MAX)).is_ok());
    assert_eq!(error(&frame(PAYLOAD_BYTES_MAX + 1)), MediaError::TooLong);
    assert_eq!(error(&frame(60_000)), MediaError::TooLong);
}

#[test]
fn a_stop_ends_the_stream_whatever_is_missing_from_it() {
    let MediaMessage::Stop(stop) = parse(r#"{"event":"stop","stop":{"callSid":"x"}}"#) else {
        panic!("no stop")
    };
    assert_eq!((stop.sequence, stop.call_sid), (None, None));
}

#[test]
fn an_error_repeats_nothing_of_the_message() {
    let start = asset("stream_unidirectional.jsonl")[1]
        .replace(r#"{"tenant":"demo","direction":"inbound"}"#, r#""secret-token""#);
    assert!(start.contains("secret-token"));
    assert!(!error(&start).to_string().contains("secret"), "{}", error(&start));
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_message_or_an_error(text: String) {
        drop(MediaMessage::parse(&text));
    }

    #[test]
    fn any_damage_to_a_message_is_a_message_or_an_error(
        line in 0..102usize, at in 0..300usize, with: char
    ) {
        let mut text = asset("stream_unidirectional.jsonl")[line].clone();
        let at = at.min(text.len() - 1);
        text.replace_range(at..=at, &with.to_string());
        drop(MediaMessage::parse(&text));
    }
}
