//! Summaries by a server that speaks OpenAI's API: llama.cpp's, Ollama, one in the cloud.
//!
//! Invariants: the words of a call and the key go to the one address that is set; a long call is
//! read whole, in parts; what the server says is shown only as far as the lines it names bear it
//! out, and what is left out is counted. No word of a call stands in an error.

mod address;
mod ask;
mod check;
mod error;
mod prompt;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::ask::Line;
use self::check::{Checked, Checker};
use self::error::ServerError;
use self::prompt::{
    STATEMENTS_MAX, joining_schema, joining_task, lines, question, reading, reading_schema,
    reading_task,
};
use super::actions::ACTIONS_MAX;
use super::tokens::tokens;
use super::tongue::Tongue;
use super::work::{Ruled, joined};
use crate::store::{ActionItem, SegmentRow, Statement, SummaryRow, TranscriptRow};

pub use address::{Address, ApiKey, BadAddress};
pub use ask::{ServerOptions, Timeouts};

/// What makes a summary at the server.
const OPENAI: &str = "openai";

/// Letters of a call shown at once, at first. With the task and the answer they fit into 4096
/// tokens, the least that servers commonly give a model.
const PART_CHARS: usize = 6000;

/// The least that a part is made smaller to for a server that cannot read more.
const PART_CHARS_LEAST: usize = 1500;

/// Parts of a call that are read, at most: more than a day of talk.
const PARTS_MAX: usize = 256;

/// Statements of a summary, at most; more are put together to fewer.
const SHOWN_MAX: usize = 12;

/// How often notes are put together, at most: each time a sixth or so is left.
const ROUNDS_MAX: usize = 4;

/// The server.
pub struct Server {
    line: Line,
    part_chars: AtomicUsize,
}

/// What was read of a call so far, checked.
#[derive(Default)]
struct Notes {
    statements: Vec<Checked>,
    actions: Vec<ActionItem>,
    outcome: Option<Checked>,
    left_out: u32,
}

impl Notes {
    /// Keeps a statement if the call bears it out, and counts it if not.
    fn keep(&mut self, checked: Option<Checked>) {
        match checked {
            Some(checked) if self.statements.iter().any(|one| one.text == checked.text) => {}
            Some(checked) => self.statements.push(checked),
            None => self.left_out += 1,
        }
    }
}

impl Server {
    /// Sets the line up.
    pub fn new(options: ServerOptions) -> Result<Self, reqwest::Error> {
        Ok(Self { line: Line::new(options)?, part_chars: AtomicUsize::new(PART_CHARS) })
    }

