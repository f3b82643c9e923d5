//! The call's streams: mostly one, two if the first is to be cut.

use std::time::Duration;

use tokio::time::Instant;

use super::super::answer::{Answer, StreamOrder};
use super::super::faults::Ending;
use super::super::line::Letter;
use super::super::plan::{Plan, Stretch};
use super::super::report::Trouble;
use super::super::socket::{Pace, Performance, PlayEnd, Socket};
use super::fields::StreamNews;
use super::{Call, deliver_all, fresh_sid};
use crate::domain::{Direction, Origin, PartyMap, StreamSid};
use crate::twilio::media::{MediaFormat, MediaMessage, Parameters, Start, Stop};

/// One of a call's streams.
#[derive(Clone, Copy)]
struct Leg {
    number: u64,
    /// The frame of the sound it begins with.
    first: u64,
    cut_at: Option<Duration>,
}

/// A stream that Twilio was asked for.
struct Ordered<'a> {
    order: &'a StreamOrder,
    sid: StreamSid,
}

impl Call {
    /// Plays the sound as the answer asks. Returns the call's own time, which begins with the
    /// first stream.
    pub(super) async fn play(
        &mut self,
        order: Option<StreamOrder>,
        mut pace: Pace,
        opening: Vec<Letter>,
    ) -> Pace {
        let Some(order) = order else {
            self.report.troubles.push(Trouble::NoStream);
            self.tell_all(opening).await;
            return pace;
        };
        let leg = Leg { number: 0, first: 0, cut_at: self.options.faults.cut_after };
        let end = Box::pin(self.stream(&order, &mut pace, leg, opening)).await;
        if matches!(end, Some(PlayEnd::Cut)) {
            self.wait(pace.at(pace.now() + self.options.faults.cut_away)).await;
            if !self.stop.is_cancelled() {
                self.resume(&mut pace).await;
            }
        }
        pace
    }

    /// Goes on after a cut, with a new stream from where the sound is by now.
    async fn resume(&mut self, pace: &mut Pace) {
        match self.ask("in-progress").await {
            Ok(Answer { stream: Some(order), .. }) => {
                let leg = Leg { number: 1, first: self.frames_over(*pace), cut_at: None };
                Box::pin(self.stream(&order, pace, leg, Vec::new())).await;
            }
            Ok(Answer { stream: None, .. }) => self.report.troubles.push(Trouble::NoStream),
            Err(error) => {
                let why = error.to_string();
                self.report.troubles.push(Trouble::NotResumed { why });
            }
        }
    }

    /// Plays one stream while the news of its start, and the call's other ones, are told.
    async fn stream(
        &mut self,
        order: &StreamOrder,
        pace: &mut Pace,
        leg: Leg,
        mut opening: Vec<Letter>,
    ) -> Option<PlayEnd> {
        let ordered = Ordered { order, sid: fresh_sid("MZ") };
        let mut socket = match self.open(&ordered).await {
            Ok(socket) => socket,
            Err(trouble) => {
                opening.extend(self.news(&ordered, "stream-error", Some(&trouble)));
                self.report.troubles.push(trouble);
                self.tell_all(opening).await;
                return None;
            }
        };
        opening.extend(self.news(&ordered, "stream-started", None));
        self.report.streams.push(ordered.sid.clone());
        if leg.number == 0 {
            pace.epoch = Instant::now();
        }
        self.show_sound(*pace);
        let stretch = Stretch { first: leg.first, end: self.sound.frames() };
        let mut plan = Plan::new(&self.options.faults, &order.tracks, stretch, leg.number);
        let performance = Performance {
            stream_sid: &ordered.sid,
            sound: &self.sound,
            parties: parties(self.options.origin),
            pace: *pace,
            cut_at: leg.cut_at,
            stop: &self.stop,
        };
        let (end, told) = tokio::join!(
            socket.play(&mut plan, &performance, &mut self.heard),
            deliver_all(&self.line, opening),
        );
        for delivery in told {
            self.note(delivery);
        }
        let trouble = self.end(socket, &end, plan.next_sequence(), &ordered.sid).await;
        let event = if trouble.is_some() { "stream-error" } else { "stream-stopped" };
        let news = self.news(&ordered, event, trouble.as_ref());
        self.report.troubles.extend(trouble);
        self.tell_all(news.into_iter().collect()).await;
        Some(end)
    }

    /// Opens a stream's socket and introduces it.
    async fn open(&self, ordered: &Ordered<'_>) -> Result<Socket, Trouble> {
        let Ordered { order, sid } = ordered;
        let mut socket = Socket::connect(&self.line, &order.url).await?;
        let start = Start {
            sequence: 1,
            stream_sid: sid.clone(),
            account_sid: self.options.account_sid.clone(),
            call_sid: self.options.call_sid.clone(),
            tracks: order.tracks.clone(),
            format: MediaFormat::mulaw(),
            parameters: order.parameters.iter().cloned().collect::<Parameters>(),
        };
        socket.send(MediaMessage::connected_frame()).await?;
        socket.send(start.frame()).await?;
        Ok(socket)
    }

    /// Ends a stream the way its sound ended, a cut one without a word. Returns what went wrong
    /// with it.
    async fn end(
        &mut self,
        mut socket: Socket,
        end: &PlayEnd,
        sequence: u64,
        sid: &StreamSid,
    ) -> Option<Trouble> {
        match (end, self.options.faults.ending) {
            (PlayEnd::Cut, _) => None,
            (PlayEnd::Lost(trouble), _) => Some(trouble.clone()),
            (PlayEnd::Finished | PlayEnd::HungUp, Ending::Silence) => {
                self.lingering = Some(socket);
                None
            }
            (PlayEnd::Finished | PlayEnd::HungUp, Ending::Stop) => {
                let stop = Stop {
                    sequence: Some(sequence),
                    stream_sid: Some(sid.clone()),
                    account_sid: Some(self.options.account_sid.clone()),
                    call_sid: Some(self.options.call_sid.clone()),
                };
                let sent = socket.send(stop.frame()).await;
                if sent.is_ok() {
                    socket.close().await;
                }
                sent.err()
            }
        }
    }

    fn news(
        &self,
        ordered: &Ordered<'_>,
        event: &'static str,
        trouble: Option<&Trouble>,
    ) -> Option<Letter> {
        self.caller.stream_news(StreamNews {
            order: ordered.order,
            sid: &ordered.sid,
            event,
            error: trouble.map(ToString::to_string),
            at: self.options.clock.now(),
        })
    }
}

pub(super) fn parties(origin: Origin) -> PartyMap {
    let direction = match origin {
        Origin::Number => Direction::Inbound,
        Origin::Client | Origin::Rest => Direction::Outbound,
    };
    PartyMap::new(direction, origin, false)
}
