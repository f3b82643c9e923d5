//! What the API says.

use super::*;

async fn retry(office: &Office, n: u32, body: &str) -> Answer {
    let request = Request::post(format!("/api/v1/calls/{}/retry", sid(n)))
        .header("host", "localhost")
        .header("content-type", "application/json");
    office.ask(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_call_has_the_keys_of_the_contract() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let call = office.get(&format!("/api/v1/calls/{}", sid(1))).await.json();
    let expected = serde_json::json!({
        "call_sid": sid(1).as_str(), "name": null, "direction": "inbound",
        "from": "+15125550143", "to": "+15125550199",
        "created_at": "2026-09-21T14:13:21Z", "started_at": "2026-09-21T14:13:21Z",
        "ended_at": "2026-09-21T14:14:24Z", "duration_s": 63, "duration_source": "timestamps",
        "end_reason": "completed",
        "recording_status": "completed", "transcript_status": "pending",
        "summary_status": "pending", "archive_status": "pending",
        "last_error": null, "retry_count": 0, "waiting_for": null, "waiting_reason": null,
        "next_attempt_at": null, "parties_swapped": false,
        "call_status": "in-progress", "declined_at": null, "announcements": [], "legs": [],
        "hold": false, "hold_note": null, "sound_purged_at": null, "words_purged_at": null,
        "tracks": [track("agent", &[]), track("technician", &[(1.0, 3.5)])],
        "cloud_recordings": [], "summary": null, "notes": [], "corrections": [],
    });
    assert_eq!(call, expected);
    let list = office.get("/api/v1/calls").await.json();
    assert_eq!(list, serde_json::json!({"calls": [expected], "next_cursor": null}));
}

fn track(party: &str, gaps: &[(f64, f64)]) -> serde_json::Value {
    let gaps: Vec<_> = gaps
        .iter()
        .map(|(start_s, end_s)| serde_json::json!({"start_s": start_s, "end_s": end_s}))
        .collect();
    serde_json::json!({
        "party": party, "source": "stream", "rate_hz": 8000, "duration_s": 1.0, "bytes": 16044,
        "sha256": null, "gaps": gaps, "filled": [],
        "url": format!("/api/v1/calls/{}/audio/{party}_8000Hz.wav", sid(1)),
    })
}

#[tokio::test]
async fn pages_of_calls_join_without_a_gap_or_a_repeat_while_new_calls_come_in() {
    let office = Office::new().await;
    for n in 1..=7 {
        office.finished_call(n).await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/calls?limit=3".to_owned();
    for round in 0.. {
        let page = office.get(&path).await.json();
        let calls = page["calls"].as_array().unwrap();
        seen.extend(calls.iter().map(|call| call["call_sid"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        office.finished_call(100 + round).await;
        path = format!("/api/v1/calls?limit=3&cursor={cursor}");
    }
    let expected: Vec<String> = (1..=7).rev().map(|n| sid(n).to_string()).collect();
    assert_eq!(seen, expected, "newest first");
}

#[tokio::test]
async fn calls_can_be_asked_for_by_what_failed() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.settle(Settlement::Never { why: "it broke".to_owned() }).await;
    office.finished_call(2).await;
    let path = "/api/v1/calls?stage=transcript&stage_status=failed";
    let failed = office.get(path).await.json();
    assert_eq!(failed["calls"].as_array().unwrap().len(), 1);
    assert_eq!(failed["calls"][0]["last_error"], "it broke");
    let problem = office.get("/api/v1/calls?limit=0").await.problem(400);
    assert_eq!(problem["parameter"], "limit");
    assert_eq!(problem["type"], "urn:fieldtape:problem:bad-parameter");
}

#[tokio::test]
async fn a_malformed_sid_is_400_and_an_unknown_one_404() {
    let office = Office::new().await;
    assert_eq!(office.get("/api/v1/calls/CA12").await.problem(400)["parameter"], "call_sid");
    for rest in ["", "/transcript", "/live", "/audio/mixed.wav"] {
        office.get(&format!("/api/v1/calls/{}{rest}", sid(9))).await.problem(404);
    }
    retry(&office, 9, "{}").await.problem(404);
}

#[tokio::test]
async fn a_transcript_comes_in_four_forms_and_each_is_in_the_trail() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let path = format!("/api/v1/calls/{}/transcript", sid(1));
    let early = office.get(&path).await.problem(409);
    assert_eq!(early["detail"], "the transcript is pending");
    office.transcribe(&[(Party::Agent, 420, "Hello."), (Party::Technician, 3100, "<b>")]).await;
    let json = office.get(&path).await;
    assert_eq!(
        json.json(),
        serde_json::json!({
            "call_sid": sid(1).as_str(), "language": "en", "model": "tiny.en-q8_0",
            "source": "stream", "dropped": 0,
            "segments": [
                {"speaker": "agent", "start_s": 0.42, "end_s": 1.32, "text": "Hello.",
                    "confidence": 0.9, "avg_logprob": -0.1, "no_speech_prob": 0.0},
                {"speaker": "technician", "start_s": 3.1, "end_s": 4.0, "text": "<b>",
                    "confidence": 0.9, "avg_logprob": -0.1, "no_speech_prob": 0.0},
            ],
        })
    );
    for (format, kind, has) in [
        ("json", "application/json", "\"agent\""),
        ("txt", "text/plain; charset=utf-8", "agent: Hello."),
        ("srt", "application/x-subrip; charset=utf-8", "00:00:00,420 --> 00:00:01,320"),
        ("vtt", "text/vtt; charset=utf-8", "<v technician>&lt;b&gt;"),
    ] {
        let written = office.get(&format!("{path}?format={format}")).await;
        assert_eq!(written.header("content-type"), kind);
        assert!(written.text().contains(has), "{}", written.text());
    }
    assert_eq!(office.get(&format!("{path}?format=doc")).await.problem(400)["parameter"], "format");
    assert_eq!(office.trail().len(), 5);
    assert_eq!(office.trail()[3], "local export transcript.srt");
}

#[tokio::test]
async fn a_failed_stage_is_retried_once_and_only_when_it_failed() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.settle(Settlement::Never { why: "it broke".to_owned() }).await;
    assert_eq!(retry(&office, 1, r#"{"stage":"nap"}"#).await.problem(400)["parameter"], "stage");
    retry(&office, 1, "stage=transcript").await.problem(400);
    let queued = retry(&office, 1, r#"{"stage":"transcript"}"#).await;
    assert_eq!(queued.status, 202);
    assert_eq!(queued.json(), serde_json::json!({"queued": ["transcript"]}));
    office.transcribe(&[]).await;
    retry(&office, 1, "{}").await.problem(409);
    assert_eq!(office.trail(), ["local retry transcript"]);
}

#[tokio::test]
async fn health_says_every_check_and_readiness_says_what_fails() {
    let office = Office::new().await;
    let checks = vec![
        check("clock", CheckState::Ok),
        check("twilio", CheckState::Warn),
        check("disk", CheckState::Fail),
    ];
    office.health.send_replace(health_of(checks));
    let health = office.get("/api/v1/health").await.json();
    assert_eq!((&health["status"], &health["live_calls"]), (&"fail".into(), &2.into()));
    assert_eq!(health["checks"][1]["state"], "warn");
    assert_eq!(health["checks"][1]["fix"], "mend it");
    let tally = serde_json::json!({"ok": 1, "unknown": 0, "warn": 1, "fail": 1});
    assert_eq!((&health["tally"], &health["instance"]), (&tally, &"this run".into()));
    assert_eq!(office.get("/readyz").await.text(), "ready\n");
    office.health.send_modify(|health| health.ready = false);
    assert_eq!(office.get("/readyz").await.problem(503)["detail"], "disk: disk is so");
    assert_eq!(office.get("/healthz").await.status, 200);
}
