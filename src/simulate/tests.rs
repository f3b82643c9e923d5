pub(super) mod appliance;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use self::appliance::{Appliance, PUBLIC, Seen, Temper};
use super::faults::Ending;
use super::*;
use crate::clock::SystemClock;
use crate::domain::{Party, Samples8k, StreamTrack};
use crate::twilio::media::{Media, MediaMessage};

const FRAME: usize = 160;

pub(super) fn options(appliance: &Appliance) -> Options {
    Options {
        target: format!("http://{}", appliance.address).parse().unwrap(),
        roots: None,
        public_url: PublicUrl::parse(PUBLIC).unwrap(),
        auth_token: AuthToken::new("token").unwrap(),
        account_sid: format!("AC{}", "0".repeat(32)).parse().unwrap(),
        call_sid: fresh_call_sid(),
        from: "+15005550123".to_owned(),
        to: "+15005550006".to_owned(),
        origin: Origin::Number,
        speed: 20.0,
        faults: Faults::none(1),
        clock: Arc::new(SystemClock),
        cloud: None,
    }
}

/// Sound of which every frame of either party is different.
pub(super) fn sound(frames: usize) -> Sound {
    let channel = |salt: usize| {
        (0..frames * FRAME).map(move |i| u8::try_from((i * 7 + i / FRAME * salt) % 251).unwrap())
    };
    Sound::stereo(channel(31).collect(), channel(17).collect())
}

async fn play(options: Options, sound: &Sound) -> Report {
    run(options, sound.clone(), CancellationToken::new()).await.unwrap()
}

fn media(appliance: &Appliance) -> Vec<Media> {
    let media = |(message, _)| match message {
        MediaMessage::Media(media) => Some(media),
        _ => None,
    };
    appliance.messages().into_iter().filter_map(media).collect()
}

fn heard(appliance: &Appliance, track: StreamTrack) -> Vec<u8> {
    let of_track = media(appliance).into_iter().filter(|media| media.track == track);
    of_track.flat_map(|media| media.payload).collect()
}

#[tokio::test]
async fn a_call_arrives_as_twilio_would_place_it() {
    let appliance = Appliance::start(Temper::Well).await;
    let sound = sound(100);
    let report = play(options(&appliance), &sound).await;
    assert_eq!(report.troubles, []);
    assert_eq!((report.inbound_frames, report.outbound_frames), (100, 100));
    assert_eq!((report.length, report.dropped.len()), (Samples8k::new(16_000), 0));
    assert!(heard(&appliance, StreamTrack::Inbound) == sound.of(Party::Technician));
    assert!(heard(&appliance, StreamTrack::Outbound) == sound.of(Party::Agent));

    let told = |path: &str, event: &str| (path.to_owned(), event.to_owned());
    let webhooks = appliance.webhooks();
    assert_eq!(webhooks[0], told("/twilio/voice", "ringing"));
    assert_eq!(webhooks[1], told("/twilio/recording-status", "in-progress"));
    assert_eq!(webhooks[2], told("/twilio/stream-status", "stream-started"));
    assert_eq!(webhooks[3], told("/twilio/stream-status", "stream-stopped"));
    assert_eq!(webhooks[4], told("/twilio/status", "completed"));
    assert_eq!(webhooks[5..], [told("/twilio/recording-status", "completed")]);
    assert!(report.webhooks.iter().all(|webhook| webhook.attempts == 1));

    let voice = &appliance.forms("/twilio/voice")[0];
    assert_eq!((voice.get("FromCity"), voice.get("Direction")), (Some(""), Some("inbound")));
    let ended = &appliance.forms("/twilio/status")[0];
    assert_eq!((ended.get("CallDuration"), ended.get("Duration")), (Some("2"), Some("1")));
}

