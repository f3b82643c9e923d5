//! Twilio's copies, on a socket: asked for, told of with a date, deleted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::task::JoinSet;

use super::house::{BORN, call_sid, recording};
use crate::clock::{Clock as _, ManualClock};
use crate::domain::UnixMillis;
use crate::twilio::rest::{Client, Credentials, Origin, Timeouts};

const ACCOUNT: &str = "AC00000000000000000000000000000001";

/// Twilio's copies, on a socket.
pub(super) struct Twilio {
    pub(super) shared: Arc<Played>,
    origin: String,
    _serving: JoinSet<()>,
}

pub(super) struct Played {
    clock: Arc<ManualClock>,
    pub(super) recordings: Mutex<HashMap<String, &'static str>>,
    /// Whether it has the record of the call.
    call: Mutex<bool>,
    seen: Mutex<Vec<String>>,
    /// Does what it is asked and says that it is in trouble.
    pub(super) mumbles: Mutex<bool>,
}

impl Twilio {
    pub(super) async fn start(clock: Arc<ManualClock>) -> Self {
        let (recordings, seen, mumbles) = Default::default();
        let call = Mutex::new(true);
        let shared = Arc::new(Played { clock, recordings, call, seen, mumbles });
        shared.recordings.lock().unwrap().insert(recording().to_string(), "completed");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { shared, origin, _serving: serving }
    }

    pub(super) fn client(&self) -> Client {
        let origin = Origin::parse(&self.origin).unwrap();
        let credentials = Credentials::new(origin, ACCOUNT, "token").unwrap();
        Client::new(credentials, ACCOUNT.parse().unwrap(), Timeouts::default()).unwrap()
    }

    pub(super) fn has(&self) -> bool {
        self.shared.recordings.lock().unwrap().contains_key(recording().as_str())
    }

    pub(super) fn has_call(&self) -> bool {
        *self.shared.call.lock().unwrap()
    }

    pub(super) fn deletions(&self) -> usize {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|method| *method == "DELETE").count()
    }
}

fn rfc2822(at: UnixMillis) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.get()).unwrap();
    moment.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Answers for the one call: its recordings, and its deletion.
fn of_call(played: &Played, request: &Request, name: &str) -> Response {
    if name == "Recordings" {
        let there = played.recordings.lock().unwrap();
        let recordings: Vec<_> = there
            .iter()
            .map(|(sid, status)| {
                serde_json::json!({
                    "sid": sid, "account_sid": ACCOUNT, "call_sid": call_sid().as_str(),
                    "status": status,
                })
            })
            .collect();
        let page = serde_json::json!({ "recordings": recordings, "next_page_uri": null });
        return (StatusCode::OK, page.to_string()).into_response();
    }
    let there = std::mem::replace(&mut *played.call.lock().unwrap(), false);
    assert_eq!((request.method(), name), (&Method::DELETE, call_sid().as_str()));
    if there { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }.into_response()
}

async fn answer(State(played): State<Arc<Played>>, request: Request) -> Response {
    played.seen.lock().unwrap().push(request.method().to_string());
    let name = request.uri().path().rsplit('/').next().unwrap().replace(".json", "");
    if request.uri().path().contains("/Calls/") {
        return of_call(&played, &request, &name);
    }
    let status = played.recordings.lock().unwrap().get(&name).copied();
    let date = [(header::DATE, rfc2822(played.clock.now()))];
    let Some(status) = status else {
        return (StatusCode::NOT_FOUND, date, r#"{"code":20404}"#).into_response();
    };
    if *request.method() == Method::DELETE {
        played.recordings.lock().unwrap().remove(&name);
        let mumbles = *played.mumbles.lock().unwrap();
        let status = if mumbles { StatusCode::BAD_GATEWAY } else { StatusCode::NO_CONTENT };
        return (status, date).into_response();
    }
    let json = serde_json::json!({
        "sid": name, "account_sid": ACCOUNT, "call_sid": call_sid().as_str(), "status": status,
        "channels": 2, "duration": "1", "source": "StartCallRecordingTwiML",
        "date_created": rfc2822(BORN), "start_time": rfc2822(BORN),
    });
    (StatusCode::OK, date, json.to_string()).into_response()
}
