//! Where Twilio's copy lies on the call's timeline.
//!
//! Snippets of what was heard live are looked for in the copy; each that is found, beyond doubt
//! and in one place only, votes for an offset. Only a majority is believed. Memory is constant:
//! what is held is a few snippets and a block of the copy.

use super::copy::{CloudCopy, SoundError, index};
use super::correlate::{Correlator, Peaks};
use super::live::{Gap, PartReader, StreamPart};
use crate::domain::{Party, PartyMap, RateHz};
use crate::vault::{RelPath, Vault};

/// A snippet's length in samples of 8 kHz: half a second, a few words.
const SNIPPET: u64 = 4_000;

/// Snippets of each party, spread over what was heard of it: a call's quiet half must not decide,
/// and a few that fall on a ringing tone must not matter.
const SNIPPETS_PER_PARTY: u64 = 12;

/// How much of a twelfth of a party's sound is looked through for its loudest snippet: a minute, so
/// that a call of a day takes hardly longer than one of an hour.
const SCANNED_MAX: u64 = 60 * 8_000;

/// The part of a snippet that may be a gap, as a fraction of one: three lost frames in 25.
const GAP_FRACTION_MAX: u64 = 8;

/// What is quieter on average than this, of 1.0, is a line's noise: -46 dB.
const LOUDNESS_MIN: f64 = 0.005;

/// How far from the expected place is looked: 30 s, a clock that is wrong and a slow start.
const EXPECTED_WITHIN: u64 = 30 * 8_000;

/// Snippets that are looked for far and wide: when so many of the loudest do not agree, more would
/// not help, and each costs as much time as what is searched is long.
const FAR_SEARCHES_MAX: usize = 12;

/// How far from where the first snippets agree the others are looked for: 1 s.
const AGREED_WITHIN: u64 = 8_000;

/// Snippets that must agree before the others are looked for nearby only.
const AGREED_MIN: usize = 3;

/// The likeness from which on a snippet counts as found. Two strangers' speech reaches 0.4, the
/// same words under a second voice of the same loudness 0.7.
const LIKENESS_MIN: f32 = 0.5;

/// How like the second best place may be, as a part of the best.
const SECOND_MAX: f32 = 0.9;

/// Votes within this are for the same: live sound is placed by timestamps in whole milliseconds,
/// which may wander by 5 ms either way.
const SAME_WITHIN: u64 = 80;

/// What is to be aligned.
#[derive(Debug, Clone)]
pub struct AlignOrder<'a> {
    /// What was heard live. Of a party's two rates the lower is used.
    pub parts: &'a [StreamPart],
    /// Where it is silence that nobody spoke.
    pub gaps: &'a [Gap],
    /// Twilio's copy.
    pub recording: &'a RelPath,
    /// Who ought to be heard on which channel.
    pub parties: PartyMap,
    /// Where the copy's first sample is thought to lie on the call's timeline, in samples of
    /// 8 kHz; without it the whole copy is searched.
    pub expected: Option<i64>,
}

/// Where Twilio's copy lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alignment {
    /// The place of the copy's first sample on the call's timeline, in samples of 8 kHz; negative
    /// when it begins before the call's first live sound.
    pub offset_samples: i64,
    /// How sure that is: 1 when every snippet was found there as it was heard.
    pub confidence: f32,
    /// Whether the parties are heard on each other's channels.
    pub swapped: bool,
}

/// What looking for it came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// It lies there.
    Found(Alignment),
    /// Nothing was heard live that could be looked for.
    NothingHeard,
    /// What was heard live is not reliably found in it.
    Unlike,
}

