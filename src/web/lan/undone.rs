//! What is undone and why, gathered once for the API, the page and the command line.

use std::time::Duration;

use super::LanState;
use super::problem::Problem;
use crate::domain::{Stage, UnixMillis};
use crate::store::{Backlog, Outage, Pace, Pause, PendingErasure, QueueItem};
use crate::vault::Mark;

/// Items told at most: three days without network at a busy office leave fewer calls. What is
/// left off is still counted.
pub(super) const ITEMS_MAX: u32 = 1000;

/// Outages told at most, newest first.
const OUTAGES_MAX: u32 = 50;

/// Erasures told at most.
const ERASURES_MAX: u32 = 50;

/// How far back one looks for how quickly work gets done.
const PACE_WINDOW: Duration = Duration::from_hours(1);

/// What holds work back while there is no room.
const NO_ROOM: &str = "the disk has no room: what is left is for live calls";
const KEPT_AT_TWILIO: &str = "the disk has no room: Twilio's copies stay";

/// How long it is told what was caught up after an outage.
const NEWS_FOR: Duration = Duration::from_hours(24);

/// Whether the outside can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nothing here needs it.
    Unused,
    /// It answers, since the last outage if there was one.
    Up { since: Option<UnixMillis> },
    /// It does not.
    Down { since: UnixMillis, why: String },
}

impl Reach {
    /// Asks the ledger.
    pub(super) async fn look(lan: &LanState) -> Result<Self, Problem> {
        if lan.link.is_none() {
            return Ok(Self::Unused);
        }
        if let Some(outage) = lan.store.open_outage().await? {
            return Ok(Self::Down { since: outage.from, why: outage.cause });
        }
        let last = lan.store.outages(1).await?.into_iter().next();
        Ok(Self::Up { since: last.and_then(|outage| outage.to) })
    }

    /// Says whether what needs the outside has to wait.
    pub(super) const fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }
}

/// What is undone in one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StageWork {
    pub(super) backlog: Backlog,
    /// How long it will take, at the pace of the last hour; none while that is not known.
    pub(super) drain: Option<Duration>,
}

/// All that is undone.
#[derive(Debug)]
pub(super) struct Undone {
    pub(super) now: UnixMillis,
    pub(super) stages: Vec<StageWork>,
    /// Why transcripts are held back, if they are.
    pub(super) held: Option<String>,
    /// How the room on the disk is.
    pub(super) mark: Mark,
    /// The oldest of it.
    pub(super) items: Vec<QueueItem>,
    pub(super) reach: Reach,
    pub(super) outages: Vec<Outage>,
    /// What a person has paused.
    pub(super) pauses: Vec<Pause>,
    /// What a person has had erased and is not gone everywhere.
    pub(super) erasures: Vec<PendingErasure>,
}

impl Undone {
    /// Asks the ledger.
    pub(super) async fn gather(lan: &LanState) -> Result<Self, Problem> {
        let now = lan.clock.now();
        let reach = Reach::look(lan).await?;
        let pauses = lan.store.pauses().await?;
        let pace = lan.store.pace(now.minus(PACE_WINDOW)).await?;
        let stages = lan.store.backlog().await?.into_iter().map(|backlog| {
            let stalled = (reach.is_down() && backlog.stage.needs_network())
                || pause_of(&pauses, backlog.stage).is_some();
            let pace = pace.iter().find(|pace| pace.stage == backlog.stage && !stalled);
            StageWork { drain: drain(&backlog, pace, now), backlog }
        });
        let mut stages: Vec<StageWork> = stages.collect();
        stages.sort_by_key(|work| work.backlog.stage);
        let items = lan.store.queue(ITEMS_MAX).await?;
        let outages = lan.store.outages(OUTAGES_MAX).await?;
        let held = lan.schedule.held();
        let mark = lan.keeper.seen().mark;
        let erasures = lan.store.erasures_pending(ERASURES_MAX).await?;
        Ok(Self { now, stages, held, mark, items, reach, outages, pauses, erasures })
    }

