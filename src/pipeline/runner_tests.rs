use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::Probe;
use super::*;
use crate::clock::{Clock, ManualClock};
use crate::domain::*;
use crate::store::*;

/// Work that does as it is told.
struct Scripted {
    verdicts: Mutex<VecDeque<Option<Verdict>>>,
    clock: Arc<ManualClock>,
}

impl Work for Scripted {
    fn stage(&self) -> Stage {
        Stage::Transcript
    }

    fn attempts_max(&self) -> Option<u32> {
        Some(3)
    }

    fn run<'a>(&'a self, _: &'a Claim) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        let verdict = self.verdicts.lock().unwrap().pop_front();
        self.clock.advance(Duration::from_secs(1));
        Box::pin(async move {
            match verdict {
                Some(Some(verdict)) => verdict,
                Some(None) => panic!("as told"),
                None => std::future::pending().await,
            }
        })
    }
}

struct House {
    store: Store,
    clock: Arc<ManualClock>,
    sid: CallSid,
    folder: tempfile::TempDir,
}

impl House {
    async fn with_a_finished_call() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
        let clock = Arc::new(ManualClock::new(UnixMillis::new(1_790_000_000_000)));
        let sid: CallSid = format!("CA{:032x}", 1).parse().unwrap();
        let at = clock.now();
        let call = NewCall {
            call_sid: sid.clone(),
            parent_call_sid: None,
            direction: Direction::Inbound,
            origin: Origin::Number,
            from_number: "+15550100".to_owned(),
            to_number: "+15550199".to_owned(),
            call_status: "completed".to_owned(),
            at,
            boot: None,
            clock_synced: true,
            live_copy: true,
        };
        let id = store.announce_call(call, None).await.unwrap();
        let track = NewTrack {
            party: Party::Agent,
            source: TrackSource::Stream,
            rate: RateHz::Hz16000,
            part_no: 1,
            path: "recordings/a.wav".to_owned(),
            origin: Some(Samples8k::ZERO),
            lead: crate::domain::Samples8k::ZERO,
            samples: 16_000,
            size_bytes: 32_044,
            salvaged: false,
        };
        let finish = Finish {
            call: id,
            tracks: vec![track],
            gaps: vec![],
            reason: EndReason::Completed,
            ended_at: at,
            ended_boot: None,
            at,
            trouble: None,
        };
        store.finish_call(finish).await.unwrap();
        Self { store, clock, sid, folder }
    }

    /// Runs the verdicts one after another, letting the time of each pause pass.
    async fn run(&self, verdicts: Vec<Option<Verdict>>) -> Call {
        let rounds = verdicts.len();
        let runner = self.runner(verdicts, None);
        for _ in 0..rounds {
            if let Next::Work(claim) = runner.next().await.unwrap() {
                runner.work_on(claim, &CancellationToken::new()).await;
            }
            self.clock.advance(backoff::BACKOFF_MAX);
        }
        self.call().await
    }

    fn runner(&self, verdicts: Vec<Option<Verdict>>, link: Option<Link>) -> Runner {
        let work = Scripted { verdicts: Mutex::new(verdicts.into()), clock: self.clock.clone() };
        Runner::new(Options {
            store: self.store.clone(),
            clock: self.clock.clone(),
            due: Due::default(),
            work: Arc::new(work),
            parallel: NonZeroUsize::MIN,
            link,
        })
    }

    async fn call(&self) -> Call {
        self.store.call(&self.sid).await.unwrap().unwrap().call
    }
}

fn again(why: &str) -> Verdict {
    Verdict::Again { why: why.to_owned() }
}

