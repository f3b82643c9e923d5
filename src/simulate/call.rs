//! A call from its first webhook to its last.

mod fields;
mod shown;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::fields::Caller;
use super::answer::{Answer, RecordingOrder};
use super::line::{Delivery, Letter, Line, Outcome};
use super::report::{Heard, Report, Trouble};
use super::socket::{Pace, Socket};
use super::sound::{FRAME_BYTES, FRAME_MS, Sound};
use super::way::Way;
use super::{Error, Options};
use crate::domain::{BadSid, CallSid, Origin, RecordingSid, Samples8k, StreamTrack};

const VOICE: &str = "/twilio/voice";
const STATUS: &str = "/twilio/status";

/// Makes up a call that no other has been.
pub fn fresh_call_sid() -> CallSid {
    fresh_sid("CA")
}

/// Makes up a recording that no other has been.
pub(super) fn fresh_recording_sid() -> RecordingSid {
    fresh_sid("RE")
}

#[expect(clippy::expect_used, reason = "two letters and 32 hex digits are what a SID is")]
fn fresh_sid<S: std::str::FromStr<Err = BadSid>>(prefix: &str) -> S {
    format!("{prefix}{:032x}", rand::random::<u128>()).parse().expect("a SID")
}

/// A call under way.
pub(super) struct Call {
    options: Options,
    sound: Sound,
    stop: CancellationToken,
    line: Arc<Line>,
    caller: Caller,
    heard: Heard,
    report: Report,
    /// A stream's socket that stays open behind the end of its sound.
    lingering: Option<Socket>,
}

/// Twilio's own recording.
struct Recording {
    sid: RecordingSid,
    order: RecordingOrder,
}

impl Call {
    pub(super) fn new(
        options: Options,
        sound: Sound,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let report = Report {
            call_sid: options.call_sid.clone(),
            streams: Vec::new(),
            recording_sid: None,
            length: Samples8k::ZERO,
            inbound_frames: 0,
            outbound_frames: 0,
            dropped: Vec::new(),
            reordered: 0,
            duplicated: 0,
            webhooks: Vec::new(),
            troubles: Vec::new(),
        };
        let way = Way::new(&options.target, &options.public_url, options.roots.clone());
        let line = Line::new(way, options.public_url.clone(), options.auth_token.clone());
        let line = Arc::new(line.map_err(Error::Client)?);
        let heard = Heard::new(sound.frames());
        let caller = Caller::new(&options);
        Ok(Self { options, sound, stop, line, caller, heard, report, lingering: None })
    }

    /// Lives the call.
    pub(super) async fn live(mut self) -> Result<Report, Error> {
        self.show_ringing();
        if self.options.origin == Origin::Rest {
            for status in ["initiated", "ringing"] {
                self.progress(status, None).await;
            }
        }
        let answered = self.options.origin == Origin::Rest;
        let answer = self.ask(if answered { "in-progress" } else { "ringing" }).await?;
        let pace = Pace { epoch: Instant::now(), speed: self.options.speed };
        self.show_answered(&answer);
        self.show_sound(pace);
        let mut opening = Vec::new();
        if answered {
            opening.push(self.caller.progress(&self.line.callback(STATUS), "in-progress", None));
        }
        let recording = self.begin_recording(answer.recording, &mut opening);
        let opening = self.hand_over(opening);
        let pace = self.play(answer.stream, pace, opening).await;
        self.wait(pace.at(self.sound_time())).await;
        self.hang_up(pace, recording).await;
        Ok(self.report)
    }

    /// Asks the appliance what to do with the call.
    async fn ask(&mut self, call_status: &str) -> Result<Answer, Error> {
        let url = self.line.webhook(VOICE);
        let fields = self.caller.voice(call_status);
        let letter = Letter { url, event: call_status.to_owned(), fields };
        let Delivery { webhook, outcome } = self.line.deliver(&letter).await;
        self.report.webhooks.push(webhook);
        match outcome {
            Outcome::Answered { status: 200, content_type, body } => {
                let kind = content_type.split(';').next().unwrap_or_default().trim();
                if !matches!(kind, "text/xml" | "application/xml") {
                    let why = format!("its Content-Type is {kind:?} instead of text/xml");
                    return Err(Error::NotTwiml { why });
                }
                Answer::parse(&body)
            }
            Outcome::Answered { status: 403, .. } => Err(Error::Refused),
            Outcome::Answered { status, .. } => Err(Error::BadStatus { status }),
            Outcome::Lost { why } => {
                Err(Error::Unreachable { target: self.options.target.to_string(), why })
            }
            Outcome::Stray(trouble) => Err(Error::NotTwiml { why: trouble.to_string() }),
        }
    }

