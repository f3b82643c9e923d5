//! What a request asks for, read key by key so that a bad value is told by its name.

use crate::domain::{CallSid, UnixMillis};
use crate::store::{CallFilter, Cursor};

use super::find::words;
use super::problem::Problem;

/// Calls on a page unless asked otherwise: a tall screen and a half.
pub(super) const LIMIT_DEFAULT: u32 = 50;

/// Calls on a page at most.
pub(super) const LIMIT_MAX: u32 = 200;

/// Which calls to list, from where on, and how many.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListQuery {
    pub(super) filter: CallFilter,
    pub(super) cursor: Option<Cursor>,
    pub(super) limit: u32,
}

impl ListQuery {
    /// Reads the part of an address after `?`. Empty values and unknown keys say nothing.
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let mut out = Self { filter: CallFilter::default(), cursor: None, limit: LIMIT_DEFAULT };
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.is_empty() {
                continue;
            }
            let filter = &mut out.filter;
            match &*key {
                "status" => filter.recording_status = Some(word("status", &value)?),
                "stage" => filter.stage = Some(word("stage", &value)?),
                "stage_status" => filter.stage_status = Some(word("stage_status", &value)?),
                "number" => filter.number = Some(value.into_owned()),
                "from" => filter.from = Some(moment("from", &value)?),
                "to" => filter.to = Some(moment("to", &value)?),
                "cursor" => out.cursor = Some(cursor(&value)?),
                "limit" => out.limit = limit(&value)?,
                "q" => filter.words = Some(words(&value)?).filter(|words| !words.is_empty()),
                _ => {}
            }
        }
        if out.filter.stage.is_some() && out.filter.stage_status.is_none() {
            let detail = "`stage` says which stage `stage_status` is of: give both";
            return Err(Problem::bad_parameter("stage_status", detail));
        }
        Ok(out)
    }
}

/// Reads a call's name from a path.
pub(super) fn call_sid(text: &str) -> Result<CallSid, Problem> {
    text.parse().map_err(|error: crate::domain::BadSid| {
        Problem::bad_parameter("call_sid", error.to_string())
    })
}

/// Reads one of the domain's words.
pub(super) fn word<T>(parameter: &'static str, value: &str) -> Result<T, Problem>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    value.parse().map_err(|error: T::Err| Problem::bad_parameter(parameter, error.to_string()))
}

/// Reads a moment.
pub(super) fn moment(parameter: &'static str, value: &str) -> Result<UnixMillis, Problem> {
    let parsed = value.parse::<jiff::Timestamp>();
    parsed.map(|moment| UnixMillis::new(moment.as_millisecond())).map_err(|_| {
        let detail = "not a moment as RFC 3339 writes it, like 2026-11-21T08:00:00Z";
        Problem::bad_parameter(parameter, detail)
    })
}

/// Reads a place in a list.
pub(super) fn cursor(value: &str) -> Result<Cursor, Problem> {
    Cursor::from_text(value)
        .ok_or_else(|| Problem::bad_parameter("cursor", "not a `next_cursor` of an earlier answer"))
}

/// Reads a number of things wanted.
pub(super) fn limit(value: &str) -> Result<u32, Problem> {
    let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| {
        Problem::bad_parameter("limit", format!("not a number from 1 to {LIMIT_MAX}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{RecordingStatus, Stage, StageStatus};

    #[test]
    fn every_key_is_understood_and_unknown_ones_are_passed_over() {
        let query = "status=completed&stage=transcript&stage_status=failed&number=%2B15125550123\
                     &from=2026-11-21T08:00:00Z&to=2026-11-21T09:00:00%2B01:00&cursor=12-3&limit=200\
                     &q=capacitor&colour=blue";
        let read = ListQuery::parse(query).unwrap();
        assert_eq!(read.filter.recording_status, Some(RecordingStatus::Completed));
        assert_eq!(read.filter.stage, Some(Stage::Transcript));
        assert_eq!(read.filter.stage_status, Some(StageStatus::Failed));
        assert_eq!(read.filter.number.as_deref(), Some("+15125550123"));
        assert_eq!(read.filter.from, read.filter.to, "the same moment in two zones");
        assert_eq!(read.cursor.unwrap().to_text(), "12-3");
        assert_eq!(read.limit, 200);
        assert!(read.filter.words.is_some_and(|words| !words.is_empty()));
        let empty = ListQuery::parse("status=&cursor=&limit=").unwrap();
        assert_eq!((empty.filter, empty.limit), (CallFilter::default(), LIMIT_DEFAULT));
    }

    #[test]
    fn a_bad_value_is_told_by_its_key() {
        for (query, key) in [
            ("status=Completed", "status"),
            ("stage=nap", "stage"),
            ("stage=transcript", "stage_status"),
            ("stage_status=done", "stage_status"),
            ("from=yesterday", "from"),
            ("to=2026-11-21", "to"),
            ("cursor=abc", "cursor"),
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=-1", "limit"),
        ] {
            let problem = ListQuery::parse(query).unwrap_err();
            let detail = problem.detail().to_owned();
            assert_eq!(problem, Problem::bad_parameter(key, detail), "{query}");
        }
    }
}
