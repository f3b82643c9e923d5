//! Twilio's door: who is let in.

mod callbacks;
mod twiml;

use fieldtape::domain::CallSid;
use fieldtape::twilio::signature::{AuthToken, Validator};

use crate::support::{
    Connected, Form, Home, PUBLIC_URL, TOKEN, Twilio, eventually, fresh_call_sid,
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
    let refused = eventually("each refusal is logged", async || {
        let lines = appliance.log().lines_with(&["webhook.refused", "403"]);
        (lines.len() >= 4 * 6 + 4).then_some(lines)
    })
    .await;
    assert_eq!(refused.len(), 4 * 6 + 4, "and once");
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