    /// Sums a call up. What the server has no say in is taken from what was made on the box.
    pub(super) async fn sum_up(
        &self,
        transcript: &TranscriptRow,
        ruled: Ruled,
    ) -> Result<SummaryRow, ServerError> {
        let tongue = Tongue::of(&transcript.language);
        let checker = Checker { segments: &transcript.segments, tongue };
        loop {
            let part_chars = self.part_chars.load(Ordering::Relaxed);
            match self.read_all(&checker, transcript, part_chars).await {
                Err(ServerError::TooLong) if part_chars > PART_CHARS_LEAST => {
                    let less = (part_chars / 2).max(PART_CHARS_LEAST);
                    self.part_chars.store(less, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
                Ok((notes, seen)) => {
                    let notes = self.join(&checker, &transcript.language, notes).await?;
                    return summary(&checker, self.line.model(), notes, seen, ruled);
                }
            }
        }
    }

    /// Reads the parts of a call one after the other. Returns how much of it that was.
    async fn read_all(
        &self,
        checker: &Checker<'_>,
        transcript: &TranscriptRow,
        part_chars: usize,
    ) -> Result<(Notes, f64), ServerError> {
        let parts = parts(&transcript.segments, part_chars);
        let (task, schema) = (reading_task(&transcript.language), reading_schema());
        let mut notes = Notes::default();
        for part in parts.iter().take(PARTS_MAX) {
            let shown = transcript.segments.get(part.clone()).unwrap_or_default();
            let material = lines(shown, part.start);
            let answer = self.line.ask(&question(&task, &material, &schema)).await?;
            let read = reading(&answer)?;
            for claim in read.statements.iter().take(STATEMENTS_MAX) {
                notes.keep(checker.claim(claim, part.clone()));
            }
            for claim in read.actions.iter().take(STATEMENTS_MAX) {
                match checker.action(claim, part.clone()) {
                    Some(action) => add(&mut notes.actions, action),
                    None => notes.left_out += 1,
                }
            }
            // How it stood at the end of the last part is how it stood at the end.
            if let Some(claim) = &read.outcome {
                let outcome = checker.claim(claim, part.clone());
                notes.left_out += u32::from(outcome.is_none());
                notes.outcome = outcome.or(notes.outcome.take());
            }
        }
        let seen = parts.get(PARTS_MAX).map_or(transcript.segments.len(), |part| part.start);
        Ok((notes, share(&transcript.segments, seen)))
    }

    /// Puts notes together until they fit into a summary.
    async fn join(
        &self,
        checker: &Checker<'_>,
        language: &str,
        mut notes: Notes,
    ) -> Result<Notes, ServerError> {
        let (task, schema) = (joining_task(language), joining_schema());
        for _ in 0..ROUNDS_MAX {
            if notes.statements.len() <= SHOWN_MAX {
                break;
            }
            let before = std::mem::take(&mut notes.statements);
            for group in groups(&before, self.part_chars.load(Ordering::Relaxed)) {
                let members = before.get(group).unwrap_or_default();
                let note = |(at, one): (usize, &Checked)| format!("[{}] {}\n", at + 1, one.text);
                let material: String = members.iter().enumerate().map(note).collect();
                let answer = self.line.ask(&question(&task, &material, &schema)).await?;
                for claim in reading(&answer)?.statements.iter().take(STATEMENTS_MAX) {
                    notes.keep(joined_claim(checker, &claim.text, &claim.lines, members));
                }
            }
            if notes.statements.is_empty() || notes.statements.len() >= before.len() {
                // Nothing is gained: the notes themselves are shown.
                notes.statements = before;
                break;
            }
        }
        Ok(notes)
    }
}

/// Checks a statement made from notes against what those rest on.
fn joined_claim(
    checker: &Checker<'_>,
    text: &str,
    lines: &[i64],
    members: &[Checked],
) -> Option<Checked> {
    let named: Option<Vec<&Checked>> =
        lines.iter().map(|line| members.get(usize::try_from(line - 1).ok()?)).collect();
    let segments = named?.into_iter().flat_map(|note| note.segments.clone()).collect();
    checker.statement(text, segments)
}

/// Divides a call into parts of so many letters; a segment stays whole.
fn parts(segments: &[SegmentRow], part_chars: usize) -> Vec<Range<usize>> {
    runs(segments.iter().map(|segment| segment.text.chars().count() + 20), part_chars)
}

fn groups(notes: &[Checked], part_chars: usize) -> Vec<Range<usize>> {
    runs(notes.iter().map(|note| note.text.chars().count() + 6), part_chars)
}

/// Divides things of these sizes into runs that come to no more than `most`, as far as they can.
fn runs(sizes: impl Iterator<Item = usize>, most: usize) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut sum = 0;
    for (at, size) in sizes.enumerate() {
        match runs.last_mut() {
            Some(run) if sum + size <= most => {
                run.end = at + 1;
                sum += size;
            }
            _ => {
                runs.push(at..at + 1);
                sum = size;
            }
        }
    }
    runs
}

/// How much of what was said lies before a segment.
#[expect(clippy::cast_precision_loss, reason = "a call has far fewer letters than 2^53")]
fn share(segments: &[SegmentRow], seen: usize) -> f64 {
    let letters = |segments: &[SegmentRow]| -> usize {
        segments.iter().map(|segment| segment.text.len()).sum()
    };
    let (part, whole) = (letters(segments.get(..seen).unwrap_or(segments)), letters(segments));
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// Adds what is to be done, unless it is there in nearly the same words.
fn add(actions: &mut Vec<ActionItem>, action: ActionItem) {
    let plain = |text: &str| tokens(text).into_iter().map(|token| token.plain).collect::<Vec<_>>();
    let words = plain(&action.text);
    match actions.iter_mut().find(|other| plain(&other.text) == words) {
        Some(same) => same.places.extend(action.places),
        None => actions.push(action),
    }
}

/// Makes the summary of what has been checked.
fn summary(
    checker: &Checker<'_>,
    model: &str,
    notes: Notes,
    seen: f64,
    ruled: Ruled,
) -> Result<SummaryRow, ServerError> {
    let Notes { mut statements, mut actions, outcome, left_out } = notes;
    if statements.is_empty() {
        return Err(ServerError::MadeUp);
    }
    statements.sort_by_key(|one| one.segments.first().copied());
    let more = statements.len().saturating_sub(SHOWN_MAX);
    statements.truncate(SHOWN_MAX);
    statements.extend(outcome.filter(|last| statements.iter().all(|one| one.text != last.text)));
    let more = more + actions.len().saturating_sub(ACTIONS_MAX);
    actions.truncate(ACTIONS_MAX);
    let remarks = remarks(&ruled.losses, left_out, more, seen);
    let said = statements.iter().map(|one| one.text.clone());
    let text = joined(ruled.caveats.into_iter().chain(said), remarks);
    let rule = ruled.summary;
    let statements = statements.into_iter().map(|one| Statement {
        party: None,
        places: checker.places(&one.segments),
        text: one.text,
    });
    Ok(SummaryRow {
        engine: OPENAI.to_owned(),
        model: Some(model.to_owned()),
        text,
        covers: (rule.covers * seen * 1000.0).floor() / 1000.0,
        left_out,
        statements: statements.collect(),
        actions,
        ..rule
    })
}

/// What has to be said beside the server's own words.
fn remarks(losses: &[String], left_out: u32, more: usize, seen: f64) -> Vec<String> {
    let mut remarks = losses.to_vec();
    if seen < 1.0 {
        remarks.push("The call is too long to be read whole: its end is not summed up.".to_owned());
    }
    if more > 0 {
        remarks.push(format!("{more} more statements and promises had no room."));
    }
    if left_out > 0 {
        remarks.push(match left_out {
            1 => {
                "1 statement of the model is left out: nothing in the call bears it out.".to_owned()
            }
            many => format!(
                "{many} statements of the model are left out: nothing in the call bears them out."
            ),
        });
    }
    remarks
}
