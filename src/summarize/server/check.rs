//! What the server says of a call, held against the call.

use super::prompt::{Claim, ClaimedAction, STATEMENT_CHARS_MAX};
use crate::domain::Party;
use crate::store::{ActionItem, SegmentRow, Stretch};
use crate::summarize::actions::who;
use crate::summarize::borne_out::{Grounds, is_borne_out};
use crate::summarize::dates::dates;
use crate::summarize::tokens::tokens;
use crate::summarize::tongue::Tongue;

/// Lines beside those named in which a statement's words may stand too.
const BESIDE: usize = 2;

/// Lines that one statement may name: with half of the call named everything stands somewhere.
const LINES_MAX: usize = 12;

/// A statement that the call bears out, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) text: String,
    /// The places of the segments, in order.
    pub(super) segments: Vec<usize>,
}

/// Holds statements against a call.
pub(super) struct Checker<'a> {
    pub(super) segments: &'a [SegmentRow],
    pub(super) tongue: &'static Tongue,
}

impl Checker<'_> {
    /// Returns the statement if the call bears it out. `shown` are the segments that the server
    /// was shown: others it cannot know.
    pub(super) fn claim(&self, claim: &Claim, shown: std::ops::Range<usize>) -> Option<Checked> {
        let segments: Option<Vec<usize>> = claim
            .lines
            .iter()
            .map(|line| usize::try_from(line - 1).ok().filter(|at| shown.contains(at)))
            .collect();
        self.statement(&claim.text, segments?)
    }

    /// Returns the statement if these segments bear it out.
    pub(super) fn statement(&self, text: &str, mut segments: Vec<usize>) -> Option<Checked> {
        segments.sort_unstable();
        segments.dedup();
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let fits = !text.is_empty()
            && text.chars().count() <= STATEMENT_CHARS_MAX
            && (1..=LINES_MAX).contains(&segments.len());
        let text_of = |at: usize| self.segments.get(at).map(|segment| segment.text.as_str());
        let around = segments.iter().flat_map(|at| at.saturating_sub(BESIDE)..=at + BESIDE);
        let grounds = Grounds {
            named: segments.iter().filter_map(|at| text_of(*at)).collect(),
            around: around.filter_map(text_of).collect(),
        };
        (fits && is_borne_out(&text, &grounds, self.tongue)).then_some(Checked { text, segments })
    }

    /// Returns what is to be done, if the call bears it out. Who and when are kept only as far as
    /// they were said.
    pub(super) fn action(
        &self,
        claim: &ClaimedAction,
        shown: std::ops::Range<usize>,
    ) -> Option<ActionItem> {
        let words = Claim { text: claim.text.clone(), lines: claim.lines.clone() };
        let Checked { text, segments } = self.claim(&words, shown)?;
        Some(ActionItem {
            id: None,
            text,
            who: self.who(claim.who.as_deref(), &segments),
            due: claim.when.as_deref().and_then(|when| self.when(when, &segments)),
            places: self.places(&segments),
            done_at: None,
        })
    }

    /// Who is to do it: as the server says, unless the lines say otherwise.
    fn who(&self, claimed: Option<&str>, segments: &[usize]) -> Vec<Party> {
        let claimed = match claimed.unwrap_or_default() {
            "both" => Party::ALL.to_vec(),
            one => one.parse().into_iter().collect(),
        };
        let said = segments.iter().filter_map(|at| self.segments.get(*at));
        let said: Vec<Vec<Party>> =
            said.filter_map(|segment| who(&segment.text, segment.party, self.tongue)).collect();
        let fits = said.is_empty() || said.iter().flatten().any(|party| claimed.contains(party));
        if fits { claimed } else { Vec::new() }
    }

    /// When it is to be done, in the words of the lines.
    fn when(&self, claimed: &str, segments: &[usize]) -> Option<String> {
        let plain =
            |text: &str| tokens(text).into_iter().map(|token| token.plain).collect::<Vec<_>>();
        let wanted = plain(claimed);
        let said = segments.iter().filter_map(|at| self.segments.get(*at));
        let mut times = said.flat_map(|segment| dates(&segment.text, self.tongue));
        let fits = |time: &&str| {
            let time = plain(time);
            !wanted.is_empty() && wanted.iter().all(|word| time.contains(word))
        };
        times.find(fits).map(str::to_owned)
    }

    /// Where segments lie; those that follow one another as one.
    pub(super) fn places(&self, segments: &[usize]) -> Vec<Stretch> {
        let mut places: Vec<Stretch> = Vec::new();
        let mut last = None;
        for at in segments {
            let Some(segment) = self.segments.get(*at) else { continue };
            match places.last_mut() {
                Some(place) if last == at.checked_sub(1) => {
                    place.end_ms = place.end_ms.max(segment.end_ms);
                }
                _ => places.push(Stretch { start_ms: segment.start_ms, end_ms: segment.end_ms }),
            }
            last = Some(*at);
        }
        places
    }
}
