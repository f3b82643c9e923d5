//! Twilio's side of the webhooks: forms, signed as it signs them.

use std::str::FromStr;
use std::sync::Arc;

use fieldtape::clock::SystemClock;
use fieldtape::domain::{BadSid, CallSid, RecordingSid, StreamSid};
use fieldtape::simulate::cloud::{Cloud, CloudOptions};
use fieldtape::twilio::door::PublicUrl;
use fieldtape::twilio::signature::{AuthToken, Validator};
use tokio::net::TcpListener;

use super::{ACCOUNT, PUBLIC_URL, TOKEN};

/// Twilio's REST API for our account, by the machine's clock.
pub(crate) async fn twilio_api() -> Cloud {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = CloudOptions {
        account_sid: ACCOUNT.parse().unwrap(),
        auth_token: AuthToken::new(TOKEN).unwrap(),
        api_key: None,
        public_url: PublicUrl::parse(PUBLIC_URL).unwrap(),
        clock: Arc::new(SystemClock),
        seed: 5,
    };
    Cloud::serve(listener, options).unwrap()
}

pub(crate) fn fresh_call_sid() -> CallSid {
    fresh("CA")
}

pub(crate) fn fresh_stream_sid() -> StreamSid {
    fresh("MZ")
}

pub(crate) fn fresh_recording_sid() -> RecordingSid {
    fresh("RE")
}

fn fresh<S: FromStr<Err = BadSid>>(prefix: &str) -> S {
    format!("{prefix}{:032x}", rand::random::<u128>()).parse().unwrap()
}

/// The fields of a webhook.
#[derive(Debug, Clone)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// A call from a telephone to our number, as it rings.
    pub(crate) fn voice(call_sid: &CallSid) -> Self {
        Self(Vec::new())
            .with("AccountSid", ACCOUNT)
            .with("ApiVersion", "2010-04-01")
            .with("CallSid", call_sid.as_str())
            .with("CallStatus", "ringing")
            .with("Called", "+15550199")
            .with("Caller", "+15550100")
            .with("Direction", "inbound")
            .with("From", "+15550100")
            .with("To", "+15550199")
            .with("FromCity", "")
            .with("CallerCountry", "US")
    }

    /// How far such a call has come.
    pub(crate) fn progress(call_sid: &CallSid, status: &str) -> Self {
        Self::voice(call_sid)
            .with("CallStatus", status)
            .with("CallbackSource", "call-progress-events")
            .with("SequenceNumber", "0")
    }

    /// News of Twilio's own recording of it.
    pub(crate) fn recording(
        call_sid: &CallSid,
        recording_sid: &RecordingSid,
        status: &str,
    ) -> Self {
        let url = format!(
            "https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/{recording_sid}"
        );
        Self(Vec::new())
            .with("AccountSid", ACCOUNT)
            .with("CallSid", call_sid.as_str())
            .with("RecordingSid", recording_sid.as_str())
            .with("RecordingUrl", &url)
            .with("RecordingStatus", status)
            .with("RecordingChannels", "2")
            .with("RecordingSource", "StartCallRecordingTwiML")
            .with("RecordingTrack", "both")
            .with("ErrorCode", "0")
    }

    /// News of a stream.
    pub(crate) fn stream(call_sid: &CallSid, stream_sid: &StreamSid, event: &str) -> Self {
        Self(Vec::new())
            .with("AccountSid", ACCOUNT)
            .with("CallSid", call_sid.as_str())
            .with("StreamSid", stream_sid.as_str())
            .with("StreamName", "fieldtape")
            .with("StreamEvent", event)
            .with("Timestamp", "2026-01-05T10:00:00.000000000Z")
    }

    /// Sets a field.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// The fields, as a signature wants them.
    pub(crate) fn fields(&self) -> &[(String, String)] {
        &self.0
    }

    /// Takes a field out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }
}

/// Whoever knows a token and the door's address.
pub(crate) struct Twilio {
    base: String,
    validator: Validator,
    http: reqwest::Client,
}

impl Twilio {
    pub(crate) fn new(door: &str, token: &str) -> Self {
        Self {
            base: format!("http://{door}"),
            validator: Validator::new(AuthToken::new(token).unwrap(), None),
            http: reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap(),
        }
    }

    /// Signs a request for the address that Twilio believes it calls.
    pub(crate) fn sign(&self, path: &str, form: &Form) -> String {
        self.validator.sign(&format!("{PUBLIC_URL}{path}"), &form.0)
    }

    /// Signs a WebSocket's upgrade.
    pub(crate) fn sign_upgrade(&self, path: &str) -> String {
        let base = PUBLIC_URL.replace("https://", "wss://");
        self.validator.sign(&format!("{base}{path}"), &[])
    }

    /// Posts a form as Twilio does.
    pub(crate) async fn post(&self, path: &str, form: &Form) -> reqwest::Response {
        self.post_signed(path, form, Some(&self.sign(path, form))).await
    }

    /// Posts a form with any signature, or none.
    pub(crate) async fn post_signed(
        &self,
        path: &str,
        form: &Form,
        signature: Option<&str>,
    ) -> reqwest::Response {
        let request = self.http.post(format!("{}{path}", self.base)).form(&form.0);
        let request = match signature {
            Some(signature) => request.header("X-Twilio-Signature", signature),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// Asks what to do with a call, and returns the document.
    pub(crate) async fn voice(&self, form: &Form) -> String {
        let response = self.post("/twilio/voice", form).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/xml");
        response.text().await.unwrap()
    }

    /// Announces a call and returns its stream's token.
    pub(crate) async fn announce(&self, call_sid: &CallSid) -> String {
        let document = self.voice(&Form::voice(call_sid)).await;
        let document = roxmltree::Document::parse(&document).unwrap();
        let parameter = document.descendants().find(|node| node.has_tag_name("Parameter")).unwrap();
        assert_eq!(parameter.attribute("name"), Some("token"));
        parameter.attribute("value").unwrap().to_owned()
    }
}
