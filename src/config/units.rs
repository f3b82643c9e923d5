//! Lengths of time and sizes as people write them.

use std::time::Duration;

/// Reads `1s`, `500ms`, `15m`, `24h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text:?} is no length of time; write it like \"1s\", \"500ms\" or \"15m\"");
    let length: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(length).map_err(|_| wrong())
}

/// Reads `1GiB`, `500 MB`, `1048576`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    parse_size::parse_size(text)
        .map_err(|_| format!("{text:?} is no size; write it like \"1GiB\" or \"500MB\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_sizes_read_as_people_write_them() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("15m"), Ok(Duration::from_mins(15)));
        assert_eq!(duration("24h"), Ok(Duration::from_hours(24)));
        assert!(duration("-1s").is_err() && duration("soon").is_err() && duration("").is_err());
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert!(size("lots").is_err());
    }
}
