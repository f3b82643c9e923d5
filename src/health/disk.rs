//! The disk under the data folder: whether it takes files, how much, and how fast.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::clock::Clock;

/// What is written to measure the pace: long enough that a card's own buffer is not all of it.
const MEASURED_BYTES: usize = 8 * 1024 * 1024;

/// Written at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// Ticks measured: a second of a call is appended and made durable, so often.
const TICKS: u32 = 16;

/// What a second of one call comes to: two parties, 16-bit, at 8 and at 16 kHz.
const CALL_BYTES_PER_S: u64 = 96_000;

/// Measuring ends here, however far it is: what it has found by then is bad enough.
const MEASURE_WITHIN: Duration = Duration::from_secs(8);

/// The share of the disk's pace that recording may take: the rest is for transcripts, downloads
/// and everybody else on the box.
const SHARE: u64 = 2;

/// How fast recordings need the disk to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Calls recorded at once.
    pub calls_max: u64,
    /// How often what was heard is made durable.
    pub sync_every: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Measured {
    bytes_per_s: u64,
    longest_sync: Duration,
}

/// Tries whether a folder takes files.
pub fn writable(dir: &Path) -> Check {
    let name = "disk";
    let tried = tempfile::tempfile_in(dir).and_then(|mut file| {
        file.write_all(b"probe")?;
        file.sync_data()
    });
    match tried {
        Ok(()) => Check::ok(name, "takes recordings"),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let what = format!("{} is closed to the user that asks", dir.display());
            Check::unknown(name, what).fixed_by("ask as root: sudo fieldtape doctor")
        }
        Err(error) => Check::fail(
            name,
            format!("takes no recordings: {}: {error}", dir.display()),
            "mount, free or replace the disk, or correct server.data_dir",
        ),
    }
}

/// Judges the ledger's file. `damage` is what is damaged in it, none if there is no file, or why it
/// could not be read.
pub fn integrity(damage: Result<Option<Vec<String>>, String>) -> Check {
    let name = "integrity";
    match damage {
        Ok(None) => Check::ok(name, "there is no ledger yet: the first start makes it"),
        Ok(Some(damage)) if damage.is_empty() => Check::ok(name, "the ledger's file is whole"),
        Ok(Some(damage)) => Check::fail(
            name,
            format!("the ledger's file is damaged: {}", damage.join("; ")),
            "systemctl stop fieldtape.socket fieldtape, move the data folder away, fieldtape restore DIR; replace the card",
        ),
        Err(why) => Check::unknown(name, why).fixed_by("ask as root: sudo fieldtape doctor"),
    }
}

/// Returns how much of a folder's disk is free for those who are not root.
pub fn free_bytes(dir: &Path) -> Result<u64, String> {
    let state = rustix::fs::statvfs(dir).map_err(|errno| format!("{}: {errno}", dir.display()))?;
    Ok(state.f_bavail.saturating_mul(state.f_frsize))
}

/// Judges how much is free.
pub fn space(free_bytes: Result<u64, String>, min_free_bytes: u64) -> Check {
    let name = "space";
    let free = match free_bytes {
        Ok(free) => free,
        Err(why) => {
            let what = format!("the disk does not say how much is free: {why}");
            return Check::fail(name, what, "mount the disk, or correct server.data_dir");
        }
    };
    let megabytes = free / 1_000_000;
    if free < min_free_bytes {
        let fix = "delete what is not needed or fit a larger disk before recordings fail";
        let what = format!("only {megabytes} MB are free, less than recording.min_free");
        return Check::fail(name, what, fix);
    }
    Check::ok(name, format!("{megabytes} MB are free"))
}

/// Measures how fast a folder's disk takes sound, with a file that has no name and is gone
/// afterwards.
pub fn speed(dir: &Path, pace: Pace, clock: &dyn Clock) -> Check {
    match measure(dir, clock) {
        Ok(measured) => judge(measured, pace),
        Err(error) => {
            let what = format!("could not be measured in {}: {error}", dir.display());
            Check::unknown("speed", what).fixed_by("see the check \"disk\"")
        }
    }
}

