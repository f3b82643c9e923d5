use super::*;

#[tokio::test]
async fn while_the_api_is_away_nobody_is_let_in_and_what_runs_breaks() {
    let desk = Desk::open().await;
    let day = Media::noise(2, Duration::from_hours(24), 1);
    let sid = desk.cloud.place_call(CallScript::inbound(NOW, HOUR).recorded(day));
    let path = format!("/Recordings/{}.wav", desk.cloud.recordings_of(&sid)[0].sid);
    let mut running = desk.get(&path).await;
    assert!(running.chunk().await.unwrap().is_some());

    desk.cloud.offline().await;
    while let Ok(part) = running.chunk().await {
        assert!(part.is_some(), "a day cannot have come");
    }
    for _ in 0..3 {
        let refused = desk.request(reqwest::Method::GET, "/Calls.json").send().await.unwrap_err();
        assert!(refused.is_connect(), "{refused:?}");
    }
    let address = desk.cloud.url().replace("http://", "");
    assert!(TcpListener::bind(&address).await.is_err(), "the port stays ours");
    assert_eq!(desk.cloud.requests().len(), 1);

    desk.cloud.online().await;
    assert_eq!(desk.get("/Calls.json").await.status(), 200, "at the same port");
    desk.cloud.offline().await;
    desk.cloud.online().await;
    assert_eq!(desk.get("/Calls.json").await.status(), 200);
}

#[tokio::test]
async fn the_api_may_go_away_with_the_end_of_a_call() {
    let desk = Desk::open().await;
    let sid = desk.cloud.place_call(CallScript::inbound(NOW, MINUTE).with_status("in-progress"));
    assert_eq!(desk.start(&sid).await.status(), 201);
    desk.cloud.faults(|faults| faults.offline_at_call_end = true);
    desk.cloud.end_call(&sid, &Media::dual(&[1; 8000], &[2; 8000]));
    assert!(desk.request(reqwest::Method::GET, "/Calls.json").send().await.is_err());
    desk.cloud.online().await;
    assert_eq!(desk.json(&format!("/Calls/{sid}.json")).await["status"], "completed");
}

#[tokio::test]
async fn the_port_is_free_when_the_last_handle_is_gone() {
    let Desk { cloud, http, .. } = Desk::open().await;
    let url = cloud.url();
    let another = cloud.clone();
    drop(cloud);
    assert_eq!(http.get(&url).send().await.unwrap().status(), 401);
    drop(another);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while http.get(&url).send().await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "it still answers");
        tokio::task::yield_now().await;
    }
}
