//! What people add, over the API and on the page.

use super::*;

async fn post(office: &Office, path: &str, body: &str) -> Answer {
    let request = Request::post(path).header("host", "localhost");
    let request = request.header("content-type", "application/json");
    office.ask(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_note_is_kept_shown_found_and_in_the_audit_trail() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let notes = format!("/api/v1/calls/{}/notes", sid(1));
    let told = post(&office, &notes, "{\"text\":\" Ring <back> about the invoice. \"}").await;
    assert_eq!(told.status, 201);
    let note = &told.json()["notes"][0];
    assert_eq!(
        (&note["text"], &note["author"]),
        (&"Ring <back> about the invoice.".into(), &"local".into())
    );
    assert_eq!(note["at"], "2026-09-21T15:13:20Z");
    let page = office.get(&format!("/calls/{}", sid(1))).await;
    assert!(page.text().contains("Ring &#60;back&#62; about the invoice."), "{}", page.text());
    let found = office.get("/api/v1/search?q=invoice").await.json();
    let hit = &found["hits"][0];
    assert_eq!((&hit["kind"], &hit["speaker"]), (&"note".into(), &serde_json::Value::Null));
    assert_eq!(hit["snippet"], "Ring <back> about the invoice.");
    let form = Request::post(format!("/calls/{}/notes", sid(1))).header("host", "localhost");
    let form = form.header("origin", "http://localhost").body(Body::from("text=done+today"));
    assert_eq!(office.ask(form.unwrap()).await.status, 303);
    assert_eq!(office.trail(), ["local note ", "local note "]);
    post(&office, &notes, "{\"text\":\"  \"}").await.problem(400);
    post(&office, &notes, "{}").await.problem(400);
    let long = format!("{{\"text\":\"{}\"}}", "a".repeat(4001));
    post(&office, &notes, &long).await.problem(400);
    post(&office, &format!("/api/v1/calls/{}/notes", sid(9)), "{\"text\":\"a\"}")
        .await
        .problem(404);
}

#[tokio::test]
async fn words_are_put_right_and_what_was_heard_is_kept() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.transcribe(&[(Party::Technician, 4_416, "The old capacity is swollen.")]).await;
    let corrections = format!("/api/v1/calls/{}/corrections", sid(1));
    let body =
        "{\"speaker\":\"technician\",\"start_s\":4.416,\"text\":\"The old capacitor is swollen.\"}";
    let told = post(&office, &corrections, body).await.json();
    let correction = &told["corrections"][0];
    assert_eq!(correction["original"], "The old capacity is swollen.");
    assert_eq!(correction["start_s"], 4.416);
    let transcript = office.get(&format!("/api/v1/calls/{}/transcript", sid(1))).await.json();
    assert_eq!(transcript["segments"][0]["text"], "The old capacitor is swollen.");
    assert_eq!(office.get("/api/v1/search?q=capacitor").await.json()["hits"][0]["start_s"], 4.416);
    let none = office.get("/api/v1/search?q=capacity").await.json();
    assert_eq!(none["hits"].as_array().unwrap().len(), 0);
    assert_eq!(
        post(&office, &corrections, body).await.json()["corrections"].as_array().unwrap().len(),
        1
    );
    let other = body.replace("technician", "agent");
    post(&office, &corrections, &other).await.problem(404);
    post(&office, &corrections, &body.replace("4.416", "4.5")).await.problem(404);
    post(&office, &corrections, &body.replace("technician", "somebody")).await.problem(400);
    assert!(office.trail().contains(&"local correct ".to_owned()));
}

