//! A sound card without a sound card: ALSA's own `file` plug-in, which reads from a FIFO that a
//! thread of ours fills at a card's pace.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use fieldtape::clock::{Clock as _, SystemClock};
use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_setfl, mknodat};
use tempfile::TempDir;

/// The rate and the period that the program asks for, of one channel of 16 bits.
const RATE_HZ: u32 = 48_000;
const PERIOD: usize = 2_400;

/// A card that can be unplugged. It gives the noise of a quiet room where nobody speaks.
pub(crate) struct SoundCard {
    dir: TempDir,
    orders: SyncSender<Order>,
}

enum Order {
    /// Say this from now on, at 48 kHz.
    Say(Vec<i16>),
    Plug(bool),
}

impl SoundCard {
    /// The name of its PCM.
    pub(crate) const NAME: &str = "fifo";

    /// Makes one whose clock is off by so many millionths; none where ALSA is not installed, which
    /// is told.
    pub(crate) fn new(ppm: f64) -> Option<Self> {
        let alsa = Path::new("/usr/share/alsa/alsa.conf");
        if !alsa.exists() {
            println!("skipped: {} is not here (apt-get install libasound2-data)", alsa.display());
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("card.fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let conf = format!(
            "<{}>\npcm.fifo {{\n type file\n slave.pcm \"null\"\n file \"/dev/null\"\n \
             infile \"{}\"\n format \"raw\"\n hint {{ show on description \"a FIFO\" }}\n}}\n",
            alsa.display(),
            fifo.display()
        );
        std::fs::write(dir.path().join("asound.conf"), conf).unwrap();
        let (orders, inbox) = sync_channel(8);
        std::thread::spawn(move || Pump::new(fifo, ppm).run(&inbox));
        Some(Self { dir, orders })
    }

    /// A command that has what follows it see this card and no other.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("/usr/bin/env");
        command.env_clear().current_dir(self.dir.path());
        command.env("ALSA_CONFIG_PATH", self.dir.path().join("asound.conf"));
        command
    }

    /// Has somebody say this, at 8 kHz, in front of the microphone.
    pub(crate) fn say(&self, narrow: &[i16]) {
        self.orders.send(Order::Say(widened(narrow))).unwrap();
    }

    pub(crate) fn unplug(&self) {
        self.orders.send(Order::Plug(false)).unwrap();
    }

    pub(crate) fn plug(&self) {
        self.orders.send(Order::Plug(true)).unwrap();
    }
}

/// Six samples for one, on straight lines.
fn widened(narrow: &[i16]) -> Vec<i16> {
    let steps = |pair: &[i16]| {
        let (from, to) = (i32::from(pair[0]), i32::from(pair[1]));
        (0..6).map(move |n| i16::try_from(from + (to - from) * n / 6).unwrap())
    };
    narrow.windows(2).flat_map(steps).collect()
}

/// What fills the FIFO.
struct Pump {
    path: PathBuf,
    period: Duration,
    fifo: Option<File>,
    is_plugged: bool,
    says: VecDeque<i16>,
    noise: u32,
}

impl Pump {
    fn new(path: PathBuf, ppm: f64) -> Self {
        let seconds = 2_400.0 / f64::from(RATE_HZ) / (1.0 + ppm * 1e-6);
        let period = Duration::from_secs_f64(seconds);
        Self { path, period, fifo: None, is_plugged: true, says: VecDeque::new(), noise: 1 }
    }

    /// Gives a period of sound at a time, each when a card would have it.
    fn run(mut self, orders: &Receiver<Order>) {
        let began = SystemClock.since_boot();
        for n in 1_u32.. {
            let due = began + self.period * n;
            loop {
                match orders.recv_timeout(due.saturating_sub(SystemClock.since_boot())) {
                    Ok(Order::Say(sound)) => self.says = sound.into(),
                    Ok(Order::Plug(is_plugged)) => self.is_plugged = is_plugged,
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            let period: Vec<u8> =
                (0..PERIOD).flat_map(|_| self.next_sample().to_le_bytes()).collect();
            self.give(&period);
        }
    }

    fn next_sample(&mut self) -> i16 {
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let room = i16::try_from(self.noise >> 28).unwrap() - 8;
        self.says.pop_front().unwrap_or(0).saturating_add(room)
    }

    fn give(&mut self, period: &[u8]) {
        if !self.is_plugged {
            self.fifo = None;
            return;
        }
        if self.fifo.is_none() {
            // Nobody listens yet: then there is nobody to lose it.
            let opened = OpenOptions::new()
                .write(true)
                .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap())
                .open(&self.path);
            self.fifo = opened.ok().inspect(|fifo| fcntl_setfl(fifo, OFlags::empty()).unwrap());
        }
        // A listener that has closed it opens it again.
        if self.fifo.as_mut().is_some_and(|fifo| fifo.write_all(period).is_err()) {
            self.fifo = None;
        }
    }
}
