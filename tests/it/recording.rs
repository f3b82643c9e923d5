//! What is on disk after a call, sample by sample.

use std::process::Command;
use std::time::Duration;

use fieldtape::domain::Party::{Agent, Technician};
use fieldtape::domain::{CallSid, Origin, Party, StreamTrack};
use fieldtape::simulate::{Faults, Report, Sound};

use crate::support::{
    Appliance, Form, Gap, Home, Socket, Track, decoded, fresh_call_sid, noise, read_wav, tone,
};

/// So much sound of each party, that no other can pass for.
fn sound(ms: usize) -> Sound {
    Sound::stereo(noise(1, ms), noise(2, ms))
}

/// A party's files of a rate, in order.
fn files(home: &Home, call_sid: &CallSid, party: Party, rate_hz: u32) -> Vec<Track> {
    let mut tracks = home.ledger().tracks(call_sid);
    tracks.retain(|track| track.party == party.as_str() && track.rate_hz == rate_hz);
    tracks
}

/// What is in a party's only file of a rate.
fn heard(home: &Home, call_sid: &CallSid, party: Party, rate_hz: u32) -> Vec<i16> {
    let tracks = files(home, call_sid, party, rate_hz);
    assert_eq!(tracks.len(), 1, "{tracks:?}");
    assert!(tracks[0].path.ends_with(format!("{party}_{rate_hz}Hz.wav")), "{tracks:?}");
    read_wav(&home.data_dir().join(&tracks[0].path), rate_hz)
}

/// The gaps of a call that were told as what was not sent.
fn gaps_of(report: &Report, inbound: Party) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = report
        .dropped
        .iter()
        .map(|dropped| Gap {
            party: match dropped.track {
                StreamTrack::Inbound => inbound.to_string(),
                StreamTrack::Outbound => inbound.other().to_string(),
            },
            start: dropped.start.get(),
            end: dropped.end.get(),
            reason: "lost".to_owned(),
        })
        .collect();
    gaps.sort();
    gaps
}

async fn end(appliance: &Appliance, call_sid: &CallSid) {
    let form = Form::progress(call_sid, "completed");
    assert_eq!(appliance.twilio().post("/twilio/status", &form).await.status(), 204);
    appliance.await_recorded(call_sid).await;
}

#[tokio::test]
async fn a_call_without_loss_is_on_disk_bit_by_bit() {
    let home = Home::new();
    let appliance = home.start().await;
    let sound = sound(3000);
    let report = appliance.play(sound.clone(), |options| options.speed = 4.0).await;
    assert_eq!(report.troubles, []);
    assert_eq!(report.dropped, []);
    appliance.await_recorded(&report.call_sid).await;
    for party in [Agent, Technician] {
        let narrow = heard(&home, &report.call_sid, party, 8000);
        assert!(narrow == decoded(sound.of(party)), "{party}");
        let wide = heard(&home, &report.call_sid, party, 16000);
        assert_eq!(wide.len(), 2 * narrow.len());
        for rate_hz in [8000, 16000] {
            let track = &files(&home, &report.call_sid, party, rate_hz)[0];
            assert_eq!((track.origin, track.part_no, track.salvaged), (0, 1, false));
        }
    }
    assert_eq!(home.ledger().gaps(&report.call_sid), []);
    let call = home.ledger().call(&report.call_sid).unwrap();
    assert_eq!((call.duration_s, call.duration_source.as_deref()), (Some(3), Some("twilio")));
    appliance.stop().await;
}

#[tokio::test]
async fn wandering_timestamps_move_no_sample() {
    let home = Home::new();
    let appliance = home.start().await;
    let sound = sound(3000);
    let report = appliance.play(sound.clone(), |options| {
        options.speed = 4.0;
        options.faults =
            Faults { reorder_ratio: 0.05, duplicate_ratio: 0.05, stall_ms: 400, ..Faults::none(3) };
    });
    let report = report.await;
    assert!(report.reordered > 0 && report.duplicated > 0);
    appliance.await_recorded(&report.call_sid).await;
    for party in [Agent, Technician] {
        let heard = heard(&home, &report.call_sid, party, 8000);
        assert!(heard == decoded(sound.of(party)), "{party}");
    }
    assert_eq!(home.ledger().gaps(&report.call_sid), []);
    appliance.stop().await;
}

