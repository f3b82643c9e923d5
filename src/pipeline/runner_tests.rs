use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;

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

    fn attempts_max(&self) -> u32 {
        3
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
            at,
            trouble: None,
        };
        store.finish_call(finish).await.unwrap();
        Self { store, clock, sid, folder }
    }

    /// Runs the verdicts one after another, letting the time of each pause pass.
    async fn run(&self, verdicts: Vec<Option<Verdict>>) -> Call {
        let rounds = verdicts.len();
        let work = Scripted { verdicts: Mutex::new(verdicts.into()), clock: self.clock.clone() };
        let runner = Runner::new(Options {
            store: self.store.clone(),
            clock: self.clock.clone(),
            due: Due::default(),
            work: Arc::new(work),
        });
        for _ in 0..rounds {
            runner.run_once(&CancellationToken::new()).await.unwrap();
            self.clock.advance(backoff::BACKOFF_MAX);
        }
        self.call().await
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
    let work = Scripted { verdicts: Mutex::default(), clock: house.clock.clone() };
    let runner = Runner::new(Options {
        store: house.store.clone(),
        clock: house.clock.clone(),
        due: Due::default(),
        work: Arc::new(work),
    });
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
        // Long enough for the first try, and shorter than the pause before the second.
        tokio::time::sleep(LEDGER_PAUSE / 2).await;
        other.execute_batch("drop trigger full").unwrap();
    };
    let (row, ()) = tokio::join!(house.run(vec![Some(Verdict::Nothing)]), mending);
    assert_eq!(row.transcript_status, StageStatus::Skipped);
}
