//! The certificate of an erasure: what was erased where and when, what is still pending and why,
//! and what no erasure on this box can reach. It names no telephone number.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::keeper::moment;
use crate::store::{Erasure, Item, ItemKind, ItemStatus, Place};

/// The format's version: raised when a reader of the one before would misread it.
const VERSION: u32 = 1;

/// What an erasure here cannot reach, for whoever holds the certificate to know.
const LIMITS: [&str; 4] = [
    "Backups made before this erasure still hold the calls: they are out of this box's reach. A \
     fieldtape backup loses them when it is brought up to date; one from before that is restored \
     brings them back. Exports and copies of the disk stay as they are.",
    "Flash keeps overwritten blocks until it needs them; only an encrypted disk protects those.",
    "The audit trail and the system's journal keep the names that Twilio gave to the calls (CA…) \
     and the last four digits of numbers; never words or whole numbers.",
    "Twilio keeps a deleted recording's metadata for 40 days, and its own records for billing. A \
     bucket that keeps versions of its objects keeps those until a rule of its own removes them.",
];

/// Writes the certificate for a program.
pub fn as_json(erasure: &Erasure) -> Value {
    let of = |place: Place| -> Vec<Value> {
        let items = erasure.items.iter();
        items.filter(|item| item.place == place && !is_kept(item)).map(item_json).collect()
    };
    let kept = erasure.items.iter().filter(|item| is_kept(item)).map(item_json);
    json!({
        "format": "fieldtape-erasure",
        "version": VERSION,
        "certificate": erasure.id,
        "fieldtape": env!("CARGO_PKG_VERSION"),
        "asked_at": moment(erasure.asked_at),
        "clock_synchronised": erasure.clock_synced,
        "asked_by": erasure.actor,
        "what": erasure.what,
        "subject": erasure.subject,
        "state": if erasure.finished_at.is_some() { "finished" } else { "pending" },
        "finished_at": erasure.finished_at.map(moment),
        "as_of": moment(erasure.changed_at),
        "pending": pending(erasure),
        "here": of(Place::Here),
        "archive": of(Place::Archive),
        "twilio": of(Place::Twilio),
        "kept": kept.collect::<Vec<_>>(),
        "limits": LIMITS,
    })
}

/// Writes the certificate for a person.
pub fn as_text(erasure: &Erasure) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = page(erasure, &mut out);
    out
}

fn page(erasure: &Erasure, out: &mut String) -> std::fmt::Result {
    let what = match erasure.what.as_str() {
        "number" => format!("every call from or to the number ending in {}", erasure.subject),
        _ => format!("the call {}", erasure.subject),
    };
    writeln!(out, "Certificate of erasure {}", erasure.id)?;
    writeln!(out, "\nErased: {what}")?;
    let unsure = if erasure.clock_synced { "" } else { " (the clock was not synchronised)" };
    writeln!(out, "Asked for: {} by {}{unsure}", moment(erasure.asked_at), erasure.actor)?;
    match erasure.finished_at {
        Some(at) => writeln!(out, "Finished: {}", moment(at))?,
        None => writeln!(out, "Not finished: {} things are still pending", pending(erasure))?,
    }
    for (place, title) in [
        (Place::Here, "On this box"),
        (Place::Archive, "In the archive"),
        (Place::Twilio, "At Twilio"),
    ] {
        let items = erasure.items.iter().filter(|item| item.place == place && !is_kept(item));
        section(out, title, items)?;
    }
    section(out, "Not erased", erasure.items.iter().filter(|item| is_kept(item)))?;
    writeln!(out, "\nWhat this cannot reach\n")?;
    LIMITS.iter().try_for_each(|limit| writeln!(out, "  - {limit}"))
}

fn section<'a>(
    out: &mut String,
    title: &str,
    items: impl Iterator<Item = &'a Item>,
) -> std::fmt::Result {
    let mut titled = false;
    for item in items {
        if !std::mem::replace(&mut titled, true) {
            writeln!(out, "\n{title}\n")?;
        }
        write!(out, "  {:<8} {:<10} {}", item.status.as_str(), item.kind.as_str(), item.name)?;
        if let Some(size_bytes) = item.size_bytes {
            write!(out, ", {size_bytes} bytes")?;
        }
        if let Some(at) = item.done_at.filter(|_| !is_kept(item)) {
            write!(out, ", {}", moment(at))?;
        }
        writeln!(out)?;
        if let Some(sha256) = &item.sha256 {
            writeln!(out, "           SHA-256 {sha256}")?;
        }
        if let Some(note) = &item.note {
            writeln!(out, "           {note}")?;
        }
    }
    Ok(())
}

fn item_json(item: &Item) -> Value {
    json!({
        "call_sid": item.call_sid.as_str(),
        "kind": item.kind.as_str(),
        "name": item.name,
        "bytes": item.size_bytes,
        "sha256": item.sha256,
        "status": item.status.as_str(),
        "at": item.done_at.map(moment),
        "note": item.note,
        "attempts": item.attempts,
        "next_attempt_at": (item.status == ItemStatus::Pending && item.kind != ItemKind::File)
            .then(|| moment(item.next_attempt_at)),
    })
}

fn is_kept(item: &Item) -> bool {
    item.status == ItemStatus::Kept
}

fn pending(erasure: &Erasure) -> usize {
    erasure.items.iter().filter(|item| item.status == ItemStatus::Pending).count()
}
