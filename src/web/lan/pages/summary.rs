//! What a call came to, with a link to every place it was said at.

use super::words;
use crate::domain::Party;
use crate::store::{ActionItem, Statement, Stretch, SummaryRow};

/// A call's summary as it is shown.
pub(super) struct Summary {
    pub(super) lines: Vec<SummaryLine>,
    pub(super) actions: Vec<Action>,
    pub(super) remarks: Vec<String>,
}

/// A line of it: somebody's words, or what is said about the call.
pub(super) struct SummaryLine {
    pub(super) speaker: Option<&'static str>,
    pub(super) text: String,
    pub(super) places: Vec<Seek>,
}

/// Something that is to be done.
pub(super) struct Action {
    pub(super) id: i64,
    pub(super) text: String,
    /// By whom and when, as far as that was said.
    pub(super) facts: String,
    pub(super) places: Vec<Seek>,
    pub(super) done: bool,
}

/// A place to play from.
pub(super) struct Seek {
    pub(super) start_s: String,
    pub(super) at: String,
}

impl Summary {
    pub(super) fn new(row: &SummaryRow) -> Self {
        let mut unshown: Vec<&Statement> = row.statements.iter().collect();
        let lines = row.text.lines().map(|line| {
            let statement = unshown.iter().position(|one| line.ends_with(&one.text));
            match statement.map(|at| unshown.remove(at)) {
                Some(statement) => SummaryLine {
                    speaker: statement.party.map(words::party),
                    text: statement.text.clone(),
                    places: seeks(&statement.places),
                },
                None => SummaryLine { speaker: None, text: line.to_owned(), places: Vec::new() },
            }
        });
        Self {
            lines: lines.collect(),
            actions: row.actions.iter().filter_map(Action::new).collect(),
            remarks: remarks(row),
        }
    }
}

impl Action {
    fn new(item: &ActionItem) -> Option<Self> {
        let who = match item.who.as_slice() {
            [] => None,
            [one] => Some(words::party(*one).to_owned()),
            _ => {
                Some(Party::ALL.iter().map(|p| words::party(*p)).collect::<Vec<_>>().join(" and "))
            }
        };
        let facts: Vec<String> = who.into_iter().chain(item.due.clone()).collect();
        Some(Self {
            id: item.id?,
            text: item.text.clone(),
            facts: facts.join(", "),
            places: seeks(&item.places),
            done: item.done_at.is_some(),
        })
    }
}

/// Says who made it, and of how much.
fn remarks(row: &SummaryRow) -> Vec<String> {
    let mut remarks = Vec::new();
    if row.words_at.is_some() {
        remarks.push(match &row.model {
            Some(model) => format!("Written by the model {model}."),
            None => "Chosen by rule from what was said, word for word.".to_owned(),
        });
    }
    if row.covers < 1.0 {
        // Rounded down: less than all is never shown as all.
        remarks.push(format!("It covers {} of the call.", percent(row.covers)));
    }
    remarks
}

fn percent(share: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    let tenths = (share.clamp(0.0, 1.0) * 1000.0).floor() as u32;
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn seeks(places: &[Stretch]) -> Vec<Seek> {
    let seek = |place: &Stretch| Seek {
        start_s: format!("{}.{:03}", place.start_ms / 1000, place.start_ms % 1000),
        at: words::clock(place.start_ms / 1000),
    };
    places.iter().map(seek).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_all_is_never_shown_as_all() {
        for (share, shown) in [(1.0, "100.0 %"), (0.9999, "99.9 %"), (0.005, "0.5 %")] {
            assert_eq!(percent(share), shown);
        }
    }
}
