//! What people added, and what there is by number, as the API says it.

use serde::Serialize;

use super::summary::Action;
use super::{rfc3339, seconds};
use crate::domain::EndReason;
use crate::store::{self, Contact, CorrectionRow, LastSummary, NoteRow, NumberRow, OpenItem};

/// A note.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Note {
    id: i64,
    at: String,
    author: String,
    text: String,
}

impl From<NoteRow> for Note {
    fn from(row: NoteRow) -> Self {
        Self { id: row.id, at: rfc3339(row.at), author: row.author, text: row.text }
    }
}

/// Words that somebody put right.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Correction {
    speaker: &'static str,
    start_s: f64,
    /// What was heard.
    original: String,
    text: String,
    author: String,
    at: String,
}

impl From<CorrectionRow> for Correction {
    fn from(row: CorrectionRow) -> Self {
        Self {
            speaker: row.party.as_str(),
            start_s: seconds(row.start_ms),
            original: row.original,
            text: row.text,
            author: row.author,
            at: rfc3339(row.at),
        }
    }
}

/// Whose numbers are known.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Contacts {
    contacts: Vec<Named>,
}

#[derive(Debug, Serialize)]
struct Named {
    number: String,
    name: String,
}

impl From<Vec<Contact>> for Contacts {
    fn from(contacts: Vec<Contact>) -> Self {
        let named = |one: Contact| Named { number: one.number, name: one.name };
        Self { contacts: contacts.into_iter().map(named).collect() }
    }
}

/// What an import changed.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Imported {
    added: u32,
    renamed: u32,
    removed: u32,
    contacts: u64,
}

impl From<store::Imported> for Imported {
    fn from(imported: store::Imported) -> Self {
        let store::Imported { added, renamed, removed, all } = imported;
        Self { added, renamed, removed, contacts: all }
    }
}

/// A page of numbers, the one that called last first.
#[derive(Debug, Serialize)]
pub(in crate::web::lan) struct Numbers {
    numbers: Vec<Number>,
    next_cursor: Option<String>,
}

impl From<store::NumberPage> for Numbers {
    fn from(page: store::NumberPage) -> Self {
        Self {
            numbers: page.numbers.into_iter().map(Number::from).collect(),
            next_cursor: page.next.map(|next| next.to_text()),
        }
    }
}

/// A number and what there is of it.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the name of the key")]
pub(in crate::web::lan) struct Number {
    number: String,
    name: Option<String>,
    calls: u64,
    first_call_at: String,
    last_call_at: String,
    last_call: Option<LastCall>,
    /// How many of the newest calls ended how.
    ends: Vec<End>,
    last_summary: Option<Summed>,
    open_action_items: u64,
    /// What is to be done; only where one number is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    action_items: Option<Vec<Item>>,
    /// Where all its calls are.
    calls_url: String,
}

#[derive(Debug, Serialize)]
struct LastCall {
    call_sid: String,
    direction: &'static str,
    created_at: String,
    duration_s: Option<u32>,
    end_reason: Option<&'static str>,
    recording_status: &'static str,
    transcript_status: &'static str,
    summary_status: &'static str,
    archive_status: &'static str,
}

#[derive(Debug, Serialize)]
struct End {
    /// None for calls in progress.
    end_reason: Option<String>,
    calls: u64,
}

#[derive(Debug, Serialize)]
struct Summed {
    call_sid: String,
    outcome: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct Item {
    call_sid: String,
    began_at: String,
    #[serde(flatten)]
    action: Action,
}

impl From<NumberRow> for Number {
    fn from(row: NumberRow) -> Self {
        let number: String = form_urlencoded::byte_serialize(row.number.as_bytes()).collect();
        Self {
            calls_url: format!("/api/v1/calls?number={number}"),
            number: row.number,
            name: row.name,
            calls: row.calls,
            first_call_at: rfc3339(row.first_at),
            last_call_at: rfc3339(row.last_at),
            last_call: row.last_call.as_ref().map(LastCall::from),
            ends: row
                .ends
                .into_iter()
                .map(|(end_reason, calls)| End { end_reason, calls })
                .collect(),
            last_summary: row.last_summary.map(Summed::from),
            open_action_items: row.open_items,
            action_items: None,
        }
    }
}

impl Number {
    /// Takes a number with what is to be done.
    pub(in crate::web::lan) fn with_items(row: NumberRow, items: Vec<OpenItem>) -> Self {
        let item = |open: OpenItem| Item {
            call_sid: open.call_sid.to_string(),
            began_at: rfc3339(open.began_at),
            action: open.item.into(),
        };
        Self { action_items: Some(items.into_iter().map(item).collect()), ..Self::from(row) }
    }
}

impl From<&store::Call> for LastCall {
    fn from(call: &store::Call) -> Self {
        Self {
            call_sid: call.call_sid.to_string(),
            direction: call.direction.as_str(),
            created_at: rfc3339(call.created_at),
            duration_s: call.duration.map(|(seconds, _)| seconds),
            end_reason: call.end_reason.map(EndReason::as_str),
            recording_status: call.recording_status.as_str(),
            transcript_status: call.transcript_status.as_str(),
            summary_status: call.summary_status.as_str(),
            archive_status: call.archive_status.as_str(),
        }
    }
}

impl From<LastSummary> for Summed {
    fn from(last: LastSummary) -> Self {
        Self {
            call_sid: last.call_sid.to_string(),
            outcome: last.outcome.as_str(),
            text: last.text,
        }
    }
}
