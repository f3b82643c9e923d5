//! What is undone, why, and since when Twilio could not be reached.

use askama::Template;

use super::super::undone::{Reach, StageWork, Undone};
use super::banner::Banner;
use super::{Badge, Frame, Moment, words};
use crate::domain::{StageStatus, UnixMillis, WaitingFor, lasting};
use crate::store::{Backlog, Outage, Pause, PendingErasure, QueueItem};

/// Failed items shown, and others: more than a person goes through one by one.
const FAILED_SHOWN_MAX: usize = 200;
const WAITING_SHOWN_MAX: usize = 50;

/// The page of what is undone.
#[derive(Template)]
#[template(path = "queue.html")]
pub(super) struct QueuePage {
    frame: Frame,
    banner: Banner,
    reach: ReachLine,
    /// What is paused; nothing when that is empty.
    pauses: Vec<PauseLine>,
    /// Whether everything is.
    all_paused: bool,
    stages: Vec<StageLine>,
    failed: Vec<ItemLine>,
    waiting: Vec<ItemLine>,
    /// How many more there are than are shown.
    left_off: u64,
    erasures: Vec<ErasureLine>,
    outages: Vec<OutageLine>,
}

/// An erasure of which something is pending.
struct ErasureLine {
    id: String,
    asked: Moment,
    text: String,
    why: Option<String>,
}

/// Whether Twilio can be reached.
struct ReachLine {
    text: &'static str,
    since: Option<Moment>,
    why: Option<String>,
}

/// A pause.
struct PauseLine {
    text: String,
    since: Moment,
}

/// What is undone in one stage.
struct StageLine {
    name: &'static str,
    /// Its word, to pause or resume it by.
    word: &'static str,
    /// Whether it is paused by itself.
    paused: bool,
    counts: String,
    failed: bool,
    oldest: Option<Moment>,
    drain: Option<String>,
}

/// One stage of one call.
struct ItemLine {
    sid: String,
    began: Moment,
    stage: &'static str,
    badge: Badge,
    facts: Vec<String>,
    next: Option<Moment>,
    error: Option<String>,
}

/// A time without Twilio.
struct OutageLine {
    from: Moment,
    lasted: String,
    cause: String,
    recovered: String,
}

impl QueuePage {
    pub(super) fn new(frame: Frame, banner: Banner, undone: &Undone) -> Self {
        let Undone { stages, items, reach, outages, now, pauses, erasures, .. } = undone;
        let all_items = undone.left_off() + items.len() as u64;
        let failed = |item: &&QueueItem| item.status == StageStatus::Failed;
        let (given_up, others): (Vec<_>, Vec<_>) = items.iter().partition(failed);
        let lines = |items: Vec<&QueueItem>, most: usize| -> Vec<ItemLine> {
            items.into_iter().take(most).map(ItemLine::new).collect()
        };
        let failed = lines(given_up, FAILED_SHOWN_MAX);
        let waiting = lines(others, WAITING_SHOWN_MAX);
        Self {
            frame,
            banner,
            reach: ReachLine::new(reach),
            pauses: pauses.iter().map(PauseLine::new).collect(),
            all_paused: pauses.iter().any(|pause| pause.stage.is_none()),
            stages: stages.iter().map(|work| StageLine::new(work, undone)).collect(),
            left_off: all_items - (failed.len() + waiting.len()) as u64,
            failed,
            waiting,
            erasures: erasures.iter().map(ErasureLine::new).collect(),
            outages: outages.iter().map(|outage| OutageLine::new(outage, *now)).collect(),
        }
    }

    fn has_more(&self) -> bool {
        self.left_off > 0
    }
}

impl ReachLine {
    fn new(reach: &Reach) -> Self {
        let (text, since, why) = match reach {
            Reach::Unused => ("No work here needs Twilio or an archive.", None, None),
            Reach::Up { since } => ("Twilio can be reached", *since, None),
            Reach::Down { since, why } => {
                ("Twilio cannot be reached", Some(*since), Some(why.clone()))
            }
        };
        Self { text, since: since.map(Moment::new), why }
    }
}

