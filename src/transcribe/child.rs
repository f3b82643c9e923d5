//! The speech process as the daemon sees it: started, asked, and buried.
//!
//! It is either what systemd starts for a connection to a socket of its own unit, or a child.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use rustix::process::{Pid, setpriority_process};

use super::job::Options;
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

/// How the worker of a unit ended, which its connection does not tell.
const UNIT_ENDED: &str = "`journalctl -t fieldtape-speech` has its last words";

/// A running worker. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Worker {
    socket: UnixStream,
    /// None for one that systemd started: it ends by itself when its connection does.
    child: Option<OwnChild>,
}

/// A worker that is a child of ours.
#[derive(Debug)]
struct OwnChild {
    process: Child,
    last_line: Receiver<String>,
}

impl Worker {
    /// Has systemd start one, if there is a socket for that and somebody listens there; else starts
    /// `program speech-worker`. The thread that calls this must outlive the worker, which dies with
    /// it.
    pub(crate) fn start(options: &Options) -> io::Result<Self> {
        let unit = options.socket.as_deref().and_then(connect);
        let (socket, child) = if let Some(socket) = unit {
            tracing::debug!("the speech process is systemd's");
            (socket, None)
        } else {
            let (socket, child) = OwnChild::start(&options.program, options.nice)?;
            (socket, Some(child))
        };
        socket.set_read_timeout(Some(options.patience))?;
        socket.set_write_timeout(Some(options.patience))?;
        Ok(Self { socket, child })
    }

    /// Returns its process number, if it is a child of ours.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(|child| child.process.id())
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
    pub(crate) fn bury(self, lost: Lost) -> Death {
        let pid = self.pid();
        let death = match (self.child, lost) {
            (Some(child), lost) => child.bury(lost),
            (None, Lost::Useless(how)) => Death { how, last_line: UNIT_ENDED.to_owned() },
            (None, Lost::Ended) => {
                Death { how: "by itself".to_owned(), last_line: UNIT_ENDED.to_owned() }
            }
        };
        tracing::warn!(
            pid,
            how = death.how,
            last_line = death.last_line,
            "the speech process has ended"
        );
        death
    }
}

impl OwnChild {
    fn start(program: &Path, nice: i32) -> io::Result<(UnixStream, Self)> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut process = Command::new(program)
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
        step_back(process.id(), nice);
        let (line, last_line) = sync_channel(1);
        if let Some(stderr) = process.stderr.take() {
            std::thread::Builder::new()
                .name("speech-stderr".to_owned())
                // The receiver is gone when nobody asks how the worker ended.
                .spawn(move || line.send(follow(stderr)).unwrap_or(()))?;
        }
        tracing::debug!(pid = process.id(), "the speech process has started");
        Ok((socket, Self { process, last_line }))
    }

    fn bury(mut self, lost: Lost) -> Death {
        let mut last_line = None;
        if lost == Lost::Ended {
            last_line = self.last_line.recv_timeout(LAST_BREATH).ok();
        }
        // Fails only if it is dead already.
        let _ = self.process.kill();
        let status = self.process.wait();
        let last_line =
            last_line.or_else(|| self.last_line.recv_timeout(LAST_BREATH).ok()).unwrap_or_default();
        let how = match (lost, status) {
            (Lost::Useless(fault), _) => fault,
            (Lost::Ended, Ok(status)) => status.to_string(),
            (Lost::Ended, Err(error)) => error.to_string(),
        };
        Death { how, last_line }
    }
}

impl Drop for OwnChild {
    fn drop(&mut self) {
        // Both fail only if it was buried already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Connects to the socket of the speech unit; none if nobody listens there.
fn connect(path: &Path) -> Option<UnixStream> {
    let connected = UnixStream::connect(path);
    connected
        .inspect_err(|error| {
            tracing::warn!(
                %error,
                "systemd starts no speech process at {}; a child of fieldtape does it: is fieldtape-speech.socket active?",
                path.display()
            );
        })
        .ok()
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::super::wire::Slot;
    use super::*;

    const LOAD: Request = Request::Load { slot: Slot::Track };

    fn options(socket: PathBuf) -> Options {
        Options {
            program: "/bin/false".into(),
            socket: Some(socket),
            model: String::new(),
            live_model: None,
            model_dirs: Vec::new(),
            vocabulary: Vec::new(),
            threads: 1,
            nice: 10,
            idle: Duration::from_mins(1),
            patience: Duration::from_mins(1),
        }
    }

    #[test]
    fn a_unit_that_listens_is_asked_and_its_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("speech.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let unit = std::thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            assert!(matches!(wire::receive::<Request>(&socket).unwrap(), Received::Message(..)));
            wire::send(&socket, &Answer::Loaded, &[]).unwrap();
        });
        let mut worker = Worker::start(&options(path)).unwrap();
        assert_eq!(worker.pid(), None, "it is not ours to signal");
        assert_eq!(worker.ask(&LOAD, &[]), Ok(Answer::Loaded));
        unit.join().unwrap();
        assert_eq!(worker.ask(&LOAD, &[]), Err(Lost::Ended));
        let death = worker.bury(Lost::Ended);
        assert!(death.last_line.contains("journalctl"), "{death:?}");
    }

    #[test]
    fn where_no_unit_listens_a_child_is_started() {
        let folder = tempfile::tempdir().unwrap();
        let mut worker = Worker::start(&options(folder.path().join("speech.sock"))).unwrap();
        assert!(worker.pid().is_some());
        assert_eq!(worker.ask(&LOAD, &[]), Err(Lost::Ended));
        assert!(worker.bury(Lost::Ended).how.contains("exit status"));
    }
}
