//! Each way an answer can be, by what the caller is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::{Deletion, RestError};
use super::server::{Reply, Server};
use super::*;
use crate::domain::UnixMillis;

/// Asks for a recording of a server that gives this answer.
async fn told(reply: Reply) -> RestError {
    let patience = patience(&reply);
    let server = Server::plain(move |_| reply.clone()).await;
    client_at(server.at, patience).recording(&recording_sid()).await.unwrap_err()
}

fn head(status: u16, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\n{headers}\r\n").into_bytes()
}

#[tokio::test]
async fn a_request_carries_the_credentials_and_the_account_in_its_path() {
    let body = recording_json(RECORDING);
    let answer =
        move |_: &str| Reply::with(200, &["Date: Wed, 20 Apr 2022 23:45:25 GMT"], body.as_bytes());
    let server = Server::plain(answer).await;
    let told = client_at(server.at, PATIENT).recording(&recording_sid()).await.unwrap();
    assert_eq!(told.resource.sid, recording_sid());
    assert_eq!(told.date, Some(UnixMillis::new(1_650_498_325_000)));
    let seen = server.seen().remove(0);
    let line = format!("GET /2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}.json HTTP/1.1");
    assert!(seen.starts_with(&line), "{seen}");
    assert!(seen.to_lowercase().contains("authorization: basic "), "{seen}");
}

