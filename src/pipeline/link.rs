//! Whether the outside can be reached. One probe decides, for everybody.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::Rng;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::store::{Store, StoreError};

/// How often the outside is probed while it is away; the half of it is chance, so that a street
/// of boxes does not knock at the same moment.
const PROBE_AGAIN: Duration = Duration::from_secs(20);

/// How often it is probed while all seems well: nobody may be using it, and an outage has a
/// beginning all the same.
const PROBE_EVERY: Duration = Duration::from_mins(2);

/// How long a probe that failed is good for all who ask.
const PROBE_GOOD_FOR: Duration = Duration::from_secs(2);

/// Whether the outside can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It answers.
    Up,
    /// It does not.
    Down {
        /// What was seen, for a person to read.
        why: String,
    },
}

impl LinkState {
    /// Says whether it can be reached.
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Up)
    }
}

/// Asks the outside whether it is there; what it answers does not matter, only that it does.
pub type Probe =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// The link to the outside. A clone is another handle to the same.
#[derive(Clone)]
pub struct Link {
    store: Store,
    clock: SharedClock,
    probe: Probe,
    state: Arc<watch::Sender<LinkState>>,
    /// When, since boot, it was last probed; held while a probe runs, so that there is one at a
    /// time.
    probed_at: Arc<Mutex<Option<Duration>>>,
    /// Whether a probe has said how it is; until then it is only remembered.
    was_probed: Arc<AtomicBool>,
}

impl Link {
    /// Takes up the state that the ledger remembers; the first probe puts it right.
    pub async fn open(store: Store, clock: SharedClock, probe: Probe) -> Result<Self, StoreError> {
        let state = match store.open_outage().await? {
            Some(outage) => LinkState::Down { why: outage.cause },
            None => LinkState::Up,
        };
        let (state, _) = watch::channel(state);
        Ok(Self {
            store,
            clock,
            probe,
            state: Arc::new(state),
            probed_at: Arc::default(),
            was_probed: Arc::default(),
        })
    }

    /// Returns how it is, and hears of every change.
    pub fn watch(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Returns how it was found to be; none while it was not tried by this run.
    pub fn found(&self) -> Option<LinkState> {
        self.was_probed.load(Ordering::Acquire).then(|| self.state.borrow().clone())
    }

    /// Says whether the outside could be reached when it was last tried.
    pub fn is_up(&self) -> bool {
        self.state.borrow().is_up()
    }

    /// Probes, unless somebody just has, writes a change down, and says how it is.
    pub async fn check(&self) -> LinkState {
        let mut probed_at = self.probed_at.lock().await;
        let now = self.clock.since_boot();
        // Only bad news is good for others: who asks has just seen something fail, and that the
        // link was there before then says nothing.
        let fresh =
            !self.is_up() && probed_at.is_some_and(|at| now.saturating_sub(at) < PROBE_GOOD_FOR);
        if !fresh {
            let found = match (self.probe)().await {
                Ok(()) => LinkState::Up,
                Err(why) => LinkState::Down { why },
            };
            *probed_at = Some(self.clock.since_boot());
            self.turn(found).await;
            self.was_probed.store(true, Ordering::Release);
        }
        self.state.borrow().clone()
    }

    /// Probes by time until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let pause = match self.check().await {
                LinkState::Up => PROBE_EVERY,
                LinkState::Down { .. } => {
                    let half = PROBE_AGAIN / 2;
                    half + half.mul_f64(rand::rng().random_range(0.0..=1.0))
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    /// Writes a change down before anybody acts on it. While the ledger does not take it, the old
    /// state stands and the next probe tries again.
    async fn turn(&self, found: LinkState) {
        if found.is_up() == self.is_up() {
            return;
        }
        let now = self.clock.reading();
        let written = match &found {
            LinkState::Down { why } => self.store.link_down(now, why.clone()).await.map(|news| {
                if news {
                    tracing::warn!(event = "link.down", error = %why, "{why}; what needs the network waits, and nothing is lost");
                }
            }),
            LinkState::Up => self.store.link_up(now).await.map(|outage| {
                if let Some(outage) = outage {
                    let duration = outage.to.unwrap_or(outage.from).since(outage.from);
                    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(event = "link.up", duration_ms, "Twilio can be reached again after {} min; what waited goes on", duration.as_secs() / 60);
                }
            }),
        };
        match written {
            Ok(()) => {
                self.state.send_replace(found);
            }
            Err(error) => {
                tracing::error!(error = %error, "the ledger does not take that the link changed");
            }
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Link({:?})", *self.state.borrow())
    }
}
