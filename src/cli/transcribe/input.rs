//! What is heard: a file, or what comes through a pipe.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use crate::config::{Environment, Lookup as _};

/// What a WAV can hold, and a little for its header.
const PIPE_BYTES_MAX: u64 = (4 << 30) + (1 << 20);

/// Where what comes through a pipe is kept meanwhile: on the disk, while `/tmp` may be memory.
const KEPT_IN: &str = "/var/tmp";

/// One thing to hear.
#[derive(Debug)]
pub(super) struct Input {
    path: PathBuf,
    stdin: bool,
}

impl Input {
    pub(super) fn new(path: &PathBuf) -> Self {
        Self { path: path.clone(), stdin: path == Path::new("-") }
    }

    pub(super) fn is_stdin(&self) -> bool {
        self.stdin
    }

    /// Returns what people call it.
    pub(super) fn name(&self) -> String {
        if self.stdin { "stdin".to_owned() } else { self.path.display().to_string() }
    }

    /// Returns what its transcript is called, without the extension.
    pub(super) fn stem(&self) -> String {
        if self.stdin {
            return self.name();
        }
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Opens it as a file in which one can go back.
    pub(super) fn open(&self) -> io::Result<File> {
        let file = if self.stdin { stdin()? } else { File::open(&self.path)? };
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(io::Error::other("is a folder: name the files in it"));
        }
        if kind.is_file() { Ok(file) } else { kept(file) }
    }
}

fn stdin() -> io::Result<File> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(io::Error::other("is a terminal: pipe a WAV into it"));
    }
    Ok(File::from(stdin.as_fd().try_clone_to_owned()?))
}

/// Keeps what comes through a pipe in a file without a name, which is gone with the process.
fn kept(mut pipe: File) -> io::Result<File> {
    let mut head = Vec::new();
    Read::by_ref(&mut pipe).take(4).read_to_end(&mut head)?;
    let folder = Environment.get("TMPDIR").unwrap_or_else(|| KEPT_IN.to_owned());
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&head)?;
    // What does not begin as a WAV is not waited for.
    if head == b"RIFF" {
        let came = io::copy(&mut Read::by_ref(&mut pipe).take(PIPE_BYTES_MAX), &mut file)?;
        if came == PIPE_BYTES_MAX {
            return Err(io::Error::other("is longer than a WAV can be"));
        }
    }
    file.rewind()?;
    Ok(file)
}
