//! Which stretches of which live files Twilio's copy can fill. Pure: figures in, figures out.

use std::collections::BTreeSet;
use std::ops::Range;

use super::live::{Gap, StreamPart};
use crate::domain::{GapReason, Party};

/// The copy must go on at least this long after the live sound, 200 ms, to be worth lengthening
/// every file: Twilio hangs up its parts of a call one after the other.
const TAIL_MIN: u64 = 1_600;

/// What is done to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePlan<'a> {
    pub(super) part: &'a StreamPart,
    /// Where it is to end on the call's timeline.
    pub(super) end: u64,
    /// What is filled of it, in order and apart from each other.
    pub(super) filled: Vec<Range<u64>>,
}

/// Plans the filling of a call's files from a copy that covers a stretch of the call's timeline.
/// Files that stay as they are do not appear.
///
/// A gap is filled as far as the copy covers it, unless it was a pause. A file goes on up to
/// where the party's next file begins, or to the end of the call, as far as the copy does. What is
/// planned depends on the ledger's figures alone and not on what an interrupted work has done, so
/// doing it again does the same.
pub(super) fn plan<'a>(
    parts: &'a [StreamPart],
    gaps: &[Gap],
    covered: &Range<u64>,
) -> Vec<FilePlan<'a>> {
    let heard_to = parts.iter().map(StreamPart::end).max().unwrap_or(0);
    let call_end = if covered.end >= heard_to + TAIL_MIN { covered.end } else { heard_to };
    let mut plans = Vec::new();
    for part in parts {
        let end = end_of(part, parts, covered, call_end);
        let missing = gaps.iter().filter(|gap| gap.party == part.party);
        let (paused, silent): (Vec<&Gap>, Vec<&Gap>) =
            missing.partition(|gap| gap.reason == GapReason::Paused);
        let mut spans: Vec<_> = silent.iter().map(|gap| gap.start.get()..gap.end.get()).collect();
        spans.push(part.end()..end);
        spans.retain(|_| !part.is_own);
        let within = covered.start.max(part.origin.get())..covered.end.min(end);
        let mut filled = merged(spans.into_iter().map(|span| common(&span, &within)).collect());
        for pause in paused {
            filled = without(filled, &(pause.start.get()..pause.end.get()));
        }
        if !filled.is_empty()
            || end * part.times() > part.origin.get() * part.times() + part.samples
        {
            plans.push(FilePlan { part, end, filled });
        }
    }
    plans
}

