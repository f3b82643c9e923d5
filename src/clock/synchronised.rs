//! Whether somebody keeps the wall clock right.

use std::path::Path;

use super::Clock;

/// What systemd's own time daemon leaves for others to see, for as long as it runs. A sandbox that
/// keeps a program from setting the clock keeps it from asking the kernel too; this it can see.
const TIMESYNCD: &str = "/run/systemd/timesync";

/// What is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronised {
    /// It is synchronised.
    Yes,
    /// It is not.
    No,
    /// The kernel may not be asked, and nobody else says.
    Unknown,
}

impl Synchronised {
    /// Finds out how `clock` is, and, if it does not say yes, whether that can be seen at all.
    pub fn of(clock: &dyn Clock) -> Self {
        match look() {
            _ if clock.synchronised() => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes | Self::No => Self::No,
        }
    }
}

pub(super) fn look() -> Synchronised {
    kernel().unwrap_or_else(|| timesyncd(Path::new(TIMESYNCD)))
}

/// Asks the kernel by `adjtimex(2)`, which every time daemon (timesyncd, chrony, ntpd) keeps true.
/// None where that is not allowed.
#[expect(unsafe_code, reason = "no safe wrapper of adjtimex exists in a crate we carry")]
fn kernel() -> Option<Synchronised> {
    // SAFETY: `timex` is plain data for which all zeros is valid, and with `modes` zero the call
    // only writes into the struct it is given.
    let state = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut timex)
    };
    match state {
        libc::TIME_ERROR => Some(Synchronised::No),
        state => (state >= 0).then_some(Synchronised::Yes),
    }
}

/// Its folder is there while it runs, and a file in it once it has set the clock.
fn timesyncd(folder: &Path) -> Synchronised {
    if folder.join("synchronized").exists() {
        Synchronised::Yes
    } else if folder.exists() {
        Synchronised::No
    } else {
        Synchronised::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timesyncd_says_by_a_file_when_it_has_set_the_clock() {
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join("timesync");
        assert_eq!(timesyncd(&folder), Synchronised::Unknown);
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(timesyncd(&folder), Synchronised::No);
        std::fs::write(folder.join("synchronized"), "").unwrap();
        assert_eq!(timesyncd(&folder), Synchronised::Yes);
    }

    #[test]
    fn the_kernel_has_an_answer_where_it_may_be_asked() {
        assert!(kernel().is_some_and(|answer| answer != Synchronised::Unknown));
    }
}