    /// Ends the call: its status, its recording, and only then a socket that nobody closed.
    async fn hang_up(&mut self, pace: Pace, recording: Option<Recording>) {
        let hung_up = self.stop.is_cancelled();
        let frames = if hung_up { self.frames_over(pace) } else { self.sound.frames() };
        self.report.length = Samples8k::new(frames * FRAME_BYTES as u64);
        let duration_s = self.report.length.as_millis().div_ceil(1000).max(1);
        if self.options.cloud.is_some() {
            self.show_end(frames, duration_s).await;
        } else {
            self.progress("completed", Some(duration_s)).await;
            if let Some(recording) = recording {
                let letter = self.caller.recording_news(&recording, "completed", Some(duration_s));
                self.tell_all(letter.into_iter().collect()).await;
            }
        }
        self.lingering = None;
        self.report.inbound_frames = self.heard.count(StreamTrack::Inbound);
        self.report.outbound_frames = self.heard.count(StreamTrack::Outbound);
        self.report.dropped = self.heard.dropped(frames, FRAME_BYTES as u64);
        self.report.reordered = self.heard.reordered;
        self.report.duplicated = self.heard.duplicated;
    }

    /// Begins the recording that the answer asks for, unless a Twilio of ours makes it.
    fn begin_recording(
        &mut self,
        order: Option<RecordingOrder>,
        opening: &mut Vec<Letter>,
    ) -> Option<Recording> {
        if self.options.cloud.is_some() {
            self.report.recording_sid = self.show_recording(order?);
            return None;
        }
        let recording = Recording { sid: fresh_recording_sid(), order: order? };
        self.report.recording_sid = Some(recording.sid.clone());
        opening.extend(self.caller.recording_news(&recording, "in-progress", None));
        Some(recording)
    }

    /// Tells how far the call has come.
    async fn progress(&mut self, status: &str, duration_s: Option<u64>) {
        let letter = self.caller.progress(&self.line.callback(STATUS), status, duration_s);
        let letters = self.hand_over(vec![letter]);
        self.tell_all(letters).await;
    }

    async fn tell_all(&mut self, letters: Vec<Letter>) {
        for delivery in deliver_all(&self.line, letters).await {
            self.note(delivery);
        }
    }

    /// Notes what came of a callback.
    fn note(&mut self, delivery: Delivery) {
        let Delivery { webhook, outcome } = delivery;
        let (path, event) = (webhook.path.clone(), webhook.event.clone());
        self.report.webhooks.push(webhook);
        let trouble = match outcome {
            Outcome::Answered { status: 200..=299, .. } => return,
            Outcome::Answered { status, .. } => Trouble::CallbackRefused { path, event, status },
            Outcome::Lost { why } => Trouble::CallbackLost { path, event, why },
            Outcome::Stray(trouble) => trouble,
        };
        self.report.troubles.push(trouble);
    }

    async fn wait(&self, until: Instant) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = sleep_until(until) => {}
        }
    }

    fn sound_time(&self) -> Duration {
        Duration::from_millis(self.sound.frames() * FRAME_MS)
    }

    /// Returns how many frames of the sound are over by now.
    fn frames_over(&self, pace: Pace) -> u64 {
        let over = pace.now().as_millis() / u128::from(FRAME_MS);
        u64::try_from(over).unwrap_or(u64::MAX).min(self.sound.frames())
    }
}

async fn deliver_all(line: &Line, letters: Vec<Letter>) -> Vec<Delivery> {
    let mut deliveries = Vec::with_capacity(letters.len());
    for letter in &letters {
        deliveries.push(line.deliver(letter).await);
    }
    deliveries
}
