//! How the page says things: numbers, lengths, moments and reasons in words for a person.

use crate::domain::{
    Direction, EndReason, GapReason, Party, Stage, TrackSource, UnixMillis, WaitingFor,
};
use crate::store::{AnnouncementRow, Call, LegRow};

/// Writes a telephone number or name the way people read it.
pub(super) fn address(address: &str) -> String {
    if let Some(name) = address.strip_prefix("client:") {
        return name.to_owned();
    }
    match address {
        "" | "anonymous" | "+266696687" => return "withheld number".to_owned(),
        _ => {}
    }
    match address.strip_prefix("+1") {
        Some(ten) if ten.len() == 10 && ten.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("+1 {} {} {}", &ten[..3], &ten[3..6], &ten[6..])
        }
        _ => address.to_owned(),
    }
}

/// Names the other side: by name, if that is known.
pub(super) fn other(call: &Call) -> String {
    call.name.clone().unwrap_or_else(|| address(call.technician_address()))
}

/// Writes a length or place as `m:ss`, or `h:mm:ss`.
pub(super) fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Writes a call's length; none while it lasts, and none for a call that came to nothing.
pub(super) fn length(call: &Call) -> Option<String> {
    let (seconds, _) = call.duration.filter(|(seconds, _)| *seconds > 0)?;
    Some(clock(seconds.into()))
}

/// Writes a moment in UTC, for a reader without our script, which puts it in the viewer's zone.
pub(super) fn utc(moment: UnixMillis) -> String {
    let moment = jiff::Timestamp::from_millisecond(moment.get()).unwrap_or(jiff::Timestamp::MAX);
    moment.strftime("%-d %b %Y, %H:%M UTC").to_string()
}

/// Says which way a call went.
pub(super) const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "Incoming",
        Direction::Outbound => "Outgoing",
    }
}

/// Says how far a call has come that lasts.
pub(super) fn progress(call: &Call) -> &'static str {
    match call.call_status.as_str() {
        _ if call.started_at.is_some() => "live",
        "queued" => "waiting for Twilio",
        "initiated" => "being placed",
        "ringing" if call.direction == Direction::Outbound => "ringing",
        _ => "live",
    }
}

/// Names a leg of a call, and how it fared.
pub(super) fn leg(leg: &LegRow) -> String {
    let to = address(&leg.to_number);
    let waited = leg.answered_at.map(|at| at.since(leg.began_at).as_secs());
    match (leg.call_status.as_str(), waited, leg.duration_s) {
        (_, Some(waited), Some(length)) => {
            format!("{to}: answered after {waited} s, {} long", clock(length.into()))
        }
        (_, Some(waited), None) => format!("{to}: answered after {waited} s"),
        ("completed", None, Some(length)) => format!("{to}: {} long", clock(length.into())),
        ("no-answer", ..) => format!("{to}: no answer"),
        ("busy", ..) => format!("{to}: engaged"),
        ("failed", ..) => format!("{to}: could not be rung"),
        ("canceled", ..) => format!("{to}: not needed"),
        ("queued" | "initiated" | "ringing", ..) => format!("{to}: ringing"),
        (other, ..) => format!("{to}: {other}"),
    }
}

/// Says what was told before the recording, and when.
pub(super) fn announcement(told: &AnnouncementRow, heard_at: Option<UnixMillis>) -> String {
    let how = if told.how == "played" { "Sound file played" } else { "Text said" };
    let after = tenths(told.place_ms);
    let before = heard_at.filter(|heard_at| *heard_at >= told.at);
    let before = before.map(|heard_at| {
        let ms = u64::try_from(heard_at.since(told.at).as_millis()).unwrap_or(u64::MAX);
        format!(", {} s before the recording began", tenths(ms))
    });
    let hash = told.sha256.get(..12).unwrap_or(&told.sha256);
    format!("{how} {after} s into the call{} (SHA-256 {hash}…)", before.unwrap_or_default())
}

