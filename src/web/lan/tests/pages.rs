//! What a person sees.

use super::*;

#[tokio::test]
async fn an_empty_office_explains_itself_and_says_what_is_wrong() {
    let office = Office::new().await;
    let calm = office.get("/").await;
    assert_eq!(calm.header("content-type"), "text/html; charset=utf-8");
    assert!(calm.text().contains("No calls yet") && calm.text().contains("All is well"));
    let checks = vec![check("twilio", CheckState::Warn)];
    office.health.send_replace(health_of(checks));
    let troubled = office.get("/").await;
    for part in ["1 problem", "twilio is so", "mend it"] {
        assert!(troubled.text().contains(part), "{part}");
    }
}

#[tokio::test]
async fn the_list_shows_each_call_with_a_badge_for_each_stage_that_has_work() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.settle(Settlement::Never { why: "it broke".to_owned() }).await;
    office.live_call(2).await;
    let list = office.get("/").await;
    let rows: Vec<&str> = list.text().split("<li class=\"call").skip(1).collect();
    assert_eq!(rows.len(), 2);
    assert!(rows[0].contains(sid(2).as_str()) && rows[0].contains("live"), "newest first");
    assert!(rows[0].contains("class=\"badge recording\""));
    for part in ["+1 512 555 0143", "1:03", "badge completed", "badge failed", "it broke"] {
        assert!(rows[1].contains(part), "{part}");
    }
    assert!(!list.text().contains("skipped"));
    assert!(list.text().contains("transcript: 1 failed"));
}

#[tokio::test]
async fn older_calls_are_a_page_further_with_the_same_filter() {
    let office = Office::new().await;
    for n in 1..=3 {
        office.finished_call(n).await;
    }
    let first = office.get("/?limit=2&number=%2B15125550143").await;
    let older = first.text().split('"').find(|text| text.contains("cursor=")).unwrap();
    let older = older.replace("&#38;", "&").replace("&amp;", "&");
    assert!(older.contains("number=%2B15125550143") && older.contains("limit=2"), "{older}");
    let second = office.get(&older).await;
    assert!(second.text().contains(sid(1).as_str()));
    assert!(!second.text().contains(sid(2).as_str()));
    assert_eq!(office.get("/?limit=zero").await.status, 400);
}

#[tokio::test]
async fn a_finished_call_can_be_played_and_its_lines_chosen() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.transcribe(&[(Party::Agent, 420, "Hello."), (Party::Technician, 3100, "Hi.")]).await;
    let page = office.get(&format!("/calls/{}", sid(1))).await;
    for part in [
        "audio/mixed.wav",
        "audio/technician_8000Hz.wav",
        "data-start=\"0.420\"",
        "2.5 s of the technician missing",
        "Ended normally",
        "format=srt",
    ] {
        assert!(page.text().contains(part), "{part}");
    }
    assert_eq!(office.trail(), [""; 0], "looking is not playing");
}

#[tokio::test]
async fn a_call_in_progress_has_live_words_and_no_player() {
    let office = Office::new().await;
    office.live_call(1).await;
    let page = office.get(&format!("/calls/{}", sid(1))).await;
    assert!(page.text().contains(&format!("data-live=\"/api/v1/calls/{}/live\"", sid(1))));
    assert!(!page.text().contains("<audio"));
}

#[tokio::test]
async fn a_failed_call_says_why_and_offers_a_retry() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.settle(Settlement::Never { why: "it <broke>".to_owned() }).await;
    let page = office.get(&format!("/calls/{}", sid(1))).await;
    assert!(page.text().contains("it &#60;broke&#62;"), "{}", page.text());
    assert!(page.text().contains("<form method=\"post\""));
    assert!(page.text().contains("1 attempt"));
}

