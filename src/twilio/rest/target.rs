//! What may be asked for at the origin: places of our own account, and nothing else.

use crate::domain::{AccountSid, CallSid, NumberSid, RecordingSid, UnixMillis};

use super::media::Channels;
use crate::twilio::moment;

/// The API's version, first in every path.
const VERSION: &str = "/2010-04-01/Accounts/";

/// The most resources that Twilio puts on a page.
const PAGE_SIZE: &str = "PageSize=1000";

/// The longest link to a next page that is followed. Twilio's are below 500 bytes.
const LINK_BYTES_MAX: usize = 4096;

/// A path and a query below our account.
///
/// Built from checked identifiers, or from a page's link after [`Target::next_page`] has looked
/// at it; there is no third way.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    path: String,
    query: Option<String>,
}

impl Target {
    /// The account itself.
    pub(super) fn account(account: &AccountSid) -> Self {
        Self { path: format!("{VERSION}{account}.json"), query: None }
    }

    /// The account's last call, or none.
    pub(super) fn one_call(account: &AccountSid) -> Self {
        Self::below(account, "Calls.json").with("PageSize=1".to_owned())
    }

    /// The account's calls that began at `since` or later.
    pub(super) fn calls_since(account: &AccountSid, since: UnixMillis) -> Self {
        Self::below(account, "Calls.json").with(list_filter("StartTime>", since))
    }

    /// The account's recordings that were created at `since` or later.
    pub(super) fn recordings_since(account: &AccountSid, since: UnixMillis) -> Self {
        Self::below(account, "Recordings.json").with(list_filter("DateCreated>", since))
    }

    /// One call.
    pub(super) fn call(account: &AccountSid, call: &CallSid) -> Self {
        Self::below(account, &format!("Calls/{call}.json"))
    }

    /// The recordings of one call, to list or to start one.
    pub(super) fn recordings_of(account: &AccountSid, call: &CallSid) -> Self {
        Self::below(account, &format!("Calls/{call}/Recordings.json"))
    }

    /// The account's calls, to place one.
    pub(super) fn calls(account: &AccountSid) -> Self {
        Self::below(account, "Calls.json")
    }

    /// The account's own numbers.
    pub(super) fn numbers(account: &AccountSid) -> Self {
        Self::below(account, "IncomingPhoneNumbers.json").in_large_pages()
    }

    /// One number.
    pub(super) fn number(account: &AccountSid, number: &NumberSid) -> Self {
        Self::below(account, &format!("IncomingPhoneNumbers/{number}.json"))
    }

    /// Asks for pages as large as they come.
    pub(super) fn in_large_pages(self) -> Self {
        self.with(PAGE_SIZE.to_owned())
    }

    /// One recording.
    pub(super) fn recording(account: &AccountSid, recording: &RecordingSid) -> Self {
        Self::below(account, &format!("Recordings/{recording}.json"))
    }

    /// One recording's sound.
    pub(super) fn media(
        account: &AccountSid,
        recording: &RecordingSid,
        channels: Channels,
    ) -> Self {
        Self::below(account, &format!("Recordings/{recording}.wav"))
            .with(format!("RequestedChannels={}", channels.count()))
    }

    /// Takes a page's link to the next one, if it leads to a place of our account at the same
    /// origin, in plain letters: nothing that two readers of URLs could read in two ways.
    pub(super) fn next_page(account: &AccountSid, link: &str) -> Option<Self> {
        let (path, query) = match link.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (link, None),
        };
        let below = path.strip_prefix(VERSION)?.strip_prefix(account.as_str())?;
        let segments = below.strip_prefix('/')?.split('/');
        let is_name = |segment: &str| {
            !segment.is_empty()
                && !segment.starts_with('.')
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let is_plain = |b: u8| b.is_ascii_graphic() && !br#"\#"'<>`{}|^"#.contains(&b);
        let plain = link.len() <= LINK_BYTES_MAX
            && segments.into_iter().all(is_name)
            && query.unwrap_or_default().bytes().all(is_plain);
        plain.then(|| Self { path: path.to_owned(), query: query.map(str::to_owned) })
    }

    /// Returns the path, with its first `/`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the query, without its `?`.
    pub(super) fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn below(account: &AccountSid, rest: &str) -> Self {
        Self { path: format!("{VERSION}{account}/{rest}"), query: None }
    }

    fn with(self, query: String) -> Self {
        Self { query: Some(query), ..self }
    }
}

/// Twilio's inequality filters are parameters whose names end in `>`; it means "or later".
fn list_filter(name: &str, since: UnixMillis) -> String {
    let mut query = form_urlencoded::Serializer::new(PAGE_SIZE.to_owned());
    query.append_pair(name, &moment::filter(since)).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountSid {
        format!("AC{}", "a".repeat(32)).parse().unwrap()
    }

    #[test]
    fn a_list_is_filtered_by_a_parameter_whose_name_ends_in_a_sign() {
        let target = Target::calls_since(&account(), UnixMillis::new(1_767_225_600_000));
        let expected = "PageSize=1000&StartTime%3E=2026-01-01T00%3A00%3A00Z";
        assert_eq!(target.query(), Some(expected));
        let target = Target::recordings_since(&account(), UnixMillis::new(1_767_225_600_000));
        let expected = "PageSize=1000&DateCreated%3E=2026-01-01T00%3A00%3A00Z";
        assert_eq!(target.query(), Some(expected));
    }

    #[test]
    fn the_links_that_twilio_sends_are_followed_as_they_are() {
        let account = account();
        for link in [
            format!(
                "/2010-04-01/Accounts/{account}/Calls.json?StartTime%3E=2008-01-02&PageSize=2&Page=1&PageToken=PACA0"
            ),
            format!("/2010-04-01/Accounts/{account}/Recordings.json"),
            format!(
                "/2010-04-01/Accounts/{account}/Calls/CA1/Recordings.json?To=%2B1500&At=06%2F11%2F2019+22%3A05"
            ),
        ] {
            let target = Target::next_page(&account, &link).unwrap();
            let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
            assert_eq!(format!("{}{query}", target.path()), link);
        }
    }

    #[test]
    fn an_endless_link_is_not_followed() {
        let link = format!("/2010-04-01/Accounts/{}/Calls.json?{}", account(), "a".repeat(4096));
        assert!(Target::next_page(&account(), &link).is_none());
    }
}
