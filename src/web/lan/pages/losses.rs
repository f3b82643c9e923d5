//! What of a call did not arrive, and where its sound was taken from instead.

use super::conversation::is_shown;
use super::words;
use crate::domain::{Party, Samples8k};
use crate::store::CallDetail;

/// A shorter stretch is summed up instead of told by its place: a bad line has hundreds.
const TOLD_MS: u64 = 1_000;

/// Stretches told by their place at most; what is beyond is summed up.
const TOLD_MAX: usize = 20;

/// A stretch of one party.
struct Stretch {
    party: Party,
    start: Samples8k,
    end: Samples8k,
    what: &'static str,
}

/// Tells of every loss that the conversation does not show in its place.
pub(super) fn losses(detail: &CallDetail, gaps_in_conversation: bool) -> Vec<String> {
    let filled = detail.fills.iter().map(|fill| Stretch {
        party: fill.party,
        start: fill.start,
        end: fill.end,
        what: "was lost on the way and taken from Twilio's copy",
    });
    let silent = detail.gaps.iter().filter(|gap| is_shown(gap) && !gaps_in_conversation);
    let silent = silent.map(|gap| Stretch {
        party: gap.party,
        start: gap.start,
        end: gap.end,
        what: words::gap(gap.source, gap.reason),
    });
    let mut by_place: Vec<Stretch> =
        filled.clone().filter(Stretch::is_long).chain(silent).collect();
    by_place.sort_by_key(|stretch| (stretch.start, stretch.party));
    let beyond = by_place.len().saturating_sub(TOLD_MAX);
    by_place.truncate(TOLD_MAX);
    let mut told = together(&by_place);
    if beyond > 0 {
        told.push(format!(
            "And {}.",
            words::count(beyond as u64, "more stretch", "more stretches")
        ));
    }
    for party in Party::ALL {
        let short = filled.clone().filter(|fill| fill.party == *party && !fill.is_long());
        told.extend(summed(*party, short.map(|fill| fill.length()), "taken from Twilio's copy"));
        let short = detail.gaps.iter().filter(|gap| gap.party == *party && !is_shown(gap));
        told.extend(summed(*party, short.map(|gap| gap.end.since(gap.start)), "kept as silence"));
    }
    told
}

impl Stretch {
    fn length(&self) -> u64 {
        self.end.since(self.start)
    }

    fn is_long(&self) -> bool {
        Samples8k::new(self.length()).as_millis() >= TOLD_MS
    }

    fn place(&self) -> String {
        let (start_ms, end_ms) = (self.start.as_millis(), self.end.as_millis());
        format!("{}–{}", words::clock(start_ms / 1000), words::clock(end_ms.div_ceil(1000)))
    }
}

/// Tells of stretches by their place; of one that both parties share, once.
fn together(stretches: &[Stretch]) -> Vec<String> {
    let mut told: Vec<(String, String)> = Vec::new();
    for stretch in stretches {
        let text = format!("{} {}.", stretch.place(), stretch.what);
        match told.last_mut() {
            Some((who, last)) if *last == text => "Both".clone_into(who),
            _ => told.push((words::party(stretch.party).to_owned(), text)),
        }
    }
    told.into_iter().map(|(who, text)| format!("{who}: {text}")).collect()
}

fn summed(party: Party, lengths: impl Iterator<Item = u64>, fate: &str) -> Option<String> {
    let (count, lost) = lengths.fold((0, 0), |(count, lost), length| (count + 1, lost + length));
    let lost_ms = Samples8k::new(lost).as_millis();
    (count > 0).then(|| {
        format!(
            "{}: {} s lost in {}, {fate}.",
            words::party(party),
            // One frame is 20 ms, and not nothing.
            words::tenths(lost_ms.max(100)),
            words::count(count, "short gap", "short gaps"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_that_both_lost_is_told_once() {
        let stretch = |party, start_ms, end_ms| Stretch {
            party,
            start: Samples8k::from_millis(start_ms),
            end: Samples8k::from_millis(end_ms),
            what: "was lost",
        };
        let told = together(&[
            stretch(Party::Agent, 12_000, 17_500),
            stretch(Party::Technician, 12_020, 18_000),
            stretch(Party::Technician, 75_000, 80_000),
        ]);
        assert_eq!(told, ["Both: 0:12–0:18 was lost.", "Technician: 1:15–1:20 was lost."]);
    }

    #[test]
    fn short_losses_are_summed_up() {
        let told = summed(Party::Agent, [800, 160].into_iter(), "kept as silence");
        assert_eq!(told.as_deref(), Some("Agent: 0.1 s lost in 2 short gaps, kept as silence."));
        assert_eq!(summed(Party::Agent, std::iter::empty(), ""), None);
    }
}
