//! What of the calls in progress is shown to whoever writes down live.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{CallSid, Party, RateHz, Samples8k, TrackSource};

/// A file under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveTrack {
    /// Whose voice.
    pub party: Party,
    /// Where it comes from.
    pub source: TrackSource,
    /// Where it is while it grows; its samples begin after the header.
    pub part_path: PathBuf,
    /// Its rate.
    pub rate: RateHz,
    /// Where its first sample lies on the call's timeline.
    pub origin: Samples8k,
    /// From where on the call's timeline it is the one to hear: of a party's copies one at a time.
    pub heard_from: Samples8k,
}

/// A call in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCall {
    /// Its name.
    pub call_sid: CallSid,
    /// Its files under way, at the widest rate kept, one copy of each party's voice.
    pub tracks: Vec<LiveTrack>,
}

/// What a call shows of itself. A clone is another handle to the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    tracks: Vec<LiveTrack>,
    /// Which copy of the agent's voice is to be heard, and from where; none while there is one.
    agent: Option<(TrackSource, Samples8k)>,
}

impl Shown {
    /// Says which files are under way.
    pub(super) fn set_tracks(&self, tracks: Vec<LiveTrack>) {
        self.lock().tracks = tracks;
    }

    /// Says which copy of the agent's voice is to be heard, from a place on the call's timeline on.
    pub(super) fn set_agent(&self, source: TrackSource, from: Samples8k) {
        self.lock().agent = Some((source, from));
    }

    /// Returns the files that are to be heard.
    pub(super) fn tracks(&self) -> Vec<LiveTrack> {
        let inside = self.lock();
        let is_heard = |track: &&LiveTrack| match inside.agent {
            Some((source, _)) if track.party == Party::Agent => track.source == source,
            _ => true,
        };
        let heard = inside.tracks.iter().filter(is_heard).cloned();
        let from = |mut track: LiveTrack| {
            if let (Party::Agent, Some((_, from))) = (track.party, inside.agent) {
                track.heard_from = from;
            }
            track
        };
        heard.map(from).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // Each change is one assignment: a panic elsewhere leaves nothing half done.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_agents_copies_one_is_heard() {
        let track = |party, source| LiveTrack {
            party,
            source,
            part_path: PathBuf::new(),
            rate: RateHz::Hz16000,
            origin: Samples8k::ZERO,
            heard_from: Samples8k::ZERO,
        };
        let shown = Shown::default();
        shown.set_tracks(vec![
            track(Party::Agent, TrackSource::Microphone),
            track(Party::Agent, TrackSource::Stream),
            track(Party::Technician, TrackSource::Stream),
        ]);
        for source in [TrackSource::Microphone, TrackSource::Stream] {
            shown.set_agent(source, Samples8k::new(7));
            let heard = shown.tracks();
            let agent = LiveTrack { heard_from: Samples8k::new(7), ..track(Party::Agent, source) };
            assert_eq!(heard, [agent, track(Party::Technician, TrackSource::Stream)]);
        }
    }
}
