//! Lines that repeat without end, cut short, so that they push nothing else out of the journal.
//!
//! What knocks at a public address is no friend of ours, and each knock is a line. The journal's own
//! limit is off for our units, because it drops errors with the rest.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::{Level, Metadata};

/// Lines of one place in the program that are let through in one [`SPAN`]: a flood then costs the
/// journal some 15 MB a day.
const LINES_MAX: u32 = 30;

/// The time in which they are counted.
const SPAN: Duration = Duration::from_mins(1);

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// It is written.
    Through,
    /// It is written, and says that the next ones are not.
    Last,
    /// It is written, and says how many were not.
    After(u64),
    /// It is counted.
    LeftOut,
}

/// Counts lines by their place in the program.
#[derive(Debug)]
pub(super) struct Flood {
    since_boot: fn() -> Duration,
    /// As many as there are places in the program that write lines.
    places: Mutex<HashMap<Identifier, Place>>,
}

#[derive(Debug)]
struct Place {
    began: Duration,
    lines: u32,
    left_out: u64,
}

impl Flood {
    pub(super) fn new(since_boot: fn() -> Duration) -> Self {
        Self { since_boot, places: Mutex::default() }
    }

    /// Decides about a line. Errors, the lines of a call's story and what somebody turned on to look
    /// for a fault are never left out.
    pub(super) fn passes(&self, metadata: &Metadata<'_>, is_of_call: bool) -> Passage {
        let may_repeat = matches!(*metadata.level(), Level::WARN | Level::INFO) && !is_of_call;
        if !may_repeat {
            return Passage::Through;
        }
        let now = (self.since_boot)();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Place { began: now, lines: 0, left_out: 0 };
        let place = places.entry(metadata.callsite()).or_insert(fresh);
        let mut left_out = 0;
        if now.saturating_sub(place.began) >= SPAN {
            left_out = place.left_out;
            *place = Place { began: now, lines: 0, left_out: 0 };
        }
        place.lines = place.lines.saturating_add(1);
        match place.lines {
            _ if left_out > 0 => Passage::After(left_out),
            lines if lines < LINES_MAX => Passage::Through,
            LINES_MAX => Passage::Last,
            _ => {
                place.left_out += 1;
                Passage::LeftOut
            }
        }
    }
}

/// Adds to a line what it stands for besides itself.
pub(super) fn tell(message: &mut String, passage: Passage) {
    match passage {
        Passage::Through | Passage::LeftOut => {}
        Passage::Last => message.push_str(" (for a minute, more lines like this are only counted)"),
        Passage::After(count) => {
            *message = format!("{message} ({count} lines like this were left out before it)");
        }
    }
}
