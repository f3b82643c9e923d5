//! What the daemon and the speech worker say to each other over their socket.
//!
//! A message is its length (4 bytes, little endian), then that much JSON; open files travel with
//! the length. The daemon asks, the worker answers each request once, in order.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::segment::Segment;

/// The longest message: 26 s of speech with the times of its words are some 10 KiB, a vocabulary is
/// a page.
const MESSAGE_BYTES_MAX: u32 = 256 * 1024;

/// The most files with one message: a model and a voice detector, or two tracks.
const FILES_MAX: usize = 2;

/// Which of two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Slot {
    /// For whole tracks.
    Track,
    /// For live ones.
    Live,
}

/// What the daemon asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Load a model; with it come two files, the model and the voice detector.
    Load {
        /// Where to keep it.
        slot: Slot,
    },
    /// Hear the next window of a track; with it comes the track's file, and perhaps the other
    /// party's of the same time.
    Step(StepRequest),
    /// Look at a live track; with it comes one file, the track.
    Look(LookRequest),
}

/// The particulars of [`Request::Step`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepRequest {
    /// The 16 kHz sample to begin at.
    pub(crate) from: u64,
    /// Two or three letters, or "auto".
    pub(crate) language: String,
    /// Words to expect.
    pub(crate) prompt: String,
    /// Threads to use.
    pub(crate) threads: u32,
    /// Behind everything else the box does.
    pub(crate) gently: bool,
}

/// The particulars of [`Request::Look`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LookRequest {
    /// Which model.
    pub(crate) slot: Slot,
    /// Which track: a number no other live track has.
    pub(crate) track: u64,
    /// The 16 kHz sample before which nothing needs to be heard again.
    pub(crate) from: u64,
    /// The first sample not to be read.
    pub(crate) to: u64,
    /// Whether to guess at the utterance under way, if none that has ended waits.
    pub(crate) guess: bool,
    /// Two or three letters, or "auto".
    pub(crate) language: String,
    /// Words to expect.
    pub(crate) prompt: String,
    /// Threads to use.
    pub(crate) threads: u32,
}

/// What the worker answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The model is loaded.
    Loaded,
    /// A window was heard.
    Step(StepAnswer),
    /// A live track was looked at.
    Look(LookAnswer),
    /// It could not be done.
    Refused {
        /// Whose fault it is.
        fault: Fault,
        /// What happened.
        message: String,
    },
}

/// The particulars of [`Answer::Step`]; see `step::Step`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepAnswer {
    pub(crate) segments: Vec<Segment>,
    pub(crate) dropped: u32,
    pub(crate) consumed_to: u64,
    pub(crate) finished: bool,
    pub(crate) language: Option<String>,
}

/// The particulars of [`Answer::Look`]; see `look::Look`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LookAnswer {
    pub(crate) segments: Vec<Segment>,
    pub(crate) guess: Vec<Segment>,
    pub(crate) consumed_to: u64,
    pub(crate) waiting_since: Option<u64>,
    pub(crate) open_since: Option<u64>,
    pub(crate) language: Option<String>,
}

/// Whose fault a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// The model's.
    Model,
    /// The language's that was asked for.
    Language,
    /// The sound's.
    Audio,
    /// The request's.
    Request,
    /// The engine's.
    Engine,
}

/// What came over the socket.
pub(crate) enum Received<T> {
    /// A message, with its files.
    Message(T, Vec<OwnedFd>),
    /// Something that is none; the next message can be read.
    Broken(String),
    /// The other end is closed.
    Closed,
}

/// Sends a message with files.
pub(crate) fn send<T: Serialize>(
    socket: &UnixStream,
    message: &T,
    files: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length <= MESSAGE_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::other("too many files with a message"));
    }
    let head = length.to_le_bytes();
    let sent = retry_on_intr(|| {
        sendmsg(socket.as_fd(), &[IoSlice::new(&head)], &mut ancillary, SendFlags::NOSIGNAL)
    })?;
    let mut socket = socket;
    socket.write_all(head.get(sent..).unwrap_or_default())?;
    socket.write_all(&body)
}

/// Waits for a message.
pub(crate) fn receive<T: DeserializeOwned>(socket: &UnixStream) -> io::Result<Received<T>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut head = [0_u8; 4];
    let got = retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut head)];
        recvmsg(socket.as_fd(), &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut files = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(sent) = message {
            files.extend(sent);
        }
    }
    if got.bytes == 0 {
        return Ok(Received::Closed);
    }
    let mut socket = socket;
    socket.read_exact(head.get_mut(got.bytes..).unwrap_or_default())?;
    let length = u32::from_le_bytes(head);
    if length > MESSAGE_BYTES_MAX {
        io::copy(&mut socket.take(u64::from(length)), &mut io::sink())?;
        return Ok(Received::Broken(format!("a message of {length} bytes is too long")));
    }
    let mut body = Vec::new();
    socket.take(u64::from(length)).read_to_end(&mut body)?;
    if body.len() < usize::try_from(length).unwrap_or(usize::MAX) {
        return Ok(Received::Closed);
    }
    match serde_json::from_slice(&body) {
        Ok(message) => Ok(Received::Message(message, files)),
        Err(error) => Ok(Received::Broken(format!("the message is not understood: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_travels_with_a_message() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"sound").unwrap();
        send(&near, &Request::Load { slot: Slot::Live }, &[file.as_fd()]).unwrap();
        let Received::Message(request, mut files) = receive::<Request>(&far).unwrap() else {
            panic!("no message");
        };
        assert_eq!(request, Request::Load { slot: Slot::Live });
        let same = std::fs::File::from(files.pop().unwrap());
        assert_eq!(same.metadata().unwrap().len(), 5);
        assert!(files.is_empty());
    }

    #[test]
    fn what_is_no_message_is_broken_and_the_next_one_is_read() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut raw = &near;
        raw.write_all(&[3, 0, 0, 0]).unwrap();
        raw.write_all(b"}{!").unwrap();
        let long = MESSAGE_BYTES_MAX + 1;
        let writer = std::thread::spawn(move || {
            let mut raw = &near;
            raw.write_all(&long.to_le_bytes()).unwrap();
            raw.write_all(&vec![b' '; usize::try_from(long).unwrap()]).unwrap();
            send(&near, &Answer::Loaded, &[]).unwrap();
        });
        for _ in 0..2 {
            assert!(matches!(receive::<Answer>(&far).unwrap(), Received::Broken(_)));
        }
        let Received::Message(Answer::Loaded, _) = receive(&far).unwrap() else {
            panic!("no message");
        };
        assert!(matches!(receive::<Answer>(&far).unwrap(), Received::Closed));
        writer.join().unwrap();
    }
}
