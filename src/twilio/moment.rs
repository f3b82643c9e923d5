//! Moments as Twilio and HTTP write them.

use crate::domain::UnixMillis;

/// Reads a time such as `Wed, 20 Apr 2022 23:45:25 +0000`, or with `GMT` in the end as HTTP's
/// `Date` has it.
pub(super) fn rfc2822(text: &str) -> Option<UnixMillis> {
    let moment = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(UnixMillis::new(moment.timestamp().as_millisecond()))
}

/// Reads a time such as `2024-11-29T00:09:39.602648368Z`.
pub(super) fn iso8601(text: &str) -> Option<UnixMillis> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(UnixMillis::new(moment.as_millisecond()))
}

/// Writes a moment as a filter of a list wants it, `2026-01-01T00:00:00Z`, rounded down to the
/// second. One outside the calendar becomes 1970: a list that is too long misses nothing.
pub(super) fn filter(moment: UnixMillis) -> String {
    let second = moment.get().div_euclid(1000);
    jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_ways_to_write_a_moment_are_understood() {
        let moment = Some(UnixMillis::new(1_650_498_325_000));
        assert_eq!(rfc2822("Wed, 20 Apr 2022 23:45:25 +0000"), moment);
        assert_eq!(rfc2822("Thu, 21 Apr 2022 01:45:25 +0200"), moment);
        assert_eq!(rfc2822("Wed, 20 Apr 2022 23:45:25 GMT"), moment);
        assert_eq!(iso8601("2022-04-20T23:45:25Z"), moment);
        assert_eq!((rfc2822("yesterday"), iso8601("yesterday")), (None, None));
    }

    #[test]
    fn a_filter_names_the_second_that_has_begun() {
        assert_eq!(filter(UnixMillis::new(1_650_498_325_999)), "2022-04-20T23:45:25Z");
        assert_eq!(filter(UnixMillis::new(-1)), "1969-12-31T23:59:59Z");
        for beyond in [i64::MAX, i64::MIN] {
            assert_eq!(filter(UnixMillis::new(beyond)), "1970-01-01T00:00:00Z");
        }
    }
}
