//! All calls in progress.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::call::{Message, OngoingCall};
use super::session::Frame;
use crate::clock::SharedClock;
use crate::domain::{CallSid, PartyMap, RateHz, Samples8k, StreamSid};
use crate::pipeline::Due;
use crate::store::{NewCall, Store};
use crate::vault::{Mark, Vault};

/// Messages that may wait for a call's task: 5 s of two tracks (2 x 50 frames/s x 5 s). The task
/// waits for nothing, so this only fills when the processor has no time for it.
const MAILBOX_MAX: usize = 500;

/// What the recorder needs.
#[derive(Clone)]
pub struct Options {
    /// Where sound is kept.
    pub vault: Vault,
    /// Where calls are kept.
    pub store: Store,
    /// The time.
    pub clock: SharedClock,
    /// Rung when a call's sound is complete.
    pub due: Due,
    /// The rates of the files.
    pub rates: Vec<RateHz>,
    /// Calls heard at once.
    pub calls_max: usize,
    /// Which boot this is.
    pub boot_id: String,
    /// Who waits for the calls' tasks.
    pub tasks: TaskTracker,
    /// Cancelled when the program stops; every call is sealed then.
    pub stop: CancellationToken,
}

/// Takes the streams of all calls; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    options: Arc<Options>,
    calls: Arc<Mutex<HashMap<CallSid, Entry>>>,
    numbers: Arc<AtomicU64>,
}

struct Entry {
    number: u64,
    mailbox: mpsc::Sender<Message>,
    shown: Arc<Mutex<Vec<LiveTrack>>>,
}

/// A stream that asks to be recorded.
#[derive(Debug, Clone)]
pub struct StreamOpening {
    /// Its call, as far as is known.
    pub call: NewCall,
    /// Its own name.
    pub stream_sid: StreamSid,
    /// Whether it brought our token.
    pub verified: bool,
    /// Who is heard on which track.
    pub parties: PartyMap,
}

/// Why a stream is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many calls are live as are allowed.
    #[error("too many calls are being recorded")]
    Full,
    /// What is left of the disk is for the calls that are live.
    #[error("there is no room on the disk for another call")]
    NoRoom,
    /// The program is stopping.
    #[error("the recorder is stopping")]
    Stopping,
    /// The machine has no thread left for it.
    #[error("no thread could be started for the call")]
    NoThread,
}

/// A file under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveTrack {
    /// Whose voice.
    pub party: crate::domain::Party,
    /// Where it is while it grows; its samples begin after the header.
    pub part_path: PathBuf,
    /// Its rate.
    pub rate: RateHz,
    /// Where its first sample lies on the call's timeline.
    pub origin: Samples8k,
}

/// A call in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCall {
    /// Its name.
    pub call_sid: CallSid,
    /// Its files under way, at the widest rate kept.
    pub tracks: Vec<LiveTrack>,
}

/// The way of one stream's frames to their call.
#[derive(Debug)]
pub struct StreamLink {
    mailbox: mpsc::Sender<Message>,
    stream_no: u64,
}

impl StreamLink {
    /// Hands a frame over; says whether the call still takes any. It waits only while the machine
    /// has no time for the call's task.
    pub async fn frame(&self, frame: Frame) -> bool {
        self.tell(Message::Frame { stream_no: self.stream_no, frame }).await
    }

    /// Tells of a message without usable sound, by its place in the sequence if it has one.
    pub async fn skipped(&self, sequence: Option<u64>, unreadable: bool) {
        self.tell(Message::Skipped { stream_no: self.stream_no, sequence, unreadable }).await;
    }

    /// Ends the stream: by its own word (`stopped`) or because its socket is gone.
    pub async fn close(self, stopped: bool) {
        self.tell(Message::Closed { stream_no: self.stream_no, stopped }).await;
    }

    async fn tell(&self, message: Message) -> bool {
        self.mailbox.send(message).await.is_ok()
    }
}

