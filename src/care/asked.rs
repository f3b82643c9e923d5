//! What other programs of the box have to say, such as `journalctl`.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a program may take: a journal on a slow card is read through.
const WITHIN: Duration = Duration::from_secs(30);

/// As much of what one says as is kept.
const SAID_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// As much of a complaint as is kept.
const COMPLAINT_BYTES_MAX: u64 = 4096;

/// Runs a program and returns what it says; or why it says nothing, in words, for that is a fact
/// like any other.
pub async fn said(program: &str, args: &[&str]) -> String {
    let spawned = Command::new(program)
        .args(args)
        // Plain words, and no pager that waits for somebody.
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return format!("{program} cannot be asked: {error}\n"),
    };
    match timeout(WITHIN, listen(&mut child)).await {
        Ok(said) => said,
        Err(_elapsed) => format!("{program} has not ended within {} s\n", WITHIN.as_secs()),
    }
}

async fn listen(child: &mut Child) -> String {
    let (mut said, mut complaint) = (Vec::new(), Vec::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // What cannot be read was not said.
    let out = async {
        if let Some(out) = out {
            let _ = out.take(SAID_BYTES_MAX).read_to_end(&mut said).await;
        }
    };
    let err = async {
        if let Some(err) = err {
            let _ = err.take(COMPLAINT_BYTES_MAX).read_to_end(&mut complaint).await;
        }
    };
    tokio::join!(out, err);
    let (said, complaint) = (String::from_utf8_lossy(&said), String::from_utf8_lossy(&complaint));
    format!("{said}{complaint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_heard_and_one_that_is_not_there_is_told() {
        assert_eq!(said("sh", &["-c", "echo one; echo two >&2"]).await, "one\ntwo\n");
        assert!(said("/nowhere/journalctl", &[]).await.contains("cannot be asked"));
    }
}
