use tokio_util::sync::CancellationToken;

use super::*;
use crate::audio::ulaw;
use crate::clock::SystemClock;
use crate::domain::{Origin, Party};
use crate::simulate::tests::appliance::{Appliance, Temper};
use crate::simulate::tests::{options, sound};
use crate::simulate::{Faults as LineFaults, Options, Report, Sound, run};

async fn play(options: Options, sound: &Sound) -> Report {
    run(options, sound.clone(), CancellationToken::new()).await.unwrap()
}

fn with(cloud: &Cloud, appliance: &Appliance) -> Options {
    Options {
        account_sid: ACCOUNT.parse().unwrap(),
        cloud: Some(cloud.clone()),
        ..options(appliance)
    }
}

fn decoded(sound: &Sound, party: Party) -> Vec<i16> {
    let mut samples = Vec::new();
    ulaw::decode_into(sound.of(party), &mut samples);
    samples
}

#[tokio::test]
async fn a_played_call_is_a_call_of_this_twilio_and_its_recording_is_what_was_said() {
    for (origin, heard, played) in [
        (Origin::Number, Party::Technician, Party::Agent),
        (Origin::Client, Party::Agent, Party::Technician),
        (Origin::Rest, Party::Technician, Party::Agent),
    ] {
        let cloud = serve(Arc::new(SystemClock)).await;
        let (appliance, sound) = (Appliance::start(Temper::Well).await, sound(120));
        // Half of the stream is lost; at Twilio nothing is.
        let faults = LineFaults { drop_ratio: 0.5, ..LineFaults::none(3) };
        let report = play(Options { origin, faults, ..with(&cloud, &appliance) }, &sound).await;
        assert_eq!(report.troubles, []);
        let call = cloud.call(&report.call_sid).unwrap();
        assert_eq!((call.status.as_str(), call.duration_s), ("completed", Some(3)));
        let direction = if origin == Origin::Rest { "outbound-api" } else { "inbound" };
        assert_eq!(call.direction, direction);
        let child = cloud.calls().into_iter().find(|leg| leg.parent_sid.is_some()).unwrap();
        assert_eq!((child.to.as_str(), child.status.as_str()), ("client:agent", "completed"));

        let recordings = cloud.recordings_of(&report.call_sid);
        assert_eq!(
            (recordings.len(), Some(&recordings[0].sid)),
            (1, report.recording_sid.as_ref())
        );
        assert_eq!(recordings[0].source, "StartCallRecordingTwiML");
        let expected = Media::dual(&decoded(&sound, heard), &decoded(&sound, played));
        assert!(recordings[0].media.as_ref().unwrap().wav() == expected.wav());

        let events: Vec<(String, String)> =
            appliance.webhooks().into_iter().filter(|(path, _)| !path.contains("stream")).collect();
        let last = [("/twilio/status", "completed"), ("/twilio/recording-status", "completed")];
        let last = last.map(|(path, event)| (path.to_owned(), event.to_owned()));
        assert_eq!(events[events.len() - 2..], last);
        let recording = ("/twilio/recording-status".to_owned(), "in-progress".to_owned());
        assert!(events.contains(&recording), "{events:?}");
        assert!(report.webhooks.iter().any(|told| told.event == "completed"));
    }
}

#[tokio::test]
async fn a_recording_asked_for_while_people_speak_begins_there() {
    let cloud = serve(Arc::new(SystemClock)).await;
    let (appliance, sound) = (Appliance::start(Temper::Degraded).await, sound(100));
    cloud.faults(|faults| faults.too_early_for = Some(Duration::from_millis(300)));
    let desk = Desk {
        cloud: cloud.clone(),
        clock: Arc::new(ManualClock::new(NOW)),
        http: reqwest::Client::new(),
    };
    let options = Options { speed: 1.0, ..with(&cloud, &appliance) };
    let call_sid = options.call_sid.clone();
    let asking = async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        loop {
            let status = desk.start(&call_sid).await.status();
            if status == 201 {
                break;
            }
            assert!(status == 400 || status == 404, "{status}");
            assert!(tokio::time::Instant::now() < deadline, "never late enough");
        }
        assert_eq!(desk.start(&call_sid).await.status(), 200);
    };
    let (report, ()) = tokio::join!(play(options, &sound), asking);
    let recordings = cloud.recordings_of(&call_sid);
    let mut sources: Vec<&str> = recordings.iter().map(|one| one.source.as_str()).collect();
    sources.sort_unstable();
    assert_eq!(sources, ["StartCallRecordingAPI", "StartCallRecordingTwiML"], "{report:?}");
    let by_request = recordings.iter().find(|one| one.source.ends_with("API")).unwrap();
    let length = by_request.media.as_ref().unwrap().length();
    assert!(length < Duration::from_millis(1900), "{length:?} of 2 s from 0.3 s on");
    let whole = Media::dual(&decoded(&sound, Party::Technician), &decoded(&sound, Party::Agent));
    assert!(whole.wav().ends_with(&by_request.media.as_ref().unwrap().wav()[44..]));
}