/// Says why a call ended.
pub(super) const fn end(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Completed => "Ended normally",
        EndReason::Interrupted => "The recording was interrupted before the call ended",
        EndReason::Busy => "The other side was engaged",
        EndReason::Failed => "Twilio could not place the call",
        EndReason::NoAnswer => "Nobody answered",
        EndReason::Canceled => "Withdrawn before it was answered",
    }
}

/// Says why a call ended, in a list; nothing when that is as it should be.
pub(super) const fn end_briefly(reason: EndReason) -> Option<&'static str> {
    match reason {
        EndReason::Completed => None,
        EndReason::Interrupted => Some("interrupted"),
        EndReason::Busy => Some("engaged"),
        EndReason::Failed => Some("not placed"),
        EndReason::NoAnswer => Some("no answer"),
        EndReason::Canceled => Some("withdrawn"),
    }
}

/// Says what a stage waits for.
pub(super) const fn waiting(what: WaitingFor) -> &'static str {
    match what {
        WaitingFor::Network => "waits for the network",
        WaitingFor::Disk => "waits for the disk",
        WaitingFor::Twilio => "waits for Twilio",
        WaitingFor::Recording => "waits for the recording",
        WaitingFor::Model => "waits for a speech model",
        WaitingFor::Clock => "waits for the right time of day",
    }
}

/// Says why nobody is heard in a copy of a call's sound.
pub(super) const fn gap(source: TrackSource, reason: GapReason) -> &'static str {
    if source.is_own() && matches!(reason, GapReason::Disconnected) {
        return "not heard by the microphone, missing or silent: Twilio's line is heard instead";
    }
    match reason {
        GapReason::Lost => "never arrived",
        GapReason::Disconnected => "missing: the stream was interrupted",
        GapReason::Disk => "missing: the disk could not take them",
        GapReason::Paused => "not recorded: recording was paused",
    }
}

/// Names a party.
pub(super) const fn party(party: Party) -> &'static str {
    match party {
        Party::Agent => "Agent",
        Party::Technician => "Technician",
    }
}

/// Names a copy of a call's sound.
pub(super) const fn source(source: TrackSource) -> &'static str {
    match source {
        TrackSource::Stream => "what was heard live",
        TrackSource::Cloud => "Twilio's copy",
        TrackSource::Microphone => "the microphone",
        TrackSource::Browser => "the agent's browser",
    }
}

/// Names a stage.
pub(super) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Fetch => "Fetch from Twilio",
        Stage::Split => "Split the channels",
        Stage::Transcript => "Transcript",
        Stage::Summary => "Summary",
        Stage::Archive => "Archive",
        Stage::Delete => "Delete at Twilio",
    }
}

/// A stage's name within a sentence.
pub(super) fn stage_in_text(stage: Stage) -> String {
    let mut letters = self::stage(stage).chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// Counts things.
pub(in crate::web::lan) fn count(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Writes a size in the unit that fits.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", tenths(1_000_000)),
        _ => format!("{} GB", tenths(1_000_000_000)),
    }
}

/// Writes milliseconds as seconds with one digit after the point.
pub(super) fn tenths(ms: u64) -> String {
    let tenths = (ms + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!(address("+15125550123"), "+1 512 555 0123");
        assert_eq!(address("+442071838750"), "+442071838750");
        assert_eq!(address("client:anna"), "anna");
        assert_eq!(address(""), "withheld number");
        assert_eq!(address("+1512555012é"), "+1512555012é");
    }

    #[test]
    fn lengths_have_hours_only_when_they_need_them() {
        assert_eq!(clock(0), "0:00");
        assert_eq!(clock(63), "1:03");
        assert_eq!(clock(3599), "59:59");
        assert_eq!(clock(3 * 3600 + 62), "3:01:02");
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        assert_eq!(size(44), "1 kB");
        assert_eq!(size(2_016_044), "2.0 MB");
        assert_eq!(size(2_790_000_000), "2.7 GB");
    }
}