#[tokio::test]
async fn names_come_from_a_list_and_stand_wherever_the_number_does() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.transcribe(&[(Party::Technician, 0, "The capacitor is swollen.")]).await;
    let list = "{\"contacts\":[{\"number\":\"+15125550143\",\"name\":\"Daniel Réyes\"},\
                {\"number\":\"+15125550177\",\"name\":\"Ann\"}]}";
    let told = post(&office, "/api/v1/contacts", list).await.json();
    let expected = serde_json::json!({"added": 2, "renamed": 0, "removed": 0, "contacts": 2});
    assert_eq!(told, expected);
    assert!(office.get("/").await.text().contains("Daniel Réyes"));
    let call = office.get(&format!("/api/v1/calls/{}", sid(1))).await.json();
    assert_eq!(call["name"], "Daniel Réyes");
    for typed in ["daniel+capacitor", "dan*+swollen", "reyes"] {
        let found = office.get(&format!("/api/v1/search?q={typed}")).await.json();
        assert_eq!(found["hits"][0]["name"], "Daniel Réyes", "{typed}");
    }
    let none = office.get("/api/v1/search?q=ann").await.json();
    assert_eq!(none["hits"].as_array().unwrap().len(), 0);
    let only = "{\"contacts\":[{\"number\":\"+15125550143\",\"name\":\"Dan\"}],\"only\":true}";
    let told = post(&office, "/api/v1/contacts", only).await.json();
    let expected = serde_json::json!({"added": 0, "renamed": 1, "removed": 1, "contacts": 1});
    assert_eq!(told, expected);
    let all = office.get("/api/v1/contacts").await.json();
    assert_eq!(all["contacts"], serde_json::json!([{"number": "+15125550143", "name": "Dan"}]));
    let gone = office.get("/api/v1/search?q=reyes").await.json();
    assert_eq!(gone["hits"].as_array().unwrap().len(), 0);
    let bad = "{\"contacts\":[{\"number\":\"555\",\"name\":\"Ann\"}]}";
    assert_eq!(post(&office, "/api/v1/contacts", bad).await.problem(400)["parameter"], "number");
}

#[tokio::test]
async fn a_number_has_its_calls_how_they_ended_what_was_said_last_and_what_is_to_be_done() {
    let office = Office::new().await;
    for n in 1..=3 {
        office.finished_call(n).await;
    }
    office.live_call(4).await;
    let call = office.store.call(&sid(2)).await.unwrap().unwrap().call.id;
    let action = ActionItem {
        id: None,
        text: "I will order it.".to_owned(),
        who: vec![Party::Agent],
        due: None,
        places: Vec::new(),
        done_at: None,
    };
    let summary = SummaryRow {
        engine: "extractive".to_owned(),
        model: None,
        outcome: Outcome::Talked,
        ended_by: None,
        text: "It hums.".to_owned(),
        covers: 1.0,
        left_out: 0,
        statements: Vec::new(),
        actions: vec![action],
        words_at: None,
    };
    office.store.keep_summary(call, summary, at(9)).await.unwrap();
    let told = office.get("/api/v1/numbers/+15125550143").await.json();
    assert_eq!((&told["calls"], &told["name"]), (&4.into(), &serde_json::Value::Null));
    assert_eq!(told["last_call"]["call_sid"], sid(4).as_str());
    let ends = serde_json::json!([
        {"end_reason": "completed", "calls": 3}, {"end_reason": null, "calls": 1},
    ]);
    assert_eq!(told["ends"], ends);
    assert_eq!(told["last_summary"]["text"], "It hums.");
    assert_eq!(told["open_action_items"], 1);
    assert_eq!(told["action_items"][0]["call_sid"], sid(2).as_str());
    assert_eq!(told["calls_url"], "/api/v1/calls?number=%2B15125550143");
    let listed = office.get("/api/v1/numbers").await.json();
    assert_eq!(listed["numbers"].as_array().unwrap().len(), 1);
    assert_eq!(listed["numbers"][0]["open_action_items"], 1);
    for (query, count) in [("q=0143", 1), ("q=%2B1+512", 0), ("q=999", 0), ("q=daniel", 0)] {
        let listed = office.get(&format!("/api/v1/numbers?{query}")).await.json();
        assert_eq!(listed["numbers"].as_array().unwrap().len(), count, "{query}");
    }
    office.get("/api/v1/numbers/+1999").await.problem(404);
    office.get("/api/v1/numbers?cursor=x").await.problem(400);
}
