//! The words of a call in progress.

use axum::body::BodyDataStream;
use futures_util::StreamExt as _;

use super::*;
use crate::transcribe::LiveSegment;

const DEADLINE: Duration = Duration::from_secs(10);

/// Server-sent events as a viewer gets them.
struct Viewer {
    body: BodyDataStream,
    text: String,
}

impl Viewer {
    async fn new(office: &Office, n: u32) -> Self {
        let path = format!("/api/v1/calls/{}/live", sid(n));
        let request = get(&path).body(Body::empty()).unwrap();
        let response = office.page.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event's name and data; none when the stream has ended.
    async fn next(&mut self) -> Option<(String, serde_json::Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim().to_owned())
                };
                let parsed = field("event:").zip(field("data:"));
                self.text = rest.to_owned();
                match parsed {
                    Some((name, data)) => {
                        return Some((name, serde_json::from_str(&data).unwrap()));
                    }
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(DEADLINE, self.body.next()).await.expect("an event");
            self.text.push_str(std::str::from_utf8(&chunk?.unwrap()).unwrap());
        }
    }

    async fn expect(&mut self, name: &str) -> serde_json::Value {
        let (got, data) = self.next().await.expect("an event");
        assert_eq!(got, name, "{data}");
        data
    }
}

fn said(text: &str) -> LiveSegment {
    LiveSegment {
        party: Party::Technician,
        start_ms: 1500,
        end_ms: 2500,
        text: text.to_owned(),
        confidence: 0.5,
    }
}

#[tokio::test]
async fn a_viewer_hears_what_was_said_and_what_comes_until_the_end() {
    let office = Office::new().await;
    office.live_call(1).await;
    office.board.begin(&sid(1));
    office.board.heard(&sid(1), said("one"));
    let mut viewer = Viewer::new(&office, 1).await;
    let first = viewer.expect("segment").await;
    assert_eq!(
        first,
        serde_json::json!({"n": 0, "speaker": "technician", "start_s": 1.5, "end_s": 2.5,
            "text": "one", "confidence": 0.5})
    );
    assert_eq!(viewer.expect("status").await["lag_s"], 0.0);
    office.board.lags(&sid(1), 4.5);
    office.board.guessed(&sid(1), said("too"));
    office.board.heard(&sid(1), said("two\n\ndata: three"));
    office.board.end(&sid(1));
    assert_eq!(viewer.expect("status").await["lag_s"], 4.5);
    let guess = viewer.expect("provisional").await;
    assert_eq!(
        guess,
        serde_json::json!({"speaker": "technician", "start_s": 1.5, "end_s": 2.5, "text": "too",
            "confidence": 0.5})
    );
    let second = viewer.expect("segment").await;
    assert_eq!((&second["n"], &second["text"]), (&1.into(), &"two\n\ndata: three".into()));
    viewer.expect("end").await;
    assert!(viewer.next().await.is_none());
}

#[tokio::test]
async fn one_who_comes_late_sees_what_is_being_said_below_what_was() {
    let office = Office::new().await;
    office.live_call(1).await;
    office.board.begin(&sid(1));
    office.board.heard(&sid(1), said("one"));
    office.board.guessed(&sid(1), said("tw"));
    let mut viewer = Viewer::new(&office, 1).await;
    assert_eq!(viewer.expect("segment").await["text"], "one");
    assert_eq!(viewer.expect("provisional").await["text"], "tw");
    viewer.expect("status").await;
    office.board.guessed(&sid(1), said(""));
    assert_eq!(viewer.expect("provisional").await["text"], "", "taken back");
}

#[tokio::test]
async fn a_viewer_who_is_too_slow_gets_everything_again_in_its_place() {
    let office = Office::new().await;
    office.live_call(1).await;
    office.board.begin(&sid(1));
    let mut viewer = Viewer::new(&office, 1).await;
    viewer.expect("status").await;
    for n in 0..500 {
        office.board.heard(&sid(1), said(&n.to_string()));
    }
    for n in 0..500 {
        let segment = viewer.expect("segment").await;
        assert_eq!((&segment["n"], &segment["text"]), (&n.into(), &n.to_string().into()));
    }
}

#[tokio::test]
async fn a_viewer_of_a_call_whose_words_have_not_begun_waits_for_them() {
    let office = Office::new().await;
    office.live_call(1).await;
    let mut viewer = Viewer::new(&office, 1).await;
    assert_eq!(viewer.expect("status").await["lag_s"], serde_json::Value::Null);
    office.board.begin(&sid(1));
    office.board.heard(&sid(1), said("at last"));
    assert_eq!(viewer.expect("segment").await["text"], "at last");
}

#[tokio::test]
async fn a_viewer_of_a_call_that_is_over_is_told_so() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let mut viewer = Viewer::new(&office, 1).await;
    viewer.expect("end").await;
    assert!(viewer.next().await.is_none());
}

#[tokio::test]
async fn live_streams_end_when_the_appliance_stops() {
    let office = Office::new().await;
    office.live_call(1).await;
    office.board.begin(&sid(1));
    let mut viewer = Viewer::new(&office, 1).await;
    viewer.expect("status").await;
    office.state.stopping.cancel();
    assert!(viewer.next().await.is_none());
}