/// Finds out where Twilio's copy lies.
pub fn align(vault: &Vault, order: &AlignOrder<'_>) -> Result<Place, SoundError> {
    let copy = CloudCopy::open(vault, order.recording)?;
    let mut correlator = Correlator::new();
    let mut votes = Vec::new();
    let snippets = snippets(vault, order)?;
    if snippets.is_empty() {
        return Ok(Place::NothingHeard);
    }
    for (number, snippet) in snippets.into_iter().enumerate() {
        let agreed = majority(&votes).filter(|same| same.len() >= AGREED_MIN);
        let search = match (agreed, order.expected) {
            (Some(same), _) => Search::around(offset_of(&same), AGREED_WITHIN),
            (None, _) if number >= FAR_SEARCHES_MAX => break,
            (None, Some(expected)) => Search::around(expected, EXPECTED_WITHIN),
            (None, None) => Search { offset_min: i64::MIN, offset_max: i64::MAX },
        };
        let own_channel = copy.channel_of(snippet.party, order.parties);
        votes.extend(vote(&copy, &mut correlator, &snippet, search, own_channel)?);
    }
    Ok(majority(&votes).map_or(Place::Unlike, |same| {
        Place::Found(Alignment {
            offset_samples: offset_of(&same),
            confidence: confidence(&same, votes.len()),
            swapped: same.iter().filter(|vote| vote.crossed).count() * 2 > same.len(),
        })
    }))
}

/// A piece of what was heard live.
struct Snippet {
    party: Party,
    /// Where it begins on the call's timeline.
    at: u64,
    energy: f64,
    sound: Vec<f32>,
}

/// The offsets looked at.
#[derive(Clone, Copy)]
struct Search {
    offset_min: i64,
    offset_max: i64,
}

impl Search {
    fn around(offset: i64, within: u64) -> Self {
        Self {
            offset_min: offset.saturating_sub_unsigned(within),
            offset_max: offset.saturating_add_unsigned(within),
        }
    }

    /// Returns the first place in the copy where a snippet may be, and the one after the last.
    fn places(self, snippet: &Snippet, copy: &CloudCopy) -> (u64, u64) {
        let at = i128::from(snippet.at);
        let place = |offset: i64| u64::try_from(at - i128::from(offset)).unwrap_or(0);
        let beyond = copy.samples().saturating_sub(snippet.sound.len() as u64) + 1;
        (place(self.offset_max), place(self.offset_min).saturating_add(1).min(beyond))
    }
}

/// What one snippet says.
#[derive(Debug, Clone, Copy)]
struct Vote {
    offset: i64,
    likeness: f32,
    /// It was heard on the other party's channel.
    crossed: bool,
}

/// Looks for a snippet on every channel.
fn vote(
    copy: &CloudCopy,
    correlator: &mut Correlator,
    snippet: &Snippet,
    search: Search,
    own_channel: Option<usize>,
) -> Result<Option<Vote>, SoundError> {
    correlator.look_for(&snippet.sound);
    let mut found = vec![Peaks::default(); copy.channels()];
    let (mut at, end) = search.places(snippet, copy);
    while at < end {
        let count = Correlator::block_len().min(end - at + snippet.sound.len() as u64);
        let heard = copy.hear(at, count)?;
        for (sound, peaks) in heard.iter().zip(&mut found) {
            correlator.search(sound, at, end, peaks);
        }
        at += correlator.places_per_block();
    }
    let peaks = found.iter().enumerate().filter_map(|(channel, peaks)| {
        peaks.distinct(LIKENESS_MIN, SECOND_MAX).map(|peak| (channel, peak))
    });
    let best = peaks.max_by(|(_, a), (_, b)| a.likeness.total_cmp(&b.likeness));
    Ok(best.map(|(channel, peak)| Vote {
        offset: snippet.at.cast_signed() - peak.place.cast_signed(),
        likeness: peak.likeness,
        crossed: own_channel.is_some_and(|own| own != channel),
    }))
}

/// Returns the votes that agree with each other, if they are more than half and at least two.
fn majority(votes: &[Vote]) -> Option<Vec<Vote>> {
    let supporters = |candidate: &Vote| {
        let same =
            votes.iter().filter(|vote| vote.offset.abs_diff(candidate.offset) <= SAME_WITHIN);
        same.copied().collect::<Vec<_>>()
    };
    let largest = votes.iter().map(supporters).max_by_key(Vec::len)?;
    (largest.len() >= 2 && largest.len() * 2 > votes.len()).then_some(largest)
}