#[tokio::test]
async fn the_stream_has_twilios_headers_order_and_parameters() {
    let appliance = Appliance::start(Temper::Well).await;
    let report = play(options(&appliance), &sound(5)).await;
    let seen = appliance.seen();
    let headers = seen.iter().find_map(|seen| match seen {
        Seen::Upgrade { headers } => Some(headers),
        _ => None,
    });
    let header = |name| headers.unwrap().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("user-agent"), Some("Twilio.TmeWs/1.0"));
    assert_eq!(header("host"), Some("rec.example.test"));
    assert_eq!(
        (header("sec-websocket-protocol"), header("sec-websocket-extensions")),
        (None, None)
    );

    let messages: Vec<MediaMessage> = appliance.messages().into_iter().map(|(m, _)| m).collect();
    assert_eq!(messages[0], MediaMessage::Connected);
    let MediaMessage::Start(start) = &messages[1] else { panic!("{:?}", messages[1]) };
    assert_eq!((start.sequence, &start.stream_sid), (1, &report.streams[0]));
    assert_eq!(start.parameters.get("token"), Some("t1 & <>"));
    assert_eq!(start.tracks, StreamTrack::ALL);
    let MediaMessage::Stop(stop) = &messages[12] else { panic!("{:?}", messages[12]) };
    assert_eq!((stop.sequence, stop.stream_sid.as_ref()), (Some(12), Some(&start.stream_sid)));
    let good_order = |seen: &Seen| matches!(seen, Seen::Closed { in_good_order: true });
    assert!(seen.iter().any(good_order));
}

#[tokio::test]
async fn frames_keep_the_pace_of_speech() {
    let appliance = Appliance::start(Temper::Well).await;
    let began = Instant::now();
    play(Options { speed: 1.0, ..options(&appliance) }, &sound(60)).await;
    for (message, at) in appliance.messages() {
        if let MediaMessage::Media(media) = message {
            let due = Duration::from_millis(20) * u32::try_from(media.chunk.unwrap()).unwrap();
            assert!(at - began >= due, "{:?} is too early for {media:?}", at - began);
        }
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?} for 1.2 s", began.elapsed());
}

#[tokio::test]
async fn what_was_dropped_is_what_the_report_says_and_the_seed_decides_it() {
    let mut dropped = Vec::new();
    for _ in 0..2 {
        let appliance = Appliance::start(Temper::Well).await;
        let faults = Faults {
            drop_ratio: 0.1,
            reorder_ratio: 0.1,
            duplicate_ratio: 0.1,
            stall_ms: 900,
            jitter_ms: 0,
            ..Faults::none(5)
        };
        let sound = sound(400);
        let report = play(Options { faults, ..options(&appliance) }, &sound).await;
        let party = |track| match track {
            StreamTrack::Inbound => Party::Technician,
            StreamTrack::Outbound => Party::Agent,
        };
        let mut received =
            StreamTrack::ALL.iter().map(|track| (*track, vec![None; 400])).collect::<Vec<_>>();
        for media in media(&appliance) {
            let frame = usize::try_from((media.timestamp_ms - 102) / 20).unwrap();
            let track = received.iter_mut().find(|(track, _)| *track == media.track).unwrap();
            track.1[frame] = Some(media.payload);
        }
        for (track, frames) in received {
            let sent = sound.of(party(track)).chunks(FRAME);
            for (place, (received, sent)) in frames.iter().zip(sent).enumerate() {
                let sample = Samples8k::new((place * FRAME) as u64);
                let withheld = report
                    .dropped
                    .iter()
                    .any(|gap| gap.track == track && gap.start <= sample && sample < gap.end);
                assert_eq!(received.is_none(), withheld, "{track} {place}");
                assert!(received.as_ref().is_none_or(|received| received == sent));
            }
        }
        assert!(report.reordered > 20 && report.duplicated > 20, "{report:?}");
        assert_eq!(report.troubles, []);
        dropped.push(report.dropped);
    }
    assert!(dropped[0].len() > 20);
    assert_eq!(dropped[0], dropped[1]);
}

