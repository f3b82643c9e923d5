//! Lists, page by page.

use serde_json::{Value, json};

use super::journal::value;
use super::reply::Refusal;
use crate::domain::UnixMillis;
use crate::simulate::moment;

/// How many items a page has unless the query says otherwise, and at most.
const PAGE_SIZE: usize = 50;
const PAGE_SIZE_MAX: usize = 1000;

/// An item and the name that the next page's token is made of.
pub(super) struct Item {
    pub(super) sid: String,
    pub(super) json: Value,
}

/// Where a list is, and what was asked of it.
pub(super) struct Asked<'a> {
    pub(super) path: &'a str,
    pub(super) query: &'a [(String, String)],
}

/// The time that a list is asked for, by the parameters `Name`, `Name>` and `Name<`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window {
    from: Option<UnixMillis>,
    until: Option<UnixMillis>,
    /// The midnight of the only day.
    day: Option<UnixMillis>,
}

const DAY_MS: i64 = 24 * 3600 * 1000;

impl Window {
    pub(super) fn of(query: &[(String, String)], name: &str) -> Result<Self, Refusal> {
        let read = |name: &str| {
            let text = value(query, name).filter(|text| !text.is_empty());
            text.map(|text| moment::parse(text).ok_or(Refusal::BAD_PARAMETER)).transpose()
        };
        Ok(Self {
            from: read(&format!("{name}>"))?,
            until: read(&format!("{name}<"))?,
            day: read(name)?,
        })
    }

    /// Says whether any time will do.
    pub(super) fn is_open(&self) -> bool {
        *self == Self { from: None, until: None, day: None }
    }

    pub(super) fn has(&self, moment: UnixMillis) -> bool {
        self.from.is_none_or(|from| moment >= from)
            && self.until.is_none_or(|until| moment <= until)
            && self.day.is_none_or(|day| (0..DAY_MS).contains(&(moment.get() - day.get())))
    }
}

/// Cuts a page out of a list as it is now, so that what has changed since the last page shifts
/// this one.
pub(super) fn page(asked: &Asked<'_>, plural: &str, items: Vec<Item>) -> Result<Value, Refusal> {
    let number = |name: &str| {
        let text = value(asked.query, name);
        text.map(|text| text.parse::<usize>().map_err(|_| Refusal::BAD_PARAMETER)).transpose()
    };
    let size = number("PageSize")?.unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE_MAX);
    let page = number("Page")?.unwrap_or(0);
    // Whoever counts pages instead of following the links has no token.
    if page > 0 && !value(asked.query, "PageToken").is_some_and(|token| token.starts_with('P')) {
        return Err(Refusal::BAD_PARAMETER);
    }
    let start = page.saturating_mul(size).min(items.len());
    let end = start.saturating_add(size).min(items.len());
    let has_more = end < items.len();
    let shown: Vec<Item> = items.into_iter().skip(start).take(size).collect();
    let first_sid = shown.first().map_or("", |item| &item.sid).to_owned();
    let last_sid = shown.last().map_or("", |item| &item.sid).to_owned();
    let uri = |page, token: Option<String>| link(asked, size, page, token);
    Ok(json!({
        plural: shown.into_iter().map(|item| item.json).collect::<Vec<_>>(),
        "first_page_uri": uri(0, None),
        "next_page_uri": has_more.then(|| uri(page + 1, Some(format!("PA{last_sid}")))),
        "previous_page_uri": page.checked_sub(1).map(|page| uri(page, Some(format!("PB{first_sid}")))),
        "page": page,
        "page_size": size,
        "start": start,
        "end": end.saturating_sub(1),
        "uri": uri(page, value(asked.query, "PageToken").map(str::to_owned)),
    }))
}

fn link(asked: &Asked<'_>, size: usize, page: usize, token: Option<String>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let kept = |name: &str| !matches!(name, "Page" | "PageSize" | "PageToken");
    query.extend_pairs(asked.query.iter().filter(|(name, _)| kept(name)));
    query.append_pair("PageSize", &size.to_string()).append_pair("Page", &page.to_string());
    query.extend_pairs(token.map(|token| ("PageToken", token)));
    format!("{}?{}", asked.path, query.finish())
}

#[cfg(test)]
mod tests {
    use super::super::journal::pairs;
    use super::*;

    #[test]
    fn a_window_is_on_or_after_on_or_before_or_a_day() {
        let noon = UnixMillis::new(1_767_268_800_000);
        let has = |query: &[u8]| Window::of(&pairs(query), "StartTime").unwrap().has(noon);
        assert!(has(b"") && has(b"StartTime%3E=2026-01-01T12%3A00%3A00Z"));
        assert!(!has(b"StartTime%3E=2026-01-01T12%3A00%3A01Z"));
        assert!(has(b"StartTime%3C=2026-01-02") && !has(b"StartTime%3C=2026-01-01"));
        assert!(has(b"StartTime=2026-01-01") && !has(b"StartTime=2025-12-31"));
        assert!(has(b"starttime=2025-12-31"), "names are case-sensitive");
        let nonsense = Window::of(&pairs(b"StartTime%3E=tomorrow"), "StartTime");
        assert_eq!(nonsense, Err(Refusal::BAD_PARAMETER));
    }

    #[test]
    fn pages_are_linked_and_their_links_keep_the_filters() {
        let page = |query: &[u8]| {
            let items = (0..5).map(|n| Item { sid: format!("RE{n}"), json: json!(n) });
            let query = pairs(query);
            page(&Asked { path: "/x.json", query: &query }, "things", items.collect())
        };
        let first = page(b"PageSize=2&DateCreated%3E=2026-01-01").unwrap();
        assert_eq!(first["things"], json!([0, 1]));
        assert_eq!(first["previous_page_uri"], Value::Null);
        let next = "/x.json?DateCreated%3E=2026-01-01&PageSize=2&Page=1&PageToken=PARE1";
        assert_eq!(first["next_page_uri"], next);
        let last = page(b"PageSize=2&Page=2&PageToken=PARE3").unwrap();
        assert_eq!((&last["things"], &last["next_page_uri"]), (&json!([4]), &Value::Null));
        assert_eq!(
            (&last["start"], &last["end"], &last["page"]),
            (&json!(4), &json!(4), &json!(2))
        );
        assert_eq!(page(b"Page=1"), Err(Refusal::BAD_PARAMETER), "counted by hand");
        assert_eq!(page(b"PageSize=two"), Err(Refusal::BAD_PARAMETER));
    }
}
