//! A day without the network costs nothing but time. The clock is moved by hand; the ledger, the
//! files, the sockets and Twilio's nastiness are real.

use std::future::Future;
use std::num::NonZeroUsize;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fieldtape::clock::{Clock as _, ManualClock, SharedClock};
use fieldtape::cloud::{
    FetchOptions, FetchWork, ReconcileOptions, Reconciler, SplitOptions, SplitWork,
};
use fieldtape::domain::{
    CallSid, Direction, EndReason, Origin, Party, RateHz, RecordingStatus, Stage, StageStatus,
    TrackSource, UnixMillis, WaitingFor,
};
use fieldtape::pipeline::{self, Due, Link, Probe, Runner, Throttle, Verdict, Work};
use fieldtape::simulate::cloud::{CallScript, Cloud, CloudOptions, Endpoint, Media};
use fieldtape::store::{
    CallDetail, Claim, CloudUpdate, NewCall, Output, SegmentRow, StatusUpdate, Store, TranscriptRow,
};
use fieldtape::twilio::door::PublicUrl;
use fieldtape::twilio::rest::{Client, Credentials, Origin as ApiOrigin, Timeouts};
use fieldtape::twilio::signature::AuthToken;
use fieldtape::vault::{self, Vault};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{ACCOUNT, Ledger, PUBLIC_URL, TOKEN, fresh_call_sid};

const BEGAN: UnixMillis = UnixMillis::new(1_790_000_000_000);
const MINUTE: Duration = Duration::from_mins(1);

/// How far the clock is moved at a time.
const STEP: Duration = Duration::from_secs(10);

/// What cannot be real where time is not: it writes down at once that both spoke.
struct Scribe;

impl Work for Scribe {
    fn stage(&self) -> Stage {
        Stage::Transcript
    }

    fn attempts_max(&self) -> Option<u32> {
        Some(5)
    }

    fn run<'a>(&'a self, _: &'a Claim) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        let segments = Party::ALL.iter().map(|party| SegmentRow {
            party: *party,
            start_ms: 0,
            end_ms: 900,
            text: "Good morning.".to_owned(),
            confidence: 0.9,
            avg_logprob: -0.1,
            no_speech_prob: 0.0,
            words: Vec::new(),
        });
        let transcript = TranscriptRow {
            source: TrackSource::Cloud,
            language: "en".to_owned(),
            model: "scribe".to_owned(),
            dropped: 0,
            segments: segments.collect(),
        };
        let output = Output::Transcript { transcript, spent: Vec::new() };
        Box::pin(async move { Verdict::Done(output) })
    }
}

/// Nothing is kept elsewhere here.
struct NoArchive;

impl Work for NoArchive {
    fn stage(&self) -> Stage {
        Stage::Archive
    }

    fn attempts_max(&self) -> Option<u32> {
        None
    }

    fn run<'a>(&'a self, _: &'a Claim) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        Box::pin(async { Verdict::Nothing })
    }
}