#[tokio::test]
async fn work_that_keeps_failing_is_given_up_with_its_last_words() {
    let house = House::with_a_finished_call().await;
    let row = house.run(vec![Some(again("one")), Some(again("two"))]).await;
    assert_eq!((row.transcript_status, row.retry_count), (StageStatus::Pending, 2));
    let row = house.run(vec![Some(again("three")), Some(again("never run"))]).await;
    assert_eq!((row.transcript_status, row.retry_count), (StageStatus::Failed, 3));
    assert_eq!(row.last_error.as_deref(), Some("three"));
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt() {
    let house = House::with_a_finished_call().await;
    let row = house.run(vec![None]).await;
    assert_eq!((row.transcript_status, row.retry_count), (StageStatus::Pending, 1));
    assert!(row.last_error.unwrap().contains("fault in fieldtape"));
}

#[tokio::test]
async fn waiting_for_something_costs_no_attempt_however_long() {
    let house = House::with_a_finished_call().await;
    let waits = || {
        Some(Verdict::Waits {
            waiting_for: WaitingFor::Model,
            why: "no model".to_owned(),
            after: Duration::from_mins(1),
        })
    };
    let row = house.run((0..20).map(|_| waits()).collect()).await;
    assert_eq!((row.retry_count, row.waiting_for), (0, Some(WaitingFor::Model)));
    let never = Verdict::Never { why: "the file is gone".to_owned() };
    let row = house.run(vec![Some(never)]).await;
    assert_eq!((row.transcript_status, row.retry_count), (StageStatus::Failed, 1));
}

#[tokio::test]
async fn stopping_gives_the_attempt_back() {
    let house = House::with_a_finished_call().await;
    let stop = CancellationToken::new();
    let runner = house.runner(vec![], None);
    let running = runner.run(stop.clone());
    let stopping = async {
        while house.call().await.transcript_status != StageStatus::Processing {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    tokio::join!(running, stopping);
    let row = house.call().await;
    assert_eq!((row.transcript_status, row.retry_count), (StageStatus::Pending, 0));
}

#[tokio::test]
async fn a_ledger_that_cannot_take_the_end_is_told_again_when_it_can() {
    let house = House::with_a_finished_call().await;
    let path = house.folder.path().join("fieldtape.db");
    let other =
        rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE);
    let other = other.unwrap();
    other
        .execute_batch(
            "create trigger full before update on stages when new.status = 'skipped' \
             begin select raise(abort, 'disk full'); end",
        )
        .unwrap();
    let mending = async {
        while house.call().await.transcript_status != StageStatus::Processing {
            tokio::task::yield_now().await;
        }
        other.execute_batch("drop trigger full").unwrap();
        while house.call().await.transcript_status == StageStatus::Processing {
            house.clock.advance(LEDGER_PAUSE);
            tokio::task::yield_now().await;
        }
    };
    let (row, ()) = tokio::join!(house.run(vec![Some(Verdict::Nothing)]), mending);
    assert_eq!(row.transcript_status, StageStatus::Skipped);
}

/// A link whose probe answers as it is told.
async fn link(house: &House, answers: &Arc<AtomicBool>) -> Link {
    let answers = Arc::clone(answers);
    let probe: Probe = Arc::new(move || {
        let up = answers.load(Ordering::SeqCst);
        Box::pin(async move { if up { Ok(()) } else { Err("no route".to_owned()) } })
    });
    Link::open(house.store.clone(), house.clock.clone(), probe).await.unwrap()
}

fn unreachable() -> Verdict {
    Verdict::Unreachable { why: "the connection was cut".to_owned() }
}

#[tokio::test]
async fn one_probe_decides_whose_fault_it_is() {
    let house = House::with_a_finished_call().await;
    let answers = Arc::new(AtomicBool::new(false));
    let link = link(&house, &answers).await;
    let runner = house.runner(vec![Some(unreachable()), Some(unreachable())], Some(link.clone()));
    let round = async || {
        let Next::Work(claim) = runner.next().await.unwrap() else { panic!("it is due") };
        runner.work_on(claim, &CancellationToken::new()).await;
        house.call().await
    };
    let row = round().await;
    assert_eq!((row.retry_count, row.waiting_for), (0, Some(WaitingFor::Network)));
    assert!(!link.is_up());
    answers.store(true, Ordering::SeqCst);
    house.clock.advance(Duration::from_mins(1));
    assert!(link.check().await.is_up());
    let row = round().await;
    assert_eq!((row.retry_count, row.waiting_for), (1, None), "the network was there");
    let outages = house.store.outages(10).await.unwrap();
    assert_eq!(outages.len(), 1);
    assert_eq!(outages[0].to.unwrap().since(outages[0].from), Duration::from_mins(1));
}

#[tokio::test]
async fn nothing_is_claimed_while_the_link_is_away_and_all_of_it_when_it_is_back() {
    let house = House::with_a_finished_call().await;
    let answers = Arc::new(AtomicBool::new(false));
    let link = link(&house, &answers).await;
    link.check().await;
    let runner = house.runner(vec![Some(Verdict::Nothing)], Some(link.clone()));
    let stop = CancellationToken::new();
    let running = runner.run(stop.clone());
    let returning = async {
        for _ in 0..100 {
            house.clock.advance(LOOK_EVERY);
            tokio::task::yield_now().await;
        }
        assert_eq!(house.call().await.transcript_status, StageStatus::Pending);
        answers.store(true, Ordering::SeqCst);
        link.check().await;
        while house.call().await.transcript_status != StageStatus::Skipped {
            house.clock.advance(BACK_WITHIN);
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    tokio::join!(running, returning);
}
