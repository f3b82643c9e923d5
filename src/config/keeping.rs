//! `[retention]`, and what Twilio's copies cost.

use std::time::Duration;

use super::{Problems, raw, units};
use crate::retention::{OnlyCopies, Policy};
use crate::web::lan::Prices;

/// A century; more is a mistake.
const DAYS: std::ops::RangeInclusive<i64> = 1..=36_500;

/// A minute of sound does not cost more than this in any currency that is reckoned with.
const PRICE_MAX: f64 = 10_000.0;

pub(super) fn retention(raw: &raw::Retention, problems: &mut Problems) -> Option<Policy> {
    let mut days = |key: &str, days: Option<i64>| match days {
        None => Some(None),
        Some(days) if DAYS.contains(&days) => {
            Some(u64::try_from(days).ok().map(|days| Duration::from_hours(24 * days)))
        }
        Some(days) => {
            problems.add(format!("retention.{key}"), format!("{days} is not within 1 and 36500"));
            None
        }
    };
    let audio = days("audio_days", raw.audio_days);
    let wide = days("audio_16k_days", raw.audio_16k_days);
    let copy = days("cloud_copy_days", raw.cloud_copy_days);
    let words = days("transcript_days", raw.transcript_days);
    let max_bytes = match &raw.max_bytes {
        None => Some(None),
        Some(size) => problems.keep("retention.max_bytes", bytes(size)).map(Some),
    };
    let only_copies = match raw.only_copies.as_str() {
        "keep" => Some(OnlyCopies::Keep),
        "when-expired" => Some(OnlyCopies::WhenExpired),
        "for-room" => Some(OnlyCopies::ForRoom),
        other => {
            let what = format!("{other:?} is none of \"keep\", \"when-expired\", \"for-room\"");
            problems.add("retention.only_copies", what);
            None
        }
    };
    Some(Policy {
        audio: audio?,
        wide: wide?,
        copy: copy?,
        words: words?,
        max_bytes: max_bytes?,
        only_copies: only_copies?,
    })
}

/// Reads a size, written as a text or as a plain number of bytes.
fn bytes(size: &toml::Value) -> Result<u64, String> {
    let bytes = match size {
        toml::Value::String(text) => units::size(text)?,
        toml::Value::Integer(bytes) => u64::try_from(*bytes).unwrap_or(0),
        _ => 0,
    };
    if bytes == 0 {
        return Err("is no size; write it like \"100GiB\", or leave it out for no limit".to_owned());
    }
    Ok(bytes)
}

pub(super) fn prices(
    (recorded, stored): (Option<f64>, Option<f64>),
    currency: String,
    problems: &mut Problems,
) -> Option<Prices> {
    let mut price = |key: &str, price: Option<f64>| match price {
        Some(price) if !(0.0..=PRICE_MAX).contains(&price) => {
            problems.add(format!("twilio.{key}"), format!("{price} is no price of a minute"));
            None
        }
        price => Some(price),
    };
    let recorded = price("price_per_minute_recorded", recorded);
    let stored = price("price_per_minute_stored", stored);
    Some(Prices { recorded: recorded?, stored: stored?, currency })
}
