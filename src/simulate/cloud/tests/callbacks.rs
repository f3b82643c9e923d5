use rand::Rng as _;

use super::*;
use crate::simulate::tests::appliance::{Appliance, Temper};
use crate::simulate::way::Way;

/// The recording and status callbacks that passed the appliance's door, in their order.
fn told(appliance: &Appliance) -> Vec<String> {
    let short = |(path, event): (String, String)| {
        let about = if path.contains("recording") { "recording" } else { "call" };
        format!("{about} {event}")
    };
    appliance.webhooks().into_iter().map(short).collect()
}

struct Scene {
    desk: Desk,
    appliance: Appliance,
    call_sid: CallSid,
}

/// A completed, recorded call of which nothing was told yet.
async fn scene(temper: Temper) -> Scene {
    let (desk, appliance) = (Desk::open().await, Appliance::start(temper).await);
    let target = format!("http://{}", appliance.address).parse().unwrap();
    let public_url = PublicUrl::parse(PUBLIC).unwrap();
    let way = Way::new(&target, &public_url, None);
    let line = Line::new(way, public_url, AuthToken::new(TOKEN).unwrap()).unwrap();
    desk.cloud.reached_by(Arc::new(line));
    let script = CallScript::inbound(NOW.minus(HOUR), Duration::from_secs(61));
    let call_sid = desk.cloud.place_call(script.recorded(Media::mono(&vec![5; 488_000])));
    Scene { desk, appliance, call_sid }
}

#[tokio::test]
async fn callbacks_are_signed_and_filled_as_twilio_does() {
    let Scene { desk, appliance, call_sid } = scene(Temper::Well).await;
    desk.cloud.report_call(&call_sid);
    desk.cloud.settled(&call_sid).await;
    assert_eq!(told(&appliance), ["call completed", "recording completed"]);
    let status = &appliance.forms("/twilio/status")[0];
    assert_eq!((status.get("CallDuration"), status.get("Duration")), (Some("61"), Some("2")));
    let news = &appliance.forms("/twilio/recording-status")[0];
    assert_eq!(news.get("RecordingDuration"), Some("61"));
    assert_eq!(news.get("CallSid"), Some(call_sid.as_str()));
    assert_eq!(news.get("RecordingStartTime"), Some("Mon, 05 Jan 2026 09:00:00 +0000"));
    let callbacks = desk.cloud.callbacks();
    assert!(callbacks.iter().all(|told| told.is_done && told.status == Some(204)));
    assert!(
        callbacks[1].callback.is_about_recording() && !callbacks[0].callback.is_about_recording()
    );
}

#[tokio::test]
async fn a_callback_is_repeated_by_the_rules_of_its_url() {
    let Scene { desk, appliance, call_sid } = scene(Temper::Stumbles).await;
    desk.cloud.report_call(&call_sid);
    desk.cloud.settled(&call_sid).await;
    assert_eq!(told(&appliance).len(), 4);
    let attempts: Vec<u32> = desk.cloud.callbacks().iter().map(|told| told.attempts).collect();
    assert_eq!(attempts, [2, 2]);
}

#[tokio::test]
async fn callbacks_get_lost_doubled_overtaken_and_late() {
    for (fate, expected) in [
        (Fate::Lost, &["recording completed"][..]),
        (Fate::Doubled, &["call completed", "call completed", "recording completed"]),
        (Fate::Overtaken, &["recording completed", "call completed"]),
        (Fate::Late(HOUR), &["recording completed"]),
    ] {
        let Scene { desk, appliance, call_sid } = scene(Temper::Well).await;
        desk.cloud.fates(
            move |callback, _| {
                if callback.is_about_recording() { Fate::Told } else { fate }
            },
        );
        desk.cloud.report_call(&call_sid);
        desk.cloud.settled(&call_sid).await;
        assert_eq!(told(&appliance), expected, "{fate:?}");
        if fate == Fate::Late(HOUR) {
            desk.clock.advance(HOUR);
            let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
            while told(&appliance).len() < 2 {
                assert!(tokio::time::Instant::now() < deadline, "the late one never came");
                tokio::task::yield_now().await;
            }
            assert_eq!(told(&appliance)[1], "call completed");
        }
    }
}

#[tokio::test]
async fn a_callback_may_be_changed_before_it_is_signed_and_luck_depends_on_the_seed() {
    let Scene { desk, appliance, call_sid } = scene(Temper::Well).await;
    let draws = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&draws);
    desk.cloud.fates(move |callback, luck| {
        shared.lock().unwrap().push(luck.random::<u64>());
        callback.set("RecordingUrl", "http://169.254.169.254/");
        Fate::Told
    });
    desk.cloud.report_call(&call_sid);
    desk.cloud.settled(&call_sid).await;
    let news = &appliance.forms("/twilio/recording-status")[0];
    assert_eq!(news.get("RecordingUrl"), Some("http://169.254.169.254/"));
    let again = Scene { ..scene(Temper::Well).await };
    let first = again.desk.cloud.shared.world().luck.random::<u64>();
    assert_eq!(draws.lock().unwrap()[0], first);
}

#[tokio::test]
async fn nobody_is_told_before_it_is_known_where_the_appliance_is() {
    let desk = Desk::open().await;
    let call_sid = desk.cloud.place_call(CallScript::inbound(NOW, MINUTE));
    desk.cloud.report_call(&call_sid);
    desk.cloud.settled(&call_sid).await;
    let callbacks = desk.cloud.callbacks();
    assert_eq!((callbacks.len(), callbacks[0].attempts, callbacks[0].status), (1, 0, None));
}
