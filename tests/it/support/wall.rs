//! The clock of the machine that the program runs on, as a test wants it.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Appliance, Home};

/// A wall clock that can be set, for one program at a time.
pub(crate) struct Wall {
    preload: PathBuf,
    state: PathBuf,
}

impl Wall {
    /// Makes one that is right and synchronised.
    pub(crate) fn new(folder: &Path) -> Self {
        let preload = folder.join("synchronised.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/synchronised.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(&preload).arg(source);
        assert!(cc.status().unwrap().success(), "cc builds the clock");
        let wall = Self { preload, state: folder.join("clock") };
        std::fs::write(&wall.state, [0; 16]).unwrap();
        wall.set(0, true);
        wall
    }

    /// Sets it so far ahead of the true one.
    pub(crate) fn set(&self, ahead_ms: i64, synchronised: bool) {
        let mut state = ahead_ms.to_ne_bytes().to_vec();
        state.extend(i64::from(synchronised).to_ne_bytes());
        let file = std::fs::OpenOptions::new().write(true).open(&self.state).unwrap();
        file.write_all_at(&state, 0).unwrap();
    }

    /// Starts an appliance that goes by it.
    pub(crate) async fn start(&self, home: &Home) -> Appliance {
        let mut command = Command::new("/usr/bin/env");
        command.env_clear().current_dir(home.path()).stdin(Stdio::null());
        command.arg(format!("LD_PRELOAD={}", self.preload.display()));
        command.arg(format!("FIELDTAPE_TEST_CLOCK={}", self.state.display()));
        home.start_by(command).await
    }
}
