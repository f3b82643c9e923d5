//! All that this Twilio knows.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::call::{Call, CallScript, seconds};
use super::faults::Faults;
use super::journal::Request;
use super::media::Media;
use super::numbers::Number;
use super::outbox::Outbox;
use super::recording::{Recording, RecordingScript};
use super::reply::Refusal;
use crate::domain::{BadSid, CallSid, NumberSid, RecordingSid, UnixMillis};
use crate::simulate::answer::RecordingOrder;
use crate::simulate::sound::FRAME_BYTES;

/// What the API calls a recording that was begun through it.
pub(super) const BY_REQUEST: &str = "StartCallRecordingAPI";

/// What it calls one that the call's `TwiML` asked for.
pub(super) const BY_TWIML: &str = "StartCallRecordingTwiML";

pub(super) struct World {
    pub(super) calls: Vec<Call>,
    pub(super) recordings: Vec<Recording>,
    pub(super) numbers: Vec<Number>,
    pub(super) faults: Faults,
    pub(super) journal: Vec<Request>,
    pub(super) outbox: Outbox,
    pub(super) luck: StdRng,
}

/// What a wish to record comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Started {
    /// A recording begins.
    Now(RecordingSid),
    /// There is one already; it is all that there will be.
    Before(RecordingSid),
}

