//! What there is by number: how often, how it went, what was said last and what is to be done.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{ActionItem, Call, Store, StoreError, contacts, read, summaries};
use crate::domain::{CallSid, Outcome, UnixMillis};

/// Calls of a number that are looked through for how they went and what is to be done, at most: the
/// newest. A number with more is an exchange's.
const CALLS_LOOKED_THROUGH: u32 = 1000;

/// Things to be done that are listed of a number, at most.
const ITEMS_MAX: u32 = 100;

/// A number and what there is of it.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberRow {
    /// As Twilio sends it.
    pub number: String,
    /// Whose it is, if that is known.
    pub name: Option<String>,
    /// How many calls there are from or to it.
    pub calls: u64,
    /// When the first of them was.
    pub first_at: UnixMillis,
    /// When the last of them was.
    pub last_at: UnixMillis,
    /// The last call.
    pub last_call: Option<Call>,
    /// How many of the newest ended how; those that last have no word.
    pub ends: Vec<(Option<String>, u64)>,
    /// What the last call that was summed up came to.
    pub last_summary: Option<LastSummary>,
    /// How much is to be done.
    pub open_items: u64,
}

/// What a number's last call that was summed up came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSummary {
    /// The call.
    pub call_sid: CallSid,
    /// In a word.
    pub outcome: Outcome,
    /// In a few sentences.
    pub text: String,
}

/// Something that is to be done, and in which call somebody said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenItem {
    /// The call.
    pub call_sid: CallSid,
    /// When it was.
    pub began_at: UnixMillis,
    /// What.
    pub item: ActionItem,
}

/// A page of numbers, the one that called last first.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberPage {
    /// The numbers.
    pub numbers: Vec<NumberRow>,
    /// Where to go on; none at the end.
    pub next: Option<NumberCursor>,
}

/// Where a page of numbers ends and the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberCursor {
    last_at: UnixMillis,
    number: String,
}

impl NumberCursor {
    /// Returns the cursor as text for a URL.
    pub fn to_text(&self) -> String {
        format!("{}-{}", self.last_at.get(), self.number)
    }

    /// Reads what [`NumberCursor::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        let (last_at, number) = text.split_once('-')?;
        let last_at = UnixMillis::new(last_at.parse().ok()?);
        Some(Self { last_at, number: number.to_owned() })
    }
}

impl Store {
    /// Lists numbers, at most `limit` from behind `after` on; with `typed` only those whose name
    /// or number that may be meant for.
    pub async fn numbers(
        &self,
        typed: Option<String>,
        after: Option<NumberCursor>,
        limit: u32,
    ) -> Result<NumberPage, StoreError> {
        self.read(move |db| page(db, typed.as_deref(), after, limit)).await
    }

    /// Returns what there is of a number, and what is to be done.
    pub async fn number(
        &self,
        number: &str,
    ) -> Result<Option<(NumberRow, Vec<OpenItem>)>, StoreError> {
        let number = number.to_owned();
        self.read(move |db| {
            let sql = format!("{NUMBERS} where numbers.number = ?1");
            let found = db.query_row(&sql, [&number], |row| Ok(bare(row))).optional()?;
            let Some(found) = found.transpose()? else { return Ok(None) };
            let filled = fill(db, found)?;
            Ok(Some((filled, open_items(db, &number)?)))
        })
        .await
    }
}

const NUMBERS: &str = "select numbers.number, name, calls, first_at_ms, last_at_ms from numbers \
    left join contacts on contacts.number = numbers.number";

/// The statement that lists numbers, for the test of plans too.
pub(super) const PAGE_SQL: &str = "select numbers.number, name, calls, first_at_ms, last_at_ms \
    from numbers left join contacts on contacts.number = numbers.number \
    where (last_at_ms, numbers.number) < (?1, ?2) \
    order by last_at_ms desc, numbers.number desc limit ?3";

fn page(
    db: &Connection,
    typed: Option<&str>,
    after: Option<NumberCursor>,
    limit: u32,
) -> Result<NumberPage, StoreError> {
    let found = match typed {
        Some(typed) => looked_for(db, typed, limit)?,
        None => listed(db, after, limit + 1)?,
    };
    let more = found.len() > limit as usize;
    let kept = found.into_iter().take(limit as usize);
    let numbers = kept.map(|row| fill(db, row)).collect::<Result<Vec<_>, _>>()?;
    let next = numbers.last().filter(|_| more);
    let next = next.map(|row| NumberCursor { last_at: row.last_at, number: row.number.clone() });
    Ok(NumberPage { numbers, next })
}