#[tokio::test]
async fn other_programs_read_the_files() {
    let home = Home::new();
    let appliance = home.start().await;
    let tone = Sound::stereo(tone(1000), tone(1000));
    let report = appliance.play(tone, |options| options.speed = 4.0).await;
    appliance.await_recorded(&report.call_sid).await;
    appliance.stop().await;
    for track in home.ledger().tracks(&report.call_sid) {
        let path = home.data_dir().join(&track.path);
        let asked = Command::new("soxi").arg(&path).output();
        let answer = asked.expect("soxi is needed: apt-get install sox");
        let text = String::from_utf8_lossy(&answer.stdout);
        assert!(answer.status.success() && answer.stderr.is_empty(), "{answer:?}");
        for word in [
            "Channels       : 1".to_owned(),
            format!("Sample Rate    : {}", track.rate_hz),
            "Precision      : 16-bit".to_owned(),
            format!("= {} samples", track.samples),
        ] {
            assert!(text.contains(&word), "{word}: {text}");
        }
    }
}

#[tokio::test]
async fn what_is_lost_is_silence_of_the_same_length_and_a_gap_row() {
    let home = Home::new();
    let appliance = home.start().await;
    let sound = sound(6000);
    let report = appliance.play(sound.clone(), |options| {
        options.speed = 4.0;
        // This seed spares the last frames: how long a call was that ends in a loss, nobody knows.
        options.faults = Faults { drop_ratio: 0.04, jitter_ms: 0, ..Faults::none(7) };
    });
    let report = report.await;
    assert!(report.dropped.len() > 10);
    assert!(report.dropped.iter().all(|dropped| dropped.end < sound.length()));
    appliance.await_recorded(&report.call_sid).await;
    let gaps = home.ledger().gaps(&report.call_sid);
    assert_eq!(gaps, gaps_of(&report, Technician));
    for party in [Agent, Technician] {
        let mut expected = decoded(sound.of(party));
        for gap in gaps.iter().filter(|gap| gap.party == party.as_str()) {
            let range = usize::try_from(gap.start).unwrap()..usize::try_from(gap.end).unwrap();
            expected[range].fill(0);
        }
        let heard = heard(&home, &report.call_sid, party, 8000);
        assert!(heard == expected, "{party}");
    }
    // The API tells the same gaps, in seconds.
    let call = appliance.api(&format!("/calls/{}", report.call_sid)).await;
    for track in call["tracks"].as_array().unwrap() {
        let told = track["gaps"].as_array().unwrap().len();
        let kept = gaps.iter().filter(|gap| track["party"] == gap.party.as_str()).count();
        assert_eq!(told, kept);
    }
    appliance.stop().await;
}

#[tokio::test]
async fn each_origin_has_its_parties_on_the_right_tracks() {
    let home = Home::new();
    let appliance = home.start().await;
    let sound = sound(400);
    for (origin, from) in [
        (Origin::Number, "+15550100"),
        (Origin::Client, "client:anna"),
        (Origin::Rest, "+15550199"),
    ] {
        let report = appliance.play(sound.clone(), |options| {
            options.origin = origin;
            options.from = from.to_owned();
        });
        let report = report.await;
        assert_eq!(report.troubles, [], "{origin}");
        appliance.await_recorded(&report.call_sid).await;
        let call = home.ledger().call(&report.call_sid).unwrap();
        assert_eq!(call.origin, origin.as_str());
        for party in [Agent, Technician] {
            let heard = heard(&home, &report.call_sid, party, 8000);
            assert!(heard == decoded(sound.of(party)), "the {party} of a call by {origin}");
        }
    }
    appliance.stop().await;
}

#[tokio::test]
async fn both_tracks_share_their_origin_and_end_together() {
    let home = Home::new();
    let appliance = home.start().await;
    let call_sid = fresh_call_sid();
    let token = appliance.twilio().announce(&call_sid).await;
    let mut socket = Socket::begin(&appliance, &call_sid, Some(&token)).await;
    // The outbound track begins 60 ms later and ends 400 ms earlier.
    let (inbound, outbound) = (noise(1, 1000), noise(2, 540));
    socket.media(StreamTrack::Inbound, 500, &inbound[..160]).await;
    socket.media(StreamTrack::Outbound, 560, &outbound[..160]).await;
    for (n, frame) in (1..).zip(inbound[160..].chunks(160)) {
        socket.media(StreamTrack::Inbound, 500 + n * 20, frame).await;
    }
    for (n, frame) in (1..).zip(outbound[160..].chunks(160)) {
        socket.media(StreamTrack::Outbound, 560 + n * 20, frame).await;
    }
    socket.stop().await;
    end(&appliance, &call_sid).await;
    assert!(heard(&home, &call_sid, Technician, 8000) == decoded(&inbound));
    let mut expected = vec![0; 480];
    expected.extend(decoded(&outbound));
    expected.resize(8000, 0);
    assert!(heard(&home, &call_sid, Agent, 8000) == expected);
    for party in [Agent, Technician] {
        assert_eq!(heard(&home, &call_sid, party, 16000).len(), 16000);
    }
    appliance.stop().await;
}

