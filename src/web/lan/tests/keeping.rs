//! Holds, pauses, storage, purge and erasure, as the API and the page have them.

use super::*;

impl Office {
    async fn tell(&self, method: &str, path: &str, body: &serde_json::Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request.header("content-type", "application/json");
        self.ask(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn done(&self, path: &str, body: serde_json::Value) -> serde_json::Value {
        let answer = self.tell("POST", path, &body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        answer.json()
    }
}

#[tokio::test]
async fn a_call_is_held_and_released_and_the_page_shows_it() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let path = format!("/api/v1/calls/{}", sid(1));
    let held = office.done(&format!("{path}/hold"), serde_json::json!({"note": "a dispute"})).await;
    assert_eq!((&held["hold"], &held["hold_note"]), (&true.into(), &"a dispute".into()));
    let page = office.get(&format!("/calls/{}", sid(1))).await;
    assert!(page.text().contains("<strong>Held.</strong>") && page.text().contains("a dispute"));
    let refused = office.tell("DELETE", &path, &serde_json::Value::Null).await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("held"));
    let released = office.done(&format!("{path}/release"), serde_json::json!({})).await;
    assert_eq!(released["hold"], false);
    assert_eq!(office.trail(), ["local hold a dispute", "local release "]);
    office
        .tell("POST", &format!("/api/v1/calls/{}/hold", sid(9)), &serde_json::json!({}))
        .await
        .problem(404);
}

#[tokio::test]
async fn a_paused_queue_is_seen_everywhere_and_goes_on_when_it_is_resumed() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let paused =
        office.done("/api/v1/queue/pause", serde_json::json!({"stage": "transcript"})).await;
    assert_eq!(paused["pauses"][0]["stage"], "transcript");
    let queue = office.get("/api/v1/queue").await.json();
    assert_eq!(queue["pauses"][0]["by"], "local");
    let stage = &queue["stages"][0];
    assert_eq!((&stage["paused"], &stage["drain_s"]), (&true.into(), &serde_json::Value::Null));
    assert!(office.get("/queue").await.text().contains("Transcript is paused since"));
    assert!(office.get("/").await.text().contains("Work on finished calls is paused"));
    assert!(office.store.claim(Stage::Transcript, at(3_600_000)).await.unwrap().is_none());
    let resumed = office.done("/api/v1/queue/resume", serde_json::json!({})).await;
    assert_eq!(resumed["pauses"], serde_json::json!([]));
    assert!(office.store.claim(Stage::Transcript, at(3_600_000)).await.unwrap().is_some());
    let bad = serde_json::json!({"stage": "nap"});
    office.tell("POST", "/api/v1/queue/pause", &bad).await.problem(400);
}

#[tokio::test]
async fn the_storage_page_and_the_api_say_what_is_there_and_what_would_go() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.transcribe(&[(Party::Agent, 0, "Good morning")]).await;
    office.state.keeper.look().await.unwrap();
    let storage = office.get("/api/v1/storage").await.json();
    assert_eq!(
        storage["kept"]["kinds"],
        serde_json::json!([{"kind": "8khz", "files": 2, "bytes": 32088}])
    );
    assert_eq!(storage["kept"]["days"][0]["day"], "2026-09-21");
    assert_eq!(storage["written"]["days"][0]["sound_bytes"], 32088);
    assert!(storage["disk"]["free_bytes"].as_u64().unwrap() > 0);
    assert_eq!(storage["rules"]["only_copies"], "keep");
    assert_eq!(storage["at_twilio"]["cost"], serde_json::Value::Null, "no price is configured");
    assert_eq!(storage["next_purge"]["pieces"], 0);
    let page = office.get("/storage").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    assert!(page.text().contains("32.0 kB") || page.text().contains("33 kB"), "{}", page.text());
    let plan = office.done("/api/v1/purge", serde_json::json!({"free_bytes": 1})).await;
    assert_eq!((&plan["dry_run"], &plan["done"]), (&true.into(), &serde_json::Value::Null));
    let back = &plan["plan"]["kept_back"][0];
    assert_eq!((&back["why"], &back["pieces"]), (&"undone".into(), &2.into()), "{plan}");
    assert_eq!(plan["plan"]["short_bytes"], 1);
    let done = office.done("/api/v1/purge", serde_json::json!({"dry_run": false})).await;
    assert_eq!(done["done"]["pieces"], 0);
    office.clock.jump_to(at(3_600_000), false);
    let unsure = serde_json::json!({"dry_run": false});
    office.tell("POST", "/api/v1/purge", &unsure).await.problem(409);
}

#[tokio::test]
async fn a_call_is_erased_and_its_certificate_can_be_read_for_as_long_as_there_is_a_ledger() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let path = format!("/api/v1/calls/{}", sid(1));
    let answer = office.tell("DELETE", &path, &serde_json::Value::Null).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    let certificate = answer.json();
    let id = certificate["certificate"].as_str().unwrap();
    assert_eq!(certificate["subject"], sid(1).as_str());
    assert_eq!(certificate["state"], "pending", "Twilio has not been asked yet");
    office.get(&path).await.problem(404);
    office.tell("DELETE", &path, &serde_json::Value::Null).await.problem(404);
    let text = office.get(&format!("/api/v1/erasures/{id}?format=txt")).await;
    assert!(text.header("content-type").starts_with("text/plain"));
    assert!(text.text().contains("At Twilio") && text.text().contains("Backups made before"));
    assert!(!text.text().contains("5550143"), "{}", text.text());
    let list = office.get("/api/v1/erasures").await.json();
    assert_eq!(list["erasures"][0]["certificate"], id);
    office.get("/api/v1/erasures/ER0").await.problem(404);
    office.live_call(2).await;
    let live = format!("/api/v1/calls/{}", sid(2));
    office.tell("DELETE", &live, &serde_json::Value::Null).await.problem(409);
}

#[tokio::test]
async fn a_number_is_erased_only_whole_and_a_dry_run_says_which_calls_those_are() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.finished_call(2).await;
    let body = |dry_run: bool| serde_json::json!({"number": "+1 512 555 0143", "dry_run": dry_run});
    let dry = office.done("/api/v1/erasures", body(true)).await;
    assert_eq!(dry["calls"].as_array().unwrap().len(), 2);
    assert!(office.store.call(&sid(1)).await.unwrap().is_some());
    let part = serde_json::json!({"number": "0143"});
    office.tell("POST", "/api/v1/erasures", &part).await.problem(400);
    let nobody = serde_json::json!({"number": "+15125550000"});
    office.tell("POST", "/api/v1/erasures", &nobody).await.problem(404);
    let certificate = office.done("/api/v1/erasures", body(false)).await;
    assert_eq!(certificate["subject"], "…0143");
    assert!(office.store.call(&sid(1)).await.unwrap().is_none());
    assert!(office.store.call(&sid(2)).await.unwrap().is_none());
}