/// The part of the appliance that looks outside, from its start to its sudden end.
struct House {
    store: Store,
    link: Link,
    due: Due,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl House {
    async fn start(folder: &Path, clock: &Arc<ManualClock>, cloud: &Cloud) -> Self {
        let shared: SharedClock = clock.clone();
        let options =
            vault::Options { root: folder.to_owned(), sync_every: Duration::from_secs(1) };
        let vault = Vault::open(options, Arc::clone(&shared)).unwrap();
        let store = Store::open(&folder.join("fieldtape.db")).unwrap();
        store.was_off(clock.reading(), 120_000).await.unwrap();
        store.put_back_claims(5, MINUTE, clock.now()).await.unwrap();
        let origin = ApiOrigin::parse(&cloud.url()).unwrap();
        let credentials = Credentials::new(origin, ACCOUNT, TOKEN).unwrap();
        let client =
            Client::new(credentials, ACCOUNT.parse().unwrap(), Timeouts::default()).unwrap();
        let asked = client.clone();
        let probe: Probe = Arc::new(move || {
            let asked = asked.clone();
            Box::pin(async move { asked.probe().await.map_err(|error| error.to_string()) })
        });
        let link = Link::open(store.clone(), Arc::clone(&shared), probe).await.unwrap();
        let (due, stop, mut tasks) = (Due::default(), CancellationToken::new(), JoinSet::new());
        let fetch = FetchWork::new(FetchOptions {
            client: client.clone(),
            store: store.clone(),
            vault: vault.clone(),
            clock: Arc::clone(&shared),
            throttle: Throttle::new(Arc::clone(&shared), None, Arc::new(|| false)),
        });
        let split = SplitWork::new(SplitOptions {
            store: store.clone(),
            vault,
            rates: vec![RateHz::Hz8000, RateHz::Hz16000],
        });
        let works: [(Arc<dyn Work>, usize, Option<Link>); 4] = [
            (Arc::new(fetch), 2, Some(link.clone())),
            (Arc::new(split), 1, None),
            (Arc::new(Scribe), 1, None),
            (Arc::new(NoArchive), 1, None),
        ];
        for (work, parallel, link) in works {
            let runner = Runner::new(pipeline::Options {
                store: store.clone(),
                clock: Arc::clone(&shared),
                due: due.clone(),
                work,
                parallel: NonZeroUsize::new(parallel).unwrap(),
                link,
            });
            tasks.spawn(runner.run(stop.clone()));
        }
        tasks.spawn(link.clone().run(stop.clone()));
        let reconciler = Reconciler::new(ReconcileOptions {
            client,
            store: store.clone(),
            clock: shared,
            due: due.clone(),
            link: link.clone(),
            every: 15 * MINUTE,
            hangup: Arc::new(|_: &CallSid| false),
            starter: None,
        });
        tasks.spawn(reconciler.run(stop.clone()));
        Self { store, link, due, stop, tasks }
    }

    /// Ends as a killed process does: nothing is given back, nothing is put in order.
    async fn kill(mut self) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
    }

    /// Takes what a webhook would have brought.
    async fn hear(&self, cloud: &Cloud, script: &CallScript, clock: &ManualClock) {
        let call = NewCall {
            call_sid: script.sid.clone(),
            parent_call_sid: None,
            direction: Direction::Inbound,
            origin: Origin::Number,
            from_number: script.from.clone(),
            to_number: script.to.clone(),
            call_status: "completed".to_owned(),
            at: script.started,
            boot: None,
            clock_synced: true,
            live_copy: true,
        };
        let duration_s = u32::try_from(script.duration.as_secs()).ok();
        let ended_at = Some(script.started.plus(script.duration));
        let end = Some(EndReason::Completed);
        let update = StatusUpdate { call, end, ended_at, duration_s, now: clock.now() };
        self.store.call_status(update).await.unwrap();
        for recording in cloud.recordings_of(&script.sid) {
            let update = CloudUpdate {
                recording_sid: recording.sid.clone(),
                call_sid: script.sid.clone(),
                status: "completed".to_owned(),
                channels: Some(2),
                duration_s,
                source: None,
                track: None,
                started_at: Some(script.started),
                error_code: None,
                at: clock.now(),
            };
            self.store.cloud_recording(update).await.unwrap();
        }
        self.due.ring();
    }
}

