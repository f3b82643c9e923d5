//! Which of several copies speaks for a party.

use super::{GapRow, TrackRow};
use crate::domain::{Party, Samples8k, TrackSource};

/// Returns the party's own device that was heard beside Twilio's line, if any was. It speaks for
/// the party wherever it was not missing.
pub fn own_source(tracks: &[TrackRow], party: Party) -> Option<TrackSource> {
    let own = tracks.iter().filter(|track| track.party == party && track.source.is_own());
    own.filter(|track| track.samples > 0).map(|track| track.source).min()
}

/// Lists the stretches that a copy of a party's voice has missed, in order and apart.
pub fn missed(gaps: &[GapRow], party: Party, source: TrackSource) -> Vec<(Samples8k, Samples8k)> {
    let own = gaps.iter().filter(|gap| (gap.party, gap.source) == (party, source));
    let mut spans: Vec<_> = own.map(|gap| (gap.start, gap.end)).collect();
    spans.sort_unstable();
    let mut missed: Vec<(Samples8k, Samples8k)> = Vec::new();
    for (start, end) in spans {
        match missed.last_mut() {
            Some((_, last)) if start <= *last => *last = end.max(*last),
            _ => missed.push((start, end)),
        }
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::GapReason;

    #[test]
    fn what_was_missed_is_told_once_however_often_it_was_found() {
        let gap = |source, start, end| GapRow {
            party: Party::Agent,
            source,
            start: Samples8k::new(start),
            end: Samples8k::new(end),
            reason: GapReason::Disconnected,
        };
        let gaps = [
            gap(TrackSource::Microphone, 50, 60),
            gap(TrackSource::Stream, 0, 90),
            gap(TrackSource::Microphone, 10, 30),
            gap(TrackSource::Microphone, 20, 40),
        ];
        let spans = missed(&gaps, Party::Agent, TrackSource::Microphone);
        let spans: Vec<_> = spans.iter().map(|(start, end)| (start.get(), end.get())).collect();
        assert_eq!(spans, [(10, 40), (50, 60)]);
        assert_eq!(missed(&gaps, Party::Technician, TrackSource::Microphone), []);
    }
}
