//! What is undone, and what an outage looks like.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::pipeline::{Link, Probe};

impl Office {
    /// An office with a link, and whether Twilio is there.
    async fn with_link() -> (Self, Arc<AtomicBool>) {
        let office = Self::new().await;
        let there = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&there);
        let probe: Probe = Arc::new(move || {
            let found =
                if seen.load(Ordering::SeqCst) { Ok(()) } else { Err("no answer".to_owned()) };
            Box::pin(async { found })
        });
        let link = Link::open(office.store.clone(), office.clock.clone(), probe).await.unwrap();
        let state = LanState { link: Some(link), ..office.state.clone() };
        let page =
            router(state.clone(), Gate::new("127.0.0.1:8080".parse().unwrap(), "depot", &[]));
        (Self { state, page, ..office }, there)
    }

    async fn queue(&self) -> serde_json::Value {
        self.get("/api/v1/queue").await.json()
    }

    async fn post(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header("host", "localhost")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-fieldtape", "1");
        self.ask(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// Twilio has a copy of a call.
    async fn copy_is_ready(&self, n: u32) {
        let update = CloudUpdate {
            call_sid: sid(n),
            recording_sid: format!("RE{n:032x}").parse().unwrap(),
            status: "completed".to_owned(),
            channels: Some(2),
            duration_s: Some(63),
            source: None,
            track: None,
            started_at: None,
            error_code: None,
            at: self.clock_now(),
        };
        self.store.cloud_recording(update).await.unwrap();
    }

    fn clock_now(&self) -> UnixMillis {
        use crate::clock::Clock;
        self.clock.now()
    }

    async fn fail(&self, stage: Stage, why: &str) {
        let claim = self.store.claim(stage, self.clock_now()).await.unwrap().unwrap();
        let settlement = Settlement::Never { why: why.to_owned() };
        self.store.settle(claim, settlement, self.clock_now()).await.unwrap();
    }
}

#[tokio::test]
async fn the_queue_says_what_is_undone_item_by_item() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.finished_call(2).await;
    office.fail(Stage::Transcript, "it broke").await;
    let queue = office.queue().await;
    assert_eq!(queue["live_calls"], 0);
    assert_eq!(queue["link"], serde_json::json!({"state": "unused", "since": null, "why": null}));
    let transcript = &queue["stages"][0];
    assert_eq!(
        *transcript,
        serde_json::json!({
            "stage": "transcript", "pending": 1, "processing": 0, "failed": 1,
            "oldest_at": "2026-09-21T14:13:22Z", "drain_s": null, "waiting_reason": null,
            "next_attempt_at": "2026-09-21T14:14:26Z", "waiting_for": null, "paused": false,
        })
    );
    let keys = |item: &serde_json::Value| {
        let text = |key: &str| item[key].as_str().unwrap_or("-").to_owned();
        [text("call_sid"), text("stage"), text("status"), text("last_error")]
    };
    let items = queue["items"].as_array().unwrap();
    let mine: Vec<[String; 4]> =
        items.iter().filter(|item| item["stage"] == "transcript").map(keys).collect();
    let line = |n: u32, status: &str, error: &str| {
        [sid(n).to_string(), "transcript".to_owned(), status.to_owned(), error.to_owned()]
    };
    assert_eq!(mine, [line(1, "failed", "it broke"), line(2, "pending", "-")]);
    assert_eq!(queue["items_left_off"], 0);
    assert_eq!(queue["outages"], serde_json::json!([]));
}

#[tokio::test]
async fn the_time_to_drain_is_known_once_something_was_done_lately() {
    let office = Office::new().await;
    for n in 1..=3 {
        office.finished_call(n).await;
    }
    let claim = office.store.claim(Stage::Transcript, office.clock_now()).await.unwrap().unwrap();
    let done = Settlement::Done(Output::Kept);
    office.store.settle(claim, done, office.clock_now()).await.unwrap();
    office.clock.advance(Duration::from_mins(2));
    let queue = office.queue().await;
    assert_eq!(queue["stages"][0]["drain_s"], 240, "{queue}");
    let page = office.get("/queue").await;
    assert!(page.text().contains("about 4 min to go"), "{}", page.text());
}