/// Says what is filled of each party, whatever the rates of its files.
pub(super) fn filled_of(plans: &[FilePlan<'_>], party: Party) -> Vec<Range<u64>> {
    let own = plans.iter().filter(|plan| plan.part.party == party);
    merged(own.flat_map(|plan| plan.filled.iter().cloned()).collect())
}

/// Works out where a file is to end. Files that were written side by side end together.
fn end_of(part: &StreamPart, parts: &[StreamPart], covered: &Range<u64>, call_end: u64) -> u64 {
    let own = parts.iter().filter(|other| other.party == part.party);
    let together = own.clone().filter(|other| other.origin == part.origin).map(StreamPart::end);
    let end = together.max().unwrap_or(part.end());
    let origins: BTreeSet<u64> = own.map(|other| other.origin.get()).collect();
    match origins.range(part.origin.get() + 1..).next() {
        None => call_end.max(end),
        Some(next) if covered.start < *next && covered.end > end => end.max(covered.end.min(*next)),
        Some(_) => end,
    }
}

fn common(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    a.start.max(b.start)..a.end.min(b.end)
}

/// Puts stretches in order and makes one of those that touch.
fn merged(mut spans: Vec<Range<u64>>) -> Vec<Range<u64>> {
    spans.retain(|span| !span.is_empty());
    spans.sort_by_key(|span| span.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

fn without(spans: Vec<Range<u64>>, pause: &Range<u64>) -> Vec<Range<u64>> {
    let pieces = |span: Range<u64>| {
        let before = span.start..span.end.min(pause.start);
        let after = span.start.max(pause.end)..span.end;
        [before, after]
    };
    spans.into_iter().flat_map(pieces).filter(|span| !span.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{RateHz, Samples8k};

    fn part(party: Party, rate: RateHz, origin: u64, samples: u64) -> StreamPart {
        let sid = format!("CA{:032x}", 1);
        let path = format!("recordings/2026/01/01/{sid}/{party}-{origin}_{}Hz.wav", rate.get());
        let origin = Samples8k::new(origin);
        StreamPart { party, rate, origin, samples, path: path.parse().unwrap(), is_own: false }
    }

    fn gap(start: u64, end: u64, reason: GapReason) -> Gap {
        let (start, end) = (Samples8k::new(start), Samples8k::new(end));
        Gap { party: Party::Agent, start, end, reason }
    }

    /// One line for each file: its end and what is filled.
    fn shown(plans: &[FilePlan<'_>]) -> Vec<String> {
        let line = |plan: &FilePlan<'_>| format!("{} {:?}", plan.end, plan.filled);
        plans.iter().map(line).collect()
    }

    #[test]
    fn a_gap_is_filled_where_the_copy_covers_it_and_a_pause_never() {
        let parts = [part(Party::Agent, RateHz::Hz8000, 0, 10_000)];
        let gaps = [
            gap(0, 300, GapReason::Lost),
            gap(1000, 1160, GapReason::Lost),
            gap(1160, 1320, GapReason::Disk),
            gap(3000, 5000, GapReason::Disconnected),
            gap(3500, 4000, GapReason::Paused),
            gap(9000, 10_000, GapReason::Lost),
        ];
        let plans = plan(&parts, &gaps, &(100..9500));
        assert_eq!(
            shown(&plans),
            ["10000 [100..300, 1000..1320, 3000..3500, 4000..5000, 9000..9500]"]
        );
        assert!(plan(&parts, &gaps, &(10_000..11_000)).is_empty(), "a copy of something else");
        assert!(plan(&parts, &[], &(0..11_599)).is_empty(), "the last 200 ms are not worth it");
        assert!(plan(&[], &gaps, &(0..9500)).is_empty());
    }

    #[test]
    fn a_microphones_file_is_filled_with_nothing_and_ends_with_the_others() {
        let line = part(Party::Agent, RateHz::Hz8000, 0, 10_000);
        let own = StreamPart { is_own: true, ..line.clone() };
        let parts = [own, line];
        let gaps = [gap(1000, 1160, GapReason::Lost)];
        let plans = plan(&parts, &gaps, &(0..15_000));
        assert_eq!(shown(&plans), ["15000 []", "15000 [1000..1160, 10000..15000]"]);
    }

    #[test]
    fn an_interrupted_call_goes_on_up_to_its_next_part_and_to_the_end_of_the_copy() {
        let parts = [
            part(Party::Agent, RateHz::Hz8000, 0, 10_000),
            part(Party::Agent, RateHz::Hz16000, 0, 19_000),
            part(Party::Agent, RateHz::Hz8000, 20_000, 5000),
            part(Party::Technician, RateHz::Hz8000, 0, 10_000),
        ];
        assert_eq!(
            shown(&plan(&parts, &[], &(50..40_000))),
            [
                "20000 [10000..20000]",
                "20000 [9500..20000]",
                "40000 [25000..40000]",
                "40000 [10000..40000]"
            ]
        );
        assert_eq!(
            shown(&plan(&parts, &[], &(50..15_000))),
            ["15000 [10000..15000]", "15000 [9500..15000]", "25000 [10000..15000]"],
            "what nobody heard is silence, and the parties end together"
        );
        assert_eq!(
            shown(&plan(&parts, &[gap(10_000, 12_000, GapReason::Paused)], &(50..15_000)))[0],
            "15000 [12000..15000]"
        );
        assert_eq!(shown(&plan(&parts[..1], &[], &(12_000..15_000))), ["15000 [12000..15000]"]);
    }
}