#[tokio::test]
async fn a_cut_stream_comes_back_with_another_sid_and_token_where_the_sound_is_by_then() {
    let appliance = Appliance::start(Temper::Well).await;
    let faults = Faults {
        cut_after: Some(Duration::from_secs(2)),
        cut_away: Duration::from_secs(4),
        ..Faults::none(1)
    };
    let sound = sound(500);
    let report = play(Options { faults, ..options(&appliance) }, &sound).await;
    assert_eq!(report.troubles, []);
    assert_eq!(report.streams.len(), 2);
    assert_ne!(report.streams[0], report.streams[1]);
    let [inbound, outbound] = report.dropped[..] else { panic!("{:?}", report.dropped) };
    assert_eq!((inbound.track, inbound.start), (StreamTrack::Inbound, Samples8k::new(16_000)));
    assert_eq!((outbound.start, outbound.end), (inbound.start, inbound.end));
    assert!(inbound.end.since(inbound.start) >= 32_000, "4 s away: {inbound:?}");

    let mut expected = sound.of(Party::Technician)[..16_000].to_vec();
    let end = usize::try_from(inbound.end.get()).unwrap();
    expected.extend_from_slice(&sound.of(Party::Technician)[end..]);
    assert!(heard(&appliance, StreamTrack::Inbound) == expected);
    let starts = appliance.messages().into_iter().filter_map(|(message, _)| match message {
        MediaMessage::Start(start) => Some(start),
        _ => None,
    });
    let starts: Vec<_> = starts.collect();
    assert_ne!(starts[0].parameters, starts[1].parameters);
    let closings = appliance.seen().into_iter().filter_map(|seen| match seen {
        Seen::Closed { in_good_order } => Some(in_good_order),
        _ => None,
    });
    assert_eq!(closings.collect::<Vec<_>>(), [false, true]);
    assert_eq!(appliance.forms("/twilio/voice")[1].get("CallStatus"), Some("in-progress"));
}

#[tokio::test]
async fn a_stream_that_just_falls_silent_keeps_its_socket_until_the_callbacks_are_done() {
    let appliance = Appliance::start(Temper::Well).await;
    let faults = Faults { ending: Ending::Silence, ..Faults::none(1) };
    let report = play(Options { faults, ..options(&appliance) }, &sound(10)).await;
    assert_eq!(report.troubles, []);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !appliance.seen().iter().any(|seen| matches!(seen, Seen::Closed { .. })) {
        assert!(Instant::now() < deadline, "the socket was never closed");
        tokio::task::yield_now().await;
    }
    let seen = appliance.seen();
    let place = |wanted: fn(&Seen) -> bool| seen.iter().position(wanted).unwrap();
    let closed = place(|seen| matches!(seen, Seen::Closed { in_good_order: false }));
    let ended =
        place(|seen| matches!(seen, Seen::Webhook { path, .. } if path == "/twilio/status"));
    assert!(ended < closed);
    let stop = |seen: &Seen| matches!(seen, Seen::Message { message: MediaMessage::Stop(_), .. });
    assert!(!seen.iter().any(stop));
}

#[tokio::test]
async fn the_agents_own_browser_is_the_inbound_party() {
    let appliance = Appliance::start(Temper::Well).await;
    let sound = sound(10);
    let from = "client:agent".to_owned();
    play(Options { origin: Origin::Client, from, ..options(&appliance) }, &sound).await;
    assert!(heard(&appliance, StreamTrack::Inbound) == sound.of(Party::Agent));
    assert_eq!(appliance.forms("/twilio/voice")[0].get("Direction"), Some("inbound"));
}