#[tokio::test]
async fn an_outage_is_told_while_it_lasts_and_after_it() {
    let (office, there) = Office::with_link().await;
    office.finished_call(1).await;
    office.copy_is_ready(1).await;
    assert_eq!(office.queue().await["link"]["state"], "up");
    assert!(!office.get("/").await.text().contains("cannot be reached"));

    there.store(false, Ordering::SeqCst);
    let run = office.post("/api/v1/queue/run", "").await;
    assert_eq!(run.status, 202);
    let since = "2026-09-21T15:13:20Z";
    assert_eq!(
        run.json(),
        serde_json::json!({"hurried": 0, "link": {"state": "down", "since": since, "why": "no answer"}})
    );
    for path in ["/", "/queue"] {
        let page = office.get(path).await.text().to_owned();
        assert!(page.contains("Twilio cannot be reached since <time class=\"within\""), "{page}");
        assert!(page.contains("calls are recorded here, 1 stage waits for the network."), "{page}");
    }
    let queue = office.queue().await;
    let fetch = queue["items"].as_array().unwrap().iter().find(|item| item["stage"] == "fetch");
    assert_eq!(fetch.unwrap()["waiting_for"], "network");
    assert_eq!(fetch.unwrap()["attempts"], 0);

    office.clock.advance(Duration::from_mins(8 * 60 + 12));
    let lasting = &office.queue().await["outages"][0];
    assert_eq!(
        (&lasting["to"], &lasting["duration_s"]),
        (&serde_json::Value::Null, &29_520.into())
    );
    there.store(true, Ordering::SeqCst);
    let run = office.post("/queue/run", "").await;
    assert_eq!((run.status.as_u16(), run.header("location")), (303, "/queue"));
    assert!(!office.get("/").await.text().contains("outage of"), "nothing was caught up");
    office.store.recovered(7, 0, at(0)).await.unwrap();
    for path in ["/", "/queue"] {
        let page = office.get(path).await;
        assert!(page.text().contains("7 calls recovered after an outage of 8 h 12 min."), "{path}");
    }
    let queue = office.queue().await;
    assert_eq!(
        queue["outages"],
        serde_json::json!([{
            "from": since, "to": "2026-09-21T23:25:20Z", "duration_s": 29_520, "cause": "no answer",
            "calls_recovered": 7, "recordings_recovered": 0,
        }])
    );
    assert_eq!(queue["link"]["since"], "2026-09-21T23:25:20Z");
    office.clock.advance(Duration::from_hours(25));
    assert!(!office.get("/").await.text().contains("recovered after"), "no news any more");
}

#[tokio::test]
async fn everything_that_failed_is_retried_at_once() {
    let office = Office::new().await;
    let nothing = office.post("/api/v1/queue/retry", "").await;
    assert_eq!((nothing.status.as_u16(), nothing.json()), (202, serde_json::json!({"queued": []})));
    for n in 1..=2 {
        office.finished_call(n).await;
        office.fail(Stage::Transcript, "it <broke>").await;
    }
    let page = office.get("/queue").await;
    for part in ["Retry all failed", "2 failed", "it &#60;broke&#62;", "name=\"back\""] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    let one = format!("/calls/{}/retry", sid(1));
    let back = office.post(&one, "stage=transcript&back=queue").await;
    assert_eq!(back.header("location"), "/queue");
    let elsewhere = office.post(&one, "stage=transcript&back=//evil.example").await;
    assert_eq!(elsewhere.header("location"), format!("/calls/{}", sid(1)));
    let again = office.post("/api/v1/queue/retry", "").await;
    let expected = serde_json::json!([{"call_sid": sid(2).as_str(), "stage": "transcript"}]);
    assert_eq!((again.status.as_u16(), &again.json()["queued"]), (202, &expected));
    let settled = office.get("/queue").await;
    assert!(!settled.text().contains("Retry all failed"));
    assert_eq!(office.trail(), ["local retry transcript", "local retry-all-failed 1 stages"]);
    let press = office.post("/queue/retry", "").await;
    assert_eq!((press.status.as_u16(), press.header("location")), (303, "/queue"));
}

#[tokio::test]
async fn another_site_cannot_press_the_queues_buttons() {
    let office = Office::new().await;
    for path in ["/queue/run", "/queue/retry", "/api/v1/queue/run", "/api/v1/queue/retry"] {
        let request = Request::post(path).header("host", "localhost");
        office.ask(request.body(Body::empty()).unwrap()).await.problem(403);
    }
    assert_eq!(office.trail(), [""; 0]);
}