/// Lets so much time pass, in steps that everybody can keep up with.
async fn pass(clock: &ManualClock, time: Duration) {
    let end = clock.since_boot() + time;
    while clock.since_boot() < end {
        clock.advance(STEP.min(end.saturating_sub(clock.since_boot())));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn cloud(clock: &Arc<ManualClock>, listener: TcpListener) -> Cloud {
    let options = CloudOptions {
        account_sid: ACCOUNT.parse().unwrap(),
        auth_token: AuthToken::new(TOKEN).unwrap(),
        api_key: None,
        public_url: PublicUrl::parse(PUBLIC_URL).unwrap(),
        clock: clock.clone(),
        seed: 7,
    };
    Cloud::serve(listener, options).unwrap()
}

/// How often the process is killed while it drains what the outage left.
const KILLS_IN_DRAIN: u32 = 3;

/// How many recordings are fetched at once.
const FETCHES_AT_ONCE: u32 = 2;

/// How many stages can be under way at once.
const AT_ONCE: u32 = FETCHES_AT_ONCE + 4;

/// How much of it there is.
struct Size {
    offline: Duration,
    calls: u32,
    /// One of so many is never told of.
    untold_every: u32,
    kills: u32,
}

impl Size {
    fn new() -> Self {
        if std::env::var_os("FIELDTAPE_LONG").is_some() {
            Self { offline: 72 * 60 * MINUTE, calls: 500, untold_every: 3, kills: 5 }
        } else {
            Self { offline: 8 * 60 * MINUTE, calls: 60, untold_every: 3, kills: 5 }
        }
    }

    fn is_untold(&self, number: u32) -> bool {
        number % self.untold_every == 2
    }
}

/// Lets the calls come while Twilio cannot be reached, the process being killed now and then.
async fn live_through(
    size: &Size,
    folder: &Path,
    clock: &Arc<ManualClock>,
    cloud: &Cloud,
) -> (House, Vec<CallScript>) {
    let mut house = House::start(folder, clock, cloud).await;
    pass(clock, MINUTE).await;
    let pace = size.offline / size.calls;
    let mut scripts = Vec::new();
    for number in 0..size.calls {
        if number == size.calls / 20 {
            // Some calls ended before; from here on nothing outside answers.
            cloud.offline().await;
        }
        let media = Media::noise(2, Duration::from_secs(1), u64::from(number));
        let script = CallScript {
            sid: fresh_call_sid(),
            ..CallScript::inbound(clock.now(), Duration::from_secs(1)).recorded(media)
        };
        cloud.place_call(script.clone());
        pass(clock, pace).await;
        if !size.is_untold(number) {
            house.hear(cloud, &script, clock).await;
        }
        scripts.push(script);
        if number % (size.calls / (size.kills + 1)) == size.calls / (size.kills + 1) - 1
            && number + 1 < size.calls
        {
            house.kill().await;
            house = House::start(folder, clock, cloud).await;
        }
    }
    (house, scripts)
}

async fn detail(store: &Store, sid: &CallSid) -> CallDetail {
    store.call(sid).await.unwrap().expect("every call is known")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_with_calls_and_crashes_costs_nothing_but_time() {
    let size = Size::new();
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(BEGAN));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cloud = cloud(&clock, listener);
    let (mut house, scripts) = live_through(&size, folder.path(), &clock, &cloud).await;

    // Before the link is back: what is known waits for the network, and nothing was counted.
    let first_offline = (size.calls / 20) as usize;
    for (number, script) in (0_u32..).zip(&scripts).skip(first_offline) {
        if size.is_untold(number) {
            assert!(house.store.call(&script.sid).await.unwrap().is_none());
            continue;
        }
        let row = detail(&house.store, &script.sid).await.call;
        assert_eq!((row.waiting_for, row.retry_count), (Some(WaitingFor::Network), 0));
    }
    let asked_before = cloud.requests_for(Endpoint::Media).len();
    cloud.online().await;
    let deadline = tokio::time::Instant::now() + Duration::from_mins(4);
    let mut kills_left = KILLS_IN_DRAIN;
    loop {
        // The first minutes are cut short: what is under way then is done when it is killed.
        pass(&clock, if kills_left > 0 { STEP } else { MINUTE }).await;
        let mut done = 0;
        for script in &scripts {
            let known = house.store.call(&script.sid).await.unwrap();
            done += usize::from(known.is_some_and(|detail| {
                detail.call.transcript_status == StageStatus::Completed
                    && detail.call.archive_status == StageStatus::Skipped
            }));
        }
        if done == scripts.len() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{done} of {} are done", scripts.len());
        if kills_left > 0 && done > 0 && Ledger::open(folder.path()).is_under_way(None) {
            house.kill().await;
            house = House::start(folder.path(), &clock, &cloud).await;
            kills_left -= 1;
        }
    }
    assert_all_is_there(&size, &house, &scripts).await;
    assert_fetched_once_and_oldest_first(&size, &cloud, &scripts, asked_before);
    house.stop.cancel();
}

async fn assert_all_is_there(size: &Size, house: &House, scripts: &[CallScript]) {
    let mut attempts_too_many = 0;
    for script in scripts {
        let detail = detail(&house.store, &script.sid).await;
        assert_eq!(detail.call.recording_status, RecordingStatus::Completed);
        assert_eq!(detail.call.duration.map(|(seconds, _)| seconds), Some(1));
        assert_eq!(detail.call.end_reason, Some(EndReason::Completed));
        let tries: Vec<_> = detail.stages.iter().map(|row| (row.stage, row.attempts)).collect();
        for (stage, attempts) in tries {
            let expected = u32::from(!matches!(stage, Stage::Summary | Stage::Delete));
            assert!(attempts >= expected, "{stage} of {}", script.sid);
            attempts_too_many += attempts - expected;
        }
        let cloud_tracks =
            detail.tracks.iter().filter(|track| track.source == TrackSource::Cloud).count();
        assert_eq!(cloud_tracks, 4, "both parties at both rates");
    }
    assert!(attempts_too_many <= KILLS_IN_DRAIN * AT_ONCE, "{attempts_too_many} more attempts");
    assert!(house.link.is_up());
    let outages = house.store.outages(100).await.unwrap();
    let long = outages.iter().max_by_key(|outage| outage.to.map(|to| to.since(outage.from)));
    let long = long.unwrap();
    assert!(long.to.unwrap().since(long.from) > size.offline * 9 / 10);
    let untold = (0..size.calls).filter(|number| size.is_untold(*number)).count();
    let recovered: u32 = outages.iter().map(|outage| outage.calls_recovered).sum();
    // What a look that a kill cut short had written down is counted by none.
    assert!(
        (1..=untold).contains(&(recovered as usize)),
        "{recovered} of {untold} were recovered from an outage"
    );
}

fn assert_fetched_once_and_oldest_first(
    size: &Size,
    cloud: &Cloud,
    scripts: &[CallScript],
    asked_before: usize,
) {
    let requests = cloud.requests_for(Endpoint::Media);
    let number_of = |path: &str| {
        let of_call = |script: &CallScript| {
            cloud.recordings_of(&script.sid).iter().any(|one| path.contains(one.sid.as_str()))
        };
        scripts.iter().position(of_call).unwrap()
    };
    let order: Vec<usize> = requests.iter().map(|request| number_of(&request.path)).collect();
    let mut once = order.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), scripts.len(), "nothing is missing");
    let most = scripts.len() + (KILLS_IN_DRAIN * FETCHES_AT_ONCE) as usize;
    assert!(order.len() <= most, "only what a kill cut short is fetched twice: {order:?}");
    // What was told of is drained first, then what is found by asking: each oldest first. Two are
    // under way at once, so a call may be one place from its own.
    let mut seen = std::collections::BTreeSet::new();
    let drained = &order[asked_before..];
    let drained: Vec<usize> = drained.iter().copied().filter(|one| seen.insert(*one)).collect();
    for untold in [false, true] {
        let of_kind = |number: &&usize| size.is_untold(u32::try_from(**number).unwrap()) == untold;
        let kind: Vec<usize> = drained.iter().filter(of_kind).copied().collect();
        let mut sorted = kind.clone();
        sorted.sort_unstable();
        for (place, number) in kind.iter().enumerate() {
            let own = sorted.binary_search(number).unwrap();
            assert!(place.abs_diff(own) <= 1, "oldest first: {drained:?}");
        }
    }
}