    /// Returns why a stage is held back, if it is.
    pub(super) fn held(&self, stage: Stage) -> Option<&str> {
        let room = match stage {
            Stage::Fetch | Stage::Split => (self.mark == Mark::Spent).then_some(NO_ROOM),
            Stage::Delete => (self.mark >= Mark::Black).then_some(KEPT_AT_TWILIO),
            Stage::Transcript | Stage::Summary | Stage::Archive => None,
        };
        room.or_else(|| self.held.as_deref().filter(|_| stage == Stage::Transcript))
    }

    /// Returns the pause that keeps a stage from going on, if there is one.
    pub(super) fn pause(&self, stage: Stage) -> Option<&Pause> {
        pause_of(&self.pauses, stage)
    }

    /// Returns how many items there are beyond those told.
    pub(super) fn left_off(&self) -> u64 {
        let count = |work: &StageWork| {
            let Backlog { pending, processing, failed, .. } = work.backlog;
            pending + processing + failed
        };
        let all: u64 = self.stages.iter().map(count).sum();
        all.saturating_sub(self.items.len() as u64)
    }
}

fn pause_of(pauses: &[Pause], stage: Stage) -> Option<&Pause> {
    pauses.iter().find(|pause| pause.stage.is_none_or(|paused| paused == stage))
}

/// Estimates how long what is undone takes: as long for each as for those done lately.
fn drain(backlog: &Backlog, pace: Option<&Pace>, now: UnixMillis) -> Option<Duration> {
    let ahead = backlog.pending + backlog.processing;
    if ahead == 0 {
        return Some(Duration::ZERO);
    }
    let pace = pace.filter(|pace| pace.completed > 0)?;
    let took = u64::try_from(now.since(pace.first_at).as_millis()).unwrap_or(u64::MAX);
    let total_ms = took.checked_mul(ahead)? / pace.completed;
    // Done within the same moment says nothing about how long it takes.
    (took > 0).then(|| Duration::from_millis(total_ms))
}

/// Counts what waits for the network, while that is away.
pub(super) fn waiting_for_network(backlog: &[Backlog]) -> u64 {
    let needs_it = backlog.iter().filter(|backlog| backlog.stage.needs_network());
    needs_it.map(|backlog| backlog.pending).sum()
}

/// Returns the last outage, if it ended lately and something was caught up after it.
pub(super) async fn caught_up(lan: &LanState) -> Result<Option<Outage>, Problem> {
    let since = lan.clock.now().minus(NEWS_FOR);
    let is_news = |outage: &Outage| {
        outage.to.is_some_and(|to| to >= since)
            && outage.calls_recovered + outage.recordings_recovered > 0
    };
    Ok(lan.store.outages(OUTAGES_MAX).await?.into_iter().find(is_news))
}

/// What asking for everything to be tried now did.
#[derive(Debug)]
pub(super) struct Hurried {
    /// How many stages no longer wait for their next attempt.
    pub(super) stages: u32,
    /// How the link was found.
    pub(super) reach: Reach,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(pending: u64, processing: u64) -> Backlog {
        Backlog {
            stage: Stage::Fetch,
            pending,
            processing,
            failed: 3,
            oldest: None,
            next_attempt_at: None,
            waiting_for: None,
        }
    }

    fn pace(completed: u64, first_at: i64) -> Pace {
        Pace { stage: Stage::Fetch, completed, first_at: UnixMillis::new(first_at) }
    }

    #[test]
    fn the_time_to_drain_is_as_long_for_each_as_it_was_lately() {
        let now = UnixMillis::new(600_000);
        let ten_a_minute = pace(100, 0);
        let estimate = |backlog: Backlog, pace: Option<&Pace>| drain(&backlog, pace, now);
        assert_eq!(estimate(backlog(4, 1), Some(&ten_a_minute)), Some(Duration::from_secs(30)));
        assert_eq!(
            estimate(backlog(0, 0), None),
            Some(Duration::ZERO),
            "what failed does not count"
        );
        assert_eq!(estimate(backlog(4, 1), None), None);
        assert_eq!(estimate(backlog(4, 1), Some(&pace(1, 600_000))), None);
        assert_eq!(estimate(backlog(4, 1), Some(&pace(9, 700_000))), None, "a clock put back");
    }
}
