//! One call in progress: a task that steps its [`Session`] and hands the work to its scribe.
//!
//! ```text
//!   Opened ──> open ──Closed──> waiting ──10 s──> over
//!                │  <──Opened──    │
//!                └──Ended──> draining (until Closed, or 2 s without a frame) ──> over
//! ```
//! The task waits for nobody: the ledger and the disk are told and not waited for until the call
//! is over.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use tracing::Instrument;

mod agent;
mod ending;
mod handing;
mod placing;

use self::agent::Agent;
use super::desk::Sitting;
use super::fit::AgentSound;
use super::live::Shown;
use super::recorder::{Options, StreamOpening};
use super::scribe::{self, Order, ScribeOptions, Sound, Write};
use super::session::{Effect, Event, Frame, Session};
use crate::clock::BootMoment;
use crate::domain::{
    CallSid, EndReason, PartyMap, RateHz, Samples8k, StreamSid, TrackSource, UnixMillis, last_four,
};
use crate::store::{CallId, GapRow, NewCall, NewStream, StoreError, StreamEnd, StreamPlace};
use crate::vault::Folder;

/// How often held frames are looked at and what is gathered goes to the scribe. At a crash this
/// much is lost at most, with what the session holds back.
const BEAT: Duration = Duration::from_millis(50);

/// How often gaps go to the ledger: once a sync tick.
const GAPS_EVERY: Duration = Duration::from_secs(1);

/// How long the ledger may take to say where a call's files are, before they are put where a new
/// call's go.
const PLACE_WITHIN: Duration = Duration::from_secs(5);

/// Messages taken from the mailbox at once.
const TAKE_MAX: usize = 64;

/// What a call's task is told.
#[derive(Debug)]
pub(super) enum Message {
    Opened { stream_no: u64, opening: StreamOpening },
    Frame { stream_no: u64, frame: Frame },
    Skipped { stream_no: u64, sequence: Option<u64>, unreadable: bool },
    Closed { stream_no: u64, stopped: bool },
    Agent(AgentSound),
    Ended,
}

/// The stream that is open.
struct OpenStream {
    stream_no: u64,
    sid: StreamSid,
    origin: Option<Samples8k>,
    frames: u64,
    skipped: u64,
    last_word: Duration,
}

type Placing = oneshot::Receiver<Result<StreamPlace, StoreError>>;

/// One call in progress.
pub(super) struct OngoingCall {
    options: Arc<Options>,
    call_sid: CallSid,
    scribe: SyncSender<Order>,
    session: Session,
    parties: Option<PartyMap>,
    agent: Option<Agent>,
    stream: Option<OpenStream>,
    announced: Option<NewCall>,
    placing: Option<(Placing, Duration)>,
    call: Option<CallId>,
    folder: Option<Folder>,
    offset: Samples8k,
    /// When its sound began.
    started: Option<(UnixMillis, BootMoment)>,
    batch: Vec<Write>,
    gaps: Vec<GapRow>,
    gaps_told: Duration,
    warned_of_gaps: bool,
    warned_of_skips: bool,
    disk_behind: bool,
    closed: Option<(Duration, UnixMillis, bool)>,
    ended: Option<Duration>,
    span: tracing::Span,
}

impl OngoingCall {
    /// Starts the call's scribe; the task itself is started by whoever runs it.
    pub(super) fn new(
        (options, call_sid, shown): (Arc<Options>, CallSid, Shown),
        rates: Vec<RateHz>,
        agent: Option<(TrackSource, Sitting)>,
    ) -> std::io::Result<Self> {
        let span = tracing::info_span!("call", call.sid = %call_sid);
        let scribe = scribe::start(ScribeOptions {
            vault: options.vault.clone(),
            clock: Arc::clone(&options.clock),
            rates,
            shown: shown.clone(),
            span: span.clone(),
        })?;
        Ok(Self {
            options,
            call_sid,
            scribe,
            session: Session::default(),
            parties: None,
            agent: agent.map(|(source, sitting)| Agent::new(source, sitting, shown)),
            stream: None,
            announced: None,
            placing: None,
            call: None,
            folder: None,
            offset: Samples8k::ZERO,
            started: None,
            batch: Vec::new(),
            gaps: Vec::new(),
            gaps_told: Duration::ZERO,
            warned_of_gaps: false,
            warned_of_skips: false,
            disk_behind: false,
            closed: None,
            ended: None,
            span,
        })
    }

