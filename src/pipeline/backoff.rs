//! How long to wait before an attempt.

use std::time::Duration;

use rand::Rng;

/// The pause after the first failed attempt.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(5);

/// The longest pause.
pub const BACKOFF_MAX: Duration = Duration::from_mins(15);

/// The shortest: however lucky the draw, a fault is not hammered at.
const BACKOFF_MIN: Duration = Duration::from_millis(500);

/// Returns the pause after failed attempt number `attempt`: anything up to a length that doubles
/// up to [`BACKOFF_MAX`] (full jitter), so that what failed together is not tried together.
pub fn pause_after(attempt: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
    let whole = BACKOFF_FIRST.saturating_mul(doubled).min(BACKOFF_MAX);
    whole.mul_f64(rand::rng().random_range(0.0..=1.0)).max(BACKOFF_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_may_double_up_to_a_quarter_of_an_hour() {
        for (attempt, whole_s) in [(1, 5), (2, 10), (5, 80), (8, 640), (9, 900), (99, 900)] {
            let whole = Duration::from_secs(whole_s);
            let pauses: Vec<_> = (0..200).map(|_| pause_after(attempt)).collect();
            assert!(pauses.iter().all(|pause| (BACKOFF_MIN..=whole).contains(pause)), "{attempt}");
            assert!(pauses.iter().any(|pause| *pause > whole / 2), "{attempt}");
            assert!(pauses.iter().any(|pause| *pause < whole / 2), "{attempt}");
        }
    }
}