/// A recording that is to begin.
pub(super) struct Wish {
    pub(super) call_sid: CallSid,
    pub(super) source: &'static str,
    pub(super) order: RecordingOrder,
    pub(super) now: UnixMillis,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            calls: Vec::new(),
            recordings: Vec::new(),
            numbers: Vec::new(),
            faults: Faults::default(),
            journal: Vec::new(),
            outbox: Outbox::default(),
            luck: StdRng::seed_from_u64(seed),
        }
    }

    pub(super) fn call(&self, sid: &CallSid) -> Option<&Call> {
        self.calls.iter().find(|call| call.sid == *sid)
    }

    pub(super) fn call_mut(&mut self, sid: &CallSid) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.sid == *sid)
    }

    pub(super) fn recording(&self, sid: &RecordingSid) -> Option<&Recording> {
        self.recordings.iter().find(|recording| recording.sid == *sid)
    }

    pub(super) fn recording_mut(&mut self, sid: &RecordingSid) -> Option<&mut Recording> {
        self.recordings.iter_mut().find(|recording| recording.sid == *sid)
    }

    /// Returns the leg that the recordings of a leg hang on.
    pub(super) fn parent_of(&self, sid: &CallSid) -> Option<CallSid> {
        let call = self.call(sid)?;
        Some(call.parent_sid.clone().unwrap_or_else(|| call.sid.clone()))
    }

    /// Puts a call there, its recordings reporting as `order` says.
    pub(super) fn place(&mut self, script: CallScript, order: &RecordingOrder) {
        let luck = &mut self.luck;
        self.calls.extend(script.legs(|| fresh("CA", luck)));
        for recording in script.recordings {
            let recording = recording.of_call(&script.sid, script.started, order.clone());
            self.recordings.push(recording);
        }
    }

    /// Adds a recording that was begun elsewhere.
    pub(super) fn add(
        &mut self,
        call_sid: &CallSid,
        script: RecordingScript,
        order: RecordingOrder,
    ) {
        let started = self.call(call_sid).and_then(|call| call.started);
        let started = started.unwrap_or(UnixMillis::new(0));
        self.recordings.push(script.of_call(call_sid, started, order));
    }

    /// Gives the account a number.
    pub(super) fn own(&mut self, phone_number: &str, friendly_name: &str) -> NumberSid {
        let sid: NumberSid = fresh("PN", &mut self.luck);
        self.numbers.push(Number {
            sid: sid.clone(),
            phone_number: phone_number.to_owned(),
            friendly_name: friendly_name.to_owned(),
            voice: true,
            settings: Vec::new(),
        });
        sid
    }

    /// Lets a leg dial another.
    pub(super) fn dial(&mut self, sid: &CallSid, number: &str) {
        let child_sid = fresh("CA", &mut self.luck);
        if let Some(child) = self.call(sid).map(|call| call.child(child_sid, number)) {
            self.calls.push(child);
        }
    }

    /// Begins a recording if the call is in progress and has none from this source.
    pub(super) fn record(&mut self, wish: Wish) -> Result<Started, Refusal> {
        let parent = self.parent_of(&wish.call_sid).ok_or(Refusal::NOT_FOUND)?;
        let call = self.call(&parent).ok_or(Refusal::NOT_FOUND)?;
        let by_request = wish.source == BY_REQUEST;
        let too_early = |after| wish.now < call.created.plus(after);
        if call.status != "in-progress"
            || (by_request && self.faults.too_early_for.is_some_and(too_early))
        {
            return Err(Refusal::NOT_ELIGIBLE);
        }
        let first_frame = match (by_request, call.pace) {
            // Asked for with the call, so from its first moment.
            (false, _) | (true, None) => 0,
            (true, Some(pace)) => frames(pace.now()),
        };
        let same = |recording: &&Recording| {
            recording.call_sid == parent
                && recording.source == wish.source
                && recording.is_under_way()
        };
        if let Some(known) = self.recordings.iter().find(same) {
            return Ok(Started::Before(known.sid.clone()));
        }
        let sid: RecordingSid = fresh("RE", &mut self.luck);
        self.recordings.push(Recording {
            sid: sid.clone(),
            call_sid: parent,
            source: wish.source.to_owned(),
            status: "in-progress".to_owned(),
            track: wish.order.track.clone(),
            channels: if wish.order.channels == "1" { 1 } else { 2 },
            started: wish.now,
            ended: None,
            duration_s: None,
            error_code: None,
            deleted: false,
            media: None,
            served_bytes: 0,
            order: wish.order,
            first_frame,
        });
        Ok(Started::Now(sid))
    }

    /// Ends a call with its legs and its recordings. Returns the recordings that ended by it.
    pub(super) fn end(
        &mut self,
        sid: &CallSid,
        now: UnixMillis,
        heard: &Media,
    ) -> Vec<RecordingSid> {
        for call in &mut self.calls {
            if call.sid == *sid || call.parent_sid.as_ref() == Some(sid) {
                "completed".clone_into(&mut call.status);
                call.ended = Some(now);
                call.duration_s = Some(seconds(heard.length()).max(1));
            }
        }
        let absent = self.faults.absent;
        let mut ended = Vec::new();
        for recording in &mut self.recordings {
            if recording.call_sid == *sid && recording.is_under_way() {
                recording.end(now, heard, absent);
                ended.push(recording.sid.clone());
            }
        }
        ended
    }

    /// Deletes a call's record; one that is in progress stays.
    pub(super) fn delete_call(&mut self, sid: &CallSid) -> Result<(), Refusal> {
        match self.call(sid) {
            None => Err(Refusal::NOT_FOUND),
            Some(call) if call.ended.is_none() => Err(Refusal::STILL_RECORDING),
            Some(_) => {
                self.calls.retain(|call| call.sid != *sid);
                Ok(())
            }
        }
    }

    /// Deletes a recording, as far as Twilio does.
    pub(super) fn delete(&mut self, sid: &RecordingSid) -> Result<(), Refusal> {
        match self.recording_mut(sid) {
            None => Err(Refusal::NOT_FOUND),
            Some(recording) if recording.deleted => Err(Refusal::NOT_FOUND),
            Some(recording) if recording.is_under_way() => Err(Refusal::STILL_RECORDING),
            Some(recording) => {
                recording.deleted = true;
                Ok(())
            }
        }
    }
}

fn frames(played: std::time::Duration) -> u64 {
    // A sample of the telephone is an eighth of a millisecond; whole frames, as they are sent.
    let samples = u64::try_from(played.as_millis()).unwrap_or(u64::MAX).saturating_mul(8);
    samples - samples % FRAME_BYTES as u64
}

#[expect(clippy::expect_used, reason = "two letters and 32 hex digits are what a SID is")]
fn fresh<S: std::str::FromStr<Err = BadSid>>(prefix: &str, luck: &mut StdRng) -> S {
    format!("{prefix}{:032x}", luck.random::<u128>()).parse().expect("a SID")
}
