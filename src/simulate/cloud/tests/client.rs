//! Our own client of the API takes this Twilio for Twilio.

use super::*;
use crate::twilio::rest::{
    CallOrder, Channels, Client, Credentials, Deletion, Extent, NumberResource, NumberSettings,
    Origin, RestError, Timeouts,
};

fn client(desk: &Desk) -> Client {
    let origin = Origin::parse(&desk.cloud.url()).unwrap();
    let credentials = Credentials::new(origin, ACCOUNT, TOKEN).unwrap();
    Client::new(credentials, ACCOUNT.parse().unwrap(), Timeouts::default()).unwrap()
}

#[tokio::test]
async fn it_reads_calls_and_recordings_from_all_pages() {
    let desk = Desk::open().await;
    for minutes in 1..=120 {
        let script = CallScript::inbound(NOW.minus(MINUTE * minutes), MINUTE);
        desk.cloud.place_call(script.recorded(Media::noise(2, MINUTE, 1)));
    }
    let client = client(&desk);
    client.probe().await.unwrap();
    let calls = client.calls_since(NOW.minus(MINUTE * 60)).all().await.unwrap();
    assert_eq!(calls.iter().filter(|call| !call.is_child_leg()).count(), 60);
    assert_eq!(calls.len(), 120, "child legs too");
    let recordings = client.recordings_since(NOW.minus(MINUTE * 100)).all().await.unwrap();
    assert_eq!(recordings.len(), 100);
    let one = client.recording(&recordings[0].sid).await.unwrap();
    assert_eq!(one.date, Some(NOW));
    assert_eq!(one.resource, recordings[0]);
    let of_call = client.recordings_of(recordings[0].call_sid.as_ref().unwrap()).await.unwrap();
    assert_eq!(of_call[0].sid, recordings[0].sid);
    assert!(desk.cloud.requests().iter().all(|request| request.authorised));
}

#[tokio::test]
async fn it_starts_a_recording_once_whatever_gets_lost() {
    let desk = Desk::open().await;
    let client = client(&desk);
    let live = CallScript::inbound(NOW, MINUTE).with_status("ringing");
    let sid = desk.cloud.place_call(live);
    let start = async || client.start_recording(&sid, "https://rec.example.test/x#rc=5").await;
    assert!(matches!(start().await, Err(RestError::TooEarly)));
    desk.cloud.change_call(&sid, |call| call.status = "in-progress".to_owned());
    desk.cloud.faults(|faults| {
        faults.next(1, Endpoint::StartRecording, Fault::AnswerLost);
    });
    assert!(matches!(start().await, Err(RestError::Unanswered { .. })));
    let known = client.recordings_of(&sid).await.unwrap();
    assert_eq!((known.len(), known[0].channels), (1, Some(2)));
    assert_eq!(start().await.unwrap().sid, known[0].sid);
}

#[tokio::test]
async fn it_takes_sound_up_where_it_broke_off() {
    let desk = Desk::open().await;
    let (sid, _) = desk.recorded_call();
    let expected = desk.cloud.recording(&sid).unwrap().media.unwrap().wav();
    desk.cloud.faults(|faults| {
        faults.next(1, Endpoint::Media, Fault::CutAfter(30_000));
    });
    let client = client(&desk);
    let mut sound = client.media(&sid, Channels::Two, 0).await.unwrap();
    let mut got = Vec::new();
    let broken = loop {
        match sound.chunk().await {
            Ok(Some(part)) => got.extend(part),
            Ok(None) => panic!("it broke off"),
            Err(error) => break error,
        }
    };
    assert!(matches!(broken, RestError::Unreachable { .. }), "{broken}");
    let mut rest = client.media(&sid, Channels::Two, got.len() as u64).await.unwrap();
    assert!(matches!(rest.extent(), Extent::Partial { .. }));
    while let Some(part) = rest.chunk().await.unwrap() {
        got.extend(part);
    }
    assert!(got == expected);
    assert_eq!(client.delete_recording(&sid).await.unwrap(), Deletion::Deleted);
    assert_eq!(client.delete_recording(&sid).await.unwrap(), Deletion::WasNotThere);
    let gone = client.media(&sid, Channels::Two, 0).await;
    assert!(matches!(gone, Err(RestError::NotFound)));
}

#[tokio::test]
async fn it_sets_up_a_number_and_orders_a_call() {
    let desk = Desk::open().await;
    let client = client(&desk);
    assert_eq!(client.account().await.unwrap().unwrap().friendly_name, "Field office");
    let sid = desk.cloud.add_number("+15550199", "the office");
    desk.cloud.change_number(&sid, |number| {
        number.settings = vec![("VoiceApplicationSid".to_owned(), "AP1".to_owned())];
    });
    let before = client.numbers().await.unwrap().remove(0);
    assert_eq!((&before.sid, before.voice_application_sid.as_deref()), (&sid, Some("AP1")));
    let settings = NumberSettings {
        voice_url: format!("{PUBLIC}/twilio/voice"),
        status_callback: format!("{PUBLIC}/twilio/status#rc=5&rp=all"),
        voice_fallback_url: None,
    };
    assert!(settings.are_those_of(&client.set_number(&before, &settings).await.unwrap()));
    assert!(settings.are_those_of(&client.numbers().await.unwrap()[0]), "and it is kept");
    let bad = NumberSettings { voice_url: "nowhere".to_owned(), ..settings.clone() };
    assert!(matches!(client.set_number(&before, &bad).await, Err(RestError::Refused { .. })));
    let sid = format!("PN{}", "9".repeat(32)).parse().unwrap();
    let none = NumberResource { sid, ..before };
    assert_eq!(client.set_number(&none, &settings).await, Err(RestError::NotFound));

    let order = CallOrder {
        to: "+15550100".to_owned(),
        from: "+15550199".to_owned(),
        url: settings.voice_url.clone(),
        status_callback: settings.status_callback.clone(),
    };
    let placed = client.place_call(&order).await.unwrap();
    assert_eq!(client.call(&placed.sid).await.unwrap().status.as_str(), "queued");
    let nobody = CallOrder { to: String::new(), ..order };
    assert!(matches!(client.place_call(&nobody).await, Err(RestError::Refused { .. })));
}
