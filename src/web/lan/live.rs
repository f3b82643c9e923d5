//! The words of a call in progress as server-sent events: `segment`, `provisional`, `status`,
//! `end`.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::sync::broadcast;
use tracing::error;

use super::LanState;
use super::problem::Problem;
use super::query::call_sid;
use super::wire::{Live, LiveStatus, Said};
use crate::domain::CallSid;
use crate::transcribe::{LiveEvent, LiveView};

/// How often to look whether a call that is not on the board has come onto it, or has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Silence on the line after which a comment is sent, so that a viewer who left is noticed.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// `GET /api/v1/calls/{call_sid}/live`
///
/// A viewer gets what was said so far, then what comes. One who is too slow gets all of it again:
/// a segment says its place, and a place once told never changes. A provisional line is what a
/// speaker seems to be saying just now: the next one of that speaker, or the next segment, takes
/// its place, and one without text takes it back.
pub(super) async fn live(
    State(state): State<LanState>,
    Path(sid): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let sid = call_sid(&sid)?;
    if state.store.call(&sid).await?.is_none() {
        return Err(Problem::not_found("no such call"));
    }
    let viewer =
        Viewer { state, sid, outbox: Vec::new(), watching: Watching::Nothing, told: false };
    let events = stream::unfold(viewer, |mut viewer| async {
        viewer.next().await.map(|event| (Ok(event), viewer))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY)))
}

/// What a viewer's stream hangs on.
#[derive(Debug)]
enum Watching {
    /// The call is not on the board.
    Nothing,
    /// It is; so many segments have been told.
    Board { events: broadcast::Receiver<LiveEvent>, said: usize },
    /// The end has been told.
    Over,
}

struct Viewer {
    state: LanState,
    sid: CallSid,
    /// Events made and not yet taken, the next one last: at most a view of the whole call.
    outbox: Vec<Event>,
    watching: Watching,
    /// Whether the viewer knows that there are no words to come yet.
    told: bool,
}

impl Viewer {
    async fn next(&mut self) -> Option<Event> {
        let stopping = self.state.stopping.clone();
        self.state.schedule.look_at(&self.sid);
        loop {
            if let Some(event) = self.outbox.pop() {
                return Some(event);
            }
            match self.watching {
                Watching::Over => return None,
                Watching::Nothing => stopping.run_until_cancelled(self.look()).await?,
                Watching::Board { .. } => stopping.run_until_cancelled(self.listen()).await?,
            }
        }
    }

    /// Looks for the call on the board; one that has ended will not come onto it any more.
    async fn look(&mut self) {
        if let Some(view) = self.state.board.view(&self.sid) {
            return self.show(view);
        }
        match self.state.store.call(&self.sid).await {
            Ok(Some(detail)) if detail.call.is_live() => {
                if !self.told {
                    self.told = true;
                    self.outbox.push(event("status", &LiveStatus { lag_s: None }));
                    return;
                }
            }
            Ok(_) => return self.end(),
            Err(error) => {
                error!(call.sid = %self.sid, %error, "the ledger did not answer a live viewer");
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }

    fn show(&mut self, view: LiveView) {
        let LiveView { segments, guesses, lag_s, events } = view;
        self.watching = Watching::Board { events, said: segments.len() };
        let said = segments.into_iter().enumerate();
        self.outbox.extend(said.map(|(n, segment)| event("segment", &Live::new(n, segment))));
        let guesses = guesses.into_iter().map(|guess| event("provisional", &Said::from(guess)));
        self.outbox.extend(guesses);
        self.outbox.push(event("status", &LiveStatus { lag_s: Some(lag_s) }));
        self.outbox.reverse();
    }

    async fn listen(&mut self) {
        let Watching::Board { events, said } = &mut self.watching else { return };
        match events.recv().await {
            Ok(LiveEvent::Segment(segment)) => {
                self.outbox.push(event("segment", &Live::new(*said, segment)));
                *said += 1;
            }
            Ok(LiveEvent::Guess(guess)) => {
                self.outbox.push(event("provisional", &Said::from(guess)));
            }
            Ok(LiveEvent::Status { lag_s }) => {
                self.outbox.push(event("status", &LiveStatus { lag_s: Some(lag_s) }));
            }
            Ok(LiveEvent::End) | Err(broadcast::error::RecvError::Closed) => self.end(),
            // Too slow: all of it again.
            Err(broadcast::error::RecvError::Lagged(_)) => self.watching = Watching::Nothing,
        }
    }

    fn end(&mut self) {
        self.watching = Watching::Over;
        self.outbox.push(event("end", &End {}));
    }
}

/// Nothing more to say.
#[derive(Serialize)]
struct End {}

fn event(name: &'static str, data: &impl Serialize) -> Event {
    // Plain structs of text and numbers always become JSON, without a line break in it.
    Event::default().event(name).json_data(data).unwrap_or_default()
}
