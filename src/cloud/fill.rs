//! What the live stream missed, filled from Twilio's copy.
//!
//! Invariant: what was heard live stays as it is to the bit; only silence that nobody spoke, and
//! what comes after the end of a file, becomes the copy's sound. Doing it again on its own output,
//! or after having been interrupted anywhere, gives the same bytes.

use std::ops::Range;

use super::copy::{CloudCopy, SoundError, index};
use super::live::{Gap, PartReader, StreamPart};
use super::plan::{FilePlan, filled_of, plan};
use crate::domain::{Party, PartyMap, RateHz, Samples8k};
use crate::vault::{RelPath, Rewrite, Rewritten, Vault};

/// Samples of 8 kHz worked on at once: a second.
const BLOCK: u64 = 8_000;

/// How long the step at a seam takes to fade, in samples of 8 kHz: 2.5 ms, too short to be heard
/// and long enough not to click.
const SEAM: u64 = 20;

/// What is to be filled.
#[derive(Debug, Clone)]
pub struct FillOrder<'a> {
    /// What was heard live, both parties and all rates.
    pub parts: &'a [StreamPart],
    /// Where it is silence that nobody spoke.
    pub gaps: &'a [Gap],
    /// Twilio's copy.
    pub recording: &'a RelPath,
    /// Who is heard on which channel.
    pub parties: PartyMap,
    /// The place of the copy's first sample on the call's timeline, in samples of 8 kHz, as
    /// [`align`](super::align()) has found it.
    pub offset_samples: i64,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filled {
    /// The files that took the place of others.
    pub files: Vec<FilledFile>,
    /// What of them is the copy's sound now, by party and place.
    pub spans: Vec<FilledSpan>,
}

/// A file that is more whole than it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilledFile {
    /// Who speaks.
    pub party: Party,
    /// The file, under the name it had.
    pub file: Rewritten,
}

/// A stretch of a party's timeline that is the copy's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilledSpan {
    /// Whose.
    pub party: Party,
    /// From here.
    pub start: Samples8k,
    /// To here.
    pub end: Samples8k,
}

/// Fills what the live files of a call lack, in constant memory. A copy of one channel fills
/// nothing: both parties' voices are in it.
pub fn fill(vault: &Vault, order: &FillOrder<'_>) -> Result<Filled, SoundError> {
    let mut copy = CloudCopy::open(vault, order.recording)?;
    vault.sweep_rewrites(order.recording.folder())?;
    let mut filled = Filled::default();
    if copy.channels() != 2 {
        return Ok(filled);
    }
    let on_timeline = |place: u64| {
        u64::try_from(i128::from(order.offset_samples) + i128::from(place)).unwrap_or(0)
    };
    let covered = on_timeline(0)..on_timeline(copy.samples());
    let plans = plan(order.parts, order.gaps, &covered);
    for plan in &plans {
        let party = plan.part.party;
        let Some(channel) = copy.channel_of(party, order.parties) else { continue };
        let (offset, rate) = (order.offset_samples, plan.part.rate);
        let mut patch = Patch { copy: &mut copy, channel, rate, offset };
        filled.files.push(FilledFile { party, file: rewrite(vault, plan, &mut patch)? });
    }
    for party in Party::ALL {
        filled.spans.extend(filled_of(&plans, *party).into_iter().map(|span| FilledSpan {
            party: *party,
            start: Samples8k::new(span.start),
            end: Samples8k::new(span.end),
        }));
    }
    Ok(filled)
}

/// Writes a file anew: what was heard as it was, and the copy's sound where it is to be filled.
fn rewrite(
    vault: &Vault,
    plan: &FilePlan<'_>,
    patch: &mut Patch<'_>,
) -> Result<Rewritten, SoundError> {
    let part = plan.part;
    let (origin, times) = (part.origin.get(), part.times());
    let mut heard = PartReader::open(vault, part)?;
    let mut out = Output { file: vault.rewrite(&part.path, part.rate)?, last: None };
    let mut at = origin;
    for span in &plan.filled {
        copy_heard(&mut heard, &mut out, (span.start - at) * times)?;
        heard.skip((span.end - span.start) * times)?;
        let after = if span.end < plan.end { Some(heard.peek()?) } else { None };
        patch.write(span, after, &mut out)?;
        at = span.end;
    }
    copy_heard(&mut heard, &mut out, (plan.end - at) * times)?;
    Ok(out.file.seal()?)
}

