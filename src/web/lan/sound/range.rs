//! Which bytes of a file a request wants (RFC 9110, section 14).

use axum::http::{HeaderMap, header};

/// What a request wants of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// From the first of these bytes up to, not including, the second.
    Part(u64, u64),
    /// Bytes that lie beyond its end.
    BeyondTheEnd,
}

impl Wanted {
    /// Reads the request's `Range` and `If-Range`, for a file of `len_bytes` whose present state
    /// is named `etag`.
    ///
    /// What cannot be read, several ranges at once, and a range of another state of the file are
    /// answered with the whole file, as the standard allows.
    pub(super) fn parse(headers: &HeaderMap, len_bytes: u64, etag: &str) -> Self {
        if headers.get(header::IF_RANGE).is_some_and(|state| state != etag) {
            return Self::Whole;
        }
        let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
        let Some((unit, spec)) = range.and_then(|range| range.split_once('=')) else {
            return Self::Whole;
        };
        if unit.trim().eq_ignore_ascii_case("bytes") {
            Self::one_range(spec.trim(), len_bytes).unwrap_or(Self::Whole)
        } else {
            Self::Whole
        }
    }

    fn one_range(spec: &str, len_bytes: u64) -> Option<Self> {
        let (first, last) = spec.split_once('-')?;
        let (start, end) = if first.is_empty() {
            (len_bytes.saturating_sub(number(last)?), len_bytes)
        } else if last.is_empty() {
            (number(first)?, len_bytes)
        } else {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(len_bytes))
        };
        Some(if start < end { Self::Part(start, end) } else { Self::BeyondTheEnd })
    }
}

/// A number of digits alone: `parse` would take a sign too. One that is too large is as good as
/// the largest.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn parse(range: &str) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
        Wanted::parse(&headers, 100, "\"e\"")
    }

    #[test]
    fn one_range_is_taken_by_its_first_and_last_byte() {
        for (range, wanted) in [
            ("bytes=0-", Wanted::Part(0, 100)),
            ("bytes=0-0", Wanted::Part(0, 1)),
            ("bytes=10-19", Wanted::Part(10, 20)),
            ("Bytes= 10-19 ", Wanted::Part(10, 20)),
            ("bytes=90-1000", Wanted::Part(90, 100)),
            ("bytes=90-99999999999999999999999", Wanted::Part(90, 100)),
            ("bytes=-10", Wanted::Part(90, 100)),
            ("bytes=-1000", Wanted::Part(0, 100)),
            ("bytes=100-", Wanted::BeyondTheEnd),
            ("bytes=100-200", Wanted::BeyondTheEnd),
            ("bytes=-0", Wanted::BeyondTheEnd),
        ] {
            assert_eq!(parse(range), wanted, "{range}");
        }
    }

    #[test]
    fn several_ranges_and_what_is_no_range_are_answered_with_the_whole() {
        for range in [
            "bytes=0-1,5-6",
            "bytes=5-4",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "lines=1-2",
        ] {
            assert_eq!(parse(range), Wanted::Whole, "{range}");
        }
    }

    #[test]
    fn a_range_of_another_state_of_the_file_is_answered_with_the_whole() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"e\""));
        assert_eq!(Wanted::parse(&headers, 100, "\"e\""), Wanted::Part(0, 2));
        assert_eq!(Wanted::parse(&headers, 100, "\"f\""), Wanted::Whole);
    }

    proptest! {
        #[test]
        fn no_header_leads_outside_the_file(range in "[ -~]{0,40}", len_bytes in 0..200_u64) {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_str(&format!("bytes={range}")).unwrap());
            if let Wanted::Part(start, end) = Wanted::parse(&headers, len_bytes, "") {
                prop_assert!(start < end && end <= len_bytes);
            }
        }
    }
}
