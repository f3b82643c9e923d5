use super::*;
use crate::domain::{GapReason, RateHz, Samples8k};
use crate::store::GapRow;

use TrackSource::{Cloud, Microphone, Stream};

fn track(party: Party, source: TrackSource, rate: RateHz, seconds: u64) -> TrackRow {
    TrackRow {
        party,
        source,
        rate,
        part_no: 1,
        path: format!("{party}-{source}-{}", rate.get()),
        origin: Samples8k::ZERO,
        lead: Samples8k::ZERO,
        samples: seconds * u64::from(rate.get()),
        size_bytes: 0,
        sha256: None,
        salvaged: false,
    }
}

fn both(source: TrackSource, seconds: u64) -> Vec<TrackRow> {
    let rates = [RateHz::Hz8000, RateHz::Hz16000];
    let of = |party: &Party| rates.map(|rate| track(*party, source, rate, seconds));
    Party::ALL.iter().flat_map(of).collect()
}

fn missing(start_ms: u64, end_ms: u64) -> GapRow {
    GapRow {
        party: Party::Agent,
        source: Microphone,
        start: Samples8k::from_millis(start_ms),
        end: Samples8k::from_millis(end_ms),
        reason: GapReason::Disconnected,
    }
}

/// What is heard, and beside what.
fn shown<'a>(parts: &'a [Part<'_>]) -> Vec<(&'a str, Option<&'a str>)> {
    let name = |track: &'a TrackRow| track.path.as_str();
    parts.iter().map(|part| (name(part.track), part.other.map(name))).collect()
}

#[test]
fn each_partys_widest_file_is_heard_beside_the_others() {
    let tracks = both(Stream, 60);
    let planned = parts(&tracks, &[], Stream);
    assert_eq!(
        shown(&planned),
        [
            ("agent-stream-16000", Some("technician-stream-16000")),
            ("technician-stream-16000", Some("agent-stream-16000")),
        ]
    );
    assert!(planned.iter().all(|part| part.instead.is_none() && part.can_count()));
}

#[test]
fn a_microphone_speaks_for_the_agent_and_twilios_track_where_it_was_missing() {
    let mut tracks = both(Stream, 60);
    tracks.push(track(Party::Agent, Microphone, RateHz::Hz16000, 60));
    let gaps = [missing(10_000, 12_000), missing(20_000, 20_400)];
    let planned = parts(&tracks, &gaps, Stream);
    assert_eq!(
        shown(&planned),
        [
            ("agent-microphone-16000", Some("technician-stream-16000")),
            ("agent-stream-16000", Some("technician-stream-16000")),
            ("technician-stream-16000", Some("agent-stream-16000")),
        ]
    );
    assert_eq!(planned[1].instead, Some(vec![(10_000, 12_000)]));
    let said = |start_ms, end_ms| Segment {
        start_ms,
        end_ms,
        text: String::new(),
        avg_logprob: 0.0,
        no_speech_prob: 0.0,
        words: Vec::new(),
    };
    assert!(planned[1].counts(&said(9_500, 11_000)) && planned[0].counts(&said(9_500, 11_000)));
    assert!(!planned[1].counts(&said(9_000, 10_500)) && !planned[1].counts(&said(20_000, 20_400)));
    assert!(!parts(&tracks, &[], Stream)[1].can_count(), "nothing was missed");
}

#[test]
fn what_comes_back_of_the_technician_is_found_in_the_live_copy_too() {
    let mut tracks = both(Stream, 60);
    tracks.extend(
        both(Cloud, 61)
            .into_iter()
            .map(|track| TrackRow { lead: Samples8k::from_millis(700), ..track }),
    );
    tracks.push(track(Party::Agent, Microphone, RateHz::Hz16000, 60));
    let planned = parts(&tracks, &[], Cloud);
    assert_eq!(
        shown(&planned),
        [
            ("agent-microphone-16000", Some("technician-stream-16000")),
            ("agent-cloud-16000", Some("technician-cloud-16000")),
            ("technician-cloud-16000", Some("agent-cloud-16000")),
        ]
    );
}