    /// Runs until the call is over and its files are the ledger's.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let span = self.span.clone();
        async move {
            let stop = self.options.stop.clone();
            let mut beat = interval(BEAT);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut messages = Vec::with_capacity(TAKE_MAX);
            let reason = loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break EndReason::Interrupted,
                    _ = inbox.recv_many(&mut messages, TAKE_MAX) => {
                        for message in messages.drain(..) {
                            self.hear(message);
                        }
                    }
                    _ = beat.tick() => {
                        self.beat();
                        if let Some(reason) = self.over() {
                            break reason;
                        }
                    }
                }
            };
            self.hear_the_last(&mut inbox).await;
            inbox.close();
            while let Ok(message) = inbox.try_recv() {
                self.hear(message);
            }
            self.finish(reason).await;
        }
        .instrument(span)
        .await;
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Opened { stream_no, opening } => self.open(stream_no, opening),
            Message::Frame { stream_no, frame } => {
                if self.is_current(stream_no) {
                    self.count(|stream| stream.frames += 1);
                    self.step(Event::Frame(frame));
                }
            }
            Message::Skipped { stream_no, sequence, unreadable } => {
                if self.is_current(stream_no) {
                    self.count(|stream| stream.skipped += u64::from(unreadable));
                    if unreadable {
                        self.warn_of_skips("cannot be read");
                    }
                    if let Some(sequence) = sequence {
                        self.step(Event::Other { sequence });
                    }
                }
            }
            Message::Closed { stream_no, stopped } => {
                if self.is_current(stream_no) {
                    self.close(stopped);
                }
            }
            Message::Agent(sound) => self.hear_agent(sound),
            Message::Ended => {
                self.ended.get_or_insert(self.options.clock.since_boot());
            }
        }
    }

    fn is_current(&self, stream_no: u64) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.stream_no == stream_no)
    }

    fn count(&mut self, count: impl FnOnce(&mut OpenStream)) {
        let now = self.options.clock.since_boot();
        if let Some(stream) = &mut self.stream {
            stream.last_word = now;
            count(stream);
        }
    }

    fn open(&mut self, stream_no: u64, opening: StreamOpening) {
        if self.stream.is_some() {
            tracing::warn!(
                event = "stream.replaced",
                "another stream of {} takes over",
                self.call_sid
            );
            self.close(false);
        }
        let StreamOpening { call, stream_sid, verified, parties } = opening;
        let back = self.closed.take().is_some();
        self.seat_waits(false);
        tracing::info!(
            event = if back { "stream.resumed" } else { "stream.started" }, stream.sid = %stream_sid, verified,
            "sound of {} (…{}) begins to come", self.call_sid, last_four(&call.from_number).trim_start_matches('…')
        );
        self.step(Event::Opened);
        self.parties.get_or_insert(parties);
        self.stream = Some(OpenStream {
            stream_no,
            sid: stream_sid.clone(),
            origin: None,
            frames: 0,
            skipped: 0,
            last_word: self.options.clock.since_boot(),
        });
        self.announced.get_or_insert_with(|| call.clone());
        self.tell_ledger(NewStream { call, stream_sid, verified, boot: self.options.clock.boot() });
    }
    fn step(&mut self, event: Event) {
        let now = self.options.clock.since_boot();
        let (session, effects) = std::mem::take(&mut self.session).step(event, now);
        self.session = session;
        for effect in effects {
            self.apply(effect);
        }
    }

    fn apply(&mut self, effect: Effect) {
        let Some(parties) = self.parties else { return };
        match effect {
            Effect::Began { ago } => {
                let (at, mut boot) = (self.options.clock.now(), self.options.clock.boot());
                boot.since_boot = boot.since_boot.saturating_sub(ago);
                self.started.get_or_insert((at.minus(ago), boot));
                self.tell_beginning();
            }
            Effect::StreamBegan { origin } => {
                let origin = origin.plus(self.offset.get());
                if let Some(stream) = &mut self.stream {
                    stream.origin = Some(origin);
                }
            }
            Effect::Write { track, at, ulaw } => {
                let (party, source) = (parties.party(track), TrackSource::Stream);
                let write = Write { party, source, at, sound: Sound::Ulaw(ulaw) };
                self.call_comes_to(write.end());
                self.batch.push(write);
            }
            Effect::Gap { track, start, end, reason } => {
                self.gap(GapRow {
                    party: parties.party(track),
                    source: TrackSource::Stream,
                    start: start.plus(self.offset.get()),
                    end: end.plus(self.offset.get()),
                    reason,
                });
            }
            Effect::Skipped(skip) => {
                self.count(|stream| stream.skipped += 1);
                self.warn_of_skips(match skip {
                    super::Skip::Late => "came twice or too late",
                    super::Skip::TooFarAhead => "claims a time that the call has not reached",
                    super::Skip::NoStream => "came without a stream",
                });
            }
            Effect::Finished { .. } => {}
        }
    }
    fn beat(&mut self) {
        self.place();
        self.step(Event::Tick);
        self.fit_agent();
        self.flush();
        let now = self.options.clock.since_boot();
        if now.saturating_sub(self.gaps_told) >= GAPS_EVERY {
            self.gaps_told = now;
            self.tell_agent_missing();
            self.tell_gaps();
        }
    }
    fn close(&mut self, stopped: bool) {
        self.step(Event::Closed);
        self.seat_waits(true);
        let (now, at) = (self.options.clock.since_boot(), self.options.clock.now());
        self.closed = Some((now, at, stopped));
        let Some(stream) = self.stream.take() else { return };
        tracing::info!(
            event = "stream.stopped", stream.sid = %stream.sid, frames = stream.frames, skipped = stream.skipped,
            "the stream of {} {}", self.call_sid, if stopped { "stopped" } else { "broke off" }
        );
        let end = StreamEnd {
            stream_sid: stream.sid,
            at,
            origin: stream.origin,
            frames: stream.frames,
            frames_skipped: stream.skipped,
        };
        if let Err(error) = self.options.store.stream_stopped(end) {
            tracing::error!(error = %error, "the ledger did not take the end of the stream");
        }
    }
}
