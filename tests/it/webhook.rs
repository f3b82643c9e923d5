//! Twilio's door: who is let in, what a call is told to do, and what callbacks leave behind.

use fieldtape::domain::CallSid;
use fieldtape::twilio::signature::{AuthToken, Validator};
use roxmltree::{Document, Node};
use tokio::net::TcpListener;

use crate::support::{
    ACCOUNT, AGENT, Connected, Form, Home, PUBLIC_URL, Socket, TOKEN, Twilio, fresh_call_sid,
    fresh_recording_sid, fresh_stream_sid,
};

const VOICE: &str = "/twilio/voice";
const STATUS: &str = "/twilio/status";
const RECORDING_STATUS: &str = "/twilio/recording-status";
const STREAM_STATUS: &str = "/twilio/stream-status";
const MEDIA_STREAM: &str = "/twilio/media-stream";

const OTHER_ACCOUNT: &str = "AC00000000000000000000000000000002";

/// A good form for every route that takes one.
fn forms(call_sid: &CallSid) -> [(&'static str, Form); 4] {
    [
        (VOICE, Form::voice(call_sid)),
        (STATUS, Form::progress(call_sid, "completed")),
        (RECORDING_STATUS, Form::recording(call_sid, &fresh_recording_sid(), "completed")),
        (STREAM_STATUS, Form::stream(call_sid, &fresh_stream_sid(), "stream-error")),
    ]
}

fn assert_nothing_happened(home: &Home) {
    let ledger = home.ledger();
    for table in ["calls", "stages", "streams", "stream_tokens", "cloud_recordings", "tracks"] {
        assert_eq!(ledger.count(table), 0, "{table}");
    }
}

#[tokio::test]
async fn what_twilio_did_not_sign_is_refused_and_changes_nothing() {
    let home = Home::new();
    let appliance = home.start().await;
    let twilio = appliance.twilio();
    let stranger = Twilio::new(appliance.door(), "another-token");
    for (path, form) in &forms(&fresh_call_sid()) {
        let elsewhere = twilio.sign("/twilio/other", form);
        let other_form = twilio.sign(path, &form.clone().with("CallStatus", "busy"));
        let wrong = stranger.sign(path, form);
        for signature in [None, Some(""), Some("not base64!"), Some(&wrong), Some(&elsewhere)] {
            let answer = twilio.post_signed(path, form, signature).await;
            assert_eq!(answer.status(), 403, "{path} signed {signature:?}");
        }
        let answer = twilio.post_signed(path, form, Some(&other_form)).await;
        assert_eq!(answer.status(), 403, "{path} with another form's signature");
    }
    let elsewhere = twilio.sign_upgrade("/twilio/voice");
    let wrong = stranger.sign_upgrade(MEDIA_STREAM);
    for signature in [None, Some(""), Some(wrong.as_str()), Some(elsewhere.as_str())] {
        let Connected::Refused(403) = Connected::with(appliance.door(), signature).await else {
            panic!("a stream signed {signature:?} was not refused with 403");
        };
    }
    assert_nothing_happened(&home);
    let refused = appliance.log().lines_with(&["webhook.refused", "403"]);
    assert_eq!(refused.len(), 4 * 6 + 4, "each refusal is logged");
    assert!(refused.iter().any(|line| line.contains("no X-Twilio-Signature")), "with its reason");
    assert!(!appliance.log().text().contains(TOKEN));
    appliance.stop().await;
}

#[tokio::test]
async fn another_account_is_refused_and_changes_nothing() {
    let home = Home::new();
    let appliance = home.start().await;
    for (path, form) in forms(&fresh_call_sid()) {
        let form = form.with("AccountSid", OTHER_ACCOUNT);
        assert_eq!(appliance.twilio().post(path, &form).await.status(), 403, "{path}");
    }
    assert_nothing_happened(&home);
    appliance.stop().await;
}

#[tokio::test]
async fn without_an_account_everything_is_refused_and_the_page_says_what_to_set() {
    let home = Home::new().without("twilio.auth_token");
    let appliance = home.start().await;
    for (path, form) in forms(&fresh_call_sid()) {
        assert_eq!(appliance.twilio().post(path, &form).await.status(), 403, "{path}");
    }
    let health = appliance.api("/health").await.to_string();
    assert!(health.contains("twilio.auth_token"), "{health}");
    appliance.stop().await;
}

#[tokio::test]
async fn a_form_that_makes_no_sense_is_a_bad_request() {
    let home = Home::new();
    let appliance = home.start().await;
    let twilio = appliance.twilio();
    for (path, form) in &forms(&fresh_call_sid()) {
        for bad in ["", "CA123", "CA../../../../../../../../etc/passwd", "éééééééé"] {
            let form = form.clone().with("CallSid", bad);
            assert_eq!(twilio.post(path, &form).await.status(), 400, "{path} with {bad:?}");
        }
        let form = form.clone().without("AccountSid");
        assert_eq!(twilio.post(path, &form).await.status(), 400, "{path} without an account");
    }
    let form = Form::recording(&fresh_call_sid(), &fresh_recording_sid(), "completed");
    let form = form.with("RecordingSid", "RE/../x");
    assert_eq!(twilio.post(RECORDING_STATUS, &form).await.status(), 400);
    assert_nothing_happened(&home);
    appliance.stop().await;
}

#[tokio::test]
async fn a_form_of_more_than_64_kib_is_a_bad_request() {
    let home = Home::new();
    let appliance = home.start().await;
    for (path, form) in forms(&fresh_call_sid()) {
        let form = form.with("Padding", &"x".repeat(64 * 1024));
        assert_eq!(appliance.twilio().post(path, &form).await.status(), 400, "{path}");
    }
    assert_nothing_happened(&home);
    appliance.stop().await;
}

#[tokio::test]
async fn unknown_fields_and_words_are_ignored() {
    let home = Home::new();
    let appliance = home.start().await;
    let twilio = appliance.twilio();
    let call_sid = fresh_call_sid();
    for (path, form) in forms(&call_sid) {
        let form = form.with("NobodyKnowsThis", "…").with("StirVerstat", "TN-Validation-Passed-A");
        let status = twilio.post(path, &form).await.status();
        assert!(status.is_success(), "{path}: {status}");
    }
    for (path, name) in [
        (STATUS, "CallStatus"),
        (RECORDING_STATUS, "RecordingStatus"),
        (STREAM_STATUS, "StreamEvent"),
    ] {
        let (_, form) = forms(&call_sid).into_iter().find(|(known, _)| *known == path).unwrap();
        let status = twilio.post(path, &form.with(name, "sunny")).await.status();
        assert!(status.is_success(), "{path}: {status}");
    }
    assert_eq!(home.ledger().call(&call_sid).unwrap().call_status, "completed");
    appliance.stop().await;
}

#[tokio::test]
async fn a_signature_may_be_over_a_trailing_slash_or_a_port() {
    let home = Home::new();
    let appliance = home.start().await;
    let twilio = appliance.twilio();
    let validator = Validator::new(AuthToken::new(TOKEN).unwrap(), None);
    let form = Form::voice(&fresh_call_sid());
    for (target, url) in [
        ("/twilio/voice", format!("{PUBLIC_URL}/twilio/voice")),
        ("/twilio/voice", format!("{PUBLIC_URL}/twilio/voice/")),
        ("/twilio/voice?a=1&b=%20", format!("{PUBLIC_URL}/twilio/voice?a=1&b=%20")),
        ("/twilio/voice?a=1", format!("{PUBLIC_URL}/twilio/voice/?a=1")),
    ] {
        let signature = validator.sign(&url, form.fields());
        let answer = twilio.post_signed(target, &form, Some(&signature)).await;
        assert_eq!(answer.status(), 200, "{target} signed as {url}");
    }
    // `sign` leaves an https port out as Twilio mostly does; this one is over the text with it.
    let with_port = "https://fieldtape.example:443/twilio/voice";
    let signature = with_port_signature(with_port, &form);
    let answer = twilio.post_signed(VOICE, &form, Some(&signature)).await;
    assert_eq!(answer.status(), 200, "signed as {with_port}");
    appliance.stop().await;
}

/// Signs a URL's text as it stands.
fn with_port_signature(url: &str, form: &Form) -> String {
    use base64::Engine as _;
    use hmac::{Hmac, Mac as _};
    let mut fields = form.fields().to_vec();
    fields.sort();
    let text = fields.iter().fold(url.to_owned(), |text, (name, value)| text + name + value);
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn each_port_serves_its_own_and_nothing_else() {
    let home = Home::new();
    let appliance = home.start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/api/v1/calls",
        "/api/v1/health",
        "/twilio",
        "/twilio/",
        "/twilio/x",
        "/metrics",
        "/assets/x/style.css",
        "/..%2f..%2fetc/passwd",
    ] {
        let url = format!("http://{}{path}", appliance.door());
        assert_eq!(http.get(&url).send().await.unwrap().status(), 404, "GET {url}");
        assert_eq!(http.post(&url).send().await.unwrap().status(), 404, "POST {url}");
    }
    let office = Twilio::new(appliance.lan(), TOKEN);
    for (path, form) in forms(&fresh_call_sid()) {
        assert_eq!(office.post(path, &form).await.status(), 404, "{path} at the office's door");
    }
    let upgrade = office.sign_upgrade(MEDIA_STREAM);
    let Connected::Refused(404) = Connected::with(appliance.lan(), Some(&upgrade)).await else {
        panic!("the office's door knows of streams");
    };
    assert_nothing_happened(&home);
    appliance.stop().await;
}

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
    crate::support::eventually("there is room again", async || {
        let text = twilio.voice(&Form::voice(&fresh_call_sid())).await;
        text.contains("<Stream").then_some(())
    })
    .await;
    appliance.stop().await;
}