#[tokio::test]
async fn a_stream_that_comes_back_within_ten_seconds_goes_on_in_the_same_files() {
    let home = Home::new();
    let appliance = home.start().await;
    let sound = sound(4000);
    let report = appliance.play(sound.clone(), |options| {
        options.faults.cut_after = Some(Duration::from_secs(1));
        options.faults.cut_away = Duration::from_millis(1500);
    });
    let report = report.await;
    assert_eq!((report.streams.len(), report.troubles.len()), (2, 0), "{report:?}");
    appliance.await_recorded(&report.call_sid).await;
    let streams = home.ledger().streams(&report.call_sid);
    assert!(streams.iter().all(|stream| stream.verified));
    let back = streams[1].origin.unwrap();
    // The sound that comes now is where the call's own time says, give or take a busy machine.
    assert!((19_000..24_000).contains(&back), "{back}");
    let cut = report.dropped[0].start.get();
    let resumed = usize::try_from(report.dropped[0].end.get()).unwrap();
    for party in [Agent, Technician] {
        let heard = heard(&home, &report.call_sid, party, 8000);
        let sent = decoded(sound.of(party));
        let (cut, back) = (usize::try_from(cut).unwrap(), usize::try_from(back).unwrap());
        assert!(heard[..cut] == sent[..cut], "before the cut");
        assert!(heard[cut..back].iter().all(|sample| *sample == 0), "while it was away");
        assert!(heard[back..] == sent[resumed..], "after it came back");
    }
    let away = |party: &str| Gap {
        party: party.to_owned(),
        start: cut,
        end: back,
        reason: "disconnected".to_owned(),
    };
    assert_eq!(home.ledger().gaps(&report.call_sid), [away("agent"), away("technician")]);
    appliance.stop().await;
}

#[tokio::test]
async fn a_stream_that_comes_back_later_begins_a_second_file() {
    let home = Home::new();
    let appliance = home.start().await;
    let call_sid = fresh_call_sid();
    let token = appliance.twilio().announce(&call_sid).await;
    let mut socket = Socket::begin(&appliance, &call_sid, Some(&token)).await;
    let first = noise(1, 500);
    socket.both(0, &first, &first).await;
    socket.cut();
    appliance.await_recorded(&call_sid).await;
    let call = home.ledger().call(&call_sid).unwrap();
    assert_eq!(call.end_reason.as_deref(), Some("interrupted"));

    let token = appliance.twilio().announce(&call_sid).await;
    let mut socket = Socket::begin(&appliance, &call_sid, Some(&token)).await;
    let second = noise(2, 700);
    socket.both(0, &second, &second).await;
    appliance.log().await_line(&["stream.started", socket.stream_sid.as_str()]).await;
    crate::support::eventually("the call is live again", async || {
        home.ledger().call(&call_sid).unwrap().ended_at_ms.is_none().then_some(())
    })
    .await;
    socket.stop().await;
    end(&appliance, &call_sid).await;
    for party in [Agent, Technician] {
        for rate_hz in [8000, 16000] {
            let parts = files(&home, &call_sid, party, rate_hz);
            assert_eq!(parts.len(), 2, "{parts:?}");
            assert!(parts[0].path.ends_with(format!("{party}_{rate_hz}Hz.wav")));
            assert!(parts[1].path.ends_with(format!("{party}-2_{rate_hz}Hz.wav")));
            assert!(parts[1].origin > 10 * 8000, "it lies where it was said: {parts:?}");
        }
        let parts = files(&home, &call_sid, party, 8000);
        for (part, sound) in parts.iter().zip([&first, &second]) {
            let heard = read_wav(&home.data_dir().join(&part.path), 8000);
            assert!(heard == decoded(sound), "{part:?}");
        }
    }
    let call = home.ledger().call(&call_sid).unwrap();
    assert_eq!(call.end_reason.as_deref(), Some("completed"));
    assert!(call.duration_s.unwrap() >= 10, "{call:?}");
    appliance.stop().await;
}
