mod callbacks;
mod client;
mod faults;
mod lists;
mod outage;
mod played;
mod sound;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::clock::ManualClock;

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "token";
const PUBLIC: &str = "https://rec.example.test/office-7";

/// 2026-01-05T10:00:00Z.
const NOW: UnixMillis = UnixMillis::new(1_767_607_200_000);

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A Twilio, its clock, and somebody who asks it.
struct Desk {
    cloud: Cloud,
    clock: Arc<ManualClock>,
    http: reqwest::Client,
}

impl Desk {
    async fn open() -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let cloud = serve(clock.clone()).await;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { cloud, clock, http }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/2010-04-01/Accounts/{ACCOUNT}{path}", self.cloud.url())
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path)).basic_auth(ACCOUNT, Some(TOKEN))
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.request(reqwest::Method::GET, path).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    async fn delete(&self, path: &str) -> reqwest::Response {
        self.request(reqwest::Method::DELETE, path).send().await.unwrap()
    }

    /// Asks for a dual recording, told at every event.
    async fn start(&self, call_sid: &CallSid) -> reqwest::Response {
        let callback = format!("{PUBLIC}/twilio/recording-status#rc=5&rp=all");
        let form = [
            ("RecordingChannels", "dual"),
            ("RecordingStatusCallback", callback.as_str()),
            ("RecordingStatusCallbackEvent", "in-progress"),
            ("RecordingStatusCallbackEvent", "completed absent"),
        ];
        let path = format!("/Calls/{call_sid}/Recordings.json");
        self.request(reqwest::Method::POST, &path).form(&form).send().await.unwrap()
    }

    /// Puts a completed call there with two seconds of sound, and returns its recording's path.
    fn recorded_call(&self) -> (RecordingSid, String) {
        let media = Media::noise(2, Duration::from_secs(2), 5);
        let call = CallScript::inbound(NOW.minus(HOUR), MINUTE).recorded(media);
        let call_sid = self.cloud.place_call(call);
        let sid = self.cloud.recordings_of(&call_sid)[0].sid.clone();
        let path = format!("/Recordings/{sid}");
        (sid, path)
    }
}

async fn serve(clock: SharedClock) -> Cloud {
    let options = CloudOptions {
        account_sid: ACCOUNT.parse().unwrap(),
        auth_token: AuthToken::new(TOKEN).unwrap(),
        api_key: Some(ApiKey { sid: "SK1".to_owned(), secret: "key's".to_owned() }),
        public_url: PublicUrl::parse(PUBLIC).unwrap(),
        clock,
        seed: 1,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Cloud::serve(listener, options).unwrap()
}

#[tokio::test]
async fn nobody_learns_anything_without_credentials() {
    let desk = Desk::open().await;
    let (_, recording) = desk.recorded_call();
    let json = |path: &str| format!("{path}.json");
    for path in ["/Calls.json".to_owned(), json(&recording), json("/Calls/CA1/Recordings")] {
        let url = desk.url(&path);
        for request in [
            desk.http.get(&url),
            desk.http.get(&url).basic_auth(ACCOUNT, Some("guess")),
            desk.http.get(&url).basic_auth("SK1", Some(TOKEN)),
            desk.http.get(&url).basic_auth("AC2", Some(TOKEN)),
        ] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path}");
            let body: Value = answer.json().await.unwrap();
            assert_eq!((&body["code"], &body["status"]), (&20_003.into(), &401.into()));
        }
    }
    let sound = desk.http.get(desk.url(&format!("{recording}.wav"))).send().await.unwrap();
    assert_eq!(sound.status(), 401);
    assert_eq!(sound.headers()["content-type"], "application/xml");
    assert!(sound.text().await.unwrap().contains("<Code>20003</Code>"));

    let key = desk.http.get(desk.url("/Calls.json")).basic_auth("SK1", Some("key's"));
    assert_eq!(key.send().await.unwrap().status(), 200);
    let requests = desk.cloud.requests();
    assert!(requests[..13].iter().all(|request| !request.authorised));
    assert!(!requests[0].has_credentials && requests[1].has_credentials);
    assert!(requests[13].authorised);
}

#[tokio::test]
async fn every_answer_is_dated_by_this_twilios_clock_and_every_request_is_noted() {
    let desk = Desk::open().await;
    let (sid, recording) = desk.recorded_call();
    desk.clock.advance(HOUR);
    let answer = desk.get("/Calls.json?PageSize=2&StartTime%3E=2026-01-05").await;
    assert_eq!(answer.headers()["date"], "Mon, 05 Jan 2026 11:00:00 GMT");
    let sound = desk.request(reqwest::Method::GET, &format!("{recording}.wav"));
    sound.header("Range", "bytes=100-").send().await.unwrap().bytes().await.unwrap();
    assert_eq!(desk.get("/Nothing.json").await.status(), 404);

    let requests = desk.cloud.requests();
    let endpoints: Vec<Endpoint> = requests.iter().map(|request| request.endpoint).collect();
    assert_eq!(endpoints, [Endpoint::Calls, Endpoint::Media, Endpoint::Unknown]);
    assert_eq!(requests[0].at, NOW.plus(HOUR));
    assert_eq!(requests[0].parameter("StartTime>"), Some("2026-01-05"));
    assert_eq!(requests[1].range.as_deref(), Some("bytes=100-"));
    assert!(requests[1].path.contains(sid.as_str()));
    let statuses: Vec<_> = requests.iter().map(|request| request.status.unwrap()).collect();
    assert_eq!(statuses, [200, 206, 404]);
    assert_eq!(desk.cloud.requests_for(Endpoint::Media).len(), 1);
    assert_eq!(desk.json(".json").await["status"], "active");
}
