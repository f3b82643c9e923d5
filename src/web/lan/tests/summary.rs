//! What a call came to, on the page and in the API.

use super::*;

fn summary() -> SummaryRow {
    let place = |start_ms, end_ms| vec![Stretch { start_ms, end_ms }];
    SummaryRow {
        engine: "extractive".to_owned(),
        model: None,
        outcome: Outcome::Talked,
        ended_by: None,
        text: "Technician: It reads <42>.\nOne stretch was too unclear.".to_owned(),
        covers: 0.9996,
        left_out: 0,
        statements: vec![Statement {
            party: Some(Party::Technician),
            text: "It reads <42>.".to_owned(),
            places: place(14_280, 15_000),
        }],
        actions: vec![ActionItem {
            id: None,
            text: "I will order it today.".to_owned(),
            who: vec![Party::Agent],
            due: Some("today".to_owned()),
            places: place(57_000, 61_000),
            done_at: None,
        }],
        words_at: Some(at(1)),
    }
}

async fn post(office: &Office, path: &str, kind: &str, body: &str) -> Answer {
    let request = Request::post(path).header("host", "localhost").header("x-fieldtape", "1");
    let request = request.header("content-type", kind).body(Body::from(body.to_owned()));
    office.ask(request.unwrap()).await
}

#[tokio::test]
async fn a_summary_has_the_keys_of_the_contract_and_where_everything_was_said() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let call = office.store.call(&sid(1)).await.unwrap().unwrap().call.id;
    office.store.keep_summary(call, summary(), at(9)).await.unwrap();
    let told = office.get(&format!("/api/v1/calls/{}", sid(1))).await.json();
    let id = told["summary"]["actions"][0]["id"].clone();
    let expected = serde_json::json!({
        "text": "Technician: It reads <42>.\nOne stretch was too unclear.",
        "action_items": ["I will order it today."],
        "outcome": "talked", "engine": "extractive", "covers": 0.9996,
        "model": null, "ended_by": null, "left_out": 0,
        "statements": [{
            "speaker": "technician", "text": "It reads <42>.",
            "places": [{"start_s": 14.28, "end_s": 15.0}],
        }],
        "actions": [{
            "id": id, "text": "I will order it today.", "who": ["agent"], "when": "today",
            "places": [{"start_s": 57.0, "end_s": 61.0}], "done_at": null,
        }],
    });
    assert_eq!(told["summary"], expected);
    let page = office.get(&format!("/calls/{}", sid(1))).await;
    for part in [
        "It reads &#60;42&#62;.",
        "audio/mixed.wav#t=14.280\" data-start=\"14.280\"",
        ">0:57</a>",
        "(Agent, today)",
        "It covers 99.9 % of the call.",
        "One stretch was too unclear.",
    ] {
        assert!(page.text().contains(part), "{part}\n{}", page.text());
    }
}

#[tokio::test]
async fn what_is_to_be_done_is_marked_as_done_and_open_again() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let call = office.store.call(&sid(1)).await.unwrap().unwrap().call.id;
    office.store.keep_summary(call, summary(), at(9)).await.unwrap();
    let item = office.store.call(&sid(1)).await.unwrap().unwrap().summary.unwrap().actions[0].id;
    let place = format!("calls/{}/actions/{}", sid(1), item.unwrap());
    let json = "application/json";
    let done = post(&office, &format!("/api/v1/{place}"), json, "{\"done\":true}").await.json();
    assert_eq!(done["summary"]["actions"][0]["done_at"], "2026-09-21T15:13:20Z");
    let form = "application/x-www-form-urlencoded";
    assert_eq!(post(&office, &format!("/{place}"), form, "done=0").await.status, 303);
    let open = office.get(&format!("/api/v1/calls/{}", sid(1))).await.json();
    assert!(open["summary"]["actions"][0]["done_at"].is_null());
    post(&office, &format!("/api/v1/{place}"), json, "{}").await.problem(400);
    let other = format!("/api/v1/calls/{}/actions/999", sid(1));
    post(&office, &other, json, "{\"done\":true}").await.problem(404);
    assert_eq!(office.trail().len(), 2, "{:?}", office.trail());
}
