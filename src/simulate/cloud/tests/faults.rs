use super::*;

/// Lets the next request for sound meet a fault, and returns its answer.
async fn sound_with(desk: &Desk, path: &str, fault: Fault) -> reqwest::Response {
    desk.cloud.faults(|faults| {
        faults.next(1, Endpoint::Media, fault);
    });
    desk.get(&format!("{path}.wav")).await
}

#[tokio::test]
async fn refusals_are_written_in_what_was_asked_for_and_change_nothing() {
    let desk = Desk::open().await;
    let (sid, path) = desk.recorded_call();
    let one = format!("{path}.json");
    for (fault, status, code) in [
        (Fault::TooManyRequests { retry_after_s: Some(7) }, 429, Value::from(20_429)),
        (Fault::TooManyRequests { retry_after_s: None }, 429, 20_429.into()),
        (Fault::server_error(), 500, Value::Null),
        (Fault::being_changed(), 408, 16_114.into()),
    ] {
        let with_wait = fault == Fault::TooManyRequests { retry_after_s: Some(7) };
        desk.cloud.faults(|faults| {
            faults.next(1, Endpoint::DeleteRecording, fault);
        });
        let refused = desk.delete(&one).await;
        assert_eq!(refused.status(), status);
        assert_eq!(refused.headers().get("retry-after").is_some(), with_wait);
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], code);
        assert!(!desk.cloud.recording(&sid).unwrap().deleted);
    }
    let early = sound_with(&desk, &path, Fault::not_found()).await;
    assert_eq!(
        (early.status().as_u16(), early.headers()["content-type"].to_str().unwrap()),
        (404, "application/xml")
    );
    assert!(early.text().await.unwrap().contains("<Code>20404</Code>"));
    assert_eq!(desk.get(&format!("{path}.wav")).await.status(), 200, "once");
}

