//! Moments, written as Twilio writes them.

use jiff::tz::TimeZone;

use crate::domain::UnixMillis;

/// A date of a callback or of a JSON answer.
pub(super) fn rfc2822(moment: UnixMillis) -> String {
    let moment = timestamp(moment).to_zoned(TimeZone::UTC);
    // The day in two digits, which the standard leaves open.
    moment.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// The `Date` of an HTTP answer.
pub(super) fn http_date(moment: UnixMillis) -> String {
    let moment = timestamp(moment).to_zoned(TimeZone::UTC);
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The moment of a stream's news.
pub(super) fn iso8601(moment: UnixMillis) -> String {
    format!("{:.9}", timestamp(moment))
}

/// Reads the moment or the day that a list is filtered by; a day is its midnight.
pub(super) fn parse(text: &str) -> Option<UnixMillis> {
    let moment = match text.parse::<jiff::Timestamp>() {
        Ok(moment) => moment,
        Err(_) => text.parse::<jiff::civil::Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
    };
    Some(UnixMillis::new(moment.as_millisecond()))
}

fn timestamp(moment: UnixMillis) -> jiff::Timestamp {
    // A clock beyond the year 9999 tells nothing that Twilio could repeat.
    jiff::Timestamp::from_millisecond(moment.get()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_twilio_writes_them() {
        let moment = UnixMillis::new(1_732_838_979_602);
        assert_eq!(rfc2822(moment), "Fri, 29 Nov 2024 00:09:39 +0000");
        assert_eq!(rfc2822(UnixMillis::new(0)), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(http_date(moment), "Fri, 29 Nov 2024 00:09:39 GMT");
        assert_eq!(iso8601(moment), "2024-11-29T00:09:39.602000000Z");
    }

    #[test]
    fn a_day_is_its_midnight_and_anything_else_is_no_moment() {
        let midnight = UnixMillis::new(1_732_838_400_000);
        assert_eq!(parse("2024-11-29"), Some(midnight));
        assert_eq!(parse("2024-11-29T00:00:00Z"), Some(midnight));
        assert_eq!(parse("2024-11-29T00:00:00+01:00"), Some(UnixMillis::new(1_732_834_800_000)));
        assert_eq!((parse("yesterday"), parse("")), (None, None));
    }
}
