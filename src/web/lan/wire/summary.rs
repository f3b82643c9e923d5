//! What a call came to, as the API says it.

use serde::Serialize;

use super::{rfc3339, seconds};
use crate::domain::{EndedBy, Party};
use crate::store::{self, Stretch, SummaryRow};

/// A call's summary.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Summary {
    text: String,
    /// What is to be done, in words.
    action_items: Vec<String>,
    outcome: &'static str,
    engine: String,
    /// How much of the call it was made from, 0 to 1.
    covers: f64,
    /// The server's model; none where no server was asked.
    model: Option<String>,
    /// By whom the call ended; none where nobody can know.
    ended_by: Option<&'static str>,
    /// Statements of the server's that the words of the call did not bear out: they are not here.
    left_out: u32,
    /// Each statement, with where it was said.
    statements: Vec<Statement>,
    /// What is to be done, by whom, when, and whether it has been.
    actions: Vec<Action>,
}

#[derive(Debug, Serialize)]
struct Statement {
    speaker: Option<&'static str>,
    text: String,
    places: Vec<Span>,
}

/// Something that is to be done.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Action {
    id: Option<i64>,
    text: String,
    /// Who said that they would, or was asked to; empty when that was not said.
    who: Vec<&'static str>,
    /// When, in the words it was said in.
    when: Option<String>,
    places: Vec<Span>,
    done_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Span {
    start_s: f64,
    end_s: f64,
}

impl From<SummaryRow> for Summary {
    fn from(row: SummaryRow) -> Self {
        let statements = row.statements.into_iter().map(|said| Statement {
            speaker: said.party.map(Party::as_str),
            text: said.text,
            places: stretches(&said.places),
        });
        Self {
            text: row.text,
            action_items: row.actions.iter().map(|action| action.text.clone()).collect(),
            outcome: row.outcome.as_str(),
            engine: row.engine,
            covers: row.covers,
            model: row.model,
            ended_by: row.ended_by.map(EndedBy::as_str),
            left_out: row.left_out,
            statements: statements.collect(),
            actions: row.actions.into_iter().map(Action::from).collect(),
        }
    }
}

impl From<store::ActionItem> for Action {
    fn from(item: store::ActionItem) -> Self {
        Self {
            id: item.id,
            who: item.who.iter().map(|party| party.as_str()).collect(),
            when: item.due,
            places: stretches(&item.places),
            done_at: item.done_at.map(rfc3339),
            text: item.text,
        }
    }
}

fn stretches(places: &[Stretch]) -> Vec<Span> {
    let stretch =
        |place: &Stretch| Span { start_s: seconds(place.start_ms), end_s: seconds(place.end_ms) };
    places.iter().map(stretch).collect()
}
