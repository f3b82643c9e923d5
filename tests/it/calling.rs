//! Calls that the office places, by the real program and a Twilio that loses answers, tells late,
//! twice and out of order, and rings who does not answer.

mod consent;

use std::time::Duration;

use fieldtape::domain::{CallSid, Origin};
use fieldtape::simulate::cloud::{Call, Cloud, Endpoint, Fate, Fault};
use fieldtape::simulate::{self, Sound};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{AGENT, Appliance, Home, eventually, noise, twilio_api, within};

const OFFICE: &str = "+15125550199";
const TECHNICIAN: &str = "+15125550123";

/// How long the appliance looks for a call that was not confirmed, and what the machine takes more.
const SETTLED_WITHIN: Duration = Duration::from_secs(40);

fn home(cloud: &Cloud) -> Home {
    Home::new().with("twilio.api_url", cloud.url()).with("twilio.caller_id", OFFICE)
}

/// An office with a telephone, and its Twilio.
async fn office() -> (Home, Appliance, Cloud) {
    let cloud = twilio_api().await;
    let home = home(&cloud);
    let appliance = home.start().await;
    cloud.lead_to(&appliance.call_options(|_| {})).unwrap();
    (home, appliance, cloud)
}

async fn order(appliance: &Appliance, to: &str) -> (u16, Value) {
    let url = format!("http://{}/api/v1/calls", appliance.lan());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.post(url).json(&json!({ "to": to })).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

/// The one call that Twilio was asked for.
async fn ordered(cloud: &Cloud) -> Call {
    within(SETTLED_WITHIN, "a call is ordered", async || cloud.ordered().into_iter().next()).await
}

async fn call_that(appliance: &Appliance, sid: &CallSid, fits: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/v1/calls/{sid}");
    within(SETTLED_WITHIN, "the call is as it should be", async || {
        let response = appliance.get(&path).await;
        let call: Value = response.json().await.unwrap();
        fits(&call).then_some(call)
    })
    .await
}

/// How many calls there are: rows of the ledger, and lines of the list.
async fn calls(home: &Home, appliance: &Appliance) -> (u64, usize) {
    let page = appliance.api("/calls").await;
    (home.ledger().count("calls"), page["calls"].as_array().unwrap().len())
}

/// Answers an ordered call and lets two speak.
async fn answered(appliance: &Appliance, cloud: &Cloud, call: &Call) -> simulate::Report {
    let options = appliance.call_options(|options| {
        options.call_sid = call.sid.clone();
        options.from.clone_from(&call.from);
        options.to.clone_from(&call.to);
        options.origin = Origin::Rest;
        options.cloud = Some(cloud.clone());
    });
    simulate::run(options, speech(), CancellationToken::new()).await.unwrap()
}

/// Says whether Twilio's copy has become the call's own: there is nothing left to be done.
fn has_copy(call: &Value) -> bool {
    call["tracks"].as_array().unwrap().iter().any(|track| track["source"] == "cloud")
}

/// Four seconds of two people.
fn speech() -> Sound {
    Sound::stereo(noise(1, 4000), noise(2, 4000))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_technician_is_rung_and_put_through_and_it_is_one_call_with_its_legs() {
    let (home, appliance, cloud) = office().await;
    // What Twilio tells comes twice, and each word behind the next.
    let mut told = 0;
    cloud.fates(move |callback, _| {
        told += 1;
        if callback.is_about_recording() {
            return Fate::Told;
        }
        if told % 2 == 0 { Fate::Doubled } else { Fate::Overtaken }
    });
    let (status, call) = order(&appliance, "(512) 555-0123").await;
    assert_eq!(status, 202, "{call}");
    assert_eq!((&call["to"], &call["from"]), (&TECHNICIAN.into(), &OFFICE.into()));
    assert_eq!(call["direction"], "outbound");
    let placed = ordered(&cloud).await;
    assert_eq!(call["call_sid"], placed.sid.as_str(), "by Twilio's name");

    let report = answered(&appliance, &cloud, &placed).await;
    assert_eq!(report.troubles, []);
    appliance.await_recorded(&placed.sid).await;
    let call = call_that(&appliance, &placed.sid, |call| {
        call["duration_source"] == "twilio"
            && call["legs"][0]["call_status"] == "completed"
            && has_copy(call)
    })
    .await;
    assert_eq!(
        (&call["call_status"], &call["end_reason"]),
        (&"completed".into(), &"completed".into())
    );
    assert_eq!(call["duration_s"], 4);
    let legs = call["legs"].as_array().unwrap();
    assert_eq!((legs.len(), &legs[0]["to"]), (1, &AGENT.into()), "{call:#}");
    assert_eq!(legs[0]["duration_s"], 3, "the leg's own");
    assert_eq!(call["announcements"].as_array().unwrap().len(), 1);
    let before = call["announcements"][0]["before_recording_s"].as_f64().unwrap();
    assert!((0.0..10.0).contains(&before), "{before}");
    assert_eq!(calls(&home, &appliance).await, (1, 1), "one call, one row");
    let tracks = home.ledger().tracks(&placed.sid);
    assert!(tracks.iter().any(|track| track.path.ends_with("technician_8000Hz.wav")));
    let leg = legs[0]["call_sid"].as_str().unwrap();
    let by_leg = appliance.api(&format!("/calls/{leg}")).await;
    assert_eq!(by_leg["call_sid"], placed.sid.as_str(), "a leg's name is one of the call's");
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_answer_is_told_as_it_comes_and_nothing_moves_back() {
    for (last, reason) in [("busy", "busy"), ("no-answer", "no-answer"), ("failed", "failed")] {
        let (home, appliance, cloud) = office().await;
        // The end is told first, and what came before it afterwards.
        cloud.fates(|callback, _| {
            if callback.event == "ringing" {
                Fate::Late(Duration::from_millis(400))
            } else {
                Fate::Told
            }
        });
        let (status, _) = order(&appliance, TECHNICIAN).await;
        assert_eq!(status, 202);
        let placed = ordered(&cloud).await;
        cloud.come(&placed.sid, "initiated", None);
        call_that(&appliance, &placed.sid, |call| call["call_status"] == "initiated").await;
        cloud.come(&placed.sid, "ringing", None);
        cloud.come(&placed.sid, last, Some(0));
        let call = call_that(&appliance, &placed.sid, |call| call["call_status"] == last).await;
        assert_eq!(call["end_reason"], reason);
        eventually("all is told", async || {
            cloud.callbacks().iter().all(|told| told.is_done).then_some(())
        })
        .await;
        let call = call_that(&appliance, &placed.sid, |call| !call["ended_at"].is_null()).await;
        assert_eq!(call["call_status"], last, "late news moves nothing back");
        assert_eq!(calls(&home, &appliance).await, (1, 1));
        assert_eq!(call["transcript_status"], "skipped", "{call:#}");
        appliance.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_rings_nobody_twice() {
    let (home, appliance, cloud) = office().await;
    cloud.faults(|faults| {
        faults.lists_lag = Some(Duration::from_millis(1200));
        faults.next(1, Endpoint::PlaceCall, Fault::AnswerLost);
    });
    let (status, call) = order(&appliance, TECHNICIAN).await;
    assert_eq!(status, 202, "{call}");
    let placed = ordered(&cloud).await;
    assert_eq!(call["call_sid"], placed.sid.as_str(), "it was found in the lists");
    assert_eq!(cloud.requests_for(Endpoint::PlaceCall).len(), 1);
    assert!(cloud.requests_for(Endpoint::Calls).len() >= 2, "it was looked for");
    let (status, again) = order(&appliance, "512 555 0123").await;
    assert_eq!(status, 409, "{again}");
    assert!(again["detail"].as_str().unwrap().contains(placed.sid.as_str()));
    cloud.come(&placed.sid, "no-answer", Some(0));
    call_that(&appliance, &placed.sid, |call| call["end_reason"] == "no-answer").await;
    assert_eq!(calls(&home, &appliance).await, (1, 1));
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_also_found_by_what_twilio_tells_of_the_call() {
    let (home, appliance, cloud) = office().await;
    cloud.faults(|faults| {
        // The lists never have it.
        faults.lists_lag = Some(Duration::from_hours(1));
        faults.next(1, Endpoint::PlaceCall, Fault::AnswerLost);
    });
    let telling = async {
        let placed = ordered(&cloud).await;
        cloud.come(&placed.sid, "initiated", None);
        cloud.come(&placed.sid, "ringing", None);
        placed.sid
    };
    let ((status, call), sid) = tokio::join!(order(&appliance, TECHNICIAN), telling);
    assert_eq!((status, &call["call_sid"]), (202, &sid.as_str().into()), "{call}");
    assert_eq!(cloud.requests_for(Endpoint::PlaceCall).len(), 1);
    call_that(&appliance, &sid, |call| call["call_status"] == "ringing").await;
    assert_eq!(calls(&home, &appliance).await, (1, 1));
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_left_no_trace_is_sent_once_more_and_one_that_cannot_be_followed_says_so() {
    let (home, appliance, cloud) = office().await;
    cloud.faults(|faults| {
        faults.next(1, Endpoint::PlaceCall, Fault::server_error());
    });
    let (status, call) = order(&appliance, TECHNICIAN).await;
    assert_eq!(status, 202, "{call}");
    let requests: Vec<Endpoint> = cloud
        .requests()
        .iter()
        .map(|request| request.endpoint)
        .filter(|one| matches!(one, Endpoint::PlaceCall | Endpoint::Calls))
        .collect();
    let asks = requests.iter().filter(|one| **one == Endpoint::PlaceCall).count();
    assert_eq!((asks, requests.last()), (2, Some(&Endpoint::PlaceCall)), "{requests:?}");
    assert_eq!(cloud.ordered().len(), 1);
    cloud.come(&cloud.ordered()[0].sid, "busy", Some(0));
    call_that(&appliance, &cloud.ordered()[0].sid, |call| call["end_reason"] == "busy").await;

    // The answer is lost, and then Twilio cannot be asked any more.
    cloud.faults(|faults| {
        faults.next(1, Endpoint::PlaceCall, Fault::AnswerLost);
        faults.always(Endpoint::Calls, Fault::server_error());
    });
    let (status, call) = order(&appliance, "+15125550124").await;
    assert_eq!(status, 202, "{call}");
    let why = call["last_error"].as_str().unwrap();
    assert!(why.contains("not known whether the telephone rang"), "{why}");
    assert_eq!(cloud.requests_for(Endpoint::PlaceCall).len(), 3, "nobody is rung twice");
    // Its first word settles it, under the name that the page has.
    let placed = cloud.ordered()[1].sid.clone();
    cloud.come(&placed, "ringing", None);
    let first_name: CallSid = call["call_sid"].as_str().unwrap().parse().unwrap();
    let call = call_that(&appliance, &first_name, |call| call["call_status"] == "ringing").await;
    assert_eq!((&call["call_sid"], &call["last_error"]), (&placed.as_str().into(), &Value::Null));
    assert_eq!(calls(&home, &appliance).await, (2, 2));
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_rung_now_has_failed_now_with_its_reason() {
    let (home, appliance, cloud) = office().await;
    cloud.offline().await;
    let (status, problem) = order(&appliance, TECHNICIAN).await;
    assert_eq!(status, 502, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("nobody was rung"), "{problem}");
    cloud.online().await;
    cloud.faults(|faults| {
        faults.next(1, Endpoint::PlaceCall, Fault::Refused { status: 400, code: Some(21_211) });
    });
    let (status, problem) = order(&appliance, TECHNICIAN).await;
    assert_eq!(status, 502, "{problem}");
    let page = appliance.api("/calls").await;
    let rows = page["calls"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "each try is a row");
    for row in rows {
        assert_eq!((&row["call_status"], &row["end_reason"]), (&"failed".into(), &"failed".into()));
        assert!(row["last_error"].as_str().is_some_and(|why| why.contains("Twilio")), "{row}");
    }
    // Too many at once was not processed: it is asked again at once.
    cloud.faults(|faults| {
        faults.next(1, Endpoint::PlaceCall, Fault::TooManyRequests { retry_after_s: Some(1) });
    });
    let (status, _) = order(&appliance, TECHNICIAN).await;
    assert_eq!((status, cloud.ordered().len()), (202, 1), "and only then");
    assert_eq!(home.ledger().count("calls"), 3);
    appliance.stop().await;
}

#[tokio::test]
async fn a_number_that_is_none_is_refused_with_a_reason_and_leaves_no_row() {
    let (home, appliance, cloud) = office().await;
    for (to, expected, says) in [
        ("", 400, "no telephone number"),
        ("anna", 400, "no telephone number"),
        ("client:anna", 400, "no telephone number"),
        ("512 555 01", 400, "US"),
        ("911", 422, "emergency"),
        ("+1 911", 422, "emergency"),
        ("112", 422, "emergency"),
    ] {
        let (status, problem) = order(&appliance, to).await;
        assert_eq!(status, expected, "{to}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{to}: {problem}");
    }
    let refused = home.run(&["call", "999"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains("emergency"), "{}", refused.err);
    assert_eq!((home.ledger().count("calls"), cloud.ordered().len()), (0, 0));

    let rung = home.run(&["call", "1-512-555-0123"]).await;
    assert_eq!(rung.code, Some(0), "{}", rung.err);
    assert!(rung.out.contains(TECHNICIAN), "{}", rung.out);
    assert_eq!(cloud.ordered()[0].to, TECHNICIAN);
    cloud.come(&cloud.ordered()[0].sid, "no-answer", Some(0));
    appliance.stop().await;
}

#[tokio::test]
async fn the_pages_button_rings_and_shows_how_it_goes() {
    let (_home, appliance, cloud) = office().await;
    let page = appliance.get("/").await.text().await.unwrap();
    assert!(page.contains("action=\"/calls\""), "{page}");
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let press = async |to: &str, site: &str| {
        let url = format!("http://{}/calls", appliance.lan());
        let request = http.post(url).header("Sec-Fetch-Site", site).form(&[("to", to)]);
        request.send().await.unwrap()
    };
    assert_eq!(press(TECHNICIAN, "cross-site").await.status(), 403, "not from another site");
    let refused = press("911", "same-origin").await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text().await.unwrap().contains("emergency"));
    assert_eq!(cloud.ordered().len(), 0);
    let pressed = press(TECHNICIAN, "same-origin").await;
    assert_eq!(pressed.status(), 303);
    let placed = ordered(&cloud).await.sid;
    assert_eq!(pressed.headers()["location"], format!("/calls/{placed}"));
    cloud.come(&placed, "ringing", None);
    eventually("the page says that it rings", async || {
        let page = appliance.get(&format!("/calls/{placed}")).await.text().await.unwrap();
        page.contains(">ringing<").then_some(())
    })
    .await;
    cloud.come(&placed, "busy", Some(0));
    eventually("the list says that nobody took it", async || {
        let page = appliance.get("/").await.text().await.unwrap();
        page.contains("engaged").then_some(())
    })
    .await;
    appliance.stop().await;
}
