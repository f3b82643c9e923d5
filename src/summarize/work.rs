//! The stage `summary`: a call's words to what it came to.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::actions::{ACTIONS_MAX, actions};
use super::coverage::{Coverage, coverage};
use super::extract::extract;
use super::line::{caveats, ended_by, line, outcome};
use super::sentences::{Sentence, sentences};
use super::server::Server;
use super::tongue::Tongue;
use crate::domain::{CallSid, Party, Stage};
use crate::pipeline::{Verdict, Work};
use crate::store::{Claim, Output, Statement, Store, SummaryRow, Told};

/// Attempts before it is given up: what a summary by rule needs is all on this machine.
const ATTEMPTS_MAX: u32 = 5;

/// Answers of a server that are no use, after which it is given up: it is asked the same each time.
const ANSWERS_MAX: u32 = 3;

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
    /// The server that writes summaries; none to make them on the box alone.
    pub server: Option<Arc<Server>>,
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
        let told = match self.options.store.told(claim.call_sid()).await {
            Ok(Some(told)) => Arc::new(told),
            Ok(None) => return Verdict::Nothing,
            Err(error) => return Verdict::Again { why: format!("the ledger: {error}") },
        };
        // A call of hours has thousands of sentences: not on the threads that take calls.
        let by_rule = {
            let told = Arc::clone(&told);
            tokio::task::spawn_blocking(move || by_rule(&told)).await
        };
        match (by_rule, &self.options.server) {
            (Err(error), _) => {
                Verdict::Again { why: format!("a thread of fieldtape's broke: {error}") }
            }
            (Ok(ruled), Some(server)) if !ruled.is_whole => {
                self.ask(server, claim, &told, ruled).await
            }
            (Ok(ruled), _) => Verdict::Done(Output::Summary(ruled.summary)),
        }
    }

    /// Asks the server. Meanwhile, and as long as it has no answer, what was made on the box
    /// stands.
    async fn ask(&self, server: &Server, claim: &Claim, told: &Told, ruled: Ruled) -> Verdict {
        let Some(transcript) = &told.transcript else {
            return Verdict::Done(Output::Summary(ruled.summary));
        };
        let stands = told.detail.summary.as_ref().map(|summary| summary.words_at);
        if stands != Some(told.words_at) {
            let (store, rule) = (&self.options.store, ruled.summary.clone());
            let kept = store.keep_summary(claim.call(), rule, claim.claimed_at()).await;
            if let Err(error) = kept {
                return Verdict::Again { why: format!("the ledger: {error}") };
            }
        }
        match server.sum_up(transcript, ruled).await {
            Ok(summary) => Verdict::Done(Output::Summary(summary)),
            Err(error) => error.into(),
        }
    }
}

impl Work for SummaryWork {
    fn stage(&self) -> Stage {
        Stage::Summary
    }

    /// A server that is away costs no attempt; one whose answers are no use does.
    fn attempts_max(&self) -> Option<u32> {
        Some(if self.options.server.is_some() { ANSWERS_MAX } else { ATTEMPTS_MAX })
    }

    fn first(&self) -> Vec<CallSid> {
        (self.options.looked_at)()
    }

    fn run<'a>(&'a self, claim: &'a Claim) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        Box::pin(self.sum_up(claim))
    }
}

/// What was made on the box, and what of it holds whoever words it.
pub(super) struct Ruled {
    pub(super) summary: SummaryRow,
    /// What is to be said before and after the words themselves.
    pub(super) caveats: Vec<String>,
    pub(super) losses: Vec<String>,
    /// Whether it is all that was said: then there is nothing to sum up.
    pub(super) is_whole: bool,
}

/// Sums a call up on the box, in its own words.
pub(super) fn by_rule(told: &Told) -> Ruled {
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
    let whole =
        |summary| Ruled { summary, caveats: Vec::new(), losses: Vec::new(), is_whole: true };
    let Some(transcript) = &told.transcript else { return whole(blank) };
    let Coverage { share: covers, remarks: losses } = coverage(&told.detail, transcript);
    let said = sentences(&transcript.segments);
    if said.is_empty() {
        return whole(SummaryRow { covers, text: joined([blank.text], losses), ..blank });
    }
    let caveats = caveats(&told.detail, transcript, outcome);
    let is_whole = is_thin(&said);
    let tongue = Tongue::of(&transcript.language);
    let mut remarks = losses.clone();
    let statements = choose(&said, tongue, &mut remarks);
    let mut actions = actions(&said, tongue);
    if actions.len() > ACTIONS_MAX {
        let more = actions.len() - ACTIONS_MAX;
        remarks.push(format!("{more} more promises and requests are not listed."));
        actions.truncate(ACTIONS_MAX);
    }
    let thin = "Too little was said for a summary; this is all of it.".to_owned();
    let lead = caveats.iter().cloned().chain(is_whole.then_some(thin));
    let text = joined(lead.chain(statements.iter().map(quoted)), remarks);
    let summary = SummaryRow { text, covers, statements, actions, ..blank };
    Ruled { summary, caveats, losses, is_whole }
}

/// Says whether so little was said that a summary of it would be an invention.
fn is_thin(said: &[Sentence]) -> bool {
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
