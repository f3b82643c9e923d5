//! How much of a call its words are of, and what to say when that is not all.

use crate::domain::{GapReason, Party, TrackSource};
use crate::store::{CallDetail, GapRow, TranscriptRow};

/// How much of a call was seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Coverage {
    /// 0 to 1.
    pub(super) share: f64,
    /// What is missing, in words for a person; empty when nothing is.
    pub(super) remarks: Vec<String>,
}

/// Works out how much of a call stands in its transcript.
pub(super) fn coverage(detail: &CallDetail, transcript: &TranscriptRow) -> Coverage {
    let mut remarks = Vec::new();
    let mut share = heard(detail, transcript, &mut remarks);
    let (dropped, kept) = (f64::from(transcript.dropped), count(transcript.segments.len()));
    if transcript.dropped > 0 {
        // How long they were is not known; they count as much as the others.
        share *= kept / (kept + dropped);
        remarks.push(match transcript.dropped {
            1 => "One stretch was too unclear to be written down; listen there.".to_owned(),
            many => format!("{many} stretches were too unclear to be written down; listen there."),
        });
    }
    // Less than all must not be rounded to all.
    Coverage { share: (share * 1000.0).floor().max(0.0) / 1000.0, remarks }
}

/// The share of both parties' time that was heard.
fn heard(detail: &CallDetail, transcript: &TranscriptRow, remarks: &mut Vec<String>) -> f64 {
    let of_source = |gap: &&GapRow| gap.source == transcript.source;
    let lost_ms: u64 = detail.gaps.iter().filter(of_source).map(length_ms).sum();
    let paused = |gap: &&GapRow| of_source(gap) && gap.reason == GapReason::Paused;
    let paused_ms: u64 = detail.gaps.iter().filter(paused).map(length_ms).sum();
    let parties = Party::ALL.len() as u64;
    let whole_ms = parties * call_ms(detail, transcript);
    if lost_ms == 0 || whole_ms == 0 {
        return 1.0;
    }
    if lost_ms > paused_ms {
        remarks.push(format!("{} s of what was said did not arrive.", tenths(lost_ms - paused_ms)));
    }
    if paused_ms > 0 {
        // Both parties' recording is paused at once.
        remarks.push(format!("The recording was paused for {} s.", tenths(paused_ms / parties)));
    }
    1.0 - (float(lost_ms) / float(whole_ms)).min(1.0)
}

fn length_ms(gap: &GapRow) -> u64 {
    gap.end.as_millis().saturating_sub(gap.start.as_millis())
}

/// How long the call's sound is: by its files, else by what was said.
fn call_ms(detail: &CallDetail, transcript: &TranscriptRow) -> u64 {
    let by_file = |source: TrackSource| {
        let tracks = detail.tracks.iter().filter(move |track| track.source == source);
        tracks.map(|track| {
            track.origin.as_millis() + track.samples * 1000 / u64::from(track.rate.get())
        })
    };
    let said = transcript.segments.iter().map(|segment| segment.end_ms).max().unwrap_or(0);
    by_file(transcript.source).max().unwrap_or(0).max(said)
}

/// Seconds with one digit, never 0 for something.
fn tenths(ms: u64) -> String {
    let tenths = ms.div_ceil(100);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[expect(clippy::cast_precision_loss, reason = "calls are far shorter than 2^53 ms")]
fn float(ms: u64) -> f64 {
    ms as f64
}

#[expect(clippy::cast_precision_loss, reason = "a call has far fewer segments than 2^53")]
fn count(segments: usize) -> f64 {
    segments as f64
}