#[tokio::test]
async fn text_from_outside_is_text() {
    let office = Office::new().await;
    for (n, hostile) in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</title><svg onload=alert(1)>",
        "--><!--",
        "{{ 7 * 7 }}",
    ]
    .into_iter()
    .enumerate()
    {
        let n = u32::try_from(n).unwrap() + 1;
        let call = NewCall { from_number: hostile.to_owned(), ..new_call(n, "ringing") };
        office.store.announce_call(call, None).await.unwrap();
        office.finished_call(n).await;
        office.transcribe(&[(Party::Agent, 0, hostile)]).await;
        let page = office.get(&format!("/calls/{}", sid(n))).await;
        let list = office.get("/").await;
        for html in [page.text(), list.text()] {
            assert!(!html.contains(hostile) || !hostile.contains(['<', '"', '\'']), "{html}");
            assert_eq!(html.matches("<script").count(), 1, "our own");
        }
    }
}

#[tokio::test]
async fn an_unchanged_page_is_304() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let path = format!("/calls/{}", sid(1));
    let first = office.get(&path).await;
    let again = async || {
        let known = get(&path).header("if-none-match", first.header("etag"));
        office.ask(known.body(Body::empty()).unwrap()).await
    };
    let same = again().await;
    assert_eq!((same.status.as_u16(), same.body.len()), (304, 0));
    office.clock.advance(Duration::from_mins(1));
    assert_eq!(again().await.status, 304, "time alone changes nothing");
    office.transcribe(&[(Party::Agent, 0, "Hello.")]).await;
    assert_eq!(again().await.status, 200);
}

#[tokio::test]
async fn a_page_that_is_not_there_is_a_page_all_the_same() {
    let office = Office::new().await;
    for path in ["/nowhere", "/calls/CA12", &format!("/calls/{}", sid(9))] {
        let answer = office.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert!(answer.text().contains("Show all calls"));
    }
}

#[tokio::test]
async fn a_transcript_that_is_held_back_says_why_wherever_it_is_asked_for() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let reason = async |path: &str| {
        let answer = office.get(path).await.json();
        answer["waiting_reason"].as_str().map(str::to_owned)
    };
    let (call, page) = (format!("/api/v1/calls/{}", sid(1)), format!("/calls/{}", sid(1)));
    assert_eq!(reason(&call).await, None);
    office.live_calls.store(1, Ordering::SeqCst);
    let why = "waits while a call is in progress, for this box has 2 cores: 30 min at most";
    assert_eq!(reason(&call).await.as_deref(), Some(why));
    let queue = office.get("/api/v1/queue").await.json();
    let stages = queue["stages"].as_array().unwrap();
    let transcript = stages.iter().find(|stage| stage["stage"] == "transcript").unwrap();
    assert_eq!(transcript["waiting_reason"], why);
    for page in [page.as_str(), "/queue"] {
        assert!(office.get(page).await.text().contains(why), "{page}");
    }
    office.transcribe(&[(Party::Agent, 420, "Hello.")]).await;
    assert_eq!(reason(&call).await, None, "it is there");
}

#[tokio::test]
async fn a_call_that_is_asked_for_is_looked_at() {
    for path in ["/calls/SID", "/api/v1/calls/SID", "/api/v1/calls/SID/transcript"] {
        let office = Office::new().await;
        office.finished_call(1).await;
        office.finished_call(2).await;
        office.get(&path.replace("SID", sid(2).as_str())).await;
        assert_eq!(office.state.schedule.looked_at(), [sid(2)], "{path}");
        office.get("/api/v1/calls").await;
        assert_eq!(office.state.schedule.looked_at(), [sid(2)], "a list is not a look");
    }
}

#[tokio::test]
async fn lines_are_grey_only_where_the_model_was_unsure() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.transcribe(&[(Party::Agent, 420, "Hello."), (Party::Technician, 3100, "Hi.")]).await;
    let page = office.get(&format!("/calls/{}", sid(1))).await;
    assert!(!page.text().contains("doubtful"));
}