fn measure(dir: &Path, clock: &dyn Clock) -> io::Result<Measured> {
    let began = clock.since_boot();
    let since = |moment: Duration| clock.since_boot().saturating_sub(moment);
    let mut file = tempfile::tempfile_in(dir)?;
    let (block, mut written) = (vec![0x55; BLOCK_BYTES], 0_usize);
    while written < MEASURED_BYTES && since(began) < MEASURE_WITHIN {
        file.write_all(&block)?;
        written += BLOCK_BYTES;
        // Now and then, so that a slow card is noticed before all of it waits in memory.
        if written.is_multiple_of(16 * BLOCK_BYTES) {
            file.sync_data()?;
        }
    }
    file.sync_data()?;
    let took_us = u64::try_from(since(began).as_micros()).unwrap_or(u64::MAX).max(1);
    let bytes_per_s = (written as u64).saturating_mul(1_000_000) / took_us;
    let longest_sync = longest_tick(&mut file, &since, clock, began)?;
    Ok(Measured { bytes_per_s, longest_sync })
}

fn longest_tick(
    file: &mut File,
    since: &dyn Fn(Duration) -> Duration,
    clock: &dyn Clock,
    began: Duration,
) -> io::Result<Duration> {
    let second = vec![0xAA; usize::try_from(CALL_BYTES_PER_S).unwrap_or(BLOCK_BYTES)];
    let mut longest = Duration::ZERO;
    for _ in 0..TICKS {
        if since(began) > MEASURE_WITHIN {
            break;
        }
        file.write_all(&second)?;
        let at = clock.since_boot();
        file.sync_data()?;
        longest = longest.max(since(at));
    }
    Ok(longest)
}

fn judge(measured: Measured, pace: Pace) -> Check {
    let name = "speed";
    let Measured { bytes_per_s, longest_sync } = measured;
    let needed = pace.calls_max * CALL_BYTES_PER_S;
    let megabytes = |bytes: u64| format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10);
    let detail = format!(
        "writes {} MB/s; a second of sound is safe after {} ms at most",
        megabytes(bytes_per_s),
        longest_sync.as_millis()
    );
    let replace = "replace the card by a faster one (class A2 or \"endurance\"), or use an SSD";
    if longest_sync > pace.sync_every {
        let what = format!("{detail}: longer than recording.sync_every");
        return Check::fail(name, what, replace);
    }
    if bytes_per_s < needed {
        let what =
            format!("{detail}: {} calls at once need {} MB/s", pace.calls_max, megabytes(needed));
        return Check::fail(name, what, format!("{replace}, or set server.max_calls lower"));
    }
    if bytes_per_s < needed.saturating_mul(SHARE) {
        let what = format!("{detail}: just enough for {} calls at once", pace.calls_max);
        return Check::warn(name, what, format!("{replace}, or set server.max_calls lower"));
    }
    Check::ok(name, detail)
}

#[cfg(test)]
mod tests {
    use super::super::CheckState;
    use super::*;
    use crate::clock::SystemClock;

    const PACE: Pace = Pace { calls_max: 16, sync_every: Duration::from_secs(1) };

    #[test]
    fn a_folder_is_tried_measured_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(writable(dir.path()).state, CheckState::Ok);
        let speed = speed(dir.path(), PACE, &SystemClock);
        assert!(speed.detail.contains("MB/s"), "{speed:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_takes_nothing() {
        let gone = Path::new("/nowhere/fieldtape");
        assert_eq!(writable(gone).state, CheckState::Fail);
        assert_eq!(speed(gone, PACE, &SystemClock).state, CheckState::Unknown);
    }

    #[test]
    fn a_disk_is_judged_by_what_the_settings_ask_of_it() {
        let with = |bytes_per_s, ms| {
            let longest_sync = Duration::from_millis(ms);
            judge(Measured { bytes_per_s, longest_sync }, PACE).state
        };
        assert_eq!(with(20_000_000, 80), CheckState::Ok);
        assert_eq!(with(2_000_000, 80), CheckState::Warn);
        assert_eq!(with(1_000_000, 80), CheckState::Fail);
        assert_eq!(with(20_000_000, 1_200), CheckState::Fail);
    }

    #[test]
    fn a_ledger_is_whole_damaged_or_not_there_yet() {
        assert_eq!(integrity(Ok(None)).state, CheckState::Ok);
        assert_eq!(integrity(Ok(Some(Vec::new()))).state, CheckState::Ok);
        assert_eq!(integrity(Ok(Some(vec!["page 7".to_owned()]))).state, CheckState::Fail);
        assert_eq!(integrity(Err("closed".to_owned())).state, CheckState::Unknown);
    }

    #[test]
    fn space_is_judged_against_what_must_stay_free() {
        assert_eq!(space(Ok(2_000_000_000), 1 << 30).state, CheckState::Ok);
        assert_eq!(space(Ok(1_000_000_000), 1 << 30).state, CheckState::Fail);
        assert_eq!(space(Err("gone".to_owned()), 0).state, CheckState::Fail);
    }
}
