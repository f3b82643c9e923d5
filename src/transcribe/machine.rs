//! What the box has, and what it does at this moment, as far as speech must know.

use std::path::{Path, PathBuf};

/// A box this hot is about to slow itself down: a Raspberry Pi does at 80 °C.
const HOT_MILLIDEGREES: i64 = 75_000;

/// A hot box has cooled down when it is no hotter than this.
const COOL_MILLIDEGREES: i64 = 70_000;

/// Temperatures outside of these are a sensor's way of saying that it knows nothing.
const PLAUSIBLE_MILLIDEGREES: std::ops::Range<i64> = 1_000..150_000;

/// Sensors looked at, at most: a Raspberry Pi has one or two, a desktop a dozen.
const ZONES_MAX: usize = 32;

/// Threads taken when nobody says how many: a window of a small model shares no more work than
/// that out well.
const THREADS_MAX: usize = 4;

/// The box, as the kernel describes it.
#[derive(Debug, Clone)]
pub struct Machine {
    cores: usize,
    loadavg: PathBuf,
    thermal: PathBuf,
}

impl Machine {
    /// Returns the box this runs on.
    pub fn this() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new(cores, Path::new("/"))
    }

    /// Returns a box with so many cores that is described below `root`.
    pub fn new(cores: usize, root: &Path) -> Self {
        Self { cores, loadavg: root.join("proc/loadavg"), thermal: root.join("sys/class/thermal") }
    }

    /// Returns how many cores it has.
    pub const fn cores(&self) -> usize {
        self.cores
    }

    /// Returns its highest temperature in thousandths of a degree; none where nothing measures it.
    pub fn millidegrees(&self) -> Option<i64> {
        let zones = std::fs::read_dir(&self.thermal).ok()?.flatten();
        let zones =
            zones.filter(|zone| zone.file_name().as_encoded_bytes().starts_with(b"thermal_zone"));
        let temperatures = zones.take(ZONES_MAX).filter_map(|zone| {
            let text = std::fs::read_to_string(zone.path().join("temp")).ok()?;
            text.trim().parse().ok()
        });
        temperatures.filter(|value| PLAUSIBLE_MILLIDEGREES.contains(value)).max()
    }

    /// Says whether it is hot, given whether it was.
    pub(crate) fn is_hot(&self, was_hot: bool) -> bool {
        let limit = if was_hot { COOL_MILLIDEGREES } else { HOT_MILLIDEGREES };
        self.millidegrees().is_some_and(|value| value > limit)
    }

    /// Returns how many threads somebody may have who is waited for: a core each, of those that
    /// nothing else runs on at this moment.
    pub(crate) fn threads_at_once(&self) -> usize {
        self.cores.saturating_sub(self.others_running()).clamp(1, THREADS_MAX)
    }

    /// Returns how many threads somebody may have who is not: half the cores at most. On a box
    /// with two cores a second thread waits for the first more than it helps.
    pub(crate) fn threads_by_and_by(&self) -> usize {
        self.threads_at_once().min(self.cores / 2).max(1)
    }

    /// Counts the threads, besides the one that asks, that run or would if they had a core.
    fn others_running(&self) -> usize {
        // "0.20 0.18 0.12 1/80 11206": the fourth is how many run of how many there are.
        let running = std::fs::read_to_string(&self.loadavg).ok().and_then(|text| {
            let (running, _) = text.split_whitespace().nth(3)?.split_once('/')?;
            running.parse::<usize>().ok()
        });
        running.unwrap_or(1).saturating_sub(1)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A box in a folder, whose state a test sets.
    pub(crate) struct Box {
        pub(crate) folder: tempfile::TempDir,
        pub(crate) machine: Machine,
    }

    impl Box {
        pub(crate) fn new(cores: usize) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let machine = Machine::new(cores, folder.path());
            Self { folder, machine }
        }

        pub(crate) fn say(&self, path: &str, text: &str) {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        pub(crate) fn heat(&self, millidegrees: i64) {
            self.say("sys/class/thermal/thermal_zone0/temp", &format!("{millidegrees}\n"));
        }
    }

    #[test]
    fn the_hottest_sensor_counts_and_one_that_knows_nothing_does_not() {
        let cool = Box::new(4);
        assert_eq!(cool.machine.millidegrees(), None);
        assert!(!cool.machine.is_hot(false));
        cool.heat(52_000);
        cool.say("sys/class/thermal/thermal_zone1/temp", "61500\n");
        cool.say("sys/class/thermal/thermal_zone2/temp", "-274000\n");
        cool.say("sys/class/thermal/thermal_zone3/temp", "?\n");
        cool.say("sys/class/thermal/cooling_device0/temp", "99000\n");
        assert_eq!(cool.machine.millidegrees(), Some(61_500));
    }

    #[test]
    fn a_box_that_was_hot_stays_so_until_it_is_well_below() {
        let cool = Box::new(4);
        for (millidegrees, was, is) in [
            (74_000, false, false),
            (76_000, false, true),
            (72_000, true, true),
            (70_000, true, false),
        ] {
            cool.heat(millidegrees);
            assert_eq!(cool.machine.is_hot(was), is, "{millidegrees}");
        }
    }

    #[test]
    fn threads_are_what_the_box_has_less_what_else_it_does() {
        for (cores, running, at_once, by_and_by) in [
            (1, 1, 1, 1),
            (2, 1, 2, 1),
            (2, 3, 1, 1),
            (4, 1, 4, 2),
            (4, 2, 3, 2),
            (4, 9, 1, 1),
            (64, 1, 4, 4),
        ] {
            let busy = Box::new(cores);
            busy.say("proc/loadavg", &format!("0.20 0.18 0.12 {running}/80 11206\n"));
            let threads = (busy.machine.threads_at_once(), busy.machine.threads_by_and_by());
            assert_eq!(threads, (at_once, by_and_by), "{cores} cores, {running} running");
        }
        let unknown = Box::new(2).machine;
        assert_eq!(unknown.threads_at_once(), 2);
    }
}
