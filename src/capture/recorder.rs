//! All calls in progress.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::call::{Message, OngoingCall};
use super::desk::{Desk, Sitting};
use super::fit::AgentSound;
use super::live::{LiveCall, Shown};
use super::session::Frame;
use crate::clock::SharedClock;
use crate::domain::{CallSid, PartyMap, RateHz, StreamSid, TrackSource};
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
    /// What calls go by until they are told otherwise.
    pub limits: Limits,
    /// Where the agent is heard beside Twilio's stream; none hears it there only.
    pub agent: Option<TrackSource>,
    /// Who waits for the calls' tasks.
    pub tasks: TaskTracker,
    /// Cancelled when the program stops; every call is sealed then.
    pub stop: CancellationToken,
}

/// Takes the streams of all calls; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    options: Arc<Options>,
    limits: Arc<Mutex<Limits>>,
    calls: Arc<Mutex<HashMap<CallSid, Entry>>>,
    desk: Desk,
    numbers: Arc<AtomicU64>,
}

/// What calls that begin from now on go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The rates of their files.
    pub rates: Vec<RateHz>,
    /// Calls heard at once.
    pub calls_max: usize,
}

struct Entry {
    number: u64,
    mailbox: mpsc::Sender<Message>,
    shown: Shown,
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
            limits: Arc::new(Mutex::new(options.limits.clone())),
            options: Arc::new(options),
            calls: Arc::default(),
            desk: Desk::default(),
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
        let Limits { rates, calls_max } = self.limits().clone();
        let mut calls = self.calls();
        if let Some(refused) = self.refuses_beside(calls.len(), calls_max) {
            return Err(refused);
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (mailbox, inbox) = mpsc::channel(MAILBOX_MAX);
        let shown = Shown::default();
        let agent = self.sit_down(number, call_sid, &mailbox);
        let call = (Arc::clone(&self.options), call_sid.clone(), shown.clone());
        let call = OngoingCall::new(call, rates, agent)
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

    /// Gives the agent's own microphone to a call, if there is one and no other call has it.
    fn sit_down(
        &self,
        number: u64,
        call_sid: &CallSid,
        mailbox: &mpsc::Sender<Message>,
    ) -> Option<(TrackSource, Sitting)> {
        let source = self.options.agent?;
        match self.desk.take(number, call_sid, mailbox.clone()) {
            Ok(sitting) => Some((source, sitting)),
            Err(other) => {
                tracing::warn!(
                    event = "microphone.taken", call.sid = %call_sid,
                    "the {source} is with {other}: the agent of {call_sid} is heard through Twilio only"
                );
                None
            }
        }
    }

    /// Says whether a call is there to hear the agent's own microphone.
    pub fn hears_agent(&self) -> bool {
        self.desk.is_taken()
    }

    /// Takes what the agent's own microphone hears, for the call that has it. It never waits.
    pub fn hear_agent(&self, sound: AgentSound) {
        self.desk.hear(sound);
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
        let calls_max = self.limits().calls_max;
        self.refuses_beside(self.live_count(), calls_max).or(no_room.then_some(Refused::NoRoom))
    }

    fn refuses_beside(&self, live: usize, calls_max: usize) -> Option<Refused> {
        if self.options.stop.is_cancelled() {
            return Some(Refused::Stopping);
        }
        (live >= calls_max).then_some(Refused::Full)
    }

    /// Changes what calls go by that begin from now on; those in progress go on as they began.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits() = limits;
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
                tracks: entry.shown.tracks(),
            })
            .collect();
        live.sort_by(|a, b| a.call_sid.cmp(&b.call_sid));
        live
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<CallSid, Entry>> {
        // A panic elsewhere cannot leave the map half changed: each change is one call.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
