//! The stage `summary`: a call's words to what it came to.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::actions::{ACTIONS_MAX, actions};
use super::coverage::coverage;
use super::extract::extract;
use super::line::{caveats, ended_by, line, outcome};
use super::sentences::{Sentence, sentences};
use super::tongue::Tongue;
use crate::domain::{CallSid, Party, Stage};
use crate::pipeline::{Verdict, Work};
use crate::store::{Claim, Output, Statement, Store, SummaryRow, Told, TranscriptRow};

/// Attempts before it is given up: what a summary by rule needs is all on this machine.
const ATTEMPTS_MAX: u32 = 5;

/// With fewer words than this there is nothing to choose from: all of it is shown.
const THIN_WORDS: usize = 25;

/// What made a summary on the box.
pub(super) const EXTRACTIVE: &str = "extractive";

/// Names the calls that go before the oldest: those that somebody looks at.
pub type LookedAt = Arc<dyn Fn() -> Vec<CallSid> + Send + Sync>;

/// What the stage needs.
pub struct SummaryWorkOptions {
    /// The ledger.
    pub store: Store,
    /// The calls that somebody looks at.
    pub looked_at: LookedAt,
}

/// The work of the stage `summary`.
pub struct SummaryWork {
    options: SummaryWorkOptions,
}

impl SummaryWork {
    /// Makes the stage's work.
    pub fn new(options: SummaryWorkOptions) -> Self {
        Self { options }
    }

    async fn sum_up(&self, claim: &Claim) -> Verdict {
        match self.options.store.told(claim.call_sid()).await {
            Ok(Some(told)) => {
                // A call of hours has thousands of sentences: not on the threads that take calls.
                let summed = tokio::task::spawn_blocking(move || by_rule(&told)).await;
                match summed {
                    Ok(summary) => Verdict::Done(Output::Summary(summary)),
                    Err(error) => {
                        Verdict::Again { why: format!("a thread of fieldtape's broke: {error}") }
                    }
                }
            }
            Ok(None) => Verdict::Nothing,
            Err(error) => Verdict::Again { why: format!("the ledger: {error}") },
        }
    }
}

impl Work for SummaryWork {
    fn stage(&self) -> Stage {
        Stage::Summary
    }

    fn attempts_max(&self) -> Option<u32> {
        Some(ATTEMPTS_MAX)
    }

    fn first(&self) -> Vec<CallSid> {
        (self.options.looked_at)()
    }

    fn run<'a>(&'a self, claim: &'a Claim) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        Box::pin(self.sum_up(claim))
    }
}

/// Sums a call up on the box, in its own words.
pub(super) fn by_rule(told: &Told) -> SummaryRow {
    let outcome = outcome(&told.detail, told.transcript.as_ref());
    let blank = SummaryRow {
        engine: EXTRACTIVE.to_owned(),
        model: None,
        outcome,
        ended_by: ended_by(&told.detail),
        text: line(&told.detail, outcome),
        covers: 1.0,
        left_out: 0,
        statements: Vec::new(),
        actions: Vec::new(),
        words_at: told.words_at,
    };
    let Some(transcript) = &told.transcript else { return blank };
    let coverage = coverage(&told.detail, transcript);
    let said = sentences(&transcript.segments);
    if said.is_empty() {
        return SummaryRow {
            covers: coverage.share,
            text: joined([blank.text], coverage.remarks),
            ..blank
        };
    }
    let tongue = Tongue::of(&transcript.language);
    let mut remarks = coverage.remarks;
    let statements = choose(&said, tongue, &mut remarks);
    let mut actions = actions(&said, tongue);
    if actions.len() > ACTIONS_MAX {
        remarks.push(format!(
            "{} more promises and requests are not listed.",
            actions.len() - ACTIONS_MAX
        ));
        actions.truncate(ACTIONS_MAX);
    }
    let lead = lead(told, transcript, &said);
    let quoted = statements.iter().map(quoted);
    let text = joined(lead.into_iter().chain(quoted), remarks);
    SummaryRow { text, covers: coverage.share, statements, actions, ..blank }
}

/// What comes before the quoted sentences.
fn lead(told: &Told, transcript: &TranscriptRow, said: &[Sentence]) -> Vec<String> {
    let outcome = outcome(&told.detail, told.transcript.as_ref());
    let mut lead = caveats(&told.detail, transcript, outcome);
    if is_thin(said) {
        lead.push("Too little was said for a summary; this is all of it.".to_owned());
    }
    lead
}

/// Says whether so little was said that a summary of it would be an invention.
pub(super) fn is_thin(said: &[Sentence]) -> bool {
    said.iter().map(|sentence| sentence.text.split_whitespace().count()).sum::<usize>() < THIN_WORDS
}

fn choose(said: &[Sentence], tongue: &Tongue, remarks: &mut Vec<String>) -> Vec<Statement> {
    let statement = |sentence: &Sentence| Statement {
        party: Some(sentence.party),
        text: sentence.text.clone(),
        places: vec![sentence.place],
    };
    if is_thin(said) {
        return said.iter().map(statement).collect();
    }
    let extract = extract(said, tongue);
    if extract.figures_left > 0 {
        remarks.push(format!(
            "{} more sentences with numbers or times are in the transcript.",
            extract.figures_left
        ));
    }
    if !tongue.knows_actions() {
        remarks.push("In this language, promises and requests are not found by rule.".to_owned());
    }
    extract.chosen.iter().filter_map(|at| said.get(*at)).map(statement).collect()
}

fn quoted(statement: &Statement) -> String {
    match statement.party {
        Some(Party::Agent) => format!("Agent: {}", statement.text),
        Some(Party::Technician) => format!("Technician: {}", statement.text),
        None => statement.text.clone(),
    }
}

/// One line for each, the remarks last.
pub(super) fn joined(lines: impl IntoIterator<Item = String>, remarks: Vec<String>) -> String {
    let lines = lines.into_iter().chain(remarks).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}