impl Recorder {
    /// Makes a recorder without calls.
    pub fn new(options: Options) -> Self {
        Self {
            options: Arc::new(options),
            calls: Arc::default(),
            numbers: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Takes a stream: a new call begins, or one that waits for its stream goes on.
    pub async fn open_stream(&self, opening: StreamOpening) -> Result<StreamLink, Refused> {
        let call_sid = opening.call.call_sid.clone();
        let stream_no = self.numbers.fetch_add(1, Ordering::Relaxed);
        let message = Message::Opened { stream_no, opening };
        let known = self.calls().get(&call_sid).map(|entry| entry.mailbox.clone());
        let message = match known {
            Some(mailbox) => match mailbox.send(message).await {
                Ok(()) => return Ok(StreamLink { mailbox, stream_no }),
                // It has just ended; what comes now begins anew.
                Err(mpsc::error::SendError(message)) => message,
            },
            None => message,
        };
        let mailbox = self.begin(&call_sid)?;
        // A new call's mailbox is empty and its task runs until it is told otherwise.
        let _ = mailbox.send(message).await;
        Ok(StreamLink { mailbox, stream_no })
    }

    fn begin(&self, call_sid: &CallSid) -> Result<mpsc::Sender<Message>, Refused> {
        let mut calls = self.calls();
        if let Some(refused) = self.refuses_beside(calls.len()) {
            return Err(refused);
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (mailbox, inbox) = mpsc::channel(MAILBOX_MAX);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let call = OngoingCall::new(Arc::clone(&self.options), call_sid.clone(), Arc::clone(&shown))
            .map_err(|error| {
                tracing::error!(call.sid = %call_sid, error = %error, "{call_sid} is not recorded here: no thread could be started");
                Refused::NoThread
            })?;
        let registry = Arc::clone(&self.calls);
        let sid = call_sid.clone();
        self.options.tasks.spawn(async move {
            call.run(inbox).await;
            let mut calls = registry.lock().unwrap_or_else(PoisonError::into_inner);
            if calls.get(&sid).is_some_and(|entry| entry.number == number) {
                calls.remove(&sid);
            }
        });
        calls.insert(call_sid.clone(), Entry { number, mailbox: mailbox.clone(), shown });
        Ok(mailbox)
    }

    /// Says that Twilio says that the call is over. True if it was live here.
    pub fn call_ended(&self, call_sid: &CallSid) -> bool {
        let mailbox = self.calls().get(call_sid).map(|entry| entry.mailbox.clone());
        let Some(mailbox) = mailbox else { return false };
        match mailbox.try_send(Message::Ended) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(message)) => {
                // Frames stand in line; the word takes its place behind them.
                self.options.tasks.spawn(async move {
                    let _ = mailbox.send(message).await;
                });
            }
        }
        true
    }

    /// Says why one more call should not be heard, if it should not. A stream that comes all the same
    /// is taken when there is only no room: it was promised.
    pub fn refuses(&self) -> Option<Refused> {
        let no_room = self.options.vault.mark() >= Mark::Black;
        self.refuses_beside(self.live_count()).or(no_room.then_some(Refused::NoRoom))
    }

    fn refuses_beside(&self, live: usize) -> Option<Refused> {
        if self.options.stop.is_cancelled() {
            return Some(Refused::Stopping);
        }
        (live >= self.options.calls_max).then_some(Refused::Full)
    }

    /// Counts the calls in progress.
    pub fn live_count(&self) -> usize {
        self.calls().len()
    }

    /// Lists the calls in progress.
    pub fn live(&self) -> Vec<LiveCall> {
        let calls = self.calls();
        let mut live: Vec<LiveCall> = calls
            .iter()
            .map(|(call_sid, entry)| LiveCall {
                call_sid: call_sid.clone(),
                tracks: entry.shown.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            })
            .collect();
        live.sort_by(|a, b| a.call_sid.cmp(&b.call_sid));
        live
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<CallSid, Entry>> {
        // A panic elsewhere cannot leave the map half changed: each change is one call.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