/// Returns the offset that most votes name to the sample; of several the one named most clearly.
fn offset_of(same: &[Vote]) -> i64 {
    let weight = |offset: i64| -> f32 {
        same.iter().filter(|vote| vote.offset == offset).map(|vote| vote.likeness).sum()
    };
    let offsets = same.iter().map(|vote| vote.offset);
    offsets.max_by(|a, b| weight(*a).total_cmp(&weight(*b)).then(b.cmp(a))).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "there are two dozen votes at most")]
fn confidence(same: &[Vote], votes: usize) -> f32 {
    same.iter().map(|vote| vote.likeness).sum::<f32>() / votes.max(1) as f32
}

/// Chooses what to look for, the loudest first.
fn snippets(vault: &Vault, order: &AlignOrder<'_>) -> Result<Vec<Snippet>, SoundError> {
    let mut chosen = Vec::new();
    for party in Party::ALL {
        let parts: Vec<_> = lowest_rate(order.parts, *party);
        let heard: u64 = parts.iter().map(|part| part.end() - part.origin.get()).sum();
        let slice = (heard / SNIPPETS_PER_PARTY).max(SNIPPET);
        for part in parts {
            let gaps: Vec<_> = order.gaps.iter().filter(|gap| gap.party == *party).collect();
            loudest(vault, part, &gaps, slice, &mut chosen)?;
        }
    }
    chosen.sort_by(|a, b| b.energy.total_cmp(&a.energy));
    Ok(chosen)
}

/// Returns a party's parts, each in its lowest rate only.
fn lowest_rate(all: &[StreamPart], party: Party) -> Vec<&StreamPart> {
    let own = || all.iter().filter(|part| part.party == party);
    let narrow = |origin| own().any(|part| part.origin == origin && part.times() == 1);
    own().filter(|part| part.rate == RateHz::Hz8000 || !narrow(part.origin)).collect()
}

/// Adds the loudest snippet of each slice of a part.
fn loudest(
    vault: &Vault,
    part: &StreamPart,
    gaps: &[&Gap],
    slice: u64,
    chosen: &mut Vec<Snippet>,
) -> Result<(), SoundError> {
    let mut reader = PartReader::open(vault, part)?;
    let samples = part.samples / part.times();
    let mut slice_start = 0;
    while slice_start + SNIPPET <= samples {
        let scanned = slice.min(SCANNED_MAX).min(samples - slice_start);
        let mut best: Option<Snippet> = None;
        for number in 0..scanned / SNIPPET {
            let at = part.origin.get() + slice_start + number * SNIPPET;
            let sound = narrow(&mut reader, part.times())?;
            let energy = sound.iter().map(|sample| f64::from(*sample).powi(2)).sum();
            let louder = best.as_ref().is_none_or(|best| energy > best.energy);
            if louder && missing(gaps, at) * GAP_FRACTION_MAX <= SNIPPET {
                best = Some(Snippet { party: part.party, at, energy, sound });
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a snippet has 4000 samples")]
        let energy_min = LOUDNESS_MIN.powi(2) * SNIPPET as f64;
        chosen.extend(best.filter(|best| best.energy >= energy_min));
        reader.skip((slice - scanned / SNIPPET * SNIPPET) * part.times())?;
        slice_start += slice;
    }
    Ok(())
}

/// Reads one snippet in 8 kHz: of 16 kHz sound of ours every other sample is that.
fn narrow(reader: &mut PartReader, times: u64) -> Result<Vec<f32>, SoundError> {
    let mut sound = Vec::with_capacity(index(SNIPPET * times));
    reader.read(SNIPPET * times, &mut sound)?;
    Ok(if times == 1 { sound } else { sound.into_iter().step_by(index(times)).collect() })
}

/// Counts the samples of a snippet that nobody spoke.
fn missing(gaps: &[&Gap], at: u64) -> u64 {
    let within = |gap: &&&Gap| gap.start.get() < at + SNIPPET && gap.end.get() > at;
    let overlap = |gap: &&Gap| gap.end.get().min(at + SNIPPET) - gap.start.get().max(at);
    gaps.iter().filter(within).map(overlap).sum()
}