#[tokio::test]
async fn a_call_by_request_tells_its_progress() {
    let appliance = Appliance::start(Temper::Well).await;
    play(Options { origin: Origin::Rest, ..options(&appliance) }, &sound(10)).await;
    let progress: Vec<_> = appliance
        .forms("/twilio/status")
        .iter()
        .map(|form| {
            (
                form.get("CallStatus").unwrap().to_owned(),
                form.get("SequenceNumber").unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [("initiated", "0"), ("ringing", "1"), ("in-progress", "2"), ("completed", "3")];
    assert_eq!(progress, expected.map(|(status, place)| (status.to_owned(), place.to_owned())));
    assert_eq!(appliance.forms("/twilio/voice")[0].get("Direction"), Some("outbound-api"));
}

#[tokio::test]
async fn a_callback_that_stumbles_is_told_again() {
    let appliance = Appliance::start(Temper::Stumbles).await;
    let report = play(options(&appliance), &sound(10)).await;
    assert_eq!(report.troubles, []);
    let told_twice = |webhook: &&Webhook| webhook.attempts == 2 && webhook.status == Some(204);
    assert_eq!(report.webhooks.iter().filter(told_twice).count(), 5);
}

#[tokio::test]
async fn a_call_that_is_hung_up_ends_in_good_order() {
    let appliance = Appliance::start(Temper::Well).await;
    let stop = CancellationToken::new();
    let (long, options) = (sound(3000), Options { speed: 1.0, ..options(&appliance) });
    let (report, ()) = tokio::join!(run(options, long, stop.clone()), async {
        let deadline = Instant::now() + Duration::from_secs(10);
        while media(&appliance).len() < 20 {
            assert!(Instant::now() < deadline, "no sound came");
            tokio::task::yield_now().await;
        }
        stop.cancel();
    });
    let report = report.unwrap();
    assert!(report.length < Samples8k::new(3000 * 160), "{:?}", report.length);
    assert!(report.inbound_frames >= 10 && report.troubles.is_empty(), "{report:?}");
    assert_eq!(appliance.webhooks().last().unwrap().1, "completed");
}

#[tokio::test]
async fn an_appliance_without_a_stream_still_gets_the_call() {
    let appliance = Appliance::start(Temper::Degraded).await;
    let report = play(options(&appliance), &sound(20)).await;
    assert_eq!(report.troubles, [Trouble::NoStream]);
    assert_eq!((report.streams.len(), report.dropped.len()), (0, 2));
    assert_eq!(appliance.forms("/twilio/status")[0].get("CallStatus"), Some("completed"));
    assert!(appliance.forms("/twilio/stream-status").is_empty());
}

#[tokio::test]
async fn a_stream_that_is_refused_or_closed_is_told_and_the_call_goes_on() {
    for (temper, expected) in [
        (Temper::RefusesUpgrade, Trouble::StreamRefused { status: 403 }),
        (
            Temper::ClosesStream,
            Trouble::StreamClosed { code: 1008, reason: "spent token".to_owned() },
        ),
    ] {
        let appliance = Appliance::start(temper).await;
        let report = play(options(&appliance), &sound(60)).await;
        assert_eq!(report.troubles, [expected]);
        let news = appliance.forms("/twilio/stream-status");
        let last = news.last().unwrap();
        assert_eq!(last.get("StreamEvent"), Some("stream-error"));
        assert!(last.filled("StreamError").is_some());
        assert_eq!(appliance.webhooks().last().unwrap().1, "completed");
    }
}

#[tokio::test]
async fn no_call_comes_about_without_an_appliance_its_token_or_its_twiml() {
    let appliance = Appliance::start(Temper::Well).await;
    let failure =
        async |options| run(options, sound(1), CancellationToken::new()).await.unwrap_err();
    let auth_token = AuthToken::new("another").unwrap();
    let refused = failure(Options { auth_token, ..options(&appliance) }).await;
    assert!(matches!(refused, Error::Refused), "{refused}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target: Url = format!("http://{closed}").parse().unwrap();
    let nobody = failure(Options { target, ..options(&appliance) }).await.to_string();
    assert!(nobody.contains("refused") && nobody.contains(&closed.to_string()), "{nobody}");

    let not_twiml = failure(options(&Appliance::start(Temper::NoTwiml).await)).await;
    assert!(matches!(not_twiml, Error::NotTwiml { .. }), "{not_twiml}");

    let frozen = failure(Options { speed: 0.0, ..options(&appliance) }).await;
    assert!(matches!(frozen, Error::BadOption { option: "speed", .. }), "{frozen}");
    let faults = Faults { drop_ratio: f64::NAN, ..Faults::none(1) };
    let nonsense = failure(Options { faults, ..options(&appliance) }).await;
    assert!(matches!(nonsense, Error::BadOption { .. }), "{nonsense}");
}

#[tokio::test]
async fn sixteen_calls_go_side_by_side() {
    let appliance = Appliance::start(Temper::Well).await;
    let sound = sound(200);
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let options = Options { speed: 4.0, ..options(&appliance) };
        calls.spawn(run(options, sound.clone(), CancellationToken::new()));
    }
    while let Some(report) = calls.join_next().await {
        let report = report.unwrap().unwrap();
        assert_eq!(report.troubles, []);
        assert_eq!((report.inbound_frames, report.outbound_frames), (200, 200));
    }
    assert_eq!(media(&appliance).len(), 16 * 400);
}