#[tokio::test]
async fn half_an_answer_breaks_off_where_it_was_cut() {
    let desk = Desk::open().await;
    let (sid, path) = desk.recorded_call();
    let whole = desk.cloud.recording(&sid).unwrap().media.unwrap().wav();
    for fault in
        [Fault::CutAfter(100_000), Fault::CutAfter(10), Fault::CutAfter(0), Fault::ClaimsMore(9)]
    {
        let mut cut = sound_with(&desk, &path, fault.clone()).await;
        let expected = match fault {
            Fault::CutAfter(bytes) => usize::try_from(bytes).unwrap().min(whole.len()),
            _ => whole.len(),
        };
        let mut got = Vec::new();
        let broken = loop {
            match cut.chunk().await {
                Ok(Some(part)) => got.extend(part),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert!(got == whole[..expected], "{fault:?}: {} of {expected}", got.len());
        let is_whole = matches!(fault, Fault::CutAfter(100_000));
        assert_eq!(broken, !is_whole, "{fault:?}");
    }
    desk.cloud.faults(|faults| {
        faults.next(1, Endpoint::Calls, Fault::CutAfter(20));
    });
    assert!(desk.get("/Calls.json").await.bytes().await.is_err());
}

#[tokio::test]
async fn an_answer_lies_about_its_length_in_every_way() {
    let desk = Desk::open().await;
    let (sid, path) = desk.recorded_call();
    let whole = desk.cloud.recording(&sid).unwrap().media.unwrap().wav();
    let short = sound_with(&desk, &path, Fault::TruncatedTo(1000)).await;
    assert_eq!(short.content_length(), Some(1000));
    assert!(short.bytes().await.unwrap() == whole[..1000]);
    let untold = sound_with(&desk, &path, Fault::LengthUntold).await;
    assert_eq!(untold.content_length(), None);
    assert!(untold.bytes().await.unwrap() == whole);
    for claimed in [0, 10, u32::MAX] {
        let lying = sound_with(&desk, &path, Fault::HeaderLength(claimed)).await;
        let lying = lying.bytes().await.unwrap();
        assert_eq!(lying[40..44], claimed.to_le_bytes());
        assert!(lying[44..] == whole[44..]);
    }
}

#[tokio::test]
async fn a_range_may_not_be_heeded_or_be_another() {
    let desk = Desk::open().await;
    let (sid, path) = desk.recorded_call();
    let whole = desk.cloud.recording(&sid).unwrap().media.unwrap().wav();
    let ranged = async |fault| {
        desk.cloud.faults(|faults| {
            faults.next(1, Endpoint::Media, fault);
        });
        let request = desk.request(reqwest::Method::GET, &format!("{path}.wav"));
        request.header("Range", "bytes=60000-").send().await.unwrap()
    };
    let all = ranged(Fault::NoRange).await;
    assert_eq!((all.status().as_u16(), all.headers().get("accept-ranges")), (200, None));
    assert!(all.bytes().await.unwrap() == whole);
    let other = ranged(Fault::WrongRange).await;
    assert_eq!(other.status(), 206);
    assert!(other.headers()["content-range"].to_str().unwrap().starts_with("bytes 0-"));
}

#[tokio::test]
async fn pages_and_redirects_come_in_the_place_of_sound() {
    let desk = Desk::open().await;
    let (_, path) = desk.recorded_call();
    let page = sound_with(&desk, &path, Fault::error_page()).await;
    assert_eq!(
        (page.status().as_u16(), page.headers()["content-type"].to_str().unwrap()),
        (200, "audio/x-wav")
    );
    assert!(page.text().await.unwrap().contains("<RestException>"));
    let away = sound_with(&desk, &path, Fault::RedirectTo("https://stranger.test/x".to_owned()));
    let away = away.await;
    assert_eq!(away.status(), 307);
    assert_eq!(away.headers()["location"], "https://stranger.test/x");
}

#[tokio::test]
async fn a_slow_answer_is_an_answer() {
    let desk = Desk::open().await;
    let by = Duration::from_millis(150);
    desk.cloud.faults(|faults| {
        faults.next(1, Endpoint::Any, Fault::Slow(by));
    });
    let began = tokio::time::Instant::now();
    assert_eq!(desk.get("/Calls.json").await.status(), 200);
    assert!(began.elapsed() >= by);
}

#[tokio::test]
async fn an_answer_is_lost_but_what_was_asked_is_done() {
    let desk = Desk::open().await;
    let (sid, path) = desk.recorded_call();
    let live = CallScript::inbound(NOW, MINUTE).with_status("in-progress");
    let call_sid = desk.cloud.place_call(live);
    desk.cloud.faults(|faults| {
        faults.next(1, Endpoint::DeleteRecording, Fault::AnswerLost);
        faults.next(1, Endpoint::StartRecording, Fault::AnswerLost);
    });
    let delete = desk.request(reqwest::Method::DELETE, &format!("{path}.json"));
    assert!(delete.send().await.is_err());
    assert!(desk.cloud.recording(&sid).unwrap().deleted);
    let path = format!("/Calls/{call_sid}/Recordings.json");
    assert!(desk.request(reqwest::Method::POST, &path).send().await.is_err());
    assert_eq!(desk.cloud.recordings_of(&call_sid).len(), 1);
    assert_eq!(desk.start(&call_sid).await.status(), 200, "silently the same");
    assert_eq!(desk.cloud.recordings_of(&call_sid).len(), 1);
    let lost = desk.cloud.requests().into_iter().filter(|request| request.status.is_none());
    assert_eq!(lost.count(), 2);
}

#[tokio::test]
async fn recording_takes_only_while_the_call_is_in_progress_and_late_enough() {
    let desk = Desk::open().await;
    desk.cloud.faults(|faults| faults.too_early_for = Some(Duration::from_millis(900)));
    let call_sid = desk.cloud.place_call(CallScript::inbound(NOW, MINUTE).with_status("ringing"));
    let refused = async || {
        let answer = desk.start(&call_sid).await;
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["code"].clone())
    };
    assert_eq!(refused().await, (400, 21_220.into()), "ringing");
    desk.cloud.change_call(&call_sid, |call| call.status = "in-progress".to_owned());
    desk.clock.advance(Duration::from_millis(899));
    assert_eq!(refused().await, (400, 21_220.into()), "too early");
    desk.clock.advance(Duration::from_millis(1));
    let started = desk.start(&call_sid).await;
    assert_eq!(started.status(), 201);
    let recording: Value = started.json().await.unwrap();
    assert_eq!(recording["status"], "in-progress");
    assert_eq!(recording["source"], "StartCallRecordingAPI");
    assert_eq!((&recording["channels"], &recording["duration"]), (&2.into(), &Value::Null));
    let sid = recording["sid"].as_str().unwrap();
    let live = format!("/Recordings/{sid}.json");
    assert_eq!(desk.json(&live).await["status"], "processing");
    assert_eq!(desk.delete(&live).await.status(), 409);
    assert_eq!(desk.get(&format!("/Recordings/{sid}.wav")).await.status(), 404);

    desk.cloud.end_call(&call_sid, &Media::dual(&[1; 8008], &[]));
    assert_eq!(desk.json(&live).await["status"], "completed");
    assert_eq!(desk.json(&live).await["duration"], "2");
    assert_eq!(refused().await, (400, 21_220.into()), "over");
    let unknown = desk.start(&format!("CA{}", "9".repeat(32)).parse().unwrap()).await;
    assert_eq!(unknown.status(), 404);
}

#[tokio::test]
async fn a_request_for_recording_has_twilios_defaults_and_limits() {
    let desk = Desk::open().await;
    let live = || CallScript::inbound(NOW, MINUTE).with_status("in-progress");
    let post = async |sid: &CallSid, form: &[(&str, &str)]| {
        let path = format!("/Calls/{sid}/Recordings.json");
        let answer = desk.request(reqwest::Method::POST, &path).form(form).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let sid = desk.cloud.place_call(live());
    let (status, recording) = post(&sid, &[]).await;
    assert_eq!((status, &recording["channels"]), (201, &1.into()), "mono unless asked");
    let (status, refusal) = post(&sid, &[("RecordingStatusCallbackEvent", "started")]).await;
    assert_eq!((status, &refusal["code"]), (400, &21_626.into()));
    let child = desk.cloud.calls().into_iter().find(|call| call.parent_sid.is_some()).unwrap();
    let (_, recording) = post(&child.sid, &[]).await;
    assert_eq!(recording["call_sid"], sid.as_str(), "recordings hang on the parent");
    desk.cloud.faults(|faults| faults.absent = Some(16_101));
    desk.cloud.end_call(&sid, &Media::mono(&[]));
    let page = desk.json(&format!("/Calls/{sid}/Recordings.json")).await;
    assert_eq!(page["recordings"][0]["status"], "absent");
    assert_eq!(page["recordings"][0]["error_code"], 16_101);
}