/// Numbers as they follow one another.
fn listed(
    db: &Connection,
    after: Option<NumberCursor>,
    limit: u32,
) -> Result<Vec<NumberRow>, StoreError> {
    let (last_at, number) =
        after.map_or((i64::MAX, String::new()), |after| (after.last_at.get(), after.number));
    let mut listed = db.prepare_cached(PAGE_SQL)?;
    let mut rows = listed.query(params![last_at, number, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(bare(row)?);
    }
    Ok(found)
}

/// Numbers by name, or by their last digits.
fn looked_for(db: &Connection, typed: &str, limit: u32) -> Result<Vec<NumberRow>, StoreError> {
    let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
    let mut by_name = Vec::new();
    let words: Vec<String> = typed.split_whitespace().map(str::to_owned).collect();
    let plain: Vec<String> = words
        .iter()
        .map(|word| word.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>())
        .filter(|word| !word.is_empty())
        .map(|word| format!("\"{word}\"*"))
        .collect();
    if !plain.is_empty() {
        by_name = contacts::numbers_of(db, &plain.join(" "))?;
    }
    let by_name: Vec<String> = by_name.into_iter().map(|digits| format!("+{digits}")).collect();
    // Text always becomes JSON.
    let by_name = serde_json::to_string(&by_name).unwrap_or_default();
    let sql = format!(
        "{NUMBERS} where numbers.number in (select value from json_each(?1)) \
         or (?2 <> '' and replace(numbers.number, '+', '') like '%' || ?2) \
         order by last_at_ms desc limit ?3"
    );
    let mut found = db.prepare_cached(&sql)?;
    let mut rows = found.query(params![by_name, digits, limit])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(bare(row)?);
    }
    Ok(out)
}

fn bare(row: &Row<'_>) -> Result<NumberRow, StoreError> {
    Ok(NumberRow {
        number: row.get(0)?,
        name: row.get(1)?,
        calls: row.get(2)?,
        first_at: UnixMillis::new(row.get(3)?),
        last_at: UnixMillis::new(row.get(4)?),
        last_call: None,
        ends: Vec::new(),
        last_summary: None,
        open_items: 0,
    })
}

/// The newest calls of a number; what is asked of them follows.
pub(super) fn newest(asked: &str) -> String {
    format!(
        "with newest as (select id, call_sid, end_reason, created_at_ms, \
           coalesce(started_at_ms, created_at_ms) as began from calls \
           where other_number = ?1 and parent_call_sid is null \
           order by created_at_ms desc, id desc limit {CALLS_LOOKED_THROUGH}) {asked}"
    )
}

/// What is asked of the newest calls.
pub(super) const ENDS: &str =
    "select end_reason, count(*) from newest group by end_reason order by 2 desc, 1";
pub(super) const LAST_SUMMARY: &str = "select newest.call_sid, outcome, text from newest \
    cross join summaries on call_id = newest.id \
    order by newest.created_at_ms desc, newest.id desc limit 1";
pub(super) const OPEN: &str = "select count(*) from newest \
    cross join action_items on call_id = newest.id and done_at_ms is null";
pub(super) const OPEN_ITEMS: &str = "select action_items.id, text, who, due, places, done_at_ms, \
    newest.call_sid, began from newest \
    cross join action_items on call_id = newest.id and done_at_ms is null \
    order by began desc, action_items.id limit ?2";

fn fill(db: &Connection, mut row: NumberRow) -> Result<NumberRow, StoreError> {
    let number = row.number.clone();
    let last = format!(
        "select {} from calls where other_number = ?1 and parent_call_sid is null \
         order by created_at_ms desc, id desc limit 1",
        read::CALL_COLUMNS
    );
    let mut last = db.prepare_cached(&last)?;
    row.last_call =
        last.query_row([&number], |row| Ok(read::call_row(row))).optional()?.transpose()?;
    let mut ends = db.prepare_cached(&newest(ENDS))?;
    let ends = ends.query_map([&number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    row.ends = ends.collect::<Result<_, _>>()?;
    let mut summary = db.prepare_cached(&newest(LAST_SUMMARY))?;
    let mut rows = summary.query([&number])?;
    if let Some(found) = rows.next()? {
        row.last_summary = Some(LastSummary {
            call_sid: read::word(found, 0)?,
            outcome: read::word(found, 1)?,
            text: found.get(2)?,
        });
    }
    row.open_items = db.prepare_cached(&newest(OPEN))?.query_row([&number], |row| row.get(0))?;
    Ok(row)
}

fn open_items(db: &Connection, number: &str) -> Result<Vec<OpenItem>, StoreError> {
    let mut found = db.prepare_cached(&newest(OPEN_ITEMS))?;
    let mut rows = found.query(params![number, ITEMS_MAX])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(OpenItem {
            call_sid: read::word(row, 6)?,
            began_at: UnixMillis::new(row.get(7)?),
            item: summaries::action(row)?,
        });
    }
    Ok(items)
}
