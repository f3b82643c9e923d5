use std::collections::BTreeSet;

use super::*;

/// Follows a list's links to its end and returns the names on each page.
async fn pages(desk: &Desk, first: &str, plural: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut page = desk.json(first).await;
    loop {
        let items = page[plural].as_array().unwrap();
        pages.push(items.iter().map(|item| item["sid"].as_str().unwrap().to_owned()).collect());
        let Some(next) = page["next_page_uri"].as_str() else { return pages };
        let base = format!("/2010-04-01/Accounts/{ACCOUNT}");
        page = desk.json(next.strip_prefix(&base).expect("relative to the host")).await;
    }
}

fn place(desk: &Desk, hours_ago: u32) -> CallSid {
    let media = Media::noise(2, Duration::from_secs(3), 1);
    let script = CallScript::inbound(NOW.minus(HOUR * hours_ago), MINUTE).recorded(media);
    desk.cloud.place_call(script)
}

#[tokio::test]
async fn calls_and_their_legs_come_newest_first_and_page_by_page() {
    let desk = Desk::open().await;
    let sids: Vec<CallSid> = (1..=5).map(|hours| place(&desk, hours)).collect();
    let all = pages(&desk, "/Calls.json?PageSize=4", "calls").await;
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
    let parents: Vec<&String> =
        all.iter().flatten().filter(|sid| sids.iter().any(|own| own.as_str() == *sid)).collect();
    assert_eq!(parents, sids.iter().map(CallSid::as_str).collect::<Vec<_>>());
    assert_eq!(all.concat().into_iter().collect::<BTreeSet<_>>().len(), 10);

    let since = "/Calls.json?StartTime%3E=2026-01-05T07%3A30%3A00Z&PageSize=1";
    assert_eq!(pages(&desk, since, "calls").await.len(), 4, "two calls of two legs");
    let children = format!("/Calls.json?ParentCallSid={}", sids[0]);
    let page = desk.json(&children).await;
    assert_eq!(page["calls"][0]["parent_call_sid"], sids[0].as_str());
    assert_eq!(page["calls"][0]["direction"], "outbound-dial");
    assert_eq!(page["calls"].as_array().unwrap().len(), 1);
    assert_eq!(desk.get("/Calls.json?StartTime%3E=soon").await.status(), 400);
    assert_eq!(desk.get("/Calls.json?Page=1").await.status(), 400, "counted by hand");
}

#[tokio::test]
async fn a_call_is_shown_in_twilios_types() {
    let desk = Desk::open().await;
    let sid = place(&desk, 2);
    let call = desk.json(&format!("/Calls/{sid}.json")).await;
    assert_eq!((&call["duration"], &call["status"]), (&"60".into(), &"completed".into()));
    assert_eq!(call["start_time"], "Mon, 05 Jan 2026 08:00:00 +0000");
    assert_eq!(call["end_time"], "Mon, 05 Jan 2026 08:01:00 +0000");
    assert!(call.get("unannounced").is_some());
    let unknown = desk.get(&format!("/Calls/CA{}.json", "0".repeat(32))).await;
    assert_eq!(unknown.status(), 404);
    assert_eq!(unknown.json::<Value>().await.unwrap()["code"], 20_404);
    desk.cloud.change_call(&sid, |call| call.status = "teleported".to_owned());
    assert_eq!(desk.json(&format!("/Calls/{sid}.json")).await["status"], "teleported");
}

#[tokio::test]
async fn recordings_are_listed_by_time_by_call_and_with_what_was_deleted() {
    let desk = Desk::open().await;
    let sids: Vec<CallSid> = (1..=3).map(|hours| place(&desk, hours)).collect();
    let first = desk.cloud.recordings_of(&sids[0])[0].sid.clone();
    let page = desk.json("/Recordings.json").await;
    assert_eq!(page["recordings"][0]["sid"], first.as_str());
    assert!(page["recordings"][0]["price"].is_string());
    assert!(page["recordings"][0]["media_url"].as_str().unwrap().starts_with("http://"));
    assert!(page["recordings"][0].get("track").is_none());

    let under_call = desk.json(&format!("/Calls/{}/Recordings.json", sids[0])).await;
    assert!(under_call["recordings"][0]["price"].is_number());
    assert_eq!(under_call["recordings"][0]["track"], "both");
    let window = "/Recordings.json?DateCreated%3E=2026-01-05T07%3A30%3A00Z&DateCreated%3C=2026-01-05T08%3A30%3A00Z";
    assert_eq!(desk.json(window).await["recordings"][0]["call_sid"], sids[1].as_str());
    let of_call = format!("/Recordings.json?CallSid={}", sids[2]);
    assert_eq!(desk.json(&of_call).await["recordings"].as_array().unwrap().len(), 1);

    let one = format!("/Recordings/{first}.json");
    let gone = desk.delete(&one).await;
    assert_eq!((gone.status().as_u16(), gone.text().await.unwrap()), (204, String::new()));
    assert_eq!(desk.get(&one).await.status(), 404);
    assert_eq!(desk.delete(&one).await.status(), 404);
    assert_eq!(desk.json("/Recordings.json").await["recordings"].as_array().unwrap().len(), 2);
    let all = desk.json("/Recordings.json?IncludeSoftDeleted=true").await;
    assert_eq!(all["recordings"][0]["status"], "deleted");
    assert_eq!(desk.get(&format!("/Recordings/{first}.wav")).await.status(), 404);
}

#[tokio::test]
async fn a_call_that_comes_in_between_shifts_the_next_page() {
    let desk = Desk::open().await;
    for hours in 1..=4 {
        let script = CallScript::inbound(NOW.minus(HOUR * hours), MINUTE);
        desk.cloud.place_call(CallScript { dialled: Vec::new(), ..script });
    }
    let newcomer = CallScript { dialled: Vec::new(), ..CallScript::outbound(NOW, MINUTE) };
    let newcomer_sid = newcomer.sid.clone();
    desk.cloud.faults(|faults| faults.between_pages = Some(newcomer));
    let pages = pages(&desk, "/Calls.json?PageSize=2", "calls").await;
    assert_eq!(pages[1][0], pages[0][1], "seen twice");
    let seen: BTreeSet<&String> = pages.iter().flatten().collect();
    assert_eq!(seen.len(), 4);
    assert!(!seen.iter().any(|sid| *sid == newcomer_sid.as_str()), "not seen at all");
    assert!(desk.cloud.call(&newcomer_sid).is_some());
}

#[tokio::test]
async fn words_that_nobody_knows_are_shown_as_they_are() {
    let desk = Desk::open().await;
    let script = CallScript::inbound(NOW, MINUTE)
        .with_recording(RecordingScript::absent(16_100))
        .with_recording(
            RecordingScript::completed(Media::mono(&[1; 800])).from_source("Telepathy"),
        );
    let sid = desk.cloud.place_call(script);
    let recordings = desk.cloud.recordings_of(&sid);
    desk.cloud.change_recording(&recordings[1].sid, |one| one.status = "translating".to_owned());
    let page = desk.json("/Recordings.json").await;
    let (absent, strange) = (&page["recordings"][0], &page["recordings"][1]);
    assert_eq!((&absent["status"], &absent["error_code"]), (&"absent".into(), &16_100.into()));
    assert_eq!((&absent["duration"], &absent["price"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&strange["status"], &strange["source"]),
        (&"translating".into(), &"Telepathy".into())
    );
    assert_eq!(strange["channels"], 1);
    let path = format!("/Recordings/{}.wav", recordings[1].sid);
    assert_eq!(desk.get(&path).await.status(), 404, "no sound before it is completed");
}