/// All orders of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let insert = |order: Vec<usize>| {
        (0..count).map(move |place| {
            let mut order = order.clone();
            order.insert(place, count - 1);
            order
        })
    };
    orders(count - 1).into_iter().flat_map(insert).collect()
}

#[tokio::test]
async fn callbacks_in_any_order_and_repeated_leave_the_same_row() {
    let home = Home::new();
    let appliance = home.start().await;
    let twilio = appliance.twilio();
    let mut seen = Vec::new();
    for order in orders(5) {
        let (call_sid, recording_sid) = (fresh_call_sid(), fresh_recording_sid());
        let news = [
            (STATUS, Form::progress(&call_sid, "ringing")),
            (STATUS, Form::progress(&call_sid, "in-progress")),
            (STATUS, Form::progress(&call_sid, "completed").with("CallDuration", "63")),
            (RECORDING_STATUS, Form::recording(&call_sid, &recording_sid, "in-progress")),
            (
                RECORDING_STATUS,
                Form::recording(&call_sid, &recording_sid, "completed")
                    .with("RecordingDuration", "62"),
            ),
        ];
        let repeated = order.iter().chain(order.first());
        for place in repeated {
            let (path, form) = &news[*place];
            assert_eq!(twilio.post(path, form).await.status(), 204);
        }
        let ledger = home.ledger();
        let mut call = ledger.call(&call_sid).unwrap();
        assert!(call.ended_at_ms.is_some());
        (call.id, call.ended_at_ms) = (0, None);
        let cloud = ["recording_sid", "status", "duration_s", "channels"]
            .map(|column| ledger.cloud(&call_sid, column));
        assert_eq!(cloud[0], [Some(recording_sid.to_string())], "one row, whatever the order");
        seen.push((order, call, cloud[1..].to_vec()));
    }
    let (_, call, cloud) = &seen[0];
    assert_eq!(call.call_status, "completed");
    assert_eq!((call.duration_s, call.duration_source.as_deref()), (Some(63), Some("twilio")));
    assert_eq!(cloud[..2], [vec![Some("completed".to_owned())], vec![Some("62".to_owned())]]);
    for (order, other_call, other_cloud) in &seen {
        assert_eq!((other_call, other_cloud), (call, cloud), "in order {order:?}");
    }
    appliance.stop().await;
}

