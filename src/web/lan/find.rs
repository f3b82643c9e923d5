//! The search, for the API and the page: what is asked, and what was found.

use axum::Json;
use axum::extract::{RawQuery, State};
use jiff::tz::TimeZone;

use super::LanState;
use super::problem::Problem;
use super::query::{cursor, limit, moment, word};
use super::wire::Hits;
use crate::store::{Cursor, HitPage, SearchQuery};

/// Calls of one answer unless asked otherwise.
const LIMIT_DEFAULT: u32 = 20;

/// Letters of a question at most: nobody types more, and a book is not searched for.
const QUESTION_CHARS_MAX: usize = 400;

/// A hit plays from so long before it, so that it is heard in its place.
const PLAY_BEFORE_MS: u64 = 3_000;

/// Returns where a hit plays from.
pub(super) const fn play_from(start_ms: u64) -> u64 {
    start_ms.saturating_sub(PLAY_BEFORE_MS)
}

/// What is looked for, and how much of it is wanted.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// As it was typed.
    pub(super) typed: String,
    query: SearchQuery,
    after: Option<Cursor>,
    limit: u32,
}

impl Question {
    /// Reads the part of an address after `?`. Empty values and unknown keys say nothing.
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let typed = pairs.iter().find(|(key, _)| key == "q").map(|(_, value)| value.to_string());
        let typed = typed.unwrap_or_default();
        let query = words(&typed)?;
        let mut question = Self { typed, query, after: None, limit: LIMIT_DEFAULT };
        for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            let query = &mut question.query;
            match &**key {
                "party" => query.party = Some(word("party", value)?),
                "number" => {
                    let digits = value.chars().filter(char::is_ascii_digit).collect();
                    query.number = Some(digits).filter(|digits: &String| !digits.is_empty());
                }
                "from" => query.from = Some(moment("from", value)?),
                "to" => query.to = Some(moment("to", value)?),
                "cursor" => question.after = Some(cursor(value)?),
                "limit" => question.limit = limit(value)?,
                _ => {}
            }
        }
        Ok(question)
    }

    /// Says whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.query.is_empty()
    }

    /// Says how many words were too many to be looked for.
    pub(super) fn left_out(&self) -> usize {
        self.query.left_out
    }

    /// Looks.
    pub(super) async fn answer(&self, lan: &LanState) -> Result<HitPage, Problem> {
        Ok(lan.store.search(self.query.clone(), self.after, self.limit).await?)
    }
}

/// Reads what somebody typed. Days are those of the appliance's own zone: the office's.
pub(super) fn words(typed: &str) -> Result<SearchQuery, Problem> {
    if typed.chars().count() > QUESTION_CHARS_MAX {
        let detail = format!("longer than {QUESTION_CHARS_MAX} letters");
        return Err(Problem::bad_parameter("q", detail));
    }
    Ok(SearchQuery::parse(typed, &TimeZone::system()))
}

/// `GET /api/v1/search`
pub(super) async fn search(
    State(lan): State<LanState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Hits>, Problem> {
    let question = Question::parse(query.as_deref().unwrap_or_default())?;
    if question.is_empty() {
        return Err(Problem::bad_parameter("q", "nothing to look for: give a word or a number"));
    }
    Ok(Json(Hits::new(question.answer(&lan).await?, question.left_out())))
}
