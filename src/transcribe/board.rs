//! The words of calls in progress, for whoever is looking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::domain::{CallSid, Party};

/// Events a slow viewer may fall behind by before it starts afresh: half a busy minute of two
/// parties (a second: a segment, a guess at each, a status).
const EVENTS_MAX: usize = 120;

/// One stretch of speech heard while the call runs.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveSegment {
    /// Who spoke.
    pub party: Party,
    /// From here on the call's timeline.
    pub start_ms: u64,
    /// To here.
    pub end_ms: u64,
    /// What was heard.
    pub text: String,
    /// exp(mean log-probability of its tokens), 0 to 1.
    pub confidence: f64,
}

/// Something new about a call in progress.
#[derive(Debug, Clone, PartialEq)]
pub enum LiveEvent {
    /// Somebody said something: it will not change, and takes the place of what that party was
    /// guessed to be saying.
    Segment(LiveSegment),
    /// What a party seems to be saying just now, in place of what it seemed to say before;
    /// nothing if the text is empty.
    Guess(LiveSegment),
    /// How far the transcription is behind the speakers.
    Status {
        /// How long the oldest utterance that has ended has been waiting for its words.
        lag_s: f64,
    },
    /// The call is over; the after-call transcript will take this one's place.
    End,
}

#[derive(Debug)]
struct Live {
    segments: Vec<LiveSegment>,
    /// What each party seems to be saying just now; one a party at most.
    guesses: Vec<LiveSegment>,
    lag_s: f64,
    events: broadcast::Sender<LiveEvent>,
}

/// What a viewer gets on arrival: all so far, and everything from now on.
#[derive(Debug)]
pub struct LiveView {
    /// What has been heard so far, by time of transcription.
    pub segments: Vec<LiveSegment>,
    /// What each party seems to be saying just now.
    pub guesses: Vec<LiveSegment>,
    /// How far behind the transcription is.
    pub lag_s: f64,
    /// What comes next. A viewer told that it lagged should ask for the view again.
    pub events: broadcast::Receiver<LiveEvent>,
}

/// The board that live transcription writes on and the page reads from.
///
/// It keeps a call's words from [`LiveBoard::begin`] to [`LiveBoard::end`] and no longer.
#[derive(Debug, Clone, Default)]
pub struct LiveBoard {
    calls: Arc<Mutex<HashMap<CallSid, Live>>>,
}

impl LiveBoard {
    /// Opens a call's place on the board; again for a call that is there does nothing.
    pub fn begin(&self, call_sid: &CallSid) {
        self.calls().entry(call_sid.clone()).or_insert_with(|| Live {
            segments: Vec::new(),
            guesses: Vec::new(),
            lag_s: 0.0,
            events: broadcast::channel(EVENTS_MAX).0,
        });
    }

    /// Adds what was heard, for good.
    pub fn heard(&self, call_sid: &CallSid, segment: LiveSegment) {
        if let Some(live) = self.calls().get_mut(call_sid) {
            live.guesses.retain(|guess| guess.party != segment.party);
            live.segments.push(segment.clone());
            live.tell(LiveEvent::Segment(segment));
        }
    }

    /// Shows what a party seems to be saying just now; an empty text takes it back.
    pub fn guessed(&self, call_sid: &CallSid, guess: LiveSegment) {
        if let Some(live) = self.calls().get_mut(call_sid) {
            live.guesses.retain(|before| before.party != guess.party);
            if !guess.text.is_empty() {
                live.guesses.push(guess.clone());
            }
            live.tell(LiveEvent::Guess(guess));
        }
    }

    /// Says how far behind the speakers the transcription is.
    pub fn lags(&self, call_sid: &CallSid, lag_s: f64) {
        if let Some(live) = self.calls().get_mut(call_sid) {
            live.lag_s = lag_s;
            live.tell(LiveEvent::Status { lag_s });
        }
    }

    /// Takes every call off the board.
    pub fn clear(&self) {
        for (_, live) in self.calls().drain() {
            live.tell(LiveEvent::End);
        }
    }

    /// Takes the call off the board.
    pub fn end(&self, call_sid: &CallSid) {
        if let Some(live) = self.calls().remove(call_sid) {
            live.tell(LiveEvent::End);
        }
    }

    /// Looks at a call in progress; none when it is not on the board.
    pub fn view(&self, call_sid: &CallSid) -> Option<LiveView> {
        self.calls().get(call_sid).map(|live| LiveView {
            segments: live.segments.clone(),
            guesses: live.guesses.clone(),
            lag_s: live.lag_s,
            events: live.events.subscribe(),
        })
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<CallSid, Live>> {
        // A holder that panicked left at worst one segment unsent: the map itself is whole.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn tell(&self, event: LiveEvent) {
        // An error only means that nobody is looking.
        let _ = self.events.send(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(text: &str) -> LiveSegment {
        LiveSegment {
            party: Party::Agent,
            start_ms: 0,
            end_ms: 900,
            text: text.to_owned(),
            confidence: 0.9,
        }
    }

    #[test]
    fn a_late_viewer_sees_what_was_said_before_and_hears_what_comes() {
        let board = LiveBoard::default();
        let sid: CallSid = format!("CA{}", "1".repeat(32)).parse().unwrap();
        board.heard(&sid, segment("to nobody"));
        assert!(board.view(&sid).is_none(), "not begun");
        board.begin(&sid);
        board.heard(&sid, segment("one"));
        let mut view = board.view(&sid).unwrap();
        assert_eq!(view.segments, [segment("one")]);
        board.begin(&sid);
        board.lags(&sid, 1.5);
        board.heard(&sid, segment("two"));
        board.end(&sid);
        assert_eq!(view.events.try_recv().unwrap(), LiveEvent::Status { lag_s: 1.5 });
        assert_eq!(view.events.try_recv().unwrap(), LiveEvent::Segment(segment("two")));
        assert_eq!(view.events.try_recv().unwrap(), LiveEvent::End);
        assert!(board.view(&sid).is_none());
    }

    #[test]
    fn a_guess_is_replaced_by_the_next_and_by_what_was_said() {
        let board = LiveBoard::default();
        let sid: CallSid = format!("CA{}", "1".repeat(32)).parse().unwrap();
        let other = |text: &str| LiveSegment { party: Party::Technician, ..segment(text) };
        board.begin(&sid);
        board.guessed(&sid, segment("I"));
        board.guessed(&sid, other("hello"));
        board.guessed(&sid, segment("I see"));
        assert_eq!(board.view(&sid).unwrap().guesses, [other("hello"), segment("I see")]);
        board.heard(&sid, segment("I see."));
        assert_eq!(board.view(&sid).unwrap().guesses, [other("hello")]);
        board.guessed(&sid, other(""));
        let view = board.view(&sid).unwrap();
        assert_eq!((view.segments, view.guesses), (vec![segment("I see.")], vec![]));
    }
}