#[tokio::test]
async fn every_refusal_tells_what_to_do() {
    let pause = Some(Duration::from_secs(7));
    for (reply, expected) in [
        (Reply::json(401, r#"{"code":20003}"#), RestError::Unauthorized { status: 401 }),
        (Reply::json(403, "{}"), RestError::Unauthorized { status: 403 }),
        (Reply::json(404, r#"{"code":20404}"#), RestError::NotFound),
        (Reply::json(429, r#"{"code":20429}"#), RestError::Throttled { after: None }),
        (Reply::with(429, &["Retry-After: 7"], b""), RestError::Throttled { after: pause }),
        (Reply::json(408, r#"{"code":16114}"#), RestError::Busy { status: 408, after: None }),
        (Reply::with(500, &[], b"<html>"), RestError::Busy { status: 500, after: None }),
        (Reply::with(503, &["Retry-After: 7"], b""), RestError::Busy { status: 503, after: pause }),
    ] {
        assert_eq!(told(reply).await, expected);
    }
    let refused = told(Reply::json(400, r#"{"code":21626,"message":"for +15005550006"}"#)).await;
    assert_eq!(refused.to_string(), "Twilio refused (HTTP 400, error 21626): for …");
}

#[tokio::test]
async fn an_answer_that_is_not_what_was_asked_for_is_garbled() {
    let xml = b"<TwilioResponse><RestException><Code>20404</Code></RestException></TwilioResponse>";
    let other = RECORDING.replace('2', "3");
    for reply in [
        Reply::with(200, &["Content-Type: application/xml"], xml),
        Reply::json(200, r#"{"sid":"RE2222"#),
        Reply::json(200, ""),
        Reply::json(200, "[]"),
        Reply::json(200, &recording_json(&other)),
        Reply::json(200, &recording_json(RECORDING).replace(ACCOUNT, "AC9")),
        Reply::with(302, &["Location: /elsewhere"], b""),
        Reply::with(304, &[], b""),
        Reply::with(200, &[], &vec![b' '; 8 * 1024 * 1024 + 1]),
    ] {
        let told = told(reply).await;
        assert!(matches!(told, RestError::Garbled { .. }), "{told:?}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_breaks_off_is_the_networks_matter() {
    for reply in [
        Reply::Hangup,
        Reply::Silence(Vec::new()),
        Reply::Silence(head(200, "Content-Length: 9\r\n")),
        Reply::Raw(head(200, "Content-Length: 9\r\n")),
        Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
    ] {
        let told = told(reply).await;
        assert!(matches!(told, RestError::Unreachable { .. }), "{told:?}");
    }
    let nobody = Server::plain(|_| Reply::Hangup).await.at;
    let told = client_at(nobody, PATIENT).probe().await.unwrap_err().to_string();
    assert!(told.starts_with("Twilio cannot be reached: no connection"), "{told}");
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_told_as_that() {
    let world = World { names: names([], None), ..World::real() };
    let client = client_in("https://api.twilio.test", PATIENT, world);
    let told = client.probe().await.unwrap_err().to_string();
    assert!(told.starts_with("Twilio cannot be reached: its name cannot be resolved"), "{told}");
}

#[tokio::test]
async fn a_stranger_behind_the_right_name_is_not_spoken_to() {
    let certificate = rcgen::generate_simple_self_signed(vec!["api.twilio.com".into()]).unwrap();
    let server = Server::encrypted(&certificate, |_| Reply::json(200, "{}")).await;
    let world = World { names: names([], Some(server.at)), ..World::real() };
    let told = client_in("https://api.twilio.com", PATIENT, world).probe().await.unwrap_err();
    assert!(told.to_string().contains("no connection (invalid peer certificate"), "{told}");
    assert!(server.seen().iter().all(String::is_empty), "nothing was said");
}

#[tokio::test]
async fn any_answer_shows_that_the_link_is_up() {
    for status in [200, 302, 401, 404, 429, 500, 503] {
        let server = Server::plain(move |_| Reply::with(status, &[], b"no JSON")).await;
        client_at(server.at, PATIENT).probe().await.unwrap();
        let expected = format!("GET /2010-04-01/Accounts/{ACCOUNT}.json HTTP/1.1");
        assert!(server.seen().remove(0).starts_with(&expected));
    }
}

#[tokio::test]
async fn a_call_is_recorded_on_two_channels_from_both_sides() {
    for status in [200, 201] {
        let server = Server::plain(move |_| Reply::json(status, &recording_json(RECORDING))).await;
        let callback = "https://rec.example.test/twilio/recording-status#rc=5&rp=all";
        let client = client_at(server.at, PATIENT);
        let started = client.start_recording(&call_sid(), callback).await.unwrap();
        assert_eq!(started.sid, recording_sid());
        let seen = server.seen().remove(0);
        let (head, body) = seen.split_once("\r\n\r\n").unwrap();
        let line = format!("POST /2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}/Recordings.json ");
        assert!(head.starts_with(&line), "{head}");
        assert_eq!(
            body,
            "RecordingChannels=dual&RecordingTrack=both&Trim=do-not-trim\
             &RecordingStatusCallback=https%3A%2F%2Frec.example.test%2Ftwilio%2Frecording-status\
             %23rc%3D5%26rp%3Dall&RecordingStatusCallbackMethod=POST\
             &RecordingStatusCallbackEvent=in-progress&RecordingStatusCallbackEvent=completed\
             &RecordingStatusCallbackEvent=absent"
        );
    }
}

#[tokio::test]
async fn a_start_is_too_early_refused_or_in_doubt_and_never_sent_twice() {
    let start = async |reply: Reply| {
        let patience = patience(&reply);
        let server = Server::plain(move |_| reply.clone()).await;
        let client = client_at(server.at, patience);
        let told = client.start_recording(&call_sid(), "https://x.test").await.unwrap_err();
        assert_eq!(server.seen().len(), 1, "{told:?}");
        told
    };
    assert_eq!(start(Reply::json(404, r#"{"code":20404}"#)).await, RestError::TooEarly);
    assert_eq!(start(Reply::json(400, r#"{"code":21220}"#)).await, RestError::TooEarly);
    let throttled = RestError::Throttled { after: None };
    assert_eq!(start(Reply::json(429, r#"{"code":20429}"#)).await, throttled);
    assert_eq!(start(Reply::json(401, "{}")).await, RestError::Unauthorized { status: 401 });
    let refused = start(Reply::json(400, r#"{"code":21626}"#)).await;
    assert!(matches!(refused, RestError::Refused { code: Some(21626), .. }));
    for vague in [
        Reply::Hangup,
        Reply::Silence(Vec::new()),
        Reply::Silence(head(201, "Content-Length: 9\r\n")),
        Reply::json(408, r#"{"code":16114}"#),
        Reply::json(502, "<html>"),
        Reply::json(201, "<html>"),
        Reply::json(201, &recording_json("RE1")),
    ] {
        let told = start(vague).await;
        assert!(matches!(told, RestError::Unanswered { .. }), "{told:?}");
    }
}

#[tokio::test]
async fn a_start_that_found_nobody_was_certainly_not_done() {
    let nobody = Server::plain(|_| Reply::Hangup).await.at;
    let told = client_at(nobody, PATIENT).start_recording(&call_sid(), "https://x.test").await;
    assert!(matches!(told, Err(RestError::Unreachable { .. })), "{told:?}");
}

#[tokio::test]
async fn a_deletion_is_done_was_done_or_failed() {
    let delete = async |reply: Reply| {
        let patience = patience(&reply);
        let server = Server::plain(move |_| reply.clone()).await;
        let deleted = client_at(server.at, patience).delete_recording(&recording_sid()).await;
        let line = format!("DELETE /2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}.json ");
        assert!(server.seen().remove(0).starts_with(&line));
        deleted
    };
    assert_eq!(delete(Reply::with(204, &[], b"")).await, Ok(Deletion::Deleted));
    assert_eq!(delete(Reply::json(404, "{}")).await, Ok(Deletion::WasNotThere));
    let busy = RestError::Busy { status: 500, after: None };
    assert_eq!(delete(Reply::json(500, "{}")).await, Err(busy));
    let odd = delete(Reply::with(200, &[], b"<RestException/>")).await;
    assert!(matches!(odd, Err(RestError::Garbled { .. })));
    assert!(matches!(delete(Reply::Hangup).await, Err(RestError::Unreachable { .. })));
}

fn page(sids: &[String], next: Option<&str>) -> Reply {
    let items: Vec<String> = sids.iter().map(|sid| recording_json(sid)).collect();
    let next = serde_json::to_string(&next).unwrap();
    let body = format!(r#"{{"recordings":[{}],"next_page_uri":{next}}}"#, items.join(","));
    Reply::json(200, &body)
}

fn numbered(number: usize) -> String {
    format!("RE{number:032}")
}

#[tokio::test]
async fn a_list_is_followed_from_page_to_page_to_its_end() {
    let list = format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings.json");
    let second = format!("{list}?PageSize=1000&Page=1&PageToken=PARE1");
    let link = second.clone();
    let server = Server::plain(move |request| {
        if request.starts_with(&format!("GET {link} ")) {
            page(&[numbered(3)], None)
        } else {
            page(&[numbered(1), numbered(2)], Some(&link))
        }
    })
    .await;
    let client = client_at(server.at, PATIENT);
    let mut pages = client.recordings_since(UnixMillis::new(1_767_225_600_000));
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        sizes.push(page.len());
    }
    assert_eq!(sizes, [2, 1]);
    assert_eq!(pages.next().await.unwrap(), None, "it stays at its end");
    let first = format!("{list}?PageSize=1000&DateCreated%3E=2026-01-01T00%3A00%3A00Z");
    for (seen, expected) in server.seen().iter().zip([first, second]) {
        assert!(seen.starts_with(&format!("GET {expected} HTTP/1.1\r\n")), "{seen}");
        assert!(seen.to_lowercase().contains("authorization: basic "));
    }
}

#[tokio::test]
async fn a_page_that_failed_is_asked_for_again() {
    let asked = AtomicUsize::new(0);
    let server = Server::plain(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::json(503, ""),
        _ => page(&[numbered(1)], None),
    })
    .await;
    let client = client_at(server.at, PATIENT);
    let mut pages = client.recordings_since(UnixMillis::new(0));
    assert!(matches!(pages.next().await, Err(RestError::Busy { .. })));
    assert_eq!(pages.next().await.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_that_leads_to_itself_ends_in_an_error() {
    let link = format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings.json?Page=1");
    let server = Server::plain(move |_| page(&[], Some(&link))).await;
    let client = client_at(server.at, PATIENT);
    let mut pages = client.recordings_since(UnixMillis::new(0));
    pages.next().await.unwrap();
    assert!(matches!(pages.next().await, Err(RestError::Garbled { .. })));
}

#[tokio::test]
async fn a_call_and_its_recordings_are_asked_for_by_its_sid() {
    let server = Server::plain(|request| {
        if request.contains("Recordings.json") {
            page(&[numbered(1)], None)
        } else {
            let body = format!(r#"{{"sid":"{CALL}","account_sid":"{ACCOUNT}","status":"queued"}}"#);
            Reply::json(200, &body)
        }
    })
    .await;
    let client = client_at(server.at, PATIENT);
    assert_eq!(client.call(&call_sid()).await.unwrap().status.as_str(), "queued");
    assert_eq!(client.recordings_of(&call_sid()).await.unwrap().len(), 1);
    let other: CallSid = CALL.replace('1', "4").parse().unwrap();
    assert!(matches!(client.call(&other).await, Err(RestError::Garbled { .. })));
    let seen = server.seen();
    let paths = [
        format!("GET /2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json "),
        format!("GET /2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}/Recordings.json?PageSize=1000 "),
    ];
    for (seen, path) in seen.iter().zip(paths) {
        assert!(seen.starts_with(&path), "{seen}");
    }
}

#[tokio::test]
async fn credentials_are_good_if_they_see_the_account_or_at_least_its_calls() {
    // What the account's own place and its calls answer, and what comes of it.
    for (account, calls, good) in [
        (200, 200, true),
        // An API key may see the calls and not the account.
        (401, 200, true),
        (401, 401, false),
    ] {
        let server = Server::plain(move |request| {
            if request.contains("/Calls.json?PageSize=1 ") {
                Reply::json(calls, r#"{"calls":[]}"#)
            } else {
                let body = format!(r#"{{"sid":"{ACCOUNT}","status":"suspended"}}"#);
                Reply::json(account, &body)
            }
        })
        .await;
        let told = client_at(server.at, PATIENT).account().await;
        match told {
            Ok(Some(told)) => assert!(account == 200 && !told.is_active(), "{told:?}"),
            Ok(None) => assert!(good && account == 401),
            Err(error) => assert!(!good && matches!(error, RestError::Unauthorized { .. })),
        }
    }
    let other = format!(r#"{{"sid":"{}","status":"active"}}"#, ACCOUNT.replace('1', "2"));
    let server = Server::plain(move |_| Reply::json(200, &other)).await;
    let told = client_at(server.at, PATIENT).account().await;
    assert!(matches!(told, Err(RestError::Garbled { .. })), "{told:?}");
}
