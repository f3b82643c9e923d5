//! What was said, found again: over the API and on the page.

use super::*;

#[tokio::test]
async fn a_hit_says_who_said_it_where_and_where_to_play_it_from() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let lines = [
        (Party::Agent, 420, "Über the start capacitor?"),
        (Party::Technician, 31_650, "The old Capacitor is swollen."),
    ];
    office.transcribe(&lines).await;
    let found = office.get("/api/v1/search?q=capacitor+swollen").await.json();
    let hit = serde_json::json!({
        "call_sid": sid(1).as_str(), "kind": "words", "name": null, "direction": "inbound",
        "from": "+15125550143", "to": "+15125550199", "began_at": "2026-09-21T14:13:21Z",
        "speaker": "technician", "start_s": 31.65, "end_s": 32.55, "play_from_s": 28.65,
        "snippet": "The old Capacitor is swollen.",
        "marks": [{"start": 8, "end": 17}, {"start": 21, "end": 28}],
        "more_in_call": 0,
    });
    assert_eq!(found["hits"][0], hit);
    assert_eq!(found["hits"][1]["marks"], serde_json::json!([{"start": 15, "end": 24}]));
    assert_eq!(found["hits"][1]["play_from_s"], 0.0, "not before its beginning");
    assert_eq!((&found["next_cursor"], &found["unindexed"]), (&serde_json::Value::Null, &0.into()));
    let by_number = office.get("/api/v1/search?q=0143").await.json();
    let hit = &by_number["hits"][0];
    assert_eq!((&hit["kind"], &hit["start_s"]), (&"number".into(), &serde_json::Value::Null));
    let listed = office.get("/api/v1/calls?q=swollen").await.json();
    assert_eq!(listed["calls"].as_array().unwrap().len(), 1);
    let listed = office.get("/api/v1/calls?q=nothing").await.json();
    assert_eq!(listed["calls"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_search_is_narrowed_by_parameters_and_what_cannot_be_read_is_told() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.transcribe(&[(Party::Technician, 0, "The capacitor.")]).await;
    let count = async |query: &str| {
        let found = office.get(&format!("/api/v1/search?{query}")).await.json();
        found["hits"].as_array().unwrap().len()
    };
    assert_eq!(count("q=capacitor&party=technician&number=%2B15125550143").await, 1);
    assert_eq!(count("q=capacitor&from=2026-09-21T14:13:21Z&to=2026-09-21T14:13:22Z").await, 1);
    assert_eq!(count("q=capacitor&party=agent").await, 0);
    assert_eq!(count("q=capacitor&number=999").await, 0);
    assert_eq!(count("q=capacitor&from=2026-09-21T14:13:22Z").await, 0);
    for (query, key) in [
        ("q=", "q"),
        ("q=%22%22", "q"),
        ("q=a&party=nobody", "party"),
        ("q=a&from=2026", "from"),
        ("q=a&cursor=x", "cursor"),
        ("q=a&limit=0", "limit"),
    ] {
        let problem = office.get(&format!("/api/v1/search?{query}")).await.problem(400);
        assert_eq!(problem["parameter"], key, "{query}");
    }
    let long = office.get(&format!("/api/v1/search?q={}", "a".repeat(401))).await;
    assert_eq!(long.problem(400)["parameter"], "q");
}

#[tokio::test]
async fn the_page_marks_what_was_found_and_opening_it_is_in_the_audit_trail() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let hostile = "<img src=x onerror=alert(1)> capacitor & <b>";
    office.transcribe(&[(Party::Technician, 31_650, hostile)]).await;
    let page = office.get("/search?q=capacitor+%22%3E%3Cscript%3E").await;
    assert!(page.text().contains("Nothing found"), "{}", page.text());
    assert!(!page.text().contains("\"><script>"));
    let page = office.get("/search?q=capacitor").await;
    assert!(page.text().contains("<mark>capacitor</mark> &#38; &#60;b&#62;"), "{}", page.text());
    assert!(!page.text().contains("<img src=x"));
    assert_eq!(office.trail(), [""; 0], "looking is not opening");
    let link = page.text().split('"').find(|text| text.contains("at_ms=")).unwrap();
    let opened = office.get(&link.replace("&#38;", "&").replace("&amp;", "&")).await;
    assert_eq!(opened.status, 303);
    assert_eq!(opened.header("location"), format!("/calls/{}#t=28.650", sid(1)));
    assert_eq!(office.trail(), ["local search-hit at 0:31"]);
    let whole = format!("/search/open?call={}", sid(1));
    assert!(page.text().contains(&format!("href=\"{whole}\"")), "{}", page.text());
    assert_eq!(office.get(&whole).await.header("location"), format!("/calls/{}", sid(1)));
    assert_eq!(office.trail(), ["local search-hit at 0:31", "local search-hit "]);
    assert_eq!(office.get(&format!("{whole}&at_ms=x")).await.status, 400);
    assert_eq!(office.get(&format!("/search/open?call={}", sid(9))).await.status, 404);
    assert_eq!(office.trail().len(), 2, "what was not opened is not told");
    let empty = office.get("/search").await;
    assert!(empty.text().contains("What was said, found again"));
}
