//! Which files a conversation is made from. Pure: the ledger's rows in, a plan out.

use std::cmp::Reverse;
use std::fs::File;
use std::sync::Arc;

use super::Segment;
use crate::domain::{Party, TrackSource};
use crate::store::{GapRow, TrackRow, missed, own_source};

/// How much shorter than what was heard here Twilio's copy may be and still count as whole: what a
/// call's end takes on its way.
const SHORTER_MAX_MS: u64 = 2_000;

/// A microphone that was missing for less has missed no word.
const MISSED_MIN_MS: u64 = 500;

/// A file to be heard.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part<'a> {
    pub(super) track: &'a TrackRow,
    /// The other party's sound of the same time, sample beside sample: what of it comes back on this
    /// one is left out.
    pub(super) other: Option<&'a TrackRow>,
    /// Whether it stands in for the party's own microphone: then it counts in these stretches, in
    /// milliseconds of the call, or in all of them if the microphone had not a word.
    pub(super) instead: Option<Vec<(u64, u64)>>,
}

/// A file to be heard, open.
pub(super) struct OpenPart<'a> {
    pub(super) part: Part<'a>,
    pub(super) audio: Arc<File>,
    pub(super) other: Option<Arc<File>>,
}

impl Part<'_> {
    /// Says whether something said in it counts.
    pub(super) fn counts(&self, said: &Segment) -> bool {
        let middle_ms = said.start_ms.midpoint(said.end_ms);
        let is_within = |(start, end): &(u64, u64)| (*start..*end).contains(&middle_ms);
        self.instead.as_ref().is_none_or(|spans| spans.iter().any(is_within))
    }

    /// Says whether anything in it can count.
    pub(super) fn can_count(&self) -> bool {
        self.instead.as_ref().is_none_or(|spans| !spans.is_empty())
    }
}

/// Plans what is heard: Twilio's tracks of `source`, and before them a party's own microphone, which
/// they stand in for where it was missing.
pub(super) fn parts<'a>(
    tracks: &'a [TrackRow],
    gaps: &[GapRow],
    source: TrackSource,
) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for party in Party::ALL {
        let own = own_source(tracks, *party);
        for track in own.iter().flat_map(|own| widest(tracks, *party, *own)) {
            let other = beside(track, tracks, source);
            parts.push(Part { track, other, instead: None });
        }
        let instead = own.map(|own| {
            let missed = missed(gaps, *party, own).into_iter();
            let spans = missed.map(|(start, end)| (start.as_millis(), end.as_millis()));
            spans.filter(|(start, end)| end - start >= MISSED_MIN_MS).collect::<Vec<_>>()
        });
        for track in widest(tracks, *party, source) {
            let other = beside(track, tracks, source);
            parts.push(Part { track, other, instead: instead.clone() });
        }
    }
    parts
}

/// Finds the other party's sound of the same time: in the same copy, or else as it was heard live.
fn beside<'a>(
    track: &TrackRow,
    tracks: &'a [TrackRow],
    source: TrackSource,
) -> Option<&'a TrackRow> {
    let others = |source| widest(tracks, track.party.other(), source).into_iter();
    let is_beside = |other: &&TrackRow| (track.origin, track.lead) == (other.origin, other.lead);
    others(source)
        .find(is_beside)
        .or_else(|| others(TrackSource::Stream).find(is_beside).filter(|_| track.source.is_own()))
}

/// Which of Twilio's copies the conversation is made from: its own has both parties clean and
/// without loss, if it goes as far as the one made here.
pub(super) fn best_source(tracks: &[TrackRow]) -> TrackSource {
    let end_ms = |source| {
        let of_source = tracks.iter().filter(|track| track.source == source);
        of_source.map(end_ms).max().unwrap_or(0)
    };
    let (cloud, stream) = (end_ms(TrackSource::Cloud), end_ms(TrackSource::Stream));
    if cloud > 0 && cloud + SHORTER_MAX_MS >= stream {
        TrackSource::Cloud
    } else {
        TrackSource::Stream
    }
}

fn length_ms(track: &TrackRow) -> u64 {
    track.samples * 1000 / u64::from(track.rate.get())
}

fn end_ms(track: &TrackRow) -> u64 {
    (track.origin.as_millis() + length_ms(track)).saturating_sub(track.lead.as_millis())
}

/// One party's parts in order, each at the widest rate that is there. Of recordings of the same
/// stretch, which an account may make several of, the longest.
fn widest(tracks: &[TrackRow], party: Party, source: TrackSource) -> Vec<&TrackRow> {
    let mut files: Vec<&TrackRow> = tracks
        .iter()
        .filter(|track| track.party == party && track.source == source && track.samples > 0)
        .collect();
    files.sort_by_key(|track| (track.part_no, Reverse(track.rate)));
    files.dedup_by_key(|track| track.part_no);
    files.sort_by_key(|track| Reverse(length_ms(track)));
    let mut chosen: Vec<&TrackRow> = Vec::new();
    for file in files {
        let (start, end) = (file.origin.as_millis(), end_ms(file));
        let said = |other: &&TrackRow| {
            start.max(other.origin.as_millis()) + 1_000 < end.min(end_ms(other))
        };
        if !chosen.iter().any(said) {
            chosen.push(file);
        }
    }
    chosen.sort_by_key(|track| (track.origin, track.part_no));
    chosen
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
