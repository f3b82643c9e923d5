//! Whether Twilio can be reached, and what was caught up when it could not, in a line.

use super::super::undone::{self, Reach};
use super::super::{LanState, problem::Problem};
use super::{Moment, words};
use crate::domain::lasting;
use crate::store::{Backlog, Outage};

/// The line on top of the list and of the queue; empty while there is nothing to tell.
pub(super) enum Banner {
    /// Nothing to tell.
    Nothing,
    /// Twilio cannot be reached.
    Away { since: Moment, waiting: String },
    /// It can be again, and this was caught up.
    CaughtUp { text: String },
    /// A person has paused something.
    Paused { since: Moment },
}

impl Banner {
    /// Asks the ledger.
    pub(super) async fn look(
        lan: &LanState,
        reach: &Reach,
        backlog: &[Backlog],
    ) -> Result<Self, Problem> {
        if let Reach::Down { since, .. } = reach {
            let waiting = undone::waiting_for_network(backlog);
            return Ok(Self::Away { since: Moment::new(*since), waiting: waits(waiting) });
        }
        if let Some(pause) = lan.store.pauses().await?.first() {
            return Ok(Self::Paused { since: Moment::new(pause.since) });
        }
        let last = undone::caught_up(lan).await?;
        Ok(last.map_or(Self::Nothing, |outage| Self::CaughtUp { text: caught_up(&outage) }))
    }
}

fn waits(stages: u64) -> String {
    match stages {
        0 => "nothing waits for the network yet".to_owned(),
        1 => "1 stage waits for the network".to_owned(),
        more => format!("{more} stages wait for the network"),
    }
}

/// Says what was caught up after an outage.
fn caught_up(outage: &Outage) -> String {
    let calls = u64::from(outage.calls_recovered);
    let recordings = u64::from(outage.recordings_recovered);
    let calls = (calls > 0).then(|| words::count(calls, "call", "calls"));
    let recordings = (recordings > 0).then(|| words::count(recordings, "recording", "recordings"));
    let (what, besides) = match (calls, recordings) {
        (Some(calls), Some(recordings)) => (calls, format!(", and {recordings}")),
        (what, other) => (what.or(other).unwrap_or_default(), String::new()),
    };
    let lasted = lasting(outage.to.unwrap_or(outage.from).since(outage.from));
    format!("{what} recovered after an outage of {lasted}{besides}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UnixMillis;

    #[test]
    fn what_was_caught_up_is_told_with_how_long_it_took() {
        let told = |calls_recovered, recordings_recovered| {
            caught_up(&Outage {
                id: 1,
                from: UnixMillis::new(0),
                to: Some(UnixMillis::new((8 * 60 + 12) * 60_000)),
                cause: String::new(),
                calls_recovered,
                recordings_recovered,
            })
        };
        assert_eq!(told(7, 0), "7 calls recovered after an outage of 8 h 12 min");
        assert_eq!(told(0, 1), "1 recording recovered after an outage of 8 h 12 min");
        assert_eq!(told(1, 2), "1 call recovered after an outage of 8 h 12 min, and 2 recordings");
    }
}
