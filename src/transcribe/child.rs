//! The speech process as its parent sees it: started, asked, and buried.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use rustix::process::{Pid, setpriority_process};

use super::wire::{self, Answer, Received, Request};

/// The longest line of the worker's that is kept.
const LINE_BYTES_MAX: u64 = 4096;

/// How long a worker that closed its socket may take to end by itself, so that its own exit
/// status is seen and not that of being killed.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// First in line when memory runs out.
const OOM_SCORE_ADJ: &str = "1000";

/// The worker's whole environment. Large blocks go back to the system when they are freed, and
/// threads share one heap: otherwise a long track costs 10 MB more than a short one. And an engine
/// that aborts does so at once, not after having a debugger print where it was.
const ENVIRONMENT: [(&str, &str); 3] =
    [("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_ARENA_MAX", "1"), ("GGML_NO_BACKTRACE", "1")];

/// Why a worker does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Its socket closed: it ended, or is about to.
    Ended,
    /// It lives, and this is wrong with it.
    Useless(String),
}

/// How a worker came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Death {
    /// Its exit code or signal, or what it failed to do.
    pub(crate) how: String,
    /// The last line it wrote.
    pub(crate) last_line: String,
}

/// A running worker. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    socket: UnixStream,
    last_line: Receiver<String>,
}

impl Worker {
    /// Starts `program speech-worker`. The thread that calls this must outlive the worker, which
    /// dies with it.
    pub(crate) fn start(program: &Path, nice: i32, patience: Duration) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(patience))?;
        socket.set_write_timeout(Some(patience))?;
        let mut child = Command::new(program)
            .arg("speech-worker")
            // It needs nothing from ours, and secrets may be in it.
            .env_clear()
            .envs(ENVIRONMENT)
            // A Ctrl-C is meant for the daemon, which then lets it go in order.
            .process_group(0)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        step_back(child.id(), nice);
        let (line, last_line) = sync_channel(1);
        if let Some(stderr) = child.stderr.take() {
            std::thread::Builder::new()
                .name("speech-stderr".to_owned())
                // The receiver is gone when nobody asks how the worker ended.
                .spawn(move || line.send(follow(stderr)).unwrap_or(()))?;
        }
        tracing::debug!(pid = child.id(), "the speech process has started");
        Ok(Self { child, socket, last_line })
    }

    /// Returns its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns another handle of its socket: shutting that down wakes whoever waits here.
    pub(crate) fn socket(&self) -> io::Result<UnixStream> {
        self.socket.try_clone()
    }

    /// Asks and waits for the answer. After anything else the worker is lost: bury it.
    pub(crate) fn ask(
        &mut self,
        request: &Request,
        files: &[BorrowedFd<'_>],
    ) -> Result<Answer, Lost> {
        let answer = wire::send(&self.socket, request, files)
            .and_then(|()| wire::receive::<Answer>(&self.socket));
        match answer {
            Ok(Received::Message(answer, _)) => Ok(answer),
            Ok(Received::Broken(message)) => Err(Lost::Useless(message)),
            Ok(Received::Closed) => Err(Lost::Ended),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Lost::Ended,
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    Lost::Useless("it stopped answering".to_owned())
                }
                _ => Lost::Useless(error.to_string()),
            }),
        }
    }

    /// Sees it dead and tells how it died. One that ended by itself is given a moment to.
    pub(crate) fn bury(mut self, lost: Lost) -> Death {
        let mut last_line = None;
        if lost == Lost::Ended {
            last_line = self.last_line.recv_timeout(LAST_BREATH).ok();
        }
        // Fails only if it is dead already.
        let _ = self.child.kill();
        let status = self.child.wait();
        let last_line =
            last_line.or_else(|| self.last_line.recv_timeout(LAST_BREATH).ok()).unwrap_or_default();
        let how = match (lost, status) {
            (Lost::Useless(fault), _) => fault,
            (Lost::Ended, Ok(status)) => status.to_string(),
            (Lost::Ended, Err(error)) => error.to_string(),
        };
        tracing::warn!(pid = self.child.id(), how, last_line, "the speech process has ended");
        Death { how, last_line }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only if it was buried already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts the worker behind everything else: on the processor, and before it when memory runs out.
fn step_back(pid: u32, nice: i32) {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Err(error) = setpriority_process(raw, nice) {
        tracing::warn!(%error, nice, "the speech process keeps its priority");
    }
    let oom = std::fs::write(format!("/proc/{pid}/oom_score_adj"), OOM_SCORE_ADJ);
    if let Err(error) = oom {
        tracing::warn!(%error, "the speech process is not first in line when memory runs out");
    }
}

/// Passes the worker's lines on to the log, until it ends; returns the last one.
fn follow(stderr: ChildStderr) -> String {
    let mut lines = BufReader::new(stderr);
    let mut last = String::new();
    loop {
        let mut bytes = Vec::new();
        match lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return last,
            Ok(_) => {
                let line = String::from_utf8_lossy(&bytes).trim().to_owned();
                if !line.is_empty() {
                    tracing::debug!(line, "the speech process says");
                    last = line;
                }
            }
        }
    }
}
