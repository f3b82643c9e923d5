//! A call's way through this Twilio while it is played, and what is told of it.

use super::media::Media;
use super::outbox::Callback;
use super::recording::Recording;
use super::world::{BY_TWIML, Started, Wish};
use super::{Call, CallScript, Cloud, Shared};
use crate::domain::{CallSid, RecordingSid};
use crate::simulate::answer::{Answer, RecordingOrder};
use crate::simulate::forms::{Leg, Progress, RecordingNews};
use crate::simulate::line::Letter;
use crate::simulate::socket::Pace;

const STATUS: &str = "/twilio/status";

/// A call that is about to be played.
pub(in super::super) struct Placed<'a> {
    pub(in super::super) sid: &'a CallSid,
    pub(in super::super) direction: &'static str,
    pub(in super::super) from: &'a str,
    pub(in super::super) to: &'a str,
}

impl Cloud {
    /// Lets a call ring.
    pub(in super::super) fn ring(&self, placed: &Placed<'_>) {
        let now = self.shared.now();
        if self.call(placed.sid).is_some() {
            // It was placed by request.
            return self.change_call(placed.sid, |call| {
                "ringing".clone_into(&mut call.status);
                call.started.get_or_insert(now);
            });
        }
        let script = CallScript {
            sid: placed.sid.clone(),
            direction: placed.direction.to_owned(),
            from: placed.from.to_owned(),
            to: placed.to.to_owned(),
            dialled: Vec::new(),
            ..CallScript::inbound(now, std::time::Duration::ZERO).with_status("ringing")
        };
        self.place_call(script);
    }

    /// Lets a call be answered and put through to the numbers that its document dials: all ring, the
    /// first of them answers, and the others are let go.
    pub(in super::super) fn answer(&self, sid: &CallSid, answer: &Answer) {
        let legs: Vec<CallSid> = {
            let mut world = self.shared.world();
            if let Some(call) = world.call_mut(sid) {
                "in-progress".clone_into(&mut call.status);
            }
            let told = answer.leg_callback.as_deref();
            answer.dialled.iter().filter_map(|number| world.dial(sid, number, told)).collect()
        };
        for status in ["initiated", "ringing"] {
            for leg in &legs {
                self.come(leg, status, None);
            }
        }
        for (place, leg) in legs.iter().enumerate() {
            self.come(leg, if place == 0 { "in-progress" } else { "canceled" }, None);
        }
    }

    /// Says from when on the call's sound is played, and how fast.
    pub(in super::super) fn sound_begins(&self, sid: &CallSid, pace: Pace) {
        self.change_call(sid, |call| call.pace = Some(pace));
    }

    /// Begins the recording that the call's document orders.
    pub(in super::super) fn record(
        &self,
        sid: &CallSid,
        order: RecordingOrder,
    ) -> Option<RecordingSid> {
        let now = self.shared.now();
        let wish = Wish { call_sid: sid.clone(), source: BY_TWIML, order, now };
        let started = self.shared.world().record(wish);
        match started {
            Ok(Started::Now(recording)) => {
                self.shared.report_recording(&recording, "in-progress");
                Some(recording)
            }
            Ok(Started::Before(recording)) => Some(recording),
            Err(_) => None,
        }
    }

    /// Ends the call, whose status is told by `letter`.
    pub(in super::super) fn hang_up(&self, sid: &CallSid, heard: &Media, letter: Letter) {
        self.shared.end_call(sid, heard, Some(letter));
    }

    /// Tells something of a call.
    pub(in super::super) fn tell(&self, sid: &CallSid, letter: Letter) {
        self.shared.tell(sid, letter);
    }
}

impl Shared {
    /// Ends a call and tells of it, then of its recordings.
    pub(super) fn end_call(&self, sid: &CallSid, heard: &Media, letter: Option<Letter>) {
        let ended = {
            let mut world = self.world();
            if world.faults.offline_at_call_end {
                self.switch.go_offline();
            }
            world.end(sid, self.now(), heard)
        };
        for leg in self.legs_of(sid) {
            self.tell_progress(&leg, "completed");
        }
        match letter.or_else(|| self.status_letter(sid)) {
            Some(letter) => self.tell(sid, letter),
            None => return,
        }
        for recording in ended {
            self.report_recording_end(&recording);
        }
    }

    /// Returns the legs of a call that somebody answered.
    fn legs_of(&self, sid: &CallSid) -> Vec<CallSid> {
        let world = self.world();
        let of_call = |leg: &&Call| {
            leg.parent_sid.as_ref() == Some(sid) && leg.status == "completed" && leg.order.is_some()
        };
        world.calls.iter().filter(of_call).map(|leg| leg.sid.clone()).collect()
    }

    /// Tells all that is to be told of a call and its recordings.
    pub(super) fn report_call(&self, sid: &CallSid) {
        if let Some(letter) = self.status_letter(sid) {
            self.tell(sid, letter);
        }
        let of_call = |one: &Recording| one.call_sid == *sid;
        let recordings: Vec<RecordingSid> = {
            let world = self.world();
            world.recordings.iter().filter(|one| of_call(one)).map(|one| one.sid.clone()).collect()
        };
        for recording in recordings {
            self.report_recording_end(&recording);
        }
    }

    fn report_recording_end(&self, sid: &RecordingSid) {
        let status = self.world().recording(sid).map(|recording| recording.status.clone());
        if let Some(status) = status {
            self.report_recording(sid, &status);
        }
    }

    /// Tells of a recording, if whoever ordered it wants to know.
    pub(super) fn report_recording(&self, sid: &RecordingSid, event: &str) {
        let (call_sid, letter) = {
            let world = self.world();
            let Some(recording) = world.recording(sid) else { return };
            let Some(url) = recording.order.status_callback.clone() else { return };
            if !recording.order.wants(event) {
                return;
            }
            let news = RecordingNews {
                sid,
                order: &recording.order,
                source: &recording.source,
                event,
                began: recording.started,
                duration_s: recording.duration_s.filter(|_| event == "completed"),
                error_code: recording.error_code.unwrap_or(0),
            };
            let fields = news.form(&self.account_sid, recording.call_sid.as_str());
            let letter = Letter { url, event: event.to_owned(), fields };
            (recording.call_sid.clone(), letter)
        };
        self.tell(&call_sid, letter);
    }

    /// Writes how a call stands.
    fn status_letter(&self, sid: &CallSid) -> Option<Letter> {
        let world = self.world();
        let call = world.call(sid)?;
        let leg = Leg {
            account_sid: self.account_sid.to_string(),
            call_sid: sid.to_string(),
            parent_sid: None,
            direction: call.direction.clone(),
            from: call.from.clone(),
            to: call.to.clone(),
            has_places: !call.from.starts_with("client:"),
        };
        let progress = Progress {
            status: &call.status,
            sequence: 0,
            at: call.ended.unwrap_or(call.created),
            duration_s: call.duration_s,
        };
        let fields = leg.progress(&progress);
        let url = self.public_url.callback(STATUS);
        Some(Letter { url, event: call.status.clone(), fields })
    }

    pub(super) fn tell(&self, call_sid: &CallSid, letter: Letter) {
        let Letter { url, event, fields } = letter;
        let callback = Callback { call_sid: call_sid.clone(), event, url, fields };
        let now = self.now();
        {
            let mut world = self.world();
            let world = &mut *world;
            world.outbox.add(callback, &mut world.luck, now);
        }
        self.tell_change();
    }
}