fn copy_heard(
    heard: &mut PartReader,
    out: &mut Output,
    mut samples: u64,
) -> Result<(), SoundError> {
    let mut block = Vec::new();
    while samples > 0 {
        let count = samples.min(BLOCK);
        block.clear();
        heard.take(count, &mut block)?;
        out.append(&block)?;
        samples -= count;
    }
    Ok(())
}

/// A file being written, and the last sample in it.
struct Output {
    file: Rewrite,
    last: Option<i16>,
}

impl Output {
    fn append(&mut self, samples: &[i16]) -> Result<(), SoundError> {
        self.file.append(samples)?;
        self.last = samples.last().copied().or(self.last);
        Ok(())
    }
}

/// A party's channel of the copy, at the rate of the file it is for.
struct Patch<'a> {
    copy: &'a mut CloudCopy,
    channel: usize,
    rate: RateHz,
    offset: i64,
}

impl Patch<'_> {
    /// Appends the copy's sound of a span. Where it does not meet the live sound on the sample,
    /// the step is spread over the first and last moments of the span; outside nothing changes.
    fn write(
        &mut self,
        span: &Range<u64>,
        after: Option<i16>,
        out: &mut Output,
    ) -> Result<(), SoundError> {
        let times = u64::from(self.rate.get() / RateHz::Hz8000.get());
        let total = (span.end - span.start) * times;
        let seam = Seam {
            total,
            len: (SEAM * times).min(total),
            step_in: step(out.last, self.before(span)?),
            step_out: step(after, self.after(span)?),
        };
        let (mut start, mut done) = (span.start, 0);
        while start < span.end {
            let count = BLOCK.min(span.end - start);
            let mut sound = self.sound(start, count)?;
            // The copy's last sample may be half of one of ours.
            sound.resize(index(count * times), 0);
            for sample in &mut sound {
                *sample = seam.mend(*sample, done);
                done += 1;
            }
            out.append(&sound)?;
            start += count;
        }
        Ok(())
    }

    /// Returns the copy's last sample before a span, or if it has none the first in it.
    fn before(&mut self, span: &Range<u64>) -> Result<Option<i16>, SoundError> {
        if span.start > 0 && self.place(span.start - 1).is_some() {
            return Ok(self.sound(span.start - 1, 1)?.last().copied());
        }
        Ok(self.sound(span.start, 1)?.first().copied())
    }

    /// Returns the copy's first sample after a span, or if it has none the last in it.
    fn after(&mut self, span: &Range<u64>) -> Result<Option<i16>, SoundError> {
        let next = self.sound(span.end, 1)?.first().copied();
        if next.is_some() {
            return Ok(next);
        }
        Ok(self.sound(span.end - 1, 1)?.last().copied())
    }

    fn sound(&mut self, at: u64, count: u64) -> Result<Vec<i16>, SoundError> {
        match self.place(at) {
            Some(place) => self.copy.sound(self.channel, self.rate, place, count),
            None => Ok(Vec::new()),
        }
    }

    /// Returns the place in the copy of a place on the call's timeline.
    fn place(&self, at: u64) -> Option<u64> {
        u64::try_from(i128::from(at) - i128::from(self.offset)).ok()
    }
}

/// How far the live sound is from the copy's at one end of a span; nothing, where there is none.
fn step(live: Option<i16>, copy: Option<i16>) -> i64 {
    live.zip(copy).map_or(0, |(live, copy)| i64::from(live) - i64::from(copy))
}

/// The two ends of a span.
struct Seam {
    total: u64,
    len: u64,
    step_in: i64,
    step_out: i64,
}

impl Seam {
    /// Adds what is left of both steps at the sample `at` of the span.
    fn mend(&self, sample: i16, at: u64) -> i16 {
        let part = |step: i64, distance: u64| {
            let left = self.len.saturating_sub(distance).cast_signed();
            step * left / (self.len.cast_signed() + 1)
        };
        let to_end = self.total.saturating_sub(at + 1);
        let mended = i64::from(sample) + part(self.step_in, at) + part(self.step_out, to_end);
        let clipped = mended.clamp(i64::from(i16::MIN), i64::from(i16::MAX));
        i16::try_from(clipped).unwrap_or(sample)
    }
}
