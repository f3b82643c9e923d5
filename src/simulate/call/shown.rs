//! The call as our own Twilio shows it, if there is one.

use std::sync::Arc;

use super::super::answer::{Answer, RecordingOrder};
use super::super::cloud::{Media, Placed};
use super::super::line::Letter;
use super::super::socket::Pace;
use super::super::sound::FRAME_BYTES;
use super::fields::direction;
use super::streams::parties;
use super::{Call, STATUS};
use crate::audio::ulaw;
use crate::domain::{RecordingSid, StreamTrack};

impl Call {
    /// Lets the call ring there.
    pub(super) fn show_ringing(&self) {
        let Some(cloud) = &self.options.cloud else { return };
        cloud.reached_by(Arc::clone(&self.line));
        cloud.ring(&Placed {
            sid: &self.options.call_sid,
            direction: direction(self.options.origin),
            from: &self.options.from,
            to: &self.options.to,
        });
    }

    /// Lets it be answered there, as the document says.
    pub(super) fn show_answered(&self, answer: &Answer) {
        if let Some(cloud) = &self.options.cloud {
            cloud.answer(&self.options.call_sid, &answer.dialled);
        }
    }

    /// Begins the recording there that the document orders.
    pub(super) fn show_recording(&self, order: RecordingOrder) -> Option<RecordingSid> {
        self.options.cloud.as_ref()?.record(&self.options.call_sid, order)
    }

    /// Says there how far the sound is at any time.
    pub(super) fn show_sound(&self, pace: Pace) {
        if let Some(cloud) = &self.options.cloud {
            cloud.sound_begins(&self.options.call_sid, pace);
        }
    }

    /// Leaves what is to be told to our own Twilio. Returns what nobody took.
    pub(super) fn hand_over(&self, letters: Vec<Letter>) -> Vec<Letter> {
        let Some(cloud) = &self.options.cloud else { return letters };
        for letter in letters {
            cloud.tell(&self.options.call_sid, letter);
        }
        Vec::new()
    }

    /// Ends the call there, with all that was said in its first `frames` frames, and waits until
    /// it has been told.
    pub(super) async fn show_end(&mut self, frames: u64, duration_s: u64) {
        let Some(cloud) = self.options.cloud.clone() else { return };
        let url = self.line.callback(STATUS);
        let letter = self.caller.progress(&url, "completed", Some(duration_s));
        let parties = parties(self.options.origin);
        let samples = usize::try_from(frames).unwrap_or(usize::MAX).saturating_mul(FRAME_BYTES);
        let channel = |track| {
            let mut channel = Vec::new();
            let said = self.sound.of(parties.party(track));
            ulaw::decode_into(said.get(..samples).unwrap_or(said), &mut channel);
            channel
        };
        // What Twilio hears from the recorded leg, and what it plays to it.
        let heard = Media::dual(&channel(StreamTrack::Inbound), &channel(StreamTrack::Outbound));
        cloud.hang_up(&self.options.call_sid, &heard, letter);
        for delivery in cloud.deliveries(&self.options.call_sid).await {
            self.note(delivery);
        }
    }
}