#[tokio::test]
async fn news_of_a_stream_changes_nothing_but_its_error() {
    let home = Home::new();
    let appliance = home.start().await;
    let twilio = appliance.twilio();
    let call_sid = fresh_call_sid();
    let token = twilio.announce(&call_sid).await;
    let socket = Socket::begin(&appliance, &call_sid, Some(&token)).await;
    appliance.log().await_line(&["stream.started", call_sid.as_str()]).await;
    let stream_sid = socket.stream_sid.clone();
    for event in ["stream-stopped", "stream-started", "stream-started"] {
        let form = Form::stream(&call_sid, &stream_sid, event);
        assert_eq!(twilio.post(STREAM_STATUS, &form).await.status(), 204);
    }
    let live = || home.ledger().streams(&call_sid).pop();
    let row = crate::support::eventually("the stream has its row", async || live()).await;
    assert_eq!((row.stopped_at_ms, row.error), (None, None));
    let form = Form::stream(&call_sid, &stream_sid, "stream-error").with("StreamError", "31924");
    for _ in 0..2 {
        assert_eq!(twilio.post(STREAM_STATUS, &form).await.status(), 204);
    }
    let row = live().unwrap();
    assert_eq!((row.stopped_at_ms, row.error.as_deref()), (None, Some("31924")));
    socket.stop().await;
    appliance.stop().await;
}

#[tokio::test]
async fn a_recording_elsewhere_is_never_fetched() {
    let home = Home::new();
    let appliance = home.start().await;
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = trap.local_addr().unwrap();
    let call_sid = fresh_call_sid();
    for (scheme, status) in [("http", "completed"), ("https", "completed")] {
        let url = format!("{scheme}://{address}/2010-04-01/Accounts/{ACCOUNT}/Recordings/RE1");
        let form = Form::recording(&call_sid, &fresh_recording_sid(), status);
        let form = form.with("RecordingUrl", &url);
        assert_eq!(appliance.twilio().post(RECORDING_STATUS, &form).await.status(), 204);
    }
    let ended = Form::progress(&call_sid, "completed");
    assert_eq!(appliance.twilio().post(STATUS, &ended).await.status(), 204);
    appliance.stop().await;
    let caught = tokio::time::timeout(std::time::Duration::ZERO, trap.accept()).await;
    assert!(caught.is_err(), "somebody came: {caught:?}");
    let kept = home.ledger().call(&call_sid).unwrap();
    assert_eq!(home.ledger().cloud(&call_sid, "path"), [None, None], "{kept:?}");
}
