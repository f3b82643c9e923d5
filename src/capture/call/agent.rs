//! The agent's own microphone in a call: fitted to its timeline, watched, and told when it is away.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{Message, OngoingCall, TAKE_MAX};
use crate::capture::desk::Sitting;
use crate::capture::fit::{AgentSound, Fit, Fitted};
use crate::capture::live::Shown;
use crate::capture::scribe::{Sound, Write};
use crate::domain::{Party, Samples8k, TrackSource};
use crate::store::GapRow;

/// How late a microphone's sound may come: what its ring holds.
const PATIENCE: Duration = Duration::from_secs(2);

/// A microphone that is so far behind the call is away, and the line is heard live instead.
const AWAY_AFTER: Samples8k = Samples8k::from_millis(1_000);

/// What is heard again of its sound when it is back, so that no word begins in the middle.
const BACK_BEFORE: Samples8k = Samples8k::from_millis(200);

/// How long the end of a call waits for the last of its sound.
const LAST_WITHIN: Duration = Duration::from_millis(250);

/// The agent's own source in one call.
pub(super) struct Agent {
    source: TrackSource,
    sitting: Sitting,
    fit: Fit,
    shown: Shown,
    /// Which copy of the agent's voice is heard live.
    heard: TrackSource,
}

impl Agent {
    pub(super) fn new(source: TrackSource, sitting: Sitting, shown: Shown) -> Self {
        shown.set_agent(source, Samples8k::ZERO);
        Self { source, sitting, fit: Fit::new(PATIENCE), shown, heard: source }
    }

    pub(super) fn source(&self) -> TrackSource {
        self.source
    }

    /// Says which copy of the agent's voice is the one to hear, and from where on, if that is
    /// another than before.
    fn turn(&mut self, limit: Samples8k) -> Option<(TrackSource, Samples8k)> {
        let heard_to = self.fit.heard_to();
        let is_away = limit.since(heard_to) > AWAY_AFTER.get();
        let lost_from = self.fit.mute_since().or_else(|| is_away.then_some(heard_to));
        let turned = match lost_from {
            Some(from) if self.heard == self.source => (TrackSource::Stream, from),
            None if self.heard != self.source => {
                (self.source, Samples8k::new(heard_to.since(BACK_BEFORE)))
            }
            _ => return None,
        };
        self.heard = turned.0;
        Some(turned)
    }
}

impl OngoingCall {
    /// The call's own clock: its frames have come to this place by now.
    pub(super) fn call_comes_to(&mut self, place: Samples8k) {
        if let Some(agent) = &mut self.agent {
            agent.fit.call_at(place, self.options.clock.since_boot());
        }
    }

    pub(super) fn hear_agent(&mut self, sound: AgentSound) {
        if let Some(agent) = &mut self.agent {
            agent.fit.hear(sound, self.options.clock.since_boot());
        }
    }

    /// Lets another call have the microphone while this one waits for its stream.
    pub(super) fn seat_waits(&self, is_waiting: bool) {
        if let Some(agent) = &self.agent {
            agent.sitting.set_waiting(is_waiting);
        }
    }

    /// Has written what the microphone has heard up to where the call is.
    pub(super) fn fit_agent(&mut self) {
        let limit = self.session.length();
        let Some(agent) = &mut self.agent else { return };
        let source = agent.source;
        let fitted = agent.fit.release(limit);
        let turned = agent.turn(limit);
        self.take_fitted(source, fitted);
        if let Some((copy, from)) = turned {
            self.hear_instead(source, copy, from);
        }
    }

    fn hear_instead(&self, source: TrackSource, copy: TrackSource, from: Samples8k) {
        let from = from.plus(self.offset.get());
        if let Some(agent) = &self.agent {
            agent.shown.set_agent(copy, from);
        }
        let at_s = from.as_secs_f64();
        if copy == source {
            tracing::info!(
                event = "agent.back", party = %Party::Agent,
                "the {source} is heard again in {} from {at_s:.1} s on", self.call_sid
            );
        } else {
            tracing::warn!(
                event = "agent.away", party = %Party::Agent,
                "the {source} is missing or silent in {} from {at_s:.1} s on: the agent is heard through Twilio", self.call_sid
            );
        }
    }

    /// Tells the ledger in which stretch the microphone is missing, while it is.
    pub(super) fn tell_agent_missing(&mut self) {
        let limit = self.session.length();
        let Some(agent) = &mut self.agent else { return };
        let source = agent.source;
        let missing = agent.fit.missing(limit);
        self.take_fitted(source, missing.into_iter().collect());
    }

    /// Hears what is still on its way up to the call's end.
    pub(super) async fn hear_the_last(&mut self, inbox: &mut mpsc::Receiver<Message>) {
        let waited = tokio::time::sleep(LAST_WITHIN);
        tokio::pin!(waited);
        let mut messages = Vec::with_capacity(TAKE_MAX);
        while self.agent_is_near() {
            tokio::select! {
                biased;
                () = &mut waited => return,
                _ = inbox.recv_many(&mut messages, TAKE_MAX) => {
                    for message in messages.drain(..) {
                        self.hear(message);
                    }
                }
            }
        }
    }

    /// Says whether the microphone's sound is behind the call, and not by far.
    fn agent_is_near(&self) -> bool {
        let behind = |agent: &Agent| self.session.length().since(agent.fit.heard_to());
        self.agent.as_ref().is_some_and(|agent| (1..AWAY_AFTER.get()).contains(&behind(agent)))
    }

    /// Ends it with the call.
    pub(super) fn end_agent(&mut self) {
        let limit = self.session.length();
        let Some(agent) = &mut self.agent else { return };
        let source = agent.source;
        let fitted = agent.fit.finish(limit);
        self.take_fitted(source, fitted);
    }

    fn take_fitted(&mut self, source: TrackSource, fitted: Vec<Fitted>) {
        let party = Party::Agent;
        for one in fitted {
            match one {
                Fitted::Write { at, wide } => {
                    self.batch.push(Write { party, source, at, sound: Sound::Wide(wide) });
                }
                Fitted::Gap { start, end, reason } => {
                    let (start, end) = (start.plus(self.offset.get()), end.plus(self.offset.get()));
                    // That it is away was told to the journal when it began.
                    self.gaps.push(GapRow { party, source, start, end, reason });
                }
            }
        }
    }
}