impl StageLine {
    fn new(work: &StageWork, undone: &Undone) -> Self {
        let Backlog { stage, pending, processing, failed, oldest, .. } = work.backlog;
        let (reach, held, pause) = (&undone.reach, undone.held(stage), undone.pause(stage));
        let counts = [(processing, "under way"), (pending, "waiting"), (failed, "failed")];
        let counts: Vec<String> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let ahead = pending + processing > 0;
        let drain = match work.drain {
            _ if !ahead => None,
            _ if pause.is_some() => Some("paused".to_owned()),
            _ if let Some(why) = held.filter(|_| pending > 0) => Some(why.to_owned()),
            Some(drain) => Some(format!("about {} to go", lasting(drain))),
            None if reach.is_down() && stage.needs_network() => {
                Some("goes on when Twilio can be reached".to_owned())
            }
            None => Some("how long it takes is not known yet".to_owned()),
        };
        let drain = match (drain, next(&work.backlog, pause.is_some())) {
            (Some(drain), Some(next)) => Some(format!("{drain}; {next}")),
            (drain, next) => drain.or(next),
        };
        Self {
            name: words::stage(stage),
            word: stage.as_str(),
            paused: pause.is_some_and(|pause| pause.stage.is_some()),
            counts: counts.join(", "),
            failed: failed > 0,
            oldest: oldest.map(Moment::new),
            drain,
        }
    }
}

/// Says what the first of a stage waits for.
fn next(backlog: &Backlog, paused: bool) -> Option<String> {
    let waits = backlog.waiting_for.filter(|what| *what != WaitingFor::Network && !paused)?;
    Some(format!("the first {}", words::waiting(waits)))
}

impl PauseLine {
    fn new(pause: &Pause) -> Self {
        let what = match pause.stage {
            Some(stage) => format!("{} is paused", words::stage(stage)),
            None => "The queue is paused".to_owned(),
        };
        Self { text: what, since: Moment::new(pause.since) }
    }
}

impl ErasureLine {
    fn new(erasure: &PendingErasure) -> Self {
        let pending = words::count(erasure.pending, "thing is", "things are");
        Self {
            id: erasure.id.clone(),
            asked: Moment::new(erasure.asked_at),
            text: format!("of the {} {}: {pending} not gone yet", erasure.what, erasure.subject),
            why: erasure.why.clone(),
        }
    }
}

impl ItemLine {
    fn new(item: &QueueItem) -> Self {
        let mut facts = Vec::new();
        if item.attempts > 0 {
            facts.push(words::count(item.attempts.into(), "attempt", "attempts"));
        }
        facts.extend(item.waiting_for.map(|what| words::waiting(what).to_owned()));
        // What waits for the network goes on when that is back, whatever the time is.
        let offline = item.waiting_for == Some(WaitingFor::Network);
        let timed = item.status == StageStatus::Pending && item.attempts > 0 && !offline;
        Self {
            sid: item.call_sid.to_string(),
            began: Moment::new(item.began_at),
            stage: item.stage.as_str(),
            badge: Badge { stage: words::stage(item.stage), status: item.status.as_str() },
            facts,
            next: timed.then(|| Moment::new(item.next_attempt_at)),
            error: item.last_error.clone().filter(|_| !offline),
        }
    }
}

impl OutageLine {
    fn new(outage: &Outage, now: UnixMillis) -> Self {
        let recovered = [
            (outage.calls_recovered, "call", "calls"),
            (outage.recordings_recovered, "recording", "recordings"),
        ];
        let recovered: Vec<String> = recovered
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, many)| words::count(count.into(), one, many))
            .collect();
        let lasted = lasting(outage.to.unwrap_or(now).since(outage.from));
        Self {
            from: Moment::new(outage.from),
            lasted: if outage.to.is_some() { lasted } else { format!("{lasted} so far") },
            cause: outage.cause.clone(),
            recovered: match recovered.is_empty() {
                true if outage.to.is_some() => "nothing was missed".to_owned(),
                true => String::new(),
                false => recovered.join(", "),
            },
        }
    }
}
