//! A worker whose daemon has gone ends, whatever it is in the middle of.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Signal, getpid, kill_process};

/// How long a worker that waits for its next request may take to see by itself that none comes.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// Watches the socket from a thread of its own, and kills this process when the other end is gone:
/// the engine looks at nothing while it hears, and a worker that systemd started is nobody's child.
pub(crate) fn watch(socket: &UnixStream) -> std::io::Result<()> {
    let socket = OwnedFd::from(socket.try_clone()?);
    std::thread::Builder::new().name("orphan".to_owned()).spawn(move || {
        wait_for_end(&socket);
        let (_nobody, never) = sync_channel::<()>(1);
        // Nobody sends: this is only how long to wait.
        let _ = never.recv_timeout(LAST_BREATH);
        // Fails for no process that runs this.
        let _ = kill_process(getpid(), Signal::KILL);
    })?;
    Ok(())
}

/// Returns when the other end of the socket is closed.
fn wait_for_end(socket: &OwnedFd) {
    // Asked for nothing: a hang-up is told unasked.
    let mut watched = [PollFd::new(socket, PollFlags::empty())];
    while retry_on_intr(|| poll(&mut watched, None)).is_ok_and(|found| found == 0) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_no_end_and_a_close_is() {
        let (near, far) = UnixStream::pair().unwrap();
        let (done, ended) = sync_channel::<()>(1);
        let watched = OwnedFd::from(far);
        std::thread::spawn(move || {
            wait_for_end(&watched);
            done.send(()).unwrap();
        });
        std::io::Write::write_all(&mut &near, b"a request").unwrap();
        assert!(ended.recv_timeout(Duration::from_millis(50)).is_err(), "it goes on");
        drop(near);
        ended.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}
